"""``speechcmp library``: what is in the fingerprint library."""

from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import quote

import typer
from platformdirs import user_data_path

from speechcmp.cli import options

if TYPE_CHECKING:
    from speechcmp.fingerprint.store.base import Store

app = typer.Typer(no_args_is_help=True, help="Look into the fingerprint library, or take a recording out.")
CSV_COLUMNS = ("id", "name", "path", "duration_s", "hashes", "added_at", "state")
ListFormat = Annotated[
    options.Format, typer.Option("--format", "-f", envvar="SPEECHCMP_FORMAT", help="How to print the list.")
]


def open_library(url: str | None) -> "Store":
    """Open the library of a URL, or the one in the user's data folder, which is made when first used."""
    from speechcmp.fingerprint.store.open import open_store

    if url is not None:
        return open_store(url)
    folder = user_data_path("speechcmp", ensure_exists=True)
    return open_store(f"sqlite:///{quote(str(folder / 'library.db'))}")


@app.command("init")
def init(db: options.DbOption = None) -> None:
    """Create the tables in an empty database; harmless when they are there."""
    with open_library(db) as store:
        store.create()


@app.command("info")
def info(
    db: options.DbOption = None,
    output_format: Annotated[
        Literal["table", "json"],
        typer.Option("--format", "-f", help="How to print it."),
    ] = "table",
) -> None:
    """Tell how much is in the library, and how it was fingerprinted."""
    from speechcmp.cli import output

    with open_library(db) as store:
        found = store.info()
    facts = {
        "recordings": found.n_recordings,
        "hashes": found.n_hashes,
        "duration_s": found.duration_s,
        "bytes": found.n_bytes,
        "preset": found.preset.name if found.preset else None,
    }
    if output_format == "json":
        output.print_json({"schema": "speechcmp.library/1", **facts})
        return
    output.console().print(
        f"[bold]{found.n_recordings:,}[/] recordings, {found.duration_s / 3600:.1f} h, {found.n_hashes:,} hashes, "
        f"{found.n_bytes / 1e6:,.1f} MB, preset {facts['preset'] or 'not chosen yet'}"
    )


@app.command("list")
def list_recordings(db: options.DbOption = None, output_format: ListFormat = "table") -> None:
    """List the recordings in the library."""
    from speechcmp.cli import output

    with open_library(db) as store:
        rows = [
            {
                "id": stored.id,
                "name": stored.name,
                "path": stored.path,
                "duration_s": stored.duration_s,
                "hashes": stored.n_hashes,
                "added_at": stored.added_at.isoformat(),
                "state": stored.state,
            }
            for stored in store.list()
        ]
    if output_format == "json":
        output.print_json({"schema": "speechcmp.library/1", "recordings": rows})
    elif output_format == "jsonl":
        for row in rows:
            output.print_json_line({"schema": "speechcmp.library/1", **row})
    elif output_format == "csv":
        output.print_csv(CSV_COLUMNS, rows)
    else:
        columns = (("id", "right"), ("name", "left"), ("seconds", "right"), ("hashes", "right"), ("state", "left"))
        table = output.new_table(*columns)
        for row in rows:
            seconds = output.number(float(str(row["duration_s"])), 1)
            table.add_row(str(row["id"]), output.shown(row["name"]), seconds, f"{row['hashes']:,}", str(row["state"]))
        output.console().print(table)


@app.command("remove")
def remove(
    recording_ids: Annotated[list[int], typer.Argument(metavar="ID...", help="As `library list` shows them.")],
    db: options.DbOption = None,
) -> None:
    """Take recordings out of the library: all of them, or none where one is not there."""
    with open_library(db) as store:
        store.remove(*recording_ids)
