"""From a file to blocks of PCM: libsndfile where it can, ffmpeg (through pydub) where it must.

PCM is counted as pydub counts it, because the silence thresholds people know are pydub's:
8-bit audio has width 1, 16-bit and every lossy codec width 2, and 24-bit, 32-bit and float audio width 4.
"""

import io
import os
import stat
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
import soundfile
from numpy.typing import NDArray

from speechcmp.audio.truncation import endless_data, missing_part
from speechcmp.errors import AudioError, DependencyError

if TYPE_CHECKING:
    from pydub import AudioSegment

Pcm = NDArray[np.int16] | NDArray[np.int32]
AudioPath = str | os.PathLike[str] | BinaryIO

BLOCK_FRAMES = 1 << 18
MAX_CHANNELS = 64
MIN_SAMPLE_RATE, MAX_SAMPLE_RATE = 100, 768_000
MAX_STREAM_BYTES = 1 << 30  # what is read from a pipe before giving up
MAX_FFMPEG_BYTES = 1 << 30  # pydub holds the whole decoded recording in memory
_HEAD_BYTES = 512
_TEXT_BYTES = frozenset({*range(32, 127), *b"\t\n\r"})
_WIDTHS = {"PCM_S8": 1, "PCM_U8": 1, "PCM_24": 4, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 4}
_INTEGER_SUBTYPES = {"PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "ULAW", "ALAW"}
_ENDLESS_FRAMES = 1 << 62
_TAKES_DESCRIPTORS = sys.platform != "win32"  # there libsndfile has a C library, hence descriptors, of its own
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
        The file is missing, unreadable, empty, truncated or not audio; or its sample rate is not between 100 and
        768,000 Hz, or it has more than 64 channels.
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
    if not _is_regular(path, name):
        with path.open("rb") as stream:
            return _open_stream(stream, name)
    return _open_known(AudioFile(name, path, 0, 0, 0, 0, ""), path.stat().st_size)


def _is_regular(path: Path, name: str) -> bool:
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise AudioError(f"{name}: is a folder; name the recordings in it")
        if not stat.S_ISREG(mode):  # opening a pipe twice would break it
            return False
        with path.open("rb"):
            return True
    except (OSError, ValueError) as error:
        raise unreadable_error(name, error) from error


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
    _check_whole(file, n_bytes)
    try:
        with _open_bytes(file) as raw, _open_sound(raw) as sound:
            _check_length(sound)
            # The length of an MP3 without a table of contents is a guess.
            guessed = sound.format == "MP3" and not _has_table_of_contents(file)
            opened = AudioFile(
                file.name,
                file.path,
                sound.samplerate,
                sound.channels,
                _WIDTHS.get(sound.subtype, 2),
                _count_frames(sound) if guessed else sound.frames,
                sound.subtype,
                file.data,
            )
    # A TypeError: soundfile goes by the name .raw, where it opens by name, and asks for a sample rate.
    except (soundfile.LibsndfileError, RuntimeError, ArithmeticError, ValueError, TypeError) as error:
        return _check(_open_with_ffmpeg(file, n_bytes, error))
    if not opened.n_frames:
        with_length = _with_length(file, n_bytes)
        return _check(opened) if with_length is None else _open_known(with_length, n_bytes)
    return _check(opened)


def _check_length(sound: soundfile.SoundFile) -> None:
    if sound.frames >= _ENDLESS_FRAMES:  # libsndfile finds its way only where there is an end
        raise ValueError(f"no length in the {sound.format} header")


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


def _count_frames(sound: soundfile.SoundFile) -> int:
    n_frames = 0
    while n_read := len(sound.read(BLOCK_FRAMES, "int16")):
        n_frames += n_read
    return n_frames


def _check(file: AudioFile) -> AudioFile:
    if file.n_frames <= 0:
        raise AudioError(f"{file.name}: empty (no samples); record or copy it again")
    if not MIN_SAMPLE_RATE <= file.sample_rate <= MAX_SAMPLE_RATE:
        raise AudioError(f"{file.name}: a sample rate of {file.sample_rate} Hz is not possible; convert it to 16000 Hz")
    if not 0 < file.channels <= MAX_CHANNELS:
        raise AudioError(f"{file.name}: {file.channels} channels; at most {MAX_CHANNELS} can be read")
    return file


def _open_bytes(file: AudioFile) -> BinaryIO:
    if isinstance(file.data, bytes):
        return io.BytesIO(file.data)
    assert file.path is not None  # noqa: S101 - an AudioFile has one or the other
    return file.path.open("rb")


def _open_sound(raw: BinaryIO) -> soundfile.SoundFile:
    """Hand libsndfile the descriptor of a real file: callbacks into Python would swallow Ctrl-C."""
    if isinstance(raw, io.BytesIO):
        return soundfile.SoundFile(raw)
    return soundfile.SoundFile(for_libsndfile(raw), closefd=False)


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


def _check_whole(file: AudioFile, n_bytes: int) -> None:
    """Refuse a file that was cut short: decoders would take it for a shorter one."""
    with _open_bytes(file) as raw:
        missing = missing_part(raw, n_bytes)
    if missing:
        raise AudioError(f"{file.name}: truncated ({missing}); copy or record it again")


# ---------------------------------------------------------------------------------------- ffmpeg


def _open_with_ffmpeg(file: AudioFile, n_bytes: int, first_error: Exception) -> AudioFile:
    from shutil import which  # noqa: PLC0415 - only formats that libsndfile can't read come here

    if n_bytes > MAX_FFMPEG_BYTES:
        raise AudioError(f"{file.name}: too large for ffmpeg ({n_bytes >> 20} MiB); convert it to FLAC first")
    if which("ffmpeg") is None or which("ffprobe") is None:
        raise DependencyError(
            f"{file.name}: not for libsndfile to read ({_reason(first_error)}), and ffmpeg, which "
            "reads m4a, aac, mp4, webm, wma and amr, is not installed; apt install ffmpeg, or brew install ffmpeg"
        )
    if _is_text(file):  # also a playlist, which would have ffmpeg open what it names
        raise AudioError(f"{file.name}: not audio but text; name a recording")
    segment = _decode_with_pydub(file)
    frames = pcm_of_segment(segment)
    return AudioFile(
        file.name,
        file.path,
        segment.frame_rate,
        segment.channels,
        segment.sample_width,
        len(frames),
        "FFMPEG",
        frames,
    )


def _is_text(file: AudioFile) -> bool:
    with _open_bytes(file) as raw:
        head = raw.read(_HEAD_BYTES)
    return b"#EXTM3U" in head or all(byte in _TEXT_BYTES for byte in head)


def pcm_of_segment(segment: "AudioSegment") -> Pcm:
    """Return the PCM of a pydub segment, (n, channels), in the range of its sample width."""
    n_bytes = len(segment.raw_data) // segment.frame_width * segment.frame_width  # the last frame may be cut off
    whole = memoryview(segment.raw_data)[:n_bytes]
    shape = -1, segment.channels
    if segment.sample_width == 1:
        return np.frombuffer(whole, np.int8).astype(np.int16).reshape(shape)
    if segment.sample_width == 2:
        return np.frombuffer(whole, np.int16).reshape(shape)
    return np.frombuffer(whole, np.int32).reshape(shape)


def import_pydub() -> Any:  # noqa: ANN401 - a package without annotations
    """Import pydub without its warnings: its own invalid escapes, and its look-out for ffmpeg."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pydub  # noqa: PLC0415 - 30 ms that few recordings need
    return pydub


def _decode_with_pydub(file: AudioFile) -> "AudioSegment":
    pydub = import_pydub()
    # An absolute path can't be taken for an option or a protocol ("concat:...") by ffmpeg.
    source: Any = str(file.path.absolute()) if file.path else _open_bytes(file)
    try:
        return pydub.AudioSegment.from_file(source)
    except (pydub.exceptions.CouldntDecodeError, ArithmeticError, LookupError, ValueError, OSError) as error:
        raise AudioError(f"{file.name}: not audio, or broken; convert it to WAV or FLAC") from error
