"""What many tests need: the project's sample recordings, and real speech where it is at hand."""

from pathlib import Path

import pytest
from commands import ROOT


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
