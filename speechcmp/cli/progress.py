"""How far the work is, on stderr: bars on a terminal, now and then a plain line elsewhere for what takes long."""

import sys
import time
from collections.abc import Iterable, Iterator
from threading import Timer
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

PATIENCE_S = 1.0
_EVERY_S = 30.0
_EVERY_ON_TERMINAL_S = 0.1
T = TypeVar("T")


def track(items: Iterable[T], *, total: int, what: str, prints: bool = False) -> Iterator[T]:
    """Yield the items, showing how many are done once `PATIENCE_S` have passed.

    A caller that `prints` as it goes needs no bar in the terminal it prints to.
    """
    if not sys.stderr.isatty() or (prints and sys.stdout.isatty()):
        yield from items
        return
    bar = _new_bar()
    task = bar.add_task(what, total=total)
    timer = Timer(PATIENCE_S, bar.start)
    timer.start()
    try:
        for item in items:
            yield item
            bar.advance(task)
    finally:
        timer.cancel()
        timer.join()
        bar.stop()


def _new_bar(*fields: str) -> "Bar":
    """Make a bar: what, how many of how many, further `fields` of the task, the time left."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from speechcmp.cli.output import console

    more: list[Any] = [TextColumn(f"{{task.fields[{name}]}}") for name in fields]
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), *more, TimeRemainingColumn())
    return Progress(*columns, console=console(stderr=True), transient=True)


class BatchProgress:
    """A bar with rate, time left and failures on a terminal; a plain line now and then elsewhere."""

    def __init__(self, n_rows: int) -> None:
        self._n_rows = n_rows
        self._started_at = self._shown_at = time.monotonic()  # of the scoring: copies are looked for before
        self._bar: Bar | None = None
        if sys.stderr.isatty():
            self._bar = _new_bar("rate", "failed")
            self._task = self._bar.add_task("Comparing", total=n_rows, rate="", failed="")

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def look(self, n_rows: int) -> None:
        """Show how many rows have been searched for copies, if it is time to."""
        now = self._started_at = time.monotonic()
        if now - self._shown_at < (_EVERY_ON_TERMINAL_S if self._bar else _EVERY_S):
            return
        self._shown_at = now
        if self._bar is not None:
            self._bar.update(self._task, completed=n_rows, rate="looking for copies")
        else:
            _tell(f"looked for copies in {n_rows:,} of {self._n_rows:,} rows")

    def show(self, n_done: int, n_failed: int, n_known: int) -> None:
        """Show how far it is, if it is time to; `n_known` rows cost nothing."""
        now = time.monotonic()
        if now - self._shown_at < (_EVERY_ON_TERMINAL_S if self._bar else _EVERY_S):
            return
        self._shown_at = now
        rate = (n_done - n_known) / (now - self._started_at)
        failed = f"[yellow]{n_failed:,} failed[/]" if n_failed else ""
        if self._bar is not None:
            self._bar.update(self._task, completed=n_done, rate=f"{rate:,.1f} rows/s", failed=failed)
            return
        left = f", {_duration((self._n_rows - n_done) / rate)} left" if rate else ""
        text = f"{n_done:,} of {self._n_rows:,} rows, {rate:,.1f} rows/s{left}, {n_failed:,} failed"
        _tell(text)


def _tell(text: str) -> None:
    from speechcmp.cli.output import tell

    tell(text)


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
