"""Local pools."""

import os

import pytest

from speechcmp.parallel.processes import processes


def test_no_more_processes_than_the_system_can_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("speechcmp.parallel.processes._MOST_PROCESSES", 1)
    with processes(4) as pool:
        pids = {future.result() for future in [pool.submit(os.getpid) for _ in range(8)]}
        assert len(pids) == 1
        assert pool._max_workers == 1  # type: ignore[attr-defined]
