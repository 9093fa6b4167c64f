"""What libsndfile can't read, by ffmpeg: only known formats, only from the file itself, to memory or a nameless file.

A container may name other files: a playlist, a DASH manifest, a list of files to join. So ffmpeg gets a fixed list of
formats none of which does, and one protocol, that of the local file. What pydub would decode is decoded, to the sample.
"""

import io
import json
import mmap
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from speechcmp.audio.decode import Pcm
from speechcmp.errors import AudioError

# Formats of one recording in one file. None that names others (concat, dash, hls, sdp, imf), or is made of text.
DEMUXERS = (
    "3dostr,aac,ac3,adx,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,daud,dsf,dts,dtshd,eac3,flac,flv,gsm,iff,ilbc,ircam,ivf,"
    "live_flv,loas,m4v,matroska,mlp,mov,mp3,mpc,mpc8,mpeg,mpegts,mxf,nistsphere,nsv,nut,ogg,oma,paf,pvf,qcp,rm,rso,"
    "shn,sln,sol,sox,swf,tak,truehd,tta,voc,vqf,w64,wav,wsd,wv,xwma"
)
_SAFE = ("-v", "error", "-protocol_whitelist", "file,pipe", "-format_whitelist", DEMUXERS)
_STATES_LENGTH = ("mov", "matroska", "asf")  # others go by the bit rate
# Of these pydub has 16 bits, of other floats 32 (`AudioSegment.from_file`).
_SIXTEEN_BITS = {"mp3", "mp4", "aac", "webm", "ogg"}
_WIDTHS = {"u8": 1, "s16": 2}
_STORED: dict[int, tuple[str, Any]] = {1: ("u8", np.uint8), 2: ("s16le", np.int16), 4: ("s32le", np.int32)}
_BLOCK_BYTES = 1 << 20
_IN_MEMORY_BYTES = 32 << 20
_MAX_BYTES = 16 << 30  # 4 h of 8 channels at 48 kHz, twice
_MAX_COMPLAINTS_BYTES = 1 << 14
_LAST_WORDS_S = 5
_SILENT_S = 25  # a decoder that gives nothing for so long gives nothing more
# Encoders' delays at both ends are counted differently by containers and by decoders.
_PADDING_S = 0.1


class Decoded(NamedTuple):
    """What ffmpeg made of a file.

    Attributes
    ----------
    pcm : int16 or int32 array, shape (n_frames, channels)
        In the range of `sample_width`; backed by a file without a name if it is large.
    sample_rate : int
        Hz.
    sample_width : int
        Bytes a sample as pydub counts: 1, 2 or 4.
    lost_s : float
        What should have been there, by the container's clock or the length it states, and was not; 0 if that is
        within 0.1 s.
    form : str
        ffmpeg's name for what the file is.
    """

    pcm: Pcm
    sample_rate: int
    sample_width: int
    lost_s: float
    form: str


class _Stream(NamedTuple):
    sample_rate: int
    channels: int
    sample_width: int
    stated_s: float | None
    form: str


def decode(source: Path | bytes, name: str, *, max_duration_s: float) -> Decoded:
    """Decode the first audio stream of a file, or of its bytes.

    Parameters
    ----------
    source : Path or bytes
        A regular file; it is the caller's to have looked.
    name : str
        What messages call it.
    max_duration_s : float
        Nothing is decoded a second beyond it.

    Raises
    ------
    AudioError
        It is not audio, of a format that is not on the list, or broken.
    """
    with _as_file(source) as path:
        stream = _probe(path, name)
        options = ("-map", "0:a:0", "-ar", str(stream.sample_rate), "-ac", str(stream.channels))
        form, dtype = _STORED[stream.sample_width]
        command = ["ffmpeg", *_SAFE, "-nostdin", "-i", f"file:{path}", *options, "-t", f"{max_duration_s + 1:.3f}"]
        with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) as spool:
            told = _run([*command, "-progress", "pipe:2", "-f", form, "pipe:1"], spool, name)
            frame_bytes = stream.channels * np.dtype(dtype).itemsize
            n_frames = spool.tell() // frame_bytes
            if not n_frames:
                raise _broken(name)
            flat: Any = np.frombuffer(_buffer(spool), dtype, n_frames * stream.channels)
    pcm = flat.reshape(-1, stream.channels)
    if stream.sample_width == 1:
        pcm = pcm.astype(np.int16) - 128
    decoded_s = n_frames / stream.sample_rate
    # A length beyond all that may be read is part of the damage.
    promised = [s for s in (stream.stated_s, _last_time_s(told)) if s is not None and s <= max_duration_s]
    lost_s = max(promised, default=0.0) - decoded_s
    return Decoded(pcm, stream.sample_rate, stream.sample_width, lost_s if lost_s > _PADDING_S else 0.0, stream.form)


def _broken(name: str) -> AudioError:
    return AudioError(f"{name}: not audio, or broken; convert it to WAV or FLAC")


@contextmanager
def _as_file(source: Path | bytes) -> Iterator[Path]:
    """Give ffmpeg a file in which it can go back: an m4a may have its index at the end."""
    if isinstance(source, Path):
        yield source.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="speechcmp-") as folder:
        path = Path(folder) / "recording"
        path.write_bytes(source)
        yield path


def _probe(path: Path, name: str) -> _Stream:
    entries = (
        "stream=codec_name,sample_fmt,sample_rate,channels,duration:format=duration,format_name,start_time,nb_streams"
    )
    asked = ("-select_streams", "a:0", "-show_entries", entries, "-of", "json", f"file:{path}")
    out = io.BytesIO()
    _run(["ffprobe", *_SAFE, *asked], out, name, max_bytes=_BLOCK_BYTES)
    try:
        found = json.loads(out.getvalue())
        stream, container = found["streams"][0], found["format"]
        sample_format = stream["sample_fmt"].rstrip("p")
        lossy = sample_format == "flt" and stream["codec_name"] in _SIXTEEN_BITS
        width = 2 if lossy else _WIDTHS.get(sample_format, 4)
        alone = int(container.get("nb_streams", 1)) == 1 and float(container.get("start_time", 0)) <= 0
        stated = stream.get("duration") or (container.get("duration") if alone else None)
        form = str(container["format_name"])
        states = form.startswith(_STATES_LENGTH)
        rate, channels = int(stream["sample_rate"]), int(stream["channels"])
        if min(rate, channels) < 1:
            raise _broken(name)
        return _Stream(rate, channels, width, float(stated) if stated and states else None, form)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise _broken(name) from error


def _run(command: list[str], out: Any, name: str, *, max_bytes: int = _MAX_BYTES) -> bytes:  # noqa: ANN401 - a file
    """Run a program, put what it gives into `out`, and return what it complains of; stop one that gives nothing."""
    complaints = bytearray()
    with subprocess.Popen(  # noqa: S603 - no shell, and the path can't be taken for an option
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stderr is not None  # noqa: S101, PT018 - both are pipes
        listener = threading.Thread(target=_listen, args=(process.stderr, complaints), daemon=True)
        listener.start()
        stopped = threading.Event()
        n_bytes = 0
        try:
            while block := _read_in_time(process, process.stdout, stopped):
                n_bytes += len(block)
                if n_bytes > max_bytes:
                    raise AudioError(f"{name}: more than {max_bytes >> 20} MiB when decoded; cut it into parts first")
                out.write(block)
            with suppress(subprocess.TimeoutExpired):  # its last words come after the last samples
                process.wait(_LAST_WORDS_S)
        finally:
            process.kill()
            listener.join()
    if stopped.is_set():
        raise AudioError(f"{name}: gave nothing for {_SILENT_S} s when it was decoded; convert it to WAV or FLAC")
    if process.returncode:
        raise _broken(name)
    return bytes(complaints)


def _read_in_time(process: "subprocess.Popen[bytes]", stdout: Any, stopped: threading.Event) -> bytes:  # noqa: ANN401
    def stop() -> None:
        stopped.set()
        process.kill()

    timer = threading.Timer(_SILENT_S, stop)
    timer.daemon = True
    timer.start()
    try:
        return bytes(stdout.read1(_BLOCK_BYTES))
    finally:
        timer.cancel()


def _listen(stderr: Any, complaints: bytearray) -> None:  # noqa: ANN401
    """Read all, so that the program never waits; keep the end, where the last time is."""
    with suppress(ValueError):  # closed
        while block := stderr.read1(_BLOCK_BYTES):
            complaints += block
            del complaints[:-_MAX_COMPLAINTS_BYTES]


def _last_time_s(told: bytes) -> float | None:
    """Return the container's time at the end of what was decoded: gaps count in it."""
    for line in reversed(told.splitlines()):
        key, _, value = line.partition(b"=")
        if key == b"out_time_us" and value.strip().lstrip(b"-").isdigit():
            return int(value) / 1e6
    return None


def _buffer(spool: Any) -> bytes | mmap.mmap:  # noqa: ANN401 - a SpooledTemporaryFile
    """Return all of it: bytes of a small one; a large one stays on disk, and is gone with the last array of it."""
    n_bytes = spool.tell()
    spool.seek(0)  # which also flushes
    return bytes(spool.read()) if n_bytes < _IN_MEMORY_BYTES else mmap.mmap(spool.fileno(), 0, access=mmap.ACCESS_READ)
