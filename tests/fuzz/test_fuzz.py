"""Some of the fuzzer's cases: the same ones for everybody."""

import sys

import pytest
from fuzz.kinds import KINDS
from fuzz.runner import faults

CASES = {"recordings": 60, "libraries": 30}


@pytest.mark.skipif(sys.platform == "win32", reason="has no alarms")
@pytest.mark.parametrize("kind", KINDS)
def test_spoilt_files_do_no_harm(kind: str) -> None:
    assert [fault for fault in faults(kind, range(CASES.get(kind, 20))) if fault] == []
