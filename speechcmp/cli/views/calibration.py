"""What `calibrate` has done as JSON, as a table, and in warnings."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from speechcmp.calibration.evaluate import Figure
from speechcmp.calibration.fit import Calibrated, Examples, RatingFit, VerificationFit
from speechcmp.calibration.ratings import Joined, count_unnamed
from speechcmp.cli import output
from speechcmp.cli.output import console, new_table, number, shown
from speechcmp.scoring.model import score_take

SCHEMA = "speechcmp.calibrate/1"
FEW_RATINGS = 80  # with more, other speakers are hardly served better; see `speechcmp.calibration.fit`
LOW_RATING = 20.0
MANY_REFUSED = 0.15


def print_calibrated(
    done: Calibrated, joined: Joined | None, sources: Mapping[str, Path | None], out: Path | None, *, as_json: bool
) -> None:
    """Print the figures as the ``speechcmp.calibrate/1`` object, or as a table."""
    counts = {"unmatched": joined.n_unmatched, "unrated": joined.n_unrated, "empty": joined.n_empty} if joined else {}
    if as_json:
        files = {kind: str(path) if path else None for kind, path in sources.items()}
        output.print_json(
            {"schema": SCHEMA, **files, "model": str(out) if out else None, **counts, "fitted": done.model.fitted}
        )
        return
    if joined and done.ratings:
        _print_ratings(done, joined, done.ratings)
    if done.verifier:
        _print_verification(done, done.verifier)
    fate = f"written to [bold]{shown(out)}[/]; --calibration uses it" if out else "not written; -o MODEL does that"
    console().print(f"the model is {fate}", soft_wrap=True)


def _print_ratings(done: Calibrated, joined: Joined, fit: RatingFit) -> None:
    table = new_table(("", "left"), ("shipped", "right"), ("fitted", "right"), ("95 % interval", "right"))
    for name, decimals in (("pearson", 2), ("mean_error", 1)):
        before, after = getattr(fit.before, name), getattr(fit.after, name)
        table.add_row(_WORDS[name], number(before.value, decimals), *_cells(after, decimals))
    table.add_row("error falls by", "", *_cells(fit.gain, 1))
    n_takes, n_speakers = len(joined.examples.takes), len(set(joined.examples.speakers))
    left = [
        f"{n} {what}"
        for n, what in (
            (joined.n_unmatched, "ratings without a result"),
            (joined.n_empty, "rows without a rating"),
            (joined.n_unrated, "results without one"),
        )
        if n
    ]
    out = console()
    counted = f"; {', '.join(left)}" if left else ""
    out.print(f"[bold]{n_takes}[/] rated takes by {n_speakers} speakers{counted}", soft_wrap=True)
    out.print(table)
    ends = (
        f"{low:.0f} to {high:.0f} for {score}" for score in (50, 90) for low, high in [done.model.error.around(score)]
    )
    out.print(f"four fifths of the ratings lie between: {', '.join(ends)}\n")


def _cells(figure: Figure, decimals: int) -> tuple[str, str]:
    return number(figure.value, decimals), f"{number(figure.low, decimals)} to {number(figure.high, decimals)}"


def _print_verification(done: Calibrated, fit: VerificationFit) -> None:
    table = new_table(("", "left"), ("shipped", "right"), ("fitted", "right"))
    for name, before in fit.before._asdict().items():
        scale, decimals = (1, 2) if name == "auc" else (100, 0)
        table.add_row(_WORDS[name], *(number(scale * x, decimals) for x in (before, getattr(fit.after, name))))
    fitted = done.model.fitted
    out = console()
    out.print(f"[bold]{fitted['n_good']}[/] takes of the right text, [bold]{fitted['n_wrong']}[/] of a wrong one")
    out.print(table)
    out.print()


_WORDS = {
    "pearson": "correlation with the ratings",
    "mean_error": "mean error, points of 100",
    "auc": "right told from wrong (AUC)",
    "good_below_20": "right ones below 20, %",
    "wrong_below_20": "wrong ones below 20, %",
}


def doubts(done: Calibrated, joined: Joined | None, good: Examples) -> Iterator[str]:
    """Yield what makes the model doubtful."""
    examples = joined.examples if joined else good
    n_takes, n_unnamed = len(examples.takes), count_unnamed(examples)
    if n_unnamed:
        yield (
            f"{n_unnamed} of {n_takes} takes name no speaker, and each counts as a speaker of its own: if "
            "speakers recur, the figures are too good; add a column speaker"
        )
    if done.ratings:
        yield from _rating_doubts(done, examples, done.ratings)
    share = done.verifier.after.good_below_20 if done.verifier else 0.0
    if share > MANY_REFUSED:
        yield (
            f"{100 * share:.0f} % of the right takes score below 20, as another text would; "
            "a lower --refuse lets more of both pass"
        )


def _rating_doubts(done: Calibrated, rated: Examples, fit: RatingFit) -> Iterator[str]:
    n_ratings, best = len(rated.ratings), max(rated.ratings)
    if best <= LOW_RATING:
        yield f"the best of all ratings is {best:g} % of the scale; --scale LOW,HIGH says what ratings there can be"
    if n_ratings < FEW_RATINGS:
        yield f"{n_ratings} ratings are few: the model and these figures are rough; {FEW_RATINGS} and more settle them"
    if fit.gain.value <= 0:
        yield (
            f"the model is no better than the shipped one: mean error {fit.after.mean_error.value:.1f} points on "
            f"speakers it has not seen, {fit.before.mean_error.value:.1f} before"
        )
    elif fit.gain.low <= 0:
        yield "the model may be no better than the shipped one: the interval of its gain holds 0"
    if fit.after.pearson.low <= 0:
        yield "the scores may say nothing of the ratings: the interval of their correlation holds 0"
    well_rated = [take for take, rating in zip(rated.takes, rated.ratings, strict=True) if rating >= 50]
    n_refused = sum(score_take(take, done.model).verdict == "other" for take in well_rated)
    if not done.verifier and n_refused > MANY_REFUSED * len(well_rated):
        yield (
            f"{n_refused} of {len(well_rated)} takes rated 50 or more are taken for another text, which ratings can't "
            "mend; --wrong fits that, too"
        )
