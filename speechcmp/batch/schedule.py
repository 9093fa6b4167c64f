"""Rows into tasks for workers, and what they give back in the rows' order.

A window of rows is read at a time, grouped by reference, and cut into tasks. Window and tasks are as large as
the rows are quick: a task takes a fraction of a second, and a kill costs seconds of work, not hours.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from itertools import islice
from typing import Any

from speechcmp.batch.manifest import Row
from speechcmp.batch.worker import Done
from speechcmp.parallel.processes import WorkerDiedError, Workers

_TASK_S = 0.25
_TASK_ROWS = 256
_WINDOW_S = 4.0  # of each job
_WINDOW_ROWS = 1024  # or a task for each job
_WINDOWS_AHEAD = 2  # of results that wait for a slower row before them
_PATIENCE_S = 0.5  # between two looks whether to stop

Task = list[tuple[int, Row]]
Function = Callable[[list[Row]], Done]  # its outcomes are what JSON can hold, as a cluster's answers are


class Pace:
    """How many rows go into a task and into a window, by how long rows take; `n_jobs` may change."""

    def __init__(self, n_jobs: int) -> None:
        self.n_jobs = n_jobs
        self._row_s: float | None = None

    def learn(self, n_rows: int, elapsed_s: float) -> None:
        """Take a finished task into account."""
        row_s = elapsed_s / n_rows
        self._row_s = row_s if self._row_s is None else 0.7 * self._row_s + 0.3 * row_s

    @property
    def task_rows(self) -> int:
        return self._fit(_TASK_S, 1, _TASK_ROWS)

    @property
    def window_rows(self) -> int:
        most = max(_WINDOW_ROWS, _TASK_ROWS * self.n_jobs)
        return self._fit(_WINDOW_S * self.n_jobs, 8 * self.n_jobs, most)

    def _fit(self, seconds: float, fewest: int, most: int) -> int:
        if self._row_s is None:
            return fewest
        return max(fewest, min(most, int(seconds / max(self._row_s, 1e-6))))


def run_rows(
    rows: Iterable[Row],
    function: Function,
    workers: Workers,
    *,
    lost: Callable[[Row], Any],
    ordered: bool = True,
    stopped: Callable[[], bool] = lambda: False,
) -> Iterator[tuple[Row, Any]]:
    """Send rows through the workers, a bounded number at a time.

    Parameters
    ----------
    rows : iterable of Row
        Read as needed.
    function : callable
        What a worker does with a list of rows.
    workers : Workers
    lost : callable
        What becomes of a row that has killed every worker it was given to.
    ordered : bool
        Yield in the order of the rows, or as soon as known.
    stopped : callable
        Asked between tasks: no more are begun then, what is under way is finished and yielded.

    Yields
    ------
    (Row, outcome)
        The outcome as the function gave it, with lists for tuples where it comes from a cluster.
    """
    return _Run(rows, function, workers, lost, stopped).outcomes(ordered=ordered)


class _Run:
    def __init__(
        self,
        rows: Iterable[Row],
        function: Function,
        workers: Workers,
        lost: Callable[[Row], Any],
        stopped: Callable[[], bool],
    ) -> None:
        self._rows = enumerate(rows)
        self._function = function
        self._workers = workers
        self._lost = lost
        self._stopped = stopped
        self._pace = Pace(workers.n_jobs)
        self._flying: dict[Future[Any], Task] = {}
        self._window: deque[tuple[int, Row]] = deque()

    def outcomes(self, *, ordered: bool) -> Iterator[tuple[Row, Any]]:
        early: dict[int, tuple[Row, Any]] = {}
        due = 0
        while self._begin_tasks(len(early)) or self._flying:
            for number, row, outcome in self._finished():
                if not ordered:
                    yield row, outcome
                    continue
                early[number] = (row, outcome)
                while due in early:
                    yield early.pop(due)
                    due += 1
        for number in sorted(early):  # stopped: rows before these were not begun
            yield early[number]

    def _begin_tasks(self, n_early: int) -> bool:
        """Fill the workers' hands; say whether there was anything to begin."""
        began = False
        room = self._workers.room
        self._pace.n_jobs = self._workers.n_jobs
        while len(self._flying) < room and not self._stopped():
            if self._flying and n_early > _WINDOWS_AHEAD * self._pace.window_rows:
                break
            task = self._next_task()
            if not task:
                break
            self._flying[self._workers.submit(self._function, [row for _, row in task])] = task
            began = True
        return began

    def _next_task(self) -> Task:
        if not self._window:
            groups: dict[str, Task] = {}
            for number, row in islice(self._rows, self._pace.window_rows):
                groups.setdefault(row.reference_path, []).append((number, row))
            self._window.extend(item for group in groups.values() for item in group)
        return [self._window.popleft() for _ in range(min(self._pace.task_rows, len(self._window)))]

    def _finished(self) -> Iterator[tuple[int, Row, Any]]:
        for future in wait(self._flying, _PATIENCE_S, FIRST_COMPLETED).done:
            task = self._flying.pop(future)
            done = self._outcome(future, task)
            self._pace.learn(len(task), done.elapsed_s)
            for (number, row), outcome in zip(task, done.outcomes, strict=True):
                yield number, row, outcome
        if self._stopped():
            for future in [future for future in self._flying if future.cancel()]:
                del self._flying[future]

    def _outcome(self, future: Future[Any], task: Task) -> Done:
        rows = [row for _, row in task]
        try:
            return Done(*future.result())
        except self._workers.died:
            return self._again(rows)

    def _again(self, rows: list[Row]) -> Done:
        """Try rows whose worker was killed again: together, then one by one to find the one that kills."""
        try:
            if len(rows) == 1 or not self._workers.tries_again:
                return Done(*self._workers.alone(self._function, rows, tries=1))
        except WorkerDiedError:
            if len(rows) == 1:
                return Done([self._lost(rows[0])], 0.0)
        parts = [self._again([row]) for row in rows]
        return Done([part.outcomes[0] for part in parts], sum(part.elapsed_s for part in parts))
