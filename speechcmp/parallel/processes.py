"""Processes that may die: what they leave behind is tried again, and none outlives its parent."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any, Self

IN_FLIGHT_A_JOB = 4
_MOST_PROCESSES = 61 if sys.platform == "win32" else None  # Windows can't wait for more at a time
_BLAS_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")

Start = Callable[[int], Executor]


class WorkerDiedError(Exception):
    """A task has killed the process it ran in, alone, as often as it was tried."""


class Workers:
    """A pool for tasks of one item each, of which some may kill the process they run in.

    Parameters
    ----------
    n_jobs : int
        Processes; 1 works in this process.
    start : callable, optional
        Makes the executor for so many jobs: local processes by default, or a cluster's executor.
    died : tuple of exception classes
        What a future raises whose process was killed.

    Attributes
    ----------
    tries_again : bool
        Whether a task whose process was killed is run again, elsewhere, before its future raises.
    """

    tries_again = False

    def __init__(
        self,
        n_jobs: int,
        *,
        start: Start | None = None,
        died: tuple[type[Exception], ...] = (BrokenExecutor,),
    ) -> None:
        self.n_jobs = n_jobs
        self.died = died
        here = n_jobs == 1 and start is None
        self._in_flight_a_job = 1 if here else IN_FLIGHT_A_JOB
        self._start = start or processes
        self._pool = InThisProcess() if here else self._start(n_jobs)
        self._single: Executor | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, raised: type[BaseException] | None, *_: object) -> None:
        # Who interrupts twice does not wait for what is in hand: workers end with this process.
        wait = raised is None or not issubclass(raised, KeyboardInterrupt)
        for pool in (self._pool, self._single):
            if pool is not None:
                pool.shutdown(wait=wait, cancel_futures=True)

    @property
    def room(self) -> int:
        """How many tasks are worth having under way."""
        return self._in_flight_a_job * self.n_jobs

    def submit(self, function: Callable[[Any], Any], item: Any) -> Future[Any]:  # noqa: ANN401
        """Send an item to the pool, to a new one if the last is broken."""
        try:
            return self._pool.submit(function, item)
        except self.died:
            self._pool.shutdown()
            self._pool = self._start(self.n_jobs)
            return self._pool.submit(function, item)

    def outcome(self, future: Future[Any], function: Callable[[Any], Any], item: Any) -> Any:  # noqa: ANN401
        """Return what a future gives; if its process was killed, what the item gives alone in another.

        Raises
        ------
        WorkerDiedError
            The item has killed that one, too, and once more.
        """
        try:
            return future.result()
        except self.died:
            # All tasks under way are lost with a pool; only alone does one show whether it was the cause.
            return self.alone(function, item)

    def alone(self, function: Callable[[Any], Any], item: Any, *, tries: int = 2) -> Any:  # noqa: ANN401
        """Run an item in a process of its own.

        Raises
        ------
        WorkerDiedError
            It was killed as often as it was tried.
        """
        for _ in range(tries):
            self._single = self._single or self._start(1)
            try:
                return self._single.submit(function, item).result()
            except self.died:
                self._single.shutdown()
                self._single = None
        raise WorkerDiedError


class InThisProcess(Executor):
    """One job needs no other process."""

    def submit(self, function: Callable[..., Any], /, *items: Any, **named: Any) -> Future[Any]:  # noqa: ANN401
        """Call the function at once."""
        future: Future[Any] = Future()
        future.set_result(function(*items, **named))
        return future


def processes(n_jobs: int) -> Executor:
    """Start local processes, with one BLAS thread each.

    The variables for that are set in this process, whose numpy has read them long ago: its children inherit
    them whenever the pool starts one.
    """
    for variable in _BLAS_THREADS:  # read when numpy is loaded, so before the first line of ours runs there
        os.environ.setdefault(variable, "1")
    # Spawned: a forked worker would hold this process's connections and files, and locks of its threads.
    spawning = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(n_jobs, _MOST_PROCESSES or n_jobs), mp_context=spawning, initializer=_prepare_worker)
    with _uninterrupted():  # which the workers inherit while they import what they need
        pool.submit(int)  # the first task starts them
    return pool


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold back Ctrl-C, where the system can."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _prepare_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process is interrupted, and ends the workers
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Leave no worker behind when the first process is killed: the pool's own would wait for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
