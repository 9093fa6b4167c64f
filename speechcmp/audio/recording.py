"""Recordings: read, brought to one loudness, resampled, saved.

Gain and level are pydub's to the sample, because the thresholds people know (-40 dBFS after normalizing
to -20 dBFS) are pydub's: levels come from an RMS cut to a whole number, gain rounds down and clips.
"""

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self, TypeVar

import numpy as np
import soundfile
from numpy.typing import ArrayLike, NDArray

from speechcmp.audio.decode import (
    BLOCK_FRAMES,
    MAX_CHANNELS,
    MAX_SAMPLE_RATE,
    AudioFile,
    AudioPath,
    Pcm,
    as_pcm,
    for_libsndfile,
    one_line,
    open_audio,
)
from speechcmp.audio.origin import SOFTWARE, seal
from speechcmp.errors import AudioError, ParameterError
from speechcmp.files import written_whole

if TYPE_CHECKING:
    from pydub import AudioSegment

FULL_SCALE = 0.999
MAX_SAMPLES = 1_000_000_000  # 4 GB as float32
MAX_PEAK = 8.0  # of floats given: gain may lift them over 1, but beyond this they were never divided


class PcmSource(Protocol):
    """What can be split: a `Recording` in memory, or an `AudioFile` read in blocks.

    Examples
    --------
    >>> import numpy as np
    >>> import speechcmp
    >>> def n_bytes(source: speechcmp.PcmSource) -> int:
    ...     return source.n_frames * source.channels * source.sample_width
    >>> n_bytes(speechcmp.Recording.from_array(np.zeros((8000, 2), np.int16), 16_000))
    32000
    """

    @property
    def name(self) -> str:
        """What messages call it."""

    @property
    def sample_rate(self) -> int:
        """Frames a second: Hz."""

    @property
    def channels(self) -> int:
        """Samples a frame."""

    @property
    def sample_width(self) -> int:
        """Bytes a sample, as pydub counts: 1, 2 or 4."""

    @property
    def n_frames(self) -> int:
        """Length in frames."""

    def pcm_blocks(self) -> Iterator[Pcm]:
        """Read it in blocks.

        Yields
        ------
        int16 or int32, shape (n, channels)
            Whole numbers in the range of `sample_width`.
        """


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
    lost_s : float
        About how much of it could not be decoded, because the file is damaged.

    Raises
    ------
    ParameterError
        The samples are empty, of another shape or type, or the sample rate is not between 1 and 768,000 Hz.

    Examples
    --------
    >>> import numpy as np
    >>> import speechcmp
    >>> tone = 0.1 * np.sin(2 * np.pi * 440 * np.arange(24_000) / 16_000)
    >>> recording = speechcmp.Recording(tone.astype(np.float32), 16_000, "tone")
    >>> recording
    Recording('tone', 1.50 s, 16000 Hz, mono)
    >>> recording.samples.shape
    (24000,)
    """

    samples: NDArray[np.float32]
    sample_rate: int
    name: str = "recording"
    path: Path | None = None
    sample_width: int = 2
    n_clipped: int = 0
    lost_s: float = 0.0

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

    @classmethod
    def from_array(cls, samples: ArrayLike, sample_rate: int, *, name: str = "recording") -> Self:
        """Make a recording of samples that are in memory already.

        Parameters
        ----------
        samples : array_like, shape (n,) or (n, channels)
            Whole numbers of 8, 16 or 32 bits are divided by their full scale; of unsigned ones, as in 8-bit WAV
            files, the middle is silence. Floats are taken as they are: full scale is 1. They are copied.
        sample_rate : int
            Hz.
        name : str
            What messages call it.

        Returns
        -------
        Recording
            Samples float32, (n,) if there is one channel; its `sample_width` is that of the whole numbers, 4
            for floats.

        Raises
        ------
        ParameterError
            The samples are empty, of another shape, no real numbers, not finite, or floats far beyond full scale;
            or the sample rate is not possible.

        Examples
        --------
        >>> import numpy as np
        >>> import speechcmp
        >>> speechcmp.Recording.from_array(np.array([0, 16384, -32768], np.int16), 16_000).samples.tolist()
        [0.0, 0.5, -1.0]
        """
        array = _checked_array(samples, name)
        if array.dtype.kind == "f":
            floats, width = array.astype(np.float32), 4
        else:
            width = array.dtype.itemsize
            full_scale = 1 << (8 * width - 1)
            middle = full_scale if array.dtype.kind == "u" else 0
            floats = ((array.astype(np.float64) - middle) / full_scale).astype(np.float32)
        flat = floats[:, 0].copy() if floats.ndim == 2 and floats.shape[1] == 1 else floats
        return cls(flat, _whole_rate(sample_rate, name), name, sample_width=width)

    @classmethod
    def from_pydub(cls, segment: "AudioSegment", *, name: str = "recording") -> Self:
        """Make a recording of a pydub segment.

        Parameters
        ----------
        segment : pydub.AudioSegment
            Of any rate, width and number of channels.
        name : str
            What messages call it.

        Returns
        -------
        Recording
            With the segment's rate, channels and `sample_width`.

        Raises
        ------
        ParameterError
            It is no segment, or has no samples.

        Examples
        --------
        >>> import numpy as np
        >>> import speechcmp
        >>> segment = speechcmp.Recording.from_array(np.zeros(16_000, np.int16), 16_000).to_pydub()
        >>> speechcmp.Recording.from_pydub(segment[:500], name="silence")  # a segment counts in ms
        Recording('silence', 0.50 s, 16000 Hz, mono)
        """
        if not all(hasattr(segment, field) for field in ("raw_data", "sample_width", "frame_rate", "channels")):
            kind = type(segment).__name__
            raise ParameterError(f"{name}: must be a pydub.AudioSegment, given {kind}; use Recording.from_array")
        pcm = _pcm_of_segment(segment)
        width = segment.sample_width
        samples = np.multiply(pcm, 2.0 ** (1 - 8 * width), dtype=np.float64).astype(np.float32)
        flat = samples[:, 0] if segment.channels == 1 else samples
        return cls(flat, segment.frame_rate, name, sample_width=width)

    def to_pydub(self) -> "AudioSegment":
        """Return the recording as a pydub segment of `sample_width`.

        PCM of 8 and 16 bits comes back as it was. Of 32 bits, as pydub holds 24-bit audio too, float32 keeps the
        24 leading ones. What lies outside [-1, 1] is cut off.

        Returns
        -------
        pydub.AudioSegment
            With the recording's rate, channels and sample width.

        Examples
        --------
        >>> import numpy as np
        >>> import speechcmp
        >>> segment = speechcmp.Recording.from_array(np.zeros(24_000, np.int16), 16_000).to_pydub()
        >>> len(segment), segment.frame_rate, segment.sample_width  # ms, Hz, bytes
        (1500, 16000, 2)
        """
        stored: Any = {1: np.int8, 2: np.int16, 4: np.int32}[self.sample_width]
        data = b"".join(block.astype(stored).tobytes() for block in self.pcm_blocks())
        return _import_pydub().AudioSegment(
            data=data, sample_width=self.sample_width, frame_rate=self.sample_rate, channels=self.channels
        )

    def save(self, path: str | Path, *, start: int = 0, stop: int | None = None) -> None:
        """Write the recording, or its frames from `start` to `stop`, as WAV or FLAC by the suffix.

        The file has as many bits as `sample_width` says; FLAC has 24 for a width of 4. It appears whole or not at
        all, and replaces what had its name. What lies outside [-1, 1] is cut off.

        Parameters
        ----------
        path : str or Path
            Ends in ``.wav`` or ``.flac``; its folder exists.
        start, stop : int
            Half-open, in samples at the recording's rate, as those of a `Chunk`; the end by default.

        Raises
        ------
        ParameterError
            The suffix is another one, or there is nothing between `start` and `stop`.
        AudioError
            The file can't be written.

        Examples
        --------
        >>> import tempfile
        >>> import numpy as np
        >>> import speechcmp
        >>> recording = speechcmp.Recording.from_array(np.random.default_rng(0).normal(0, 0.1, 32_000), 16_000)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     recording.save(f"{folder}/first.wav", stop=12_000)
        ...     speechcmp.load_recording(f"{folder}/first.wav", name="first")
        Recording('first', 0.75 s, 16000 Hz, mono)
        """
        save_pcm(_writable(path), self, *_checked_range(self, start, stop))

    def __repr__(self) -> str:
        """Show name, length, rate and channels, in one line."""
        return one_line(self)

    @property
    def n_frames(self) -> int:
        """Length in frames."""
        return len(self.samples)

    @property
    def channels(self) -> int:
        """Samples a frame."""
        return 1 if self.samples.ndim == 1 else self.samples.shape[1]

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / self.sample_rate

    def pcm_blocks(self, start: int = 0, stop: int | None = None) -> Iterator[Pcm]:
        """Turn the samples into PCM, block by block.

        Parameters
        ----------
        start, stop : int
            Half-open, in frames; the end by default.

        Yields
        ------
        int16 or int32, shape (n, channels)
            Whole numbers in the range of `sample_width`; what lies outside [-1, 1] is cut off.
        """
        full_scale = 1 << (8 * self.sample_width - 1)
        stop = len(self.samples) if stop is None else stop
        for first in range(start, stop, BLOCK_FRAMES):
            block = self.samples[first : min(first + BLOCK_FRAMES, stop)].reshape(-1, self.channels)
            scaled = np.rint(np.clip(block, -1, 1).astype(np.float64) * full_scale)
            yield as_pcm(np.minimum(scaled, full_scale - 1), self.sample_width)


Source = TypeVar("Source", Recording, AudioFile)
AnySource = Recording | AudioFile


def _checked_array(samples: ArrayLike, name: str) -> NDArray[Any]:
    """Return samples as an array of whole numbers with a full scale, or of finite floats."""
    try:
        array = np.asarray(samples)
    except ValueError as error:  # rows of unequal lengths
        raise ParameterError(f"{name}: samples are no array ({error}); give (n,) or (n, channels)") from error
    kind, itemsize = array.dtype.kind, array.dtype.itemsize
    if kind not in "iuf" or (kind in "iu" and itemsize > 4):
        raise ParameterError(
            f"{name}: samples must be floats, or whole numbers of 8, 16 or 32 bits, given {array.dtype}; "
            "convert them, whole numbers to the type whose full scale they have"
        )
    if array.ndim not in {1, 2} or not array.size:
        raise ParameterError(f"{name}: samples must be (n,) or (n, channels), n > 0, given shape {array.shape}")
    if array.ndim == 2 and array.shape[1] > MAX_CHANNELS:
        raise ParameterError(
            f"{name}: {array.shape[1]} channels, given shape {array.shape}; give (n, channels), time first: samples.T"
        )
    if kind == "f":
        peak = float(max(array.max(), -array.min()))
        if not math.isfinite(peak):
            raise ParameterError(f"{name}: some samples are not finite (NaN or infinite); cut or mend them first")
        if peak > MAX_PEAK:
            raise ParameterError(f"{name}: samples reach {peak:g}, full scale is 1; divide them by their full scale")
    return array


def _whole_rate(sample_rate: float, name: str) -> int:
    if isinstance(sample_rate, bool) or not isinstance(sample_rate, int | float | np.number):
        raise ParameterError(f"{name}: sample_rate must be a number of Hz, given {sample_rate!r}; 16000 is usual")
    if not math.isfinite(sample_rate) or int(sample_rate) != sample_rate:
        raise ParameterError(f"{name}: sample_rate {sample_rate:g} Hz is not whole; resample first, or round it")
    return int(sample_rate)


def _writable(path: str | Path) -> Path:
    path = Path(path)
    if path.suffix.lower() not in {".wav", ".flac"}:
        raise ParameterError(f"{path}: is saved as WAV or FLAC only; end the name in .wav or .flac")
    return path


def _checked_range(source: PcmSource, start: int, stop: int | None) -> tuple[int, int]:
    end = source.n_frames if stop is None else stop
    if not 0 <= start < end <= source.n_frames:
        raise ParameterError(
            f"{source.name}: start {start} and stop {end} hold nothing; give 0 <= start < stop <= {source.n_frames}"
        )
    return start, end


class Level(NamedTuple):
    """Levels of a recording, over all its channels.

    Attributes
    ----------
    dbfs : float
        RMS level in dB relative to full scale, as pydub's ``AudioSegment.dBFS``; -inf for silence.
    peak_dbfs : float
        Level of the largest sample in dB relative to full scale; -inf for silence.
    n_cut_off : int
        Samples that lie, three or more alike in a row, at full scale: a wave whose top is missing, because the
        microphone's gain was too high.

    Examples
    --------
    >>> import numpy as np
    >>> import speechcmp
    >>> square = speechcmp.Recording.from_array(np.tile([0.5, -0.5], 8000), 16_000)
    >>> level = speechcmp.split_recording(square).level
    >>> round(level.dbfs, 2), round(level.peak_dbfs, 2), level.n_cut_off
    (-6.02, -6.02, 0)
    """

    dbfs: float
    peak_dbfs: float
    n_cut_off: int = 0


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
    ParameterError
        `sample_rate` is not between 1 and 768,000 Hz.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import speechcmp
    >>> noise = speechcmp.Recording.from_array(np.random.default_rng(0).normal(0, 0.1, (16_000, 2)), 16_000)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     noise.save(f"{folder}/noise.wav")
    ...     speechcmp.load_recording(f"{folder}/noise.wav", sample_rate=8000, name="noise")
    Recording('noise', 1.00 s, 8000 Hz, mono)
    """
    file = open_audio(path, name=name)
    n_samples = file.n_frames * file.channels
    if n_samples > MAX_SAMPLES:
        raise AudioError(
            f"{file.name}: too long for memory ({file.duration_s / 3600:.1f} h, {n_samples:,} samples; "
            f"at most {MAX_SAMPLES:,}); cut it into parts first"
        )
    recording = to_recording(file)
    if not recording.samples.any():
        raise silent_error(file.name)
    if mono:
        recording = mix_down(recording)
    return recording if sample_rate is None else resample(recording, sample_rate)


def to_recording(file: AudioFile, start: int = 0, stop: int | None = None) -> Recording:
    """Read the frames from `start` to `stop` of an opened file, its gain applied; one channel becomes shape (n,)."""
    stop = file.n_frames if stop is None else min(stop, file.n_frames)
    samples = np.empty((stop - start, file.channels), np.float32)
    position = 0
    for block in file.pcm_blocks(start, stop):
        np.multiply(block, 2.0 ** (1 - 8 * file.sample_width), out=samples[position : position + len(block)])
        position += len(block)
    return _recording_of(file, samples[:, 0] if file.channels == 1 else samples, file.sample_rate)


def _recording_of(file: AudioFile, samples: NDArray[np.float32], sample_rate: int) -> Recording:
    return Recording(samples, sample_rate, file.name, file.path, file.sample_width, lost_s=file.lost_s)


def _import_pydub() -> Any:  # noqa: ANN401 - a package without annotations
    """Import pydub without its warnings: its own invalid escapes, and its look-out for ffmpeg."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pydub  # noqa: PLC0415 - 30 ms for those who come from there
    return pydub


def _pcm_of_segment(segment: "AudioSegment") -> Pcm:
    """Return the PCM of a pydub segment, (n, channels), in the range of its sample width."""
    stored: Any = {1: np.int8, 2: np.int16, 4: np.int32}[segment.sample_width]
    pcm: Pcm = np.frombuffer(segment.raw_data, stored).reshape(-1, segment.channels)
    return pcm.astype(np.int16) if segment.sample_width == 1 else pcm


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

    Parameters
    ----------
    source : Recording or AudioFile
        Any rate, any number of channels; a file is read once, in blocks.
    target_dbfs : float
        RMS level to bring it to, -100 to 0 dB relative to full scale.

    Returns
    -------
    Recording or AudioFile
        As given; a file is amplified when it is read.

    Raises
    ------
    AudioError
        The recording is silent, or the file is broken.
    ParameterError
        `target_dbfs` is not a number from -100 to 0.

    Examples
    --------
    >>> import numpy as np
    >>> import speechcmp
    >>> loud = speechcmp.Recording.from_array(np.tile([0.5, -0.5], 8000), 16_000)
    >>> soft = speechcmp.normalize(loud, target_dbfs=-26.0)
    >>> print(f"{abs(soft.samples).max():.3f}")
    0.050
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


def count_clipped(file: AudioFile) -> int:
    """Count the samples that the file's gain cuts off."""
    full_scale = 1 << (8 * file.sample_width - 1)
    low, high = math.ceil(-full_scale / file.gain), math.floor(full_scale / file.gain)
    n_clipped = 0
    for block in replace(file, gain=1.0).pcm_blocks():
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


def to_mono(source: Recording | AudioFile, sample_rate: int) -> Recording:
    """Mix the channels down and resample, as `mix_down` and `resample` do: of a file, block by block."""
    if isinstance(source, Recording):
        return resample(mix_down(source), sample_rate)
    if source.sample_rate == sample_rate:
        return mix_down(to_recording(source))
    import soxr  # noqa: PLC0415 - not every recording needs it

    stream = soxr.ResampleStream(source.sample_rate, sample_rate, 1, dtype="float32", quality="HQ")
    samples = np.zeros(math.ceil(source.n_frames * sample_rate / source.sample_rate), np.float32)
    read = position = 0
    for block in source.pcm_blocks():
        read += len(block)
        floats = np.multiply(block, np.float32(2.0 ** (1 - 8 * source.sample_width)), dtype=np.float32)
        mono = floats[:, 0] if source.channels == 1 else floats.mean(axis=1, dtype=np.float32)
        resampled = stream.resample_chunk(mono, last=read == source.n_frames)[: len(samples) - position]
        samples[position : position + len(resampled)] = resampled
        position += len(resampled)
    return _recording_of(source, samples, sample_rate)


def save_pcm(path: Path, source: Recording | AudioFile, start: int = 0, stop: int | None = None) -> None:
    """Write the frames from `start` to `stop` of a recording, its gain applied, as WAV or FLAC by the suffix.

    Raises
    ------
    AudioError
        The file can't be written.
    """
    wav = path.suffix.lower() == ".wav"
    subtype = {1: "PCM_U8" if wav else "PCM_S8", 2: "PCM_16", 4: "PCM_32" if wav else "PCM_24"}[source.sample_width]
    options = {"format": path.suffix[1:].upper(), "subtype": subtype}
    try:
        # The descriptor, because libsndfile does not take every name that the system does, and would swallow Ctrl-C
        # in a stream's methods.
        with written_whole(path) as raw:
            with _writing(for_libsndfile(raw), source, options) as file:
                for block in source.pcm_blocks(start, stop):
                    file.write(block << 8 if source.sample_width == 1 else block)
            seal(raw)
    except (soundfile.LibsndfileError, AssertionError, OSError) as error:  # Assertion: a short write
        raise AudioError(f"{path}: can't be written ({error}); check the folder and the space left") from error


def _writing(target: int | str, source: Recording | AudioFile, options: dict[str, str]) -> soundfile.SoundFile:
    file = soundfile.SoundFile(target, "w", source.sample_rate, source.channels, closefd=False, **options)
    file.software = SOFTWARE
    return file
