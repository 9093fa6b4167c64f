"""A `Comparison` as the contract's JSON, as CSV rows, and as a table."""

from collections.abc import Iterator
from typing import Any

from speechcmp.cli.output import bar, console, new_table, number, shown
from speechcmp.comparison import ChunkPair, Comparison, Side, Span

SCHEMA = "speechcmp.compare/1"
CSV_COLUMNS = (
    "reference_path",
    "take_path",
    "index",
    "status",
    "reference_start_s",
    "reference_end_s",
    "take_start_s",
    "take_end_s",
    "distance",
    "tempo",
)


def as_json(result: Comparison) -> dict[str, Any]:
    """Return the object of the ``speechcmp.compare/1`` contract."""
    return {
        "schema": SCHEMA,
        "recipe": result.recipe,
        **({"copy": result.copy._asdict()} if result.copy else {}),
        "reference": side_json(result.reference),
        "take": side_json(result.take),
        "overall": {
            "distance": result.distance,
            "chunks": len(result.pairs),
            "missing": result.n_missing,
            "extra": len(result.extra),
            "tempo": result.tempo,
        },
        "chunks": [_pair_json(pair) for pair in result.pairs],
        "extra": [span._asdict() for span in result.extra],
        "repeated": [{"index": index, **span._asdict()} for index, span in result.repeated],
        "warnings": list(result.warnings),
    }


def side_json(side: Side) -> dict[str, Any]:
    """Return a recording of a result."""
    return {"path": side.name, "duration_s": side.duration_s}


def _pair_json(pair: ChunkPair) -> dict[str, Any]:
    return {
        "index": pair.index,
        "status": pair.status,
        "confidence": pair.confidence,
        "reordered": pair.reordered,
        "reference": pair.reference._asdict(),
        "take": pair.take._asdict() if pair.take else None,
        "distance": pair.distance,
        "tempo": pair.tempo,
        "pause_before_s": {"reference": pair.pause_before_s[0], "take": pair.pause_before_s[1]},
    }


def csv_rows(result: Comparison) -> Iterator[dict[str, Any]]:
    """Yield one row a chunk of the reference."""
    for pair in result.pairs:
        yield {
            "reference_path": result.reference.name,
            "take_path": result.take.name,
            "index": pair.index,
            "status": pair.status,
            "reference_start_s": pair.reference.start_s,
            "reference_end_s": pair.reference.end_s,
            "take_start_s": pair.take.start_s if pair.take else None,
            "take_end_s": pair.take.end_s if pair.take else None,
            "distance": pair.distance,
            "tempo": pair.tempo,
        }


def print_table(result: Comparison) -> None:
    """Print a row a chunk: times on both sides, tempo, distance and a bar, then the overall line."""
    table = new_table(
        ("chunk", "right"),
        ("reference", "right"),
        ("take", "right"),
        ("tempo", "right"),
        ("distance", "right"),
        ("", "left"),
    )
    farthest = max((pair.distance for pair in result.pairs if pair.distance is not None), default=0.0) or 1.0
    for pair in result.pairs:
        if pair.take is None or pair.distance is None:
            table.add_row(str(pair.index), _times(pair.reference), "–", "–", "–", "[yellow]missing[/]")
            continue
        drawn = f"[cyan]{bar(pair.distance / farthest)}[/]" + (
            " [yellow]out of order[/]" if pair.reordered else ""
        )
        times = (_times(pair.reference), _times(pair.take))
        table.add_row(str(pair.index), *times, number(pair.tempo), number(pair.distance, 3), drawn)
    out = console()
    out.print(
        f"[bold]{shown(result.take.name)}[/] against [bold]{shown(result.reference.name)}[/]", soft_wrap=True
    )
    out.print(table)
    for span in result.extra:
        out.print(f"[yellow]extra[/] in the take: {_times(span)}")
    for index, span in result.repeated:
        out.print(f"[yellow]repeated[/] in the take: chunk {index} at {_times(span)}")
    out.print(_overall(result), "\n", soft_wrap=True)


def _times(span: Span) -> str:
    return f"{span.start_s:.2f} – {span.end_s:.2f}"


def _overall(result: Comparison) -> str:
    found = f"{len(result.pairs) - result.n_missing} of {len(result.pairs)} chunks found"
    extra = f", {len(result.extra)} extra" if result.extra else ""
    return (
        f"overall: distance [bold]{number(result.distance, 3)}[/] ({shown(result.recipe)}), "
        f"tempo {number(result.tempo)}, {found}{extra}"
    )
