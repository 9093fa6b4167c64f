"""What many tests need: sample recordings, real speech where it is at hand, the command line in this process."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import soundfile
from commands import ROOT, SPANS_S, Command, Ran
from hypothesis import settings
from signals import sentences

from speechcmp.cli.main import run

# The same examples for everybody in CI: a commit is not red for what an earlier one brought in.
settings.register_profile("project", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("project")

# Started in the background, a shell has us ignore Ctrl-C, and nohup HUP; so would every command that the tests end.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP"):
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session")
def samples() -> Path:
    return ROOT / "samples"


@pytest.fixture(scope="session")
def real_speech() -> Path:
    """Return the folder of real recordings with known truth; tests that need it are skipped without it."""
    folder = ROOT.parent / "shared" / "speech"
    if not folder.is_dir():
        pytest.skip("no real speech beside the project")
    return folder


@pytest.fixture
def speechcmp(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    monkeypatch.chdir(tmp_path)  # no settings files but the test's own
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))

    def call(*arguments: object) -> Ran:
        capfd.readouterr()
        code = run([str(argument) for argument in arguments])
        return Ran(code, *capfd.readouterr())

    return call


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    path = tmp_path / "reference.wav"
    soundfile.write(path, sentences(SPANS_S, 7.5), 16_000)
    return path


@pytest.fixture
def take(tmp_path: Path) -> Path:
    """Say the same with other pauses, at another rate and in stereo."""
    path = tmp_path / "take.flac"
    samples = sentences([(0.6, 2.0), (3.6, 5.0), (5.8, 7.0)], 8.0, 22_050, seed=5)
    soundfile.write(path, np.stack([samples, samples / 2], axis=1), 22_050)
    return path
