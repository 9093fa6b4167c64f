"""A `DistanceMatrix` as JSON, as CSV rows, and as a table."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from speechcmp.cli.output import console, new_table, number, shown
from speechcmp.comparison.result import DistanceMatrix, Span
from speechcmp.comparison.serialize import SCHEMA, side_values

if TYPE_CHECKING:
    from rich.table import Table

_GAP = 2  # between columns
CSV_COLUMNS = ("reference_path", "take_path", "reference_index", "take_index", "distance")


def as_json(result: DistanceMatrix) -> dict[str, Any]:
    """Return the matrix with the chunk lists of both sides beside it."""
    return {
        "schema": SCHEMA,
        "recipe": result.recipe,
        "reference": {**side_values(result.reference), "chunks": _chunks(result.reference_chunks)},
        "take": {**side_values(result.take), "chunks": _chunks(result.take_chunks)},
        "matrix": result.distances.tolist(),
        "warnings": list(result.warnings),
    }


def _chunks(spans: tuple[Span, ...]) -> list[dict[str, Any]]:
    return [{"index": index, **span._asdict()} for index, span in enumerate(spans)]


def csv_rows(result: DistanceMatrix) -> Iterator[dict[str, Any]]:
    """Yield one row a pair of chunks."""
    for i, row in enumerate(result.distances.tolist()):
        for j, distance in enumerate(row):
            yield {
                "reference_path": result.reference.name,
                "take_path": result.take.name,
                "reference_index": i,
                "take_index": j,
                "distance": distance,
            }


def print_table(result: DistanceMatrix) -> None:
    """Print a row a reference chunk and a column a take chunk; the nearest of each row stands out.

    What is wider than the console is cut into blocks of columns.
    """
    out = console()
    out.print(
        f"[bold]{shown(result.take.name)}[/] (columns) against [bold]{shown(result.reference.name)}[/] (rows)",
        soft_wrap=True,
    )
    n_columns = len(result.take_chunks)
    width = len(f"take {n_columns - 1}") + _GAP
    n_fitting = max(1, (out.width - len("reference") - _GAP) // width)
    for start in range(0, n_columns, n_fitting):
        if start:
            out.print()
        out.print(_block(result, range(start, min(start + n_fitting, n_columns))))
    out.print(f"distances: {shown(result.recipe)}; the nearest of each row is bold\n", soft_wrap=True)


def _block(result: DistanceMatrix, columns: range) -> "Table":
    table = new_table(("reference", "right"), *((f"take {j}", "right") for j in columns))
    for i, row in enumerate(result.distances):
        nearest = row.argmin()
        cells = [f"[bold green]{number(row[j], 3)}[/]" if j == nearest else number(row[j], 3) for j in columns]
        table.add_row(str(i), *cells)
    return table
