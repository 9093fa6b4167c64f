"""What a score promises: a recording is its own best take, however loud, compressed or late it is handed in."""

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from commands import ROOT

from speechcmp.audio.recording import Recording, load_recording
from speechcmp.comparison.compare import CompareParams, compare_prepared, prepare

PARAMS = CompareParams(details="scores")
SAMPLES = sorted((ROOT / "samples").glob("*.flac"))
N_READINGS = 40
LEAD_S = 1.0


def softer(path: Path, _: Path) -> Recording:
    """Make it 12 dB softer, on the 16 bits of a file."""
    recording = load_recording(path)
    steps = np.round(recording.samples * 10 ** (-12 / 20) * 2**15)
    return replace(recording, samples=(steps / 2**15).astype(np.float32))


def compressed(path: Path, folder: Path) -> Recording:
    if shutil.which("ffmpeg") is None:
        pytest.skip("needs ffmpeg")
    compact = folder / f"{path.stem}.mp3"
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", path, "-b:a", "64k", compact], check=True)
    return load_recording(compact)


def later(path: Path, _: Path) -> Recording:
    """Begin with digital silence."""
    recording = load_recording(path)
    return replace(recording, samples=np.pad(recording.samples, (round(LEAD_S * recording.sample_rate), 0)))


def later_in_the_room(path: Path, _: Path) -> Recording:
    """Begin with the sound of the room: the quietest tenth of a second, to and fro."""
    recording = load_recording(path)
    n = recording.sample_rate // 10
    powers = np.convolve(recording.samples**2, np.ones(n), "valid")
    quiet = recording.samples[powers.argmin() :][:n]
    lead = np.resize(np.concatenate([quiet, quiet[::-1]]), round(LEAD_S * recording.sample_rate))
    return replace(recording, samples=np.concatenate([lead, recording.samples]))


CHANGES = [softer, compressed, later, later_in_the_room]


def scores(path: Path, change: Callable[[Path, Path], Recording], folder: Path) -> tuple[float, float]:
    """Score a recording, and a changed copy of it, against the recording."""
    itself, changed = prepare(load_recording(path), PARAMS), prepare(change(path, folder), PARAMS)
    found = [compare_prepared(itself, take, params=PARAMS).score for take in (itself, changed)]
    return found[0].value if found[0] else 0.0, found[1].value if found[1] else 0.0


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.stem)
def test_samples(path: Path, change: Callable[[Path, Path], Recording], tmp_path: Path) -> None:
    itself, changed = scores(path, change, tmp_path)
    assert itself >= 99
    assert abs(changed - itself) <= 2


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_readings(real_speech: Path, change: Callable[[Path, Path], Recording], tmp_path: Path) -> None:
    files = sorted((real_speech / "readings").glob("*.flac"))
    broken = {}
    for path in files[:: len(files) // N_READINGS]:
        itself, changed = scores(path, change, tmp_path)
        if itself < 99 or abs(changed - itself) > 2:
            broken[path.stem] = itself, changed
    assert broken == {}
