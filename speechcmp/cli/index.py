"""``speechcmp index``: recordings into the fingerprint library."""

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from speechcmp.cli import options
from speechcmp.cli.inputs import STDIN, exit_code, expand_inputs
from speechcmp.errors import ParameterError

if TYPE_CHECKING:
    from speechcmp.fingerprint.ingest import Ingested, IngestFailure

SCHEMA = "speechcmp.index/1"
CSV_COLUMNS = ("path", "status", "recording_id", "hashes", "duration_s", "reason")


@options.with_max_duration
def index(
    inputs: Annotated[list[str], typer.Argument(help="Recordings, quoted globs or folders.")],
    *,
    db: options.DbOption = None,
    output_format: options.FormatOption = "table",
    preset: Annotated[
        Literal["speech", "dejavu"],
        typer.Option("--preset", envvar="SPEECHCMP_PRESET", help="How to fingerprint; a library holds one kind."),
    ] = "speech",
    limit: Annotated[
        float | None, typer.Option("--limit", metavar="SECONDS", help="Fingerprint only the head of each.")
    ] = None,
    jobs: options.JobsOption = None,
    recursive: options.RecursiveOption = False,
) -> int:
    """Put recordings into the fingerprint library, to be found by `identify`."""
    from speechcmp.cli import output
    from speechcmp.cli.library import open_library
    from speechcmp.cli.progress import track
    from speechcmp.fingerprint.ingest import ingest
    from speechcmp.fingerprint.peaks import PRESETS

    names = expand_inputs(inputs, recursive=recursive)
    if STDIN in names:
        raise ParameterError("-: a stream can't be indexed, since no file stays; save it first")
    rows = []
    with open_library(db) as store:
        done = ingest(names, store, params=PRESETS[preset], n_jobs=jobs, limit_s=limit)
        for row in track(done, total=len(names), what="Fingerprinting"):
            rows.append(as_row(row))
            if rows[-1]["status"] == "failed":
                output.complain(rows[-1]["reason"])
            if output_format == "jsonl":
                output.print_json_line({"schema": SCHEMA, **rows[-1]})
    if output_format == "json":
        output.print_json({"schema": SCHEMA, "recordings": rows})
    elif output_format == "csv":
        output.print_csv(CSV_COLUMNS, rows)
    elif output_format == "table":
        _print_table(rows, limit)
    n_failed = sum(row["status"] == "failed" for row in rows)
    return exit_code(n_failed, len(rows) - n_failed)


def as_row(row: "Ingested | IngestFailure") -> dict[str, Any]:
    """Return what became of an input."""
    from speechcmp.fingerprint.ingest import IngestFailure

    if isinstance(row, IngestFailure):
        return {"path": row.path, "status": "failed", "reason": row.reason}
    status = "known" if row.known else "extended" if row.extended else "added"
    kept = {"path": row.path, "status": status, "recording_id": row.recording_id}
    return kept if row.known else {**kept, "hashes": row.n_hashes, "duration_s": row.duration_s}


def _print_table(rows: list[dict[str, Any]], limit: float | None) -> None:
    from speechcmp.cli.output import console, shown

    out = console()
    for row in rows:
        if row["status"] == "known":
            text = f"{shown(row['path'])}: known already as recording {row['recording_id']}, skipped"
            out.print(text, soft_wrap=True)
        elif row["status"] == "extended":
            whole = limit is None or row["duration_s"] < limit
            now = "whole now" if whole else f"to {row['duration_s']:g} s now"
            text = f"{shown(row['path'])}: of recording {row['recording_id']} only a shorter head was known; {now}"
            out.print(text, soft_wrap=True)
    n = Counter(row["status"] for row in rows)
    hashes, seconds = (sum(row.get(key, 0) for row in rows) for key in ("hashes", "duration_s"))
    extended = f", [bold]{n['extended']}[/] extended" if n["extended"] else ""
    out.print(
        f"[bold]{n['added']}[/] added{extended} ({hashes:,} hashes, {seconds / 60:.1f} min), "
        f"{n['known']} known, {n['failed']} failed"
    )
