"""``speechcmp report``: what a batch amounts to, from its results."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from speechcmp.errors import ParameterError

if TYPE_CHECKING:
    from speechcmp.records import Damaged
    from speechcmp.summary import Summary

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
    from speechcmp.cli import batch_view
    from speechcmp.records import read_failures, read_records
    from speechcmp.summary import Summary

    summary = Summary(by)
    _add_results(summary, results, read_records(results), by)
    beside = failures or results.with_suffix(".failures.jsonl")
    if failures is not None or beside.is_file():
        for failure in _whole(beside, read_failures(beside)):
            summary.add_failure(str(failure["file"]), str(failure["reason"]))
    batch_view.print_summary(summary, as_json=output_format == "json")
    return 0


def _add_results(summary: "Summary", path: Path, records: "Iterator[dict[str, Any] | Damaged]", by: str | None) -> None:
    columns: dict[str, None] = {}
    for record in _whole(path, records):
        columns.update(dict.fromkeys(record.keys() - columns.keys() - _NO_COLUMNS))
        summary.add(record)
    if by is not None and columns and by not in columns:
        raise ParameterError(f"--by: no column {by!r}; choose one of {', '.join(sorted(columns))}")


def _whole(path: Path, records: "Iterator[dict[str, Any] | Damaged]") -> Iterator[dict[str, Any]]:
    """Leave out what is damaged, and say so."""
    from speechcmp.cli.output import warn
    from speechcmp.records import Damaged

    damaged: list[str] = []
    n_damaged = 0
    for record in records:
        if not isinstance(record, Damaged):
            yield record
        elif record.torn:
            warn(f"{path}: its last line is torn (a run was killed, or still writes) and left out")
        else:
            n_damaged += 1
            damaged = damaged or [record.where]
    if n_damaged:
        warn(f"{path}: {n_damaged} damaged, {damaged[0]} first, and left out; batch --resume makes them anew")
