"""A progress bar that appears only when work takes more than a second, and only on a terminal."""

import sys
from collections.abc import Iterable, Iterator
from threading import Timer
from typing import TypeVar

PATIENCE_S = 1.0
T = TypeVar("T")


def track(items: Iterable[T], *, total: int, what: str, prints: bool = False) -> Iterator[T]:
    """Yield the items, showing how many are done once `PATIENCE_S` have passed.

    A caller that `prints` as it goes needs no bar in the terminal it prints to.
    """
    if not sys.stderr.isatty() or (prints and sys.stdout.isatty()):
        yield from items
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from speechcmp.cli.output import console

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    progress = Progress(*columns, console=console(stderr=True), transient=True)
    task = progress.add_task(what, total=total)
    timer = Timer(PATIENCE_S, progress.start)
    timer.start()
    try:
        for item in items:
            yield item
            progress.advance(task)
    finally:
        timer.cancel()
        timer.join()
        progress.stop()
