"""Whole files of every format that tells its length, cut ones, and those that were written to a pipe."""

import io
import subprocess
from pathlib import Path

import pytest
import soundfile
from signals import buzz

from speechcmp.audio.decode import open_audio
from speechcmp.audio.recording import load_recording
from speechcmp.audio.truncation import missing_part
from speechcmp.errors import AudioError

FORMS = {
    "wav": ["-f", "wav"],
    "rf64.wav": ["-f", "wav", "-rf64", "always"],
    "w64": ["-f", "w64"],
    "aiff": ["-f", "aiff"],
    "au": ["-f", "au"],
    "caf": ["-f", "caf"],
    "webm": ["-f", "webm"],
    "mka": ["-f", "matroska"],
    "wma": ["-f", "asf"],
    "aac": ["-f", "adts"],
    "m4a": ["-f", "ipod"],
    "fast.m4a": ["-f", "ipod", "-movflags", "faststart"],
    "ogg": ["-f", "ogg", "-c:a", "libvorbis", "-ac", "2"],
    "opus": ["-f", "opus"],
}
TO_A_PIPE = {k: v for k, v in FORMS.items() if k not in {"m4a", "fast.m4a", "rf64.wav"}} | {
    "fragments.mp4": ["-f", "mp4", "-movflags", "frag_keyframe+empty_moov"]
}


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "speech.wav"
    soundfile.write(path, buzz(32_000), 16_000)
    return path


def missing(data: bytes) -> str | None:
    return missing_part(io.BytesIO(data), len(data))


@pytest.mark.parametrize("form", FORMS)
def test_files_that_were_cut_are_told_from_whole_ones(tmp_path: Path, speech: Path, form: str) -> None:
    path = tmp_path / f"take.{form}"
    subprocess.run(["ffmpeg", "-v", "error", "-i", speech, *FORMS[form], path], check=True)
    data = path.read_bytes()
    assert missing(data) is None
    assert load_recording(path).duration_s == pytest.approx(2, abs=0.15)
    for length in (len(data) * 2 // 3, len(data) - 5):
        assert missing(data[:length]), length
    path.write_bytes(data[: len(data) * 2 // 3])
    for source in (path, io.BytesIO(path.read_bytes())):
        with pytest.raises(AudioError, match=r"truncated .*(missing|page).*; copy or record it again"):
            open_audio(source)


@pytest.mark.parametrize("form", TO_A_PIPE)
def test_files_written_to_a_pipe_are_whole(tmp_path: Path, speech: Path, form: str) -> None:
    path = tmp_path / f"take.{form}"
    call = ["ffmpeg", "-v", "error", "-i", str(speech), *TO_A_PIPE[form], "-"]
    path.write_bytes(subprocess.run(call, check=True, capture_output=True).stdout)
    assert missing(path.read_bytes()) is None
    assert load_recording(path).duration_s == pytest.approx(2, abs=0.15)


@pytest.mark.parametrize("size", [0, 0x7FFFFFFF, 0x7FFFF000, 0x80000000, 0xFFFFFFFF])
def test_lengths_that_stand_for_unknown(speech: Path, size: int) -> None:
    data = bytearray(speech.read_bytes())
    data[40:44] = size.to_bytes(4, "little")
    assert missing(bytes(data)) is None


@pytest.mark.parametrize("form", FORMS)
def test_headers_cut_anywhere_are_no_crash(tmp_path: Path, speech: Path, form: str) -> None:
    path = tmp_path / f"take.{form}"
    subprocess.run(["ffmpeg", "-v", "error", "-i", speech, *FORMS[form], path], check=True)
    data = path.read_bytes()
    for length in range(0, 300, 3):
        missing(data[:length])  # whatever it says
    for position in range(4, 100, 2):
        missing(data[:position] + b"\xff" * 8 + data[position + 8 :])
        missing(data[:position] + bytes(8) + data[position + 8 :])


def test_a_chunk_that_leads_nowhere_ends_the_search() -> None:
    endless = b"RIFF\xff\xff\xff\x7fWAVE" + b"junk\0\0\0\0" * 300_000
    assert missing(endless) is None
    assert missing(b"caff\0\1\0\0" + b"junk" + (-12).to_bytes(8, "big", signed=True) * 9) is None
