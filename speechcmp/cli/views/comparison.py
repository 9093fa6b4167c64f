"""A `Comparison` as the contract's JSON, as CSV rows, and as a table."""

from collections.abc import Sequence
from typing import Any

from speechcmp.cli.output import bar, console, new_table, number, shown
from speechcmp.comparison.result import ChunkPair, Comparison, Spread
from speechcmp.comparison.serialize import to_dict
from speechcmp.features.prosody import Prosody
from speechcmp.scoring.model import Score

CAUSES = {
    "text": "another text",
    "sound": "sound",
    "timing": "timing",
    "pauses": "pauses",
    "completeness": "missing or extra speech",
}
_DOUBTS = {"other": "another text", "unsure": "another text? listen"}
_RANKED = ("rank", "take", "score", "distance", "missing", "tempo")
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
    "score",
    "tempo",
)


def as_json(result: Comparison) -> dict[str, Any]:
    """Return the object of the ``speechcmp.compare/1`` contract."""
    return to_dict(result)


def csv_rows(result: Comparison) -> list[dict[str, Any]]:
    """Return one row a chunk of the reference."""
    return result.rows()


def print_table(result: Comparison) -> None:
    """Print a row a chunk: times on both sides, tempo, distance, score and a bar, then the overall line."""
    table = new_table(
        ("chunk", "right"),
        ("reference", "right"),
        ("take", "right"),
        ("tempo", "right"),
        ("distance", "right"),
        ("score", "right"),
        ("", "left"),
    )
    for pair in result.pairs:
        score = number(pair.score.value, 0) if pair.score else "–"
        if pair.take is None:
            table.add_row(str(pair.index), str(pair.reference), "–", "–", "–", score, "[yellow]missing[/]")
            continue
        drawn = f"[cyan]{bar(pair.score.value / 100 if pair.score else 0)}[/]"
        note = " [yellow]out of order[/]" if pair.reordered else ""
        note += f" [yellow]{_doubt(pair)}[/]" if _doubt(pair) else ""
        measured = (number(pair.tempo), number(pair.distance, 3), score)
        table.add_row(str(pair.index), str(pair.reference), str(pair.take), *measured, drawn + note)
    out = console()
    out.print(f"[bold]{shown(result.take.name)}[/] against [bold]{shown(result.reference.name)}[/]", soft_wrap=True)
    out.print(table)
    for span in result.extra:
        out.print(f"[yellow]extra[/] in the take: {span}")
    for index, span in result.repeated:
        out.print(f"[yellow]repeated[/] in the take: chunk {index} at {span}")
    out.print(_overall(result), soft_wrap=True)
    if result.spread:
        out.print(_place(result.spread), soft_wrap=True)
    out.print()


def _doubt(pair: ChunkPair) -> str | None:
    """Say in words whether what stands in a chunk's place is, or may be, another text."""
    return _DOUBTS.get(pair.score.verdict or "") if pair.score else None


def _overall(result: Comparison) -> str:
    n_doubtful = sum(_doubt(pair) is not None for pair in result.pairs)
    found = f"{len(result.pairs) - result.n_missing - n_doubtful} of {len(result.pairs)} chunks found"
    found += f", {n_doubtful} doubtful" if n_doubtful else ""
    extra = f", {len(result.extra)} extra" if result.extra else ""
    facts = (
        f"distance {number(result.distance, 3)} ({shown(result.recipe)}), tempo {number(result.tempo)}, {found}{extra}"
    )
    if result.score is None:
        return f"overall: {facts}"
    model = f"; scored by {shown(result.calibration)}" if result.calibration else ""
    return f"overall: score [bold]{number(result.score.value, 0)}[/] of 100; {facts}\n{_explain(result.score)}{model}"


def _explain(score: Score) -> str:
    """Say in one line what the points are lost to, and how sure that is."""
    lost = sorted(((points, cause) for cause, points in score.lost._asdict().items() if points >= 0.5), reverse=True)
    causes = ", ".join(f"{CAUSES[cause]} {number(points, 0)}" for points, cause in lost)
    low, high = (number(end, 0) for end in score.interval)
    doubt = {"other": "; another text", "unsure": "; the same text? can't tell: listen"}.get(score.verdict or "", "")
    return f"points lost: {causes or 'none'}; likely range {low} to {high}{doubt}"


def _place(spread: Spread) -> str:
    """Say in words where the take falls among the references."""
    n, n_below, means = len(spread.references), spread.n_below, spread.reference_means
    ends = [number(end, 0) for end in (min(means), max(means))]
    theirs = ends[0] if ends[0] == ends[1] else " to ".join(ends)
    found = "nearer than" if n_below else "farther off than"
    whom = f"{n_below} of the {n}" if 0 < n_below < n else "any of them"
    few = "; two say little" if n == 2 else ""
    return (
        f"{n} references score {theirs} against one another, the take [bold]{number(spread.mean, 0)}[/] against them: "
        f"{found} {whom}{few}"
    )


def print_ranking(results: Sequence[Comparison]) -> None:
    """Print all takes in one table, the best first."""
    table = new_table(*((name, "left" if name == "take" else "right") for name in _RANKED))
    table.columns[_RANKED.index("take")].overflow = "fold"  # the end of a path is its name
    for rank, result in enumerate(sorted(results, key=_by_score), start=1):
        score = number(result.score.value, 0) if result.score else "–"
        measured = (number(result.distance, 3), str(result.n_missing), number(result.tempo))
        table.add_row(str(rank), shown(result.take.name), score, *measured)
    out = console()
    out.print("[bold]all takes, the best first[/]")
    out.print(table)
    out.print()


def _by_score(result: Comparison) -> tuple[float, float]:
    return -(result.score.value if result.score else -1.0), result.distance


def print_details(result: Comparison) -> None:
    """Print, for every chunk found: where to listen, how it was said, and what points are lost to."""
    out = console()
    out.print(f"[bold]{shown(result.take.name)}[/] in detail", soft_wrap=True)
    for pair in result.pairs:
        if pair.take is None or pair.score is None:
            continue
        out.print(f"[bold]chunk {pair.index}[/]: {_explain(pair.score)}", soft_wrap=True)
        for mismatch in pair.worst:
            ours, theirs = (f"{a:.2f} – {b:.2f}" for a, b in (mismatch.reference_s, mismatch.take_s))
            out.print(f"  least alike: reference {ours}, take {theirs}", soft_wrap=True)
        if pair.prosody:
            out.print(f"  {_describe(pair.prosody)}", soft_wrap=True)
    out.print()


def _describe(prosody: Prosody) -> str:
    ours, theirs = prosody.reference, prosody.take
    parts = [
        f"syllables/s {number(ours.speech_rate, 1)} and {number(theirs.speech_rate, 1)}",
        f"pauses inside {len(ours.pauses)} and {len(theirs.pauses)} ({ours.pauses_s:.1f} and {theirs.pauses_s:.1f} s)",
        f"loudness r {number(prosody.loudness_correlation)}",
    ]
    if prosody.pitch:
        semitones = " and ".join(number(x, 1) for x in prosody.pitch.range_semitones)
        parts.append(f"pitch r {number(prosody.pitch.correlation)}, range {semitones} semitones")
    return "; ".join(parts)
