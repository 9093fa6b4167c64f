"""A Dask cluster on this machine: a scheduler and workers, each a process that tests may kill."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

TESTS = Path(__file__).parent
START_S = 90


def wait_until(condition: Callable[[], object], what: str, timeout_s: float = START_S) -> None:
    until = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until, f"waited {timeout_s} s in vain: {what}"
        time.sleep(0.02)


class LocalCluster:
    """A scheduler without workers, in a folder for its files; it need not have speechcmp, and has it not.

    A task is given up when its second worker dies.
    """

    def __init__(self, folder: Path) -> None:
        self.file = folder / "scheduler.json"
        self._folder = folder
        self._n_workers = 0
        self._workers: list[subprocess.Popen[bytes]] = []
        without = folder / "without"
        without.mkdir()
        (without / "speechcmp.py").write_text("raise ImportError('not on the scheduler')\n")
        self.scheduler = self._start("scheduler", "--port", "0", path=without)
        wait_until(self._is_written, "the scheduler's file")

    @property
    def address(self) -> str:
        return str(json.loads(self.file.read_text())["address"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        import psutil

        for process in (*self._workers, self.scheduler):
            for child in psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []:
                child.kill()
            process.kill()
            process.wait()

    def add_worker(self, *, nanny: bool = True, n_threads: int = 1, path: Path = TESTS) -> subprocess.Popen[bytes]:
        """Start a worker and wait until it has come; a nanny starts it again when it was killed."""
        self._n_workers += 1
        own = self._folder / f"worker-{self._n_workers}"
        options = ["--nthreads", str(n_threads), "--local-directory", str(own), "--nanny" if nanny else "--no-nanny"]
        worker = self._start("worker", *options, path=path, log=own.with_suffix(".log"))
        self._workers.append(worker)
        log = own.with_suffix(".log")
        wait_until(lambda: b"Registered to" in log.read_bytes(), "a worker")
        return worker

    def _start(self, kind: str, *options: str, path: Path = TESTS, log: Path | None = None) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", "--host", "127.0.0.1", "--no-dashboard"]
        environment = {
            **os.environ,
            "PYTHONPATH": str(path),
            "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1",
        }
        with (log or self._folder / f"{kind}.log").open("wb") as output:
            return subprocess.Popen(
                [*command, "--scheduler-file", str(self.file), *options],
                stdout=output,
                stderr=output,
                env=environment,
                start_new_session=True,
                cwd=self._folder,  # the checkout has a speechcmp of its own
            )

    def _is_written(self) -> bool:
        try:
            return bool(self.address)
        except (OSError, ValueError):
            return False


def kill_worker(worker: subprocess.Popen[bytes]) -> int:
    """Kill the process that works, a nanny's child or else itself; return its id."""
    import psutil

    children = [x for x in psutil.Process(worker.pid).children() if "resource_tracker" not in " ".join(x.cmdline())]
    assert len(children) <= 1
    pid = children[0].pid if children else worker.pid
    os.kill(pid, signal.SIGKILL)
    return pid


def is_running(pid: int) -> bool:
    import psutil

    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
