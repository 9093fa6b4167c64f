"""Files that are no recordings, name other files, or have been damaged on the way."""

import io
import os
import shutil
import struct
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import soundfile
from commands import Command
from decoding import said_s
from signals import buzz

from speechcmp.audio.damage.ogg import ogg_pages
from speechcmp.audio.decode import open_audio
from speechcmp.audio.recording import load_recording
from speechcmp.audio.split import split_recording
from speechcmp.errors import AudioError

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
posix = pytest.mark.skipif(sys.platform == "win32", reason="there are no such files")
RATE = 16_000


@pytest.fixture
def spoken(tmp_path: Path) -> Path:
    """Write six seconds that sound all the time, so that whatever is lost shows."""
    path = tmp_path / "spoken.wav"
    soundfile.write(path, 0.3 * np.resize(buzz(RATE), 6 * RATE), RATE)
    return path


def convert(source: Path, target: Path, *options: str) -> Path:
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", source, *options, f"file:{target}"], check=True)
    return target


@posix
@pytest.mark.parametrize("name", ["/dev/zero", "/dev/full", "/dev/null", "fifo", "/proc/kmsg", "/proc/self/environ"])
@pytest.mark.timeout(10)
def test_what_is_no_file_is_refused_unopened(tmp_path: Path, name: str) -> None:
    if name == "fifo":
        name = str(tmp_path / name)
        os.mkfifo(name)
    with pytest.raises(AudioError, match=r"is a pipe or a device|empty|no such file") as caught:
        open_audio(name)
    assert str(caught.value).startswith(f"{name}: ")


@needs_ffmpeg
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("concat.m4a", "ffconcat version 1.0\nfile {path}\n"),
        ("concat2.m4a", "ffconcat version 1.0\nfile 'file:{path}'\n" + "\0" * 600),
        ("list.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:6,\n{path}\n#EXT-X-ENDLIST\n"),
        ("list.aac", "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:6,\nfile://{path}\n#EXT-X-ENDLIST\n\0\0\0\0"),
        (
            "dash.mp4",
            (
                '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
                'mediaPresentationDuration="PT6S" profiles="urn:mpeg:dash:profile:isoff-main:2011"><Period>'
                '<AdaptationSet mimeType="audio/wav"><Representation id="1" bandwidth="1"><BaseURL>{path}</BaseURL>'
                "</Representation></AdaptationSet></Period></MPD>\0\0"
            ),
        ),
        ("sdp.wav", "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n\0"),
    ],
)
def test_no_file_plays_another(tmp_path: Path, spoken: Path, name: str, content: str) -> None:
    path = tmp_path / name
    path.write_bytes(content.format(path=spoken).encode())
    for source in (path, io.BytesIO(path.read_bytes())):
        with pytest.raises(AudioError, match="not audio"):
            open_audio(source)


@needs_ffmpeg
def test_no_demuxer_of_lists_is_allowed() -> None:
    from speechcmp.audio.ffmpeg import DEMUXERS

    allowed = set(DEMUXERS.split(","))
    assert not allowed & {
        "concat",
        "dash",
        "hls",
        "applehttp",
        "sdp",
        "rtp",
        "rtsp",
        "imf",
        "image2",
        "lavfi",
        "vobsub",
    }


# ---------------------------------------------------------------------------------------------------- damage


def flipped(data: bytes, position: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 0x10]) + data[position + 1 :]


@needs_ffmpeg
@pytest.mark.parametrize(("suffix", "codec"), [("ogg", "libvorbis"), ("opus", "libopus")])
def test_a_flipped_bit_in_ogg_is_said(tmp_path: Path, spoken: Path, suffix: str, codec: str) -> None:
    data = convert(spoken, tmp_path / f"take.{suffix}", "-c:a", codec).read_bytes()
    assert said_s(data) == 0.0
    for position in np.linspace(6_000, len(data) - 3_000, 30).astype(int):
        lost_s = said_s(flipped(data, position))
        assert lost_s is None or lost_s == pytest.approx(1.0, abs=0.3)


@needs_ffmpeg
def test_what_a_damaged_take_lost_is_a_warning(tmp_path: Path, spoken: Path) -> None:
    data = convert(spoken, tmp_path / "take.opus").read_bytes()
    damaged = tmp_path / "damaged.opus"
    damaged.write_bytes(flipped(data, len(data) // 2))
    for source in (open_audio(damaged), load_recording(damaged)):
        assert "damaged: 1.0 s could not be decoded; copy or record it again" in split_recording(source).warnings  # type: ignore[type-var]


@needs_ffmpeg
def test_pages_that_are_gone_are_lost(tmp_path: Path, spoken: Path) -> None:
    data = convert(spoken, tmp_path / "take.opus").read_bytes()
    pages = data.split(b"OggS")
    assert said_s(b"OggS".join(pages[:4] + pages[6:])) == pytest.approx(2.0, abs=0.1)
    assert said_s(data) == 0
    assert ogg_pages(io.BytesIO(b"RIFF")) is None


@needs_ffmpeg
@pytest.mark.parametrize("n_samples", [1, 4096, 95_999])
def test_flac_headers_that_lie_are_not_believed(spoken: Path, n_samples: int) -> None:
    sound, rate = soundfile.read(spoken, dtype="int16")
    written = io.BytesIO()
    soundfile.write(written, sound, rate, format="FLAC")
    data = bytearray(written.getvalue())
    data[21:26] = (int.from_bytes(data[21:26], "big") >> 36 << 36 | n_samples).to_bytes(5, "big")
    assert open_audio(io.BytesIO(data)).n_frames == len(sound)


@needs_ffmpeg
@pytest.mark.parametrize("suffix", ["m4a", "webm", "wma", "mka"])
def test_what_containers_promise_and_decoders_miss_is_said(tmp_path: Path, spoken: Path, suffix: str) -> None:
    codec = ("-c:a", "libopus") if suffix in {"webm", "mka"} else ()
    data = convert(spoken, tmp_path / f"take.{suffix}", *codec).read_bytes()
    assert said_s(data) == 0.0
    middle = len(data) // 2
    holed = data[:middle] + bytes(len(data) // 6) + data[middle + len(data) // 6 :]
    lost_s = said_s(holed)
    assert lost_s is None or lost_s > 0.4


@pytest.mark.parametrize("form", [1, 3, 0x55])
def test_wav_headers_of_any_kind(form: int, capfd: pytest.CaptureFixture[str]) -> None:
    numbers = product((0, 1, 65_535), (0, 8_000, 0xFFFFFFFF), (0, 64, 128, 65_535), (2,))
    for channels, rate, bits, align in numbers:
        head = struct.pack("<HHIIHH", form, channels, rate, rate * align & 0xFFFFFFFF, align, bits) + bytes(24)
        body = b"WAVEfmt " + struct.pack("<I", len(head)) + head + b"data" + struct.pack("<I", 4_000)
        said_s(b"RIFF" + struct.pack("<I", len(body) + 4_000) + body + bytes(range(250)) * 16)
    assert capfd.readouterr() == ("", "")


def test_least_bits_are_nothing_to_fall_over(tmp_path: Path) -> None:
    for rate, n in ((8_000, 1149), (16_000, 40), (48_000, 9_000)):
        samples = np.zeros(n, np.int16)
        samples[:: n // 7] = 1
        samples[1 :: n // 5] = -1
        soundfile.write(tmp_path / "x.wav", samples, rate)
        split_recording(open_audio(tmp_path / "x.wav"))


@needs_ffmpeg
def test_decoders_do_not_talk_past_us(tmp_path: Path, spoken: Path, capfd: pytest.CaptureFixture[str]) -> None:
    data = convert(spoken, tmp_path / "take.mp3").read_bytes()
    for position in np.linspace(2_000, len(data) - 3_000, 40).astype(int):
        said_s(data[:position] + bytes(40) + data[position + 40 :])
        said_s(data[: position // 40] + b"\x1e" + data[position // 40 :])
    assert capfd.readouterr() == ("", "")
    os.write(2, b"here again")
    assert capfd.readouterr().err == "here again"


@needs_ffmpeg
def test_every_command_says_what_is_lost(speechcmp: Command, tmp_path: Path, spoken: Path) -> None:
    data = convert(spoken, tmp_path / "take.opus").read_bytes()
    (tmp_path / "damaged.opus").write_bytes(flipped(data, len(data) // 2))
    said = "damaged: 1.0 s could not be decoded"
    assert said in speechcmp("split", "damaged.opus").err
    assert said in " ".join(speechcmp("compare", "take.opus", "damaged.opus", "-f", "json").json["warnings"])
    library = ("--db", "sqlite:///library.db")
    assert speechcmp("index", "take.opus", *library).code == 0
    assert said in speechcmp("identify", "damaged.opus", *library).err
    refused = speechcmp("index", "damaged.opus", *library)
    assert (refused.code, "damaged (1.0 s could not be decoded)" in refused.err) == (1, True)


@pytest.mark.timeout(20)
def test_a_ruin_of_many_pages_takes_no_time() -> None:
    head = b"OggS\0\0" + bytes(20) + b"\xff" + b"\xff" * 255
    with pytest.raises(AudioError, match=r"broken|truncated"):
        open_audio(io.BytesIO(b"OggS" * 500_000 + head * 20_000))
