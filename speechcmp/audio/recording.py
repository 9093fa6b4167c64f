"""Recordings: read, brought to one loudness, resampled, saved.

Gain and level are pydub's to the sample, because the thresholds people know (-40 dBFS after normalizing
to -20 dBFS) are pydub's: levels come from an RMS cut to a whole number, gain rounds down and clips.
"""

import math
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
import soundfile
from numpy.typing import NDArray

from speechcmp.audio.decode import (
    BLOCK_FRAMES,
    MAX_SAMPLE_RATE,
    AudioPath,
    Pcm,
    PcmFile,
    as_pcm,
    for_libsndfile,
    open_pcm,
)
from speechcmp.errors import AudioError, ParameterError

FULL_SCALE = 0.999
SOFTWARE = "speechcmp"  # who wrote a file, as its header tells
MAX_SAMPLES = 1_000_000_000  # 4 GB as float32
MAX_DURATION_S = 4 * 3600  # what is made of a recording in memory takes several times as much


class PcmSource(Protocol):
    """What can be split: a `Recording` in memory, or an `AudioFile` read in blocks."""

    @property
    def name(self) -> str: ...
    @property
    def sample_rate(self) -> int: ...
    @property
    def channels(self) -> int: ...
    @property
    def sample_width(self) -> int: ...
    @property
    def n_frames(self) -> int: ...
    def pcm_blocks(self) -> Iterator[Pcm]: ...


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """A recording in memory.

    Attributes
    ----------
    samples : float32, shape (n,) or (n, channels)
        In [-1, 1].
    sample_rate : int
        Hz.
    name : str
        What messages call it.
    path : Path or None
        Where it came from.
    sample_width : int
        Bytes a sample of the source, as pydub counts (1, 2 or 4): the grid on which gain is applied.
    n_clipped : int
        Samples that the last gain cut off.
    """

    samples: NDArray[np.float32]
    sample_rate: int
    name: str = "recording"
    path: Path | None = None
    sample_width: int = 2
    n_clipped: int = 0

    def __post_init__(self) -> None:
        if self.samples.ndim not in {1, 2} or not self.samples.size:
            raise ParameterError(
                f"{self.name}: samples must be (n,) or (n, channels), given shape {self.samples.shape}"
            )
        if self.samples.dtype != np.float32:
            raise ParameterError(
                f"{self.name}: samples must be float32 in [-1, 1], given {self.samples.dtype}; "
                "convert them, whole numbers divided by their full scale"
            )
        if not 0 < self.sample_rate <= MAX_SAMPLE_RATE:
            raise ParameterError(f"{self.name}: sample_rate {self.sample_rate} Hz is not possible")

    @property
    def n_frames(self) -> int:
        return len(self.samples)

    @property
    def channels(self) -> int:
        return 1 if self.samples.ndim == 1 else self.samples.shape[1]

    @property
    def duration_s(self) -> float:
        return len(self.samples) / self.sample_rate

    def pcm_blocks(self) -> Iterator[Pcm]:
        """Yield (n, channels) blocks of whole numbers in the range of `sample_width`."""
        full_scale = 1 << (8 * self.sample_width - 1)
        for start in range(0, len(self.samples), BLOCK_FRAMES):
            block = self.samples[start : start + BLOCK_FRAMES].reshape(-1, self.channels)
            scaled = np.rint(np.clip(block, -1, 1).astype(np.float64) * full_scale)
            yield as_pcm(np.minimum(scaled, full_scale - 1), self.sample_width)


@dataclass(frozen=True, slots=True, eq=False)
class AudioFile:
    """A recording on disk: its header, and its PCM in blocks, with a gain applied on the way."""

    pcm: PcmFile
    gain: float = 1.0

    @property
    def name(self) -> str:
        return self.pcm.name

    @property
    def path(self) -> Path | None:
        return self.pcm.path

    @property
    def sample_rate(self) -> int:
        return self.pcm.sample_rate

    @property
    def channels(self) -> int:
        return self.pcm.channels

    @property
    def sample_width(self) -> int:
        return self.pcm.sample_width

    @property
    def n_frames(self) -> int:
        return self.pcm.n_frames

    @property
    def duration_s(self) -> float:
        return self.n_frames / self.sample_rate

    def pcm_blocks(self, start: int = 0, stop: int | None = None) -> Iterator[Pcm]:
        """Yield (n, channels) blocks of whole numbers in the range of `sample_width`, after the gain."""
        blocks = self.pcm.blocks(start, stop)
        return blocks if self.gain == 1.0 else (amplify_pcm(b, self.gain, self.sample_width) for b in blocks)


Source = TypeVar("Source", Recording, AudioFile)


class Level(NamedTuple):
    """Levels of a recording in dB relative to full scale; -inf for silence.

    `n_cut_off` counts the samples that lie, three or more alike in a row, at full scale: a wave whose top is
    missing, because the microphone's gain was too high.
    """

    dbfs: float
    peak_dbfs: float
    n_cut_off: int = 0


def open_audio(path: AudioPath, *, name: str | None = None) -> AudioFile:
    """Open a recording without reading it whole.

    Parameters
    ----------
    path : str, path or binary stream
        wav, flac, mp3, ogg, opus and the rest of libsndfile's formats; anything else through ffmpeg.
    name : str, optional
        What messages call it; the path as given by default.

    Raises
    ------
    AudioError
        The file is missing, unreadable, empty, truncated or not audio.
    DependencyError
        The format needs ffmpeg, which is not installed.
    """
    return AudioFile(open_pcm(path, name=name))


def load_recording(
    path: AudioPath, *, sample_rate: int | None = None, mono: bool = True, name: str | None = None
) -> Recording:
    """Read a recording into memory.

    Parameters
    ----------
    path : str, path or binary stream
        See `open_audio`.
    sample_rate : int, optional
        Hz to resample to (soxr HQ); the file's own by default.
    mono : bool
        Mix the channels down to their mean.
    name : str, optional
        What messages call it; the path as given by default.

    Returns
    -------
    Recording
        samples : float32, (n,) if `mono` or the file has one channel, else (n, channels).

    Raises
    ------
    AudioError
        As `open_audio`; also a file that is silent, holds NaN, or is too long for memory.
    DependencyError
        The format needs ffmpeg, which is not installed.
    """
    file = open_audio(path, name=name)
    n_samples = file.n_frames * file.channels
    if file.duration_s > MAX_DURATION_S or n_samples > MAX_SAMPLES:
        raise AudioError(
            f"{file.name}: too long for memory ({file.duration_s / 3600:.1f} h, {n_samples:,} samples; "
            f"at most {MAX_DURATION_S // 3600} h and {MAX_SAMPLES:,}); cut it into parts first"
        )
    recording = to_recording(file)
    if not recording.samples.any():
        raise silent_error(file.name)
    if mono:
        recording = mix_down(recording)
    return recording if sample_rate is None else resample(recording, sample_rate)


def to_recording(file: AudioFile) -> Recording:
    """Read an opened file to its end, its gain applied; one channel becomes shape (n,)."""
    samples = np.empty((file.n_frames, file.channels), np.float32)
    position = 0
    for block in file.pcm_blocks():
        np.multiply(block, 2.0 ** (1 - 8 * file.sample_width), out=samples[position : position + len(block)])
        position += len(block)
    flat = samples[:, 0] if file.channels == 1 else samples
    return Recording(flat, file.sample_rate, file.name, file.path, file.sample_width)


def silent_error(name: str) -> AudioError:
    """Make the error of a recording that has no sound in it."""
    return AudioError(f"{name}: silent (peak -inf dBFS); record again or check the microphone")


def measure_level(source: PcmSource) -> Level:
    """Measure RMS and peak level over all channels.

    The RMS is cut to a whole number as in `audioop.rms`, so `dbfs` equals pydub's `AudioSegment.dBFS`.
    """
    full_scale = 1 << (8 * source.sample_width - 1)
    ceiling = min(math.ceil(FULL_SCALE * full_scale), full_scale - 1)
    squares = peak = n_cut_off = 0
    for block in source.pcm_blocks():
        flat = block.reshape(-1)
        squares += sum_of_squares(flat)
        loudest = max(int(flat.max()), -int(flat.min()))
        peak = max(peak, loudest)
        if loudest >= ceiling:
            n_cut_off += _count_cut_off(block, ceiling)
    rms = math.isqrt(squares // (source.n_frames * source.channels))
    return Level(_to_db(rms / full_scale), _to_db(peak / full_scale), n_cut_off)


def _count_cut_off(block: Pcm, ceiling: int) -> int:
    """Count the samples in runs of three or more equal ones at or beyond the ceiling."""
    alike = (block[1:] == block[:-1]) & ((block[1:] >= ceiling) | (block[1:] <= -ceiling))
    threes = alike[1:] & alike[:-1]  # this sample and the next two
    inside = np.zeros(block.shape, np.bool_)
    for first in range(3):
        inside[first : first + len(threes)] |= threes
    return int(inside.sum())


def sum_of_squares(pcm: Pcm) -> int:
    """Sum the squares of a flat block exactly: in float64 where 2^53 can't be passed, else in two halves."""
    if pcm.dtype == np.int16:
        values = pcm.astype(np.float64)
        return int(values @ values)  # at most 2^30 x 2^22 values
    high, low = (pcm >> 16).astype(np.float64), (pcm & 0xFFFF).astype(np.float64)
    return (int(high @ high) << 32) + (int(high @ low) << 17) + int(low @ low)


def _to_db(ratio: float) -> float:
    return 20 * math.log(ratio, 10) if ratio > 0 else -math.inf  # noqa: FURB163 - log10 has another last bit than pydub


def normalize(source: Source, *, target_dbfs: float = -20.0) -> Source:
    """Bring a recording to one loudness.

    Equals pydub's ``segment.apply_gain(target_dbfs - segment.dBFS)`` to the sample on 16-bit audio; samples
    that leave the range are cut off, and counted in `Recording.n_clipped` (for a file: `count_clipped`).

    Raises
    ------
    AudioError
        The recording is silent.
    ParameterError
        `target_dbfs` is not a number from -100 to 0.
    """
    if not -100 <= target_dbfs <= 0:
        raise ParameterError(f"target_dbfs: {target_dbfs} is out of range; give a level from -100 to 0 dBFS")
    level = measure_level(source)
    if level.dbfs == -math.inf:
        raise silent_error(source.name)
    return apply_gain(source, target_dbfs - level.dbfs)


def apply_gain(source: Source, gain_db: float) -> Source:
    """Amplify by `gain_db`, rounding down and clipping as pydub's `AudioSegment.apply_gain` does."""
    factor = float(10 ** (gain_db / 20))
    if isinstance(source, AudioFile):
        return replace(source, gain=source.gain * factor)
    full_scale = 1 << (8 * source.sample_width - 1)
    samples = np.empty_like(source.samples)
    n_clipped = 0
    for start in range(0, len(samples), BLOCK_FRAMES):  # in float64 an hour would take a gigabyte
        block = source.samples[start : start + BLOCK_FRAMES]
        scaled = np.floor(block.astype(np.float64) * (full_scale * factor))
        n_clipped += int(((scaled < -full_scale) | (scaled > full_scale - 1)).sum())
        samples[start : start + BLOCK_FRAMES] = np.clip(scaled, -full_scale, full_scale - 1) / full_scale
    return replace(source, samples=samples, n_clipped=n_clipped)


def amplify_pcm(block: Pcm, factor: float, sample_width: int) -> Pcm:
    """Multiply, round down and clip as `audioop.mul` does."""
    if sample_width == 4:
        return as_pcm(_amplified(block.astype(np.float64), factor, 4), 4)
    table = _amplified(np.arange(-(1 << 15), 1 << 15, dtype=np.float64), factor, sample_width)
    wrapped = np.roll(table.astype(np.int16), 1 << 15)  # indexed by the sample's bits: 0..32767, -32768..-1
    return wrapped[block.view(np.uint16)]


def _amplified(values: NDArray[np.float64], factor: float, sample_width: int) -> NDArray[np.float64]:
    full_scale = 1 << (8 * sample_width - 1)
    return np.clip(np.floor(values * factor), -full_scale, full_scale - 1)


def count_clipped(file: AudioFile) -> int:
    """Count the samples that the file's gain cuts off."""
    full_scale = 1 << (8 * file.sample_width - 1)
    low, high = math.ceil(-full_scale / file.gain), math.floor(full_scale / file.gain)
    n_clipped = 0
    for block in file.pcm.blocks():
        n_clipped += int(((block < low) | (block >= high)).sum())
    return n_clipped


def mix_down(recording: Recording) -> Recording:
    """Mix all channels to their mean."""
    if recording.samples.ndim == 1:
        return recording
    return replace(recording, samples=recording.samples.mean(axis=1, dtype=np.float32))


def resample(recording: Recording, sample_rate: int) -> Recording:
    """Resample with soxr HQ to ceil(n * ratio) frames: equals `librosa.resample`'s default."""
    if sample_rate == recording.sample_rate:
        return recording
    if not 0 < sample_rate <= MAX_SAMPLE_RATE:
        raise ParameterError(f"sample_rate: {sample_rate} Hz is not possible; 16000 is usual for speech")
    import soxr  # noqa: PLC0415 - not every recording needs it

    samples = soxr.resample(recording.samples, recording.sample_rate, sample_rate, quality="HQ")
    n_frames = math.ceil(len(recording.samples) * sample_rate / recording.sample_rate)
    padding = [(0, max(0, n_frames - len(samples)))] + [(0, 0)] * (samples.ndim - 1)
    fitted = np.pad(samples[:n_frames], padding).astype(np.float32, copy=False)
    return replace(recording, samples=fitted, sample_rate=sample_rate)


def save_pcm(path: Path, source: AudioFile, start: int = 0, stop: int | None = None) -> None:
    """Write the frames from `start` to `stop` of a recording, its gain applied, as WAV or FLAC by the suffix.

    Raises
    ------
    AudioError
        The file can't be written.
    """
    wav = path.suffix == ".wav"
    subtype = {1: "PCM_U8" if wav else "PCM_S8", 2: "PCM_16", 4: "PCM_32" if wav else "PCM_24"}[source.sample_width]
    options = {"format": path.suffix[1:].upper(), "subtype": subtype}
    partial = path.with_name(f".{SOFTWARE}-{secrets.token_hex(8)}.part")
    try:
        # A new file, so that no link leads astray; its descriptor, because libsndfile does not take every name
        # that the system does, and would swallow Ctrl-C in a stream's methods.
        with partial.open("xb+") as raw, _writing(for_libsndfile(raw), source, options) as file:
            for block in source.pcm_blocks(start, stop):
                file.write(block << 8 if source.sample_width == 1 else block)
        partial.replace(path)
    except (soundfile.LibsndfileError, AssertionError, OSError) as error:  # Assertion: a short write
        raise AudioError(f"{path}: can't be written ({error}); check the folder and the space left") from error
    finally:
        partial.unlink(missing_ok=True)


def _writing(place: int | str, source: AudioFile, options: dict[str, str]) -> soundfile.SoundFile:
    file = soundfile.SoundFile(place, "w", source.sample_rate, source.channels, closefd=False, **options)
    file.software = SOFTWARE
    return file


def was_saved_here(path: Path) -> bool:
    """Tell whether a recording was written by `save_pcm`, and by nobody else since."""
    try:
        with soundfile.SoundFile(path) as file:
            return bool(file.software.split(" ")[0] == SOFTWARE)
    except (soundfile.LibsndfileError, OSError):
        return False
