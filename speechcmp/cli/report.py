"""``speechcmp report``: what a batch amounts to, from its results."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from speechcmp.cli.inputs import exit_code
from speechcmp.errors import ParameterError

if TYPE_CHECKING:
    from speechcmp.batch.reader import Entry
    from speechcmp.batch.summary import Summary

_NO_COLUMNS = {"overall", "chunks", "copy", "key"}


def report(
    results: Annotated[Path, typer.Argument(help="What batch wrote: a .jsonl, .csv or .parquet.")],
    *,
    by: Annotated[
        str | None, typer.Option("--by", metavar="COLUMN", help="Summarize each value of a column, too.")
    ] = None,
    failures: Annotated[
        Path | None,
        typer.Option("--failures", metavar="FILE", help="Rows that failed; RESULTS.failures.jsonl by default."),
    ] = None,
    output_format: Annotated[
        Literal["table", "json"], typer.Option("--format", "-f", help="How to print the summary.")
    ] = "table",
) -> int:
    """Summarize a batch again: how many, how good, who, and what everyone gets wrong."""
    from speechcmp.batch.failures import failures_beside
    from speechcmp.batch.reader import read_failures, read_results
    from speechcmp.batch.summary import Summary
    from speechcmp.cli.views import batch as batch_view

    summary = Summary(by)
    whole = _Whole(results, read_results(results))
    _add_results(summary, whole, by)
    beside = failures or failures_beside(results)
    if failures is not None or beside.is_file():
        for failure in _latest(_Whole(beside, read_failures(beside))):
            summary.add_failure(str(failure["file"]), str(failure["reason"]))
    batch_view.print_summary(summary, as_json=output_format == "json")
    return exit_code(whole.n_damaged, summary.n_scored)


def _latest(failures: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    """Take each row once: a run that was killed has left what earlier ones noted beside its own."""
    return {tuple(str(x.get(name)) for name in ("id", "reference", "take")): x for x in failures}.values()


def _add_results(summary: "Summary", records: "_Whole", by: str | None) -> None:
    columns: dict[str, None] = {}
    for record in records:
        columns.update(dict.fromkeys(record.keys() - columns.keys() - _NO_COLUMNS))
        summary.add(record)
    if by is not None and columns and by not in columns:
        raise ParameterError(f"--by: no column {by!r}; choose one of {', '.join(sorted(columns))}")


class _Whole:
    """Leaves out what is damaged, and says so."""

    def __init__(self, path: Path, entries: "Iterator[Entry]") -> None:
        self.n_damaged = 0
        self._path = path
        self._entries = entries

    def __iter__(self) -> Iterator[dict[str, Any]]:
        from speechcmp.cli.output import warn

        first = ""
        for entry in self._entries:
            if entry.record is not None:
                yield entry.record
            elif entry.torn:
                warn(f"{self._path}: its last line is torn (a run was killed, or still writes) and left out")
            else:
                self.n_damaged += 1
                first = first or entry.where
        if self.n_damaged:
            warn(f"{self._path}: {self.n_damaged} damaged, {first} first, and left out; batch --resume makes them anew")
