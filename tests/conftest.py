"""What many tests need: the project's sample recordings, and real speech where it is at hand."""

import os
import signal
from pathlib import Path

import pytest
from commands import ROOT
from hypothesis import settings

# The same examples for everybody in CI: a commit is not red for what an earlier one brought in.
settings.register_profile("project", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("project")

# Started in the background, a shell has us ignore Ctrl-C, and so would every command that the tests interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


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
