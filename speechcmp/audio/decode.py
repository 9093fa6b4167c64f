"""From a file to blocks of PCM: libsndfile where it can, ffmpeg (through pydub) where it must.

PCM is counted as pydub counts it, because the silence thresholds people know are pydub's:
8-bit audio has width 1, 16-bit and every lossy codec width 2, and 24-bit, 32-bit and float audio width 4.
"""

import io
import math
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from speechcmp.audio.damage.flac import flac_denied
from speechcmp.audio.damage.found import Found
from speechcmp.audio.damage.mpeg import adts_frames, mp3_frames
from speechcmp.audio.damage.ogg import ogg_pages
from speechcmp.audio.truncation import endless_data, missing_part
from speechcmp.errors import AudioError, DependencyError, ParameterError
from speechcmp.files import irregular

Pcm = NDArray[np.int16] | NDArray[np.int32]
AudioPath = str | os.PathLike[str] | BinaryIO

BLOCK_FRAMES = 1 << 18
MAX_CHANNELS = 64
MIN_SAMPLE_RATE, MAX_SAMPLE_RATE = 1_000, 768_000
MAX_STREAM_BYTES = 1 << 29  # what is read from a pipe before giving up
DURATION_VARIABLE = "SPEECHCMP_MAX_DURATION"
_MAX_DURATION_H = 4.0
_MAX_HELD_BYTES = 128 << 20  # an hour of 16 kHz, as PCM of 16 bits
_HEAD_BYTES = 512
_TEXT_BYTES = frozenset({*range(32, 127), *b"\t\n\r"})
_WIDTHS = {"PCM_S8": 1, "PCM_U8": 1, "PCM_24": 4, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 4}
_INTEGER_SUBTYPES = {"PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "ULAW", "ALAW"}
_MP3 = "MPEG_LAYER"  # how libsndfile's names for them begin
_HUSHING = threading.Lock()  # there is one standard error
_ENDLESS_FRAMES = 1 << 62
_TAKES_DESCRIPTORS = sys.platform != "win32"  # there libsndfile has a C library, hence descriptors, of its own
_MISJUDGED_S = 0.1  # libsndfile goes by an MP3's first bit rate or by the first of joined files, and stops there
_FIRST_FRAME_BYTES = 1 << 12  # an MP3 frame is shorter than this


@dataclass(frozen=True, slots=True, eq=False)
class AudioFile:
    """A recording on disk: its header, and the way to its PCM, with a gain applied on the way.

    Attributes
    ----------
    name : str
        What messages call it.
    path : Path or None
        None for a stream.
    sample_rate : int
        Hz.
    channels, sample_width, n_frames : int
        Widths are bytes a sample as pydub counts: 1, 2 or 4.
    subtype : str
        libsndfile's name for how samples are stored.
    data : bytes, int16 or int32 array, or None
        A stream's bytes, or what ffmpeg decoded, shape (n_frames, channels); None: to be read from `path`.
    gain : float
        What samples are multiplied by, rounded down and cut off as pydub does.
    lost_s : float
        About how much of it could not be decoded, because the file is damaged.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import speechcmp
    >>> noise = np.random.default_rng(0).integers(-2000, 2000, 16_000).astype(np.int16)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     speechcmp.Recording.from_array(noise, 16_000).save(f"{folder}/noise.wav")
    ...     file = speechcmp.open_audio(f"{folder}/noise.wav", name="noise")
    ...     sum(len(block) for block in file.pcm_blocks())
    16000
    >>> file.subtype, file.sample_width
    ('PCM_16', 2)
    """

    name: str
    path: Path | None
    sample_rate: int
    channels: int
    sample_width: int
    n_frames: int
    subtype: str
    data: bytes | Pcm | None = field(default=None, repr=False)
    gain: float = 1.0
    lost_s: float = 0.0

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.n_frames / self.sample_rate

    def __repr__(self) -> str:
        """Show name, length, rate and channels, in one line."""
        return one_line(self)

    def pcm_blocks(self, start: int = 0, stop: int | None = None) -> Iterator[Pcm]:
        """Read the recording in blocks, so that memory does not hold it whole.

        Parameters
        ----------
        start, stop : int
            Half-open, in frames; the end by default.

        Yields
        ------
        int16 or int32, shape (n, channels)
            Whole numbers in the range of `sample_width`, after the gain.

        Raises
        ------
        AudioError
            The file is broken or truncated, has samples that are not numbers, or can't be opened any more.
        """
        blocks = self._blocks(start, self.n_frames if stop is None else stop)
        return blocks if self.gain == 1.0 else (_amplify(block, self.gain, self.sample_width) for block in blocks)

    def _blocks(self, start: int, stop: int) -> Iterator[Pcm]:
        if isinstance(self.data, np.ndarray):
            for first in range(start, stop, BLOCK_FRAMES):
                yield self.data[first : min(first + BLOCK_FRAMES, stop)]
            return
        try:
            with _open_bytes(self) as raw, _open_sound(raw) as file:
                if start:
                    file.seek(start)
                yield from self._read(file, start, stop)
        except (soundfile.LibsndfileError, RuntimeError) as error:
            raise AudioError(f"{self.name}: broken ({_reason(error)}); save it again or convert it") from error

    def _read(self, file: soundfile.SoundFile, position: int, stop: int) -> Iterator[Pcm]:
        while position < stop:
            with _hushed(self.subtype.startswith(_MP3)):
                block = _to_pcm(file, min(BLOCK_FRAMES, stop - position), self)
            if not len(block):
                raise AudioError(
                    f"{self.name}: truncated after {position / self.sample_rate:.1f} s of "
                    f"{self.n_frames / self.sample_rate:.1f} s; copy or record it again"
                )
            position += len(block)
            yield block


def one_line(source: Any) -> str:  # noqa: ANN401 - an AudioFile or a Recording
    """Describe a recording by its name, length, rate and channels."""
    channels = "mono" if source.channels == 1 else f"{source.channels} channels"
    kind = type(source).__name__
    return f"{kind}({source.name!r}, {source.duration_s:.2f} s, {source.sample_rate} Hz, {channels})"


def open_audio(path: AudioPath, *, name: str | None = None) -> AudioFile:
    """Open a recording without reading it whole.

    Parameters
    ----------
    path : str, path or binary stream
        wav, flac, mp3, ogg, opus and the rest of libsndfile's formats; anything else through ffmpeg.
    name : str, optional
        What messages call it; the path as given by default.

    Returns
    -------
    AudioFile
        Its header has been read, and no more than is needed to know that the file is whole.

    Raises
    ------
    AudioError
        The file is missing, unreadable, empty, truncated, not audio, no regular file, or longer than
        `max_duration_s` allows; or its sample rate is not between 1 and 768 kHz, or it has more than 64 channels.
    DependencyError
        The format needs ffmpeg, which is not installed.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import speechcmp
    >>> noise = np.random.default_rng(0).integers(-2000, 2000, (8000, 2)).astype(np.int16)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     speechcmp.Recording.from_array(noise, 16_000).save(f"{folder}/noise.flac")
    ...     speechcmp.open_audio(f"{folder}/noise.flac", name="noise")
    AudioFile('noise', 0.50 s, 16000 Hz, 2 channels)
    """
    if not isinstance(path, str | os.PathLike):
        return _open_stream(path, name or "stream")
    path = Path(path)
    name = name or str(path)
    return _open_known(AudioFile(name, path, 0, 0, 0, 0, ""), _regular_bytes(path, name))


def read_once(file: AudioFile) -> AudioFile:
    """Return the file with its PCM in memory, so that it may change meanwhile and is decoded once; not a long one."""
    n_samples = file.n_frames * file.channels
    if isinstance(file.data, np.ndarray) or n_samples * max(file.sample_width, 2) > _MAX_HELD_BYTES:
        return file
    return replace(file, data=np.concatenate(list(replace(file, gain=1.0).pcm_blocks())))


def max_duration_s() -> float:
    """Return how long a recording may be, in seconds: 4 h, or as many as `DURATION_VARIABLE` in the environment says.

    The variable is what ``--max-duration`` sets, so that processes started from here have it, too.

    Raises
    ------
    ParameterError
        It is no number of hours above 0.

    Examples
    --------
    >>> from speechcmp.audio.decode import max_duration_s
    >>> max_duration_s()
    14400.0
    """
    text = os.environ.get(DURATION_VARIABLE) or str(_MAX_DURATION_H)
    try:
        hours = float(text)
    except ValueError:
        hours = math.nan
    if not 0 < hours <= 1e6:
        raise ParameterError(f"--max-duration: {text!r} is not possible; give hours above 0, such as 4")
    return hours * 3600


def _regular_bytes(path: Path, name: str) -> int:
    """Return the size of a file that is one: a pipe or a device is refused unopened, for it might never end."""
    try:
        other = irregular(path)
        if other is None:
            n_bytes = path.stat().st_size
            with path.open("rb") if n_bytes else io.BytesIO():  # what seems empty may be a file of /proc
                return n_bytes
    except (OSError, ValueError) as error:
        raise unreadable_error(name, error) from error
    remedy = "name the recordings in it" if other == "a folder" else "save the recording to a file, or give - for stdin"
    raise AudioError(f"{name}: is {other}; {remedy}")


def unreadable_error(name: str, error: OSError | ValueError) -> AudioError:
    """Make the error of a file that can't be opened."""
    if isinstance(error, FileNotFoundError):
        return AudioError(f"{name}: no such file; check the path")
    if isinstance(error, IsADirectoryError):
        return AudioError(f"{name}: is a folder; name the recordings in it")
    reason = getattr(error, "strerror", None) or str(error)
    return AudioError(f"{name}: unreadable ({reason.lower()}); check the path and its permissions")


def _open_stream(stream: BinaryIO, name: str) -> AudioFile:
    data = stream.read(MAX_STREAM_BYTES + 1)
    if len(data) > MAX_STREAM_BYTES:
        raise AudioError(f"{name}: more than {MAX_STREAM_BYTES >> 20} MiB from a stream; save it to a file first")
    return _open_known(AudioFile(name, None, 0, 0, 0, 0, "", data), len(data))


def _open_known(file: AudioFile, n_bytes: int) -> AudioFile:
    if not n_bytes:
        raise AudioError(f"{file.name}: empty (0 bytes); record or copy it again")
    longest_s = max_duration_s()
    found = _check_whole(file, n_bytes)
    try:
        with _open_bytes(file) as raw, _open_sound(raw) as sound:
            found = found or _frames_of(file, sound.format)
            _check_length(sound, file, n_bytes, found)
            damaged = found is not None and found.lost_s > 0
            # The length of an MP3 without a table of contents, or in a WAV file, is a guess; that of a damaged Ogg a
            # promise not kept.
            counted = sound.format == "MP3" and _has_table_of_contents(file)
            guessed = damaged or (sound.subtype.startswith(_MP3) and not counted)
            opened = replace(
                file,
                sample_rate=sound.samplerate,
                channels=sound.channels,
                sample_width=_WIDTHS.get(sound.subtype, 2),
                n_frames=_count_frames(sound, longest_s) if guessed else sound.frames,
                subtype=sound.subtype,
            )
            _check_heard(opened.duration_s, found)
            if found is not None and damaged:
                opened = replace(opened, lost_s=found.lost_of_s(opened.duration_s))
    # A TypeError: soundfile goes by the name .raw, where it opens by name, and asks for a sample rate.
    except (soundfile.LibsndfileError, RuntimeError, ArithmeticError, ValueError, TypeError) as error:
        return _check(_open_with_ffmpeg(file, longest_s, error, found), longest_s)
    if not opened.n_frames:
        with_length = _with_length(file, n_bytes)
        return _check(opened, longest_s) if with_length is None else _open_known(with_length, n_bytes)
    return _check(opened, longest_s)


def _frames_of(file: AudioFile, form: str) -> Found | None:
    """Walk over the frames of what is nothing but frames; None of anything else."""
    walk = {"mp3": mp3_frames, "aac": adts_frames}.get(form.lower())
    if walk is None:
        return None
    with _open_bytes(file) as raw:
        return walk(raw)


def _check_length(sound: soundfile.SoundFile, file: AudioFile, n_bytes: int, found: Found | None) -> None:
    """Leave to ffmpeg, which goes on to the end, what states no length or a wrong one: libsndfile believes it."""
    if sound.frames >= _ENDLESS_FRAMES:
        raise ValueError(f"no length in the {sound.format} header")
    length_s = sound.frames / max(1, sound.samplerate)
    _check_heard(length_s, found)
    if sound.format == "FLAC":
        with _open_bytes(file) as raw:
            lengths, rates = flac_denied(raw, n_bytes)
        if rates:
            raise AudioError(
                f"{file.name}: broken (header says {rates[0]} Hz, frames say {rates[1]} Hz); copy or record it again"
            )
        if lengths and lengths[0] > lengths[1]:
            n_missing = lengths[0] - lengths[1]
            raise AudioError(f"{file.name}: truncated ({n_missing:,} samples missing); copy or record it again")
        if lengths:
            raise ValueError(f"header says {lengths[0]:,} samples, and there are {lengths[1]:,}")


def _check_heard(length_s: float, found: Found | None) -> None:
    if found and found.heard_s - length_s > _MISJUDGED_S:
        raise ValueError(f"taken for {length_s:.1f} s, and there are {found.heard_s:.1f} s")


def _with_length(file: AudioFile, n_bytes: int) -> AudioFile | None:
    """Put in the length that a WAV header lacks which was written to a pipe: libsndfile takes 0 for the truth."""
    with _open_bytes(file) as raw:
        position = endless_data(raw, n_bytes)
        if position is None or n_bytes > MAX_STREAM_BYTES:
            return None
        raw.seek(0)
        data = bytearray(raw.read(n_bytes))
    data[position : position + 4] = (n_bytes - position - 4).to_bytes(4, "little")
    return replace(file, data=bytes(data))


def _has_table_of_contents(file: AudioFile) -> bool:
    """Look for the frame that encoders put before the first to tell how many there are."""
    with _open_bytes(file) as raw:
        head = raw.read(10)
        tag = 0
        if head[:3] == b"ID3" and len(head) == 10:
            tag = 10 + sum((byte & 127) << (7 * (3 - k)) for k, byte in enumerate(head[6:10]))
        raw.seek(tag)
        first = raw.read(_FIRST_FRAME_BYTES)
    return any(name in first for name in (b"Xing", b"Info", b"VBRI"))


def _count_frames(sound: soundfile.SoundFile, longest_s: float) -> int:
    n_frames = 0
    with _hushed(sound.subtype.startswith(_MP3)):
        while (n_read := len(sound.read(BLOCK_FRAMES, "int16"))) and n_frames <= longest_s * sound.samplerate:
            n_frames += n_read
    return n_frames


def _check(file: AudioFile, longest_s: float) -> AudioFile:
    if file.n_frames <= 0:
        raise AudioError(f"{file.name}: empty (no samples); record or copy it again")
    if not MIN_SAMPLE_RATE <= file.sample_rate <= MAX_SAMPLE_RATE:
        raise AudioError(f"{file.name}: a sample rate of {file.sample_rate} Hz is not possible; convert it to 16000 Hz")
    if not 0 < file.channels <= MAX_CHANNELS:
        raise AudioError(f"{file.name}: {file.channels} channels; at most {MAX_CHANNELS} can be read")
    if file.duration_s > longest_s:
        raise AudioError(
            f"{file.name}: longer than {longest_s / 3600:g} h ({file.duration_s / 3600:.1f} h); cut it into parts, "
            "or allow more with --max-duration HOURS"
        )
    return file


def _open_bytes(file: AudioFile) -> BinaryIO:
    if isinstance(file.data, bytes):
        return io.BytesIO(file.data)
    assert file.path is not None  # noqa: S101 - an AudioFile has one or the other
    return file.path.open("rb")


def _open_sound(raw: BinaryIO) -> soundfile.SoundFile:
    """Hand libsndfile the descriptor of a real file: callbacks into Python would swallow Ctrl-C."""
    with _hushed(True):  # a WAV file may hold MP3, too
        if isinstance(raw, io.BytesIO):
            return soundfile.SoundFile(raw)
        return soundfile.SoundFile(for_libsndfile(raw), closefd=False)


@contextmanager
def _hushed(mp3: bool) -> Iterator[None]:
    """Keep mpg123 off standard error, where it tells what a user can do nothing about, past all of Python."""
    if not mp3:
        yield
        return
    with _HUSHING:
        before = os.dup(2)
        nowhere = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(nowhere, 2)
            yield
        finally:
            os.dup2(before, 2)
            os.close(before)
            os.close(nowhere)


def for_libsndfile(raw: BinaryIO) -> int | str:
    """Return what libsndfile can open of an open file: its descriptor, or its name where descriptors won't do."""
    return raw.fileno() if _TAKES_DESCRIPTORS else raw.name


def _to_pcm(sound: soundfile.SoundFile, n_frames: int, file: AudioFile) -> Pcm:
    if file.subtype not in _INTEGER_SUBTYPES:
        return _quantize(sound.read(n_frames, "float64", always_2d=True), file)
    if file.sample_width == 4:
        wide: NDArray[np.int32] = sound.read(n_frames, "int32", always_2d=True)
        if file.subtype == "PCM_24":
            wide |= (wide >> 31) & 0xFF  # pydub widens 24 bits so: a negative sample's low byte is 255
        return wide
    narrow: NDArray[np.int16] = sound.read(n_frames, "int16", always_2d=True)
    return narrow >> 8 if file.sample_width == 1 else narrow


def _quantize(samples: NDArray[np.float64], file: AudioFile) -> Pcm:
    if not np.isfinite(samples).all():
        raise AudioError(f"{file.name}: has samples that are not numbers (NaN or infinite); export it again")
    full_scale = 1 << (8 * file.sample_width - 1)
    # Clipped before, too: a float file may hold anything up to 1e308.
    rounded = np.minimum(np.rint(np.clip(samples, -1, 1) * full_scale), full_scale - 1)
    return as_pcm(rounded, file.sample_width)


def as_pcm(values: NDArray[np.floating], sample_width: int) -> Pcm:
    """Convert whole numbers to the type that holds PCM of a width."""
    if sample_width == 4:
        return values.astype(np.int32)
    return values.astype(np.int16)


def _amplify(block: Pcm, factor: float, sample_width: int) -> Pcm:
    """Multiply, round down and clip as `audioop.mul` does."""
    if sample_width == 4:
        return as_pcm(_amplified(block.astype(np.float64), factor, 4), 4)
    table = _amplified(np.arange(-(1 << 15), 1 << 15, dtype=np.float64), factor, sample_width)
    wrapped = np.roll(table.astype(np.int16), 1 << 15)  # indexed by the sample's bits: 0..32767, -32768..-1
    return wrapped[block.view(np.uint16)]


def _amplified(values: NDArray[np.float64], factor: float, sample_width: int) -> NDArray[np.float64]:
    full_scale = 1 << (8 * sample_width - 1)
    return np.clip(np.floor(values * factor), -full_scale, full_scale - 1)


def _reason(error: Exception) -> str:
    text = getattr(error, "error_string", None) or str(error)
    return str(text).strip().rstrip(".").lower()


# ---------------------------------------------------------------------------------------- truncated files


def _check_whole(file: AudioFile, n_bytes: int) -> Found | None:
    """Refuse a file that was cut short: decoders would take it for a shorter one. Return what is in an Ogg file."""
    with _open_bytes(file) as raw:
        missing = missing_part(raw, n_bytes)
        if missing:
            raise AudioError(f"{file.name}: truncated ({missing}); copy or record it again")
        found = ogg_pages(raw)
    if found and found.lost_s == math.inf:
        raise AudioError(f"{file.name}: broken (next to all of it is damaged); copy or record it again")
    return found


# ---------------------------------------------------------------------------------------- ffmpeg


def _open_with_ffmpeg(file: AudioFile, max_duration_s: float, first_error: Exception, found: Found | None) -> AudioFile:
    from shutil import which  # noqa: PLC0415 - only formats that libsndfile can't read come here

    if which("ffmpeg") is None or which("ffprobe") is None:
        raise DependencyError(
            f"{file.name}: libsndfile can't read it ({_reason(first_error)}), and ffmpeg, which "
            "reads m4a, aac, mp4, webm, wma and amr, is not installed; apt install ffmpeg, or brew install ffmpeg"
        )
    if _is_text(file):
        raise AudioError(f"{file.name}: not audio but text; name a recording")
    from speechcmp.audio.ffmpeg import decode  # noqa: PLC0415 - only formats that libsndfile can't read come here

    source = file.data if isinstance(file.data, bytes) else file.path
    assert source is not None  # noqa: S101 - an AudioFile has one or the other
    decoded = decode(source, file.name, max_duration_s=max_duration_s)
    n_frames, channels = decoded.pcm.shape
    found = found or _frames_of(file, decoded.form)
    # ffmpeg's clock is the second choice: it jumps where streams were joined.
    lost_s = decoded.lost_s if found is None else found.lost_of_s(n_frames / decoded.sample_rate)
    return replace(
        file,
        sample_rate=decoded.sample_rate,
        channels=channels,
        sample_width=decoded.sample_width,
        n_frames=n_frames,
        subtype="FFMPEG",
        data=decoded.pcm,
        lost_s=lost_s,
    )


def _is_text(file: AudioFile) -> bool:
    with _open_bytes(file) as raw:
        head = raw.read(_HEAD_BYTES)
    return all(byte in _TEXT_BYTES for byte in head)
