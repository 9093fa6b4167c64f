"""What was written here, and what somebody has worked on since."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechcmp.audio.origin import was_saved_here
from speechcmp.audio.recording import Recording


@pytest.fixture(params=[".wav", ".flac"])
def chunk(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    samples = np.random.default_rng(1).normal(0, 0.1, 20_000).astype(np.float32)
    path = tmp_path / f"chunk{request.param}"
    Recording.from_array(samples, 16_000).save(path)
    assert was_saved_here(path)
    return path


def test_one_changed_byte_is_work_of_somebody_else(chunk: Path) -> None:
    data = chunk.read_bytes()
    for position in (len(data) - 1, len(data) // 2, data.index(b"speechcmp ") + 20):
        chunk.write_bytes(data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :])
        assert not was_saved_here(chunk)
    for other in (data + b"more", data[:-1], b"", data[:30]):
        chunk.write_bytes(other)
        assert not was_saved_here(chunk)
    chunk.write_bytes(data)
    assert was_saved_here(chunk)


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="needs ffmpeg")
@pytest.mark.parametrize("options", [["-af", "volume=0.5"], ["-c", "copy", "-metadata", "title=mine"]])
def test_what_an_editor_has_saved_again_is_not_ours_though_its_header_says_so(chunk: Path, options: list[str]) -> None:
    edited = chunk.with_name("edited" + chunk.suffix)
    command = ["ffmpeg", "-v", "error", "-bitexact", "-i", str(chunk), *options, str(edited)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    if chunk.suffix == ".flac":
        with soundfile.SoundFile(edited) as file:
            assert file.software.startswith("speechcmp ")
    assert not was_saved_here(edited)


def test_what_is_no_recording_is_not_ours(tmp_path: Path) -> None:
    for name, data in (("a.wav", b"speechcmp " + b"0" * 40), ("b.wav", b"speechcmp"), ("c.wav", b"")):
        (tmp_path / name).write_bytes(data)
        assert not was_saved_here(tmp_path / name)
    assert not was_saved_here(tmp_path / "gone.wav")
    assert not was_saved_here(tmp_path)
