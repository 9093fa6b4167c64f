"""Measure how well comparisons do on real speech, for every recipe, with 95 % intervals by speaker.

    python benchmarks/quality.py --data DIR [--tests retell,words,score,noise,pieces,split] [--markdown]

DIR has readings.csv, readings/, references/, words/, pauses/ and retellings/: readings with experts' ratings and
the same sentences by two synthetic voices, single words, recordings with known pauses, retellings with known spans.
Intervals are of bootstrap samples of speakers; of recordings, where there are fewer than three speakers ("by").

The shipped score model was fitted to such readings. So the score is also given as it is when every reading is
scored by a model, of five, that was fitted without its speaker ("cross-validated").
"""

import argparse
import csv
import os
from collections.abc import Callable, Sequence
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # small matrices: threads would wait for each other

import numpy as np
import soundfile
from figures import Benchmark, Figure, Floats, Indexes, Sampler
from fit_score import VOICES, Data, area, fit, partial, pearson
from numpy.typing import NDArray
from spans import noise, pieces, retell, split

from speechcmp.calibration import fit as calibration
from speechcmp.features.recipes import RECIPES
from speechcmp.scoring.model import ScoreModel

SHIFT = 7  # how many rows further the wrong text stands


# ------------------------------------------------------------------------------------------------ words
def words(bench: Benchmark) -> list[Figure]:
    """Hold words of all speakers against each other; the control knows their durations alone.

    ABX: A and X are the same word by two speakers, B another word by A's; wrong when B is nearer to X.
    """
    files = sorted((bench.data / "words").glob("*.flac"))
    digits, speakers = (np.array([file.stem.split("_")[k] for file in files]) for k in (0, 1))
    seconds = np.log([soundfile.info(file).duration for file in files])
    distances = {"duration only": np.abs(seconds[:, None] - seconds[None])}
    for recipe in RECIPES:
        between = np.zeros((len(files), len(files)))
        for i, reference in enumerate(files):
            for j, take in enumerate(files[:i]):
                between[i, j] = between[j, i] = bench.compare(recipe, reference, take).distance
        distances[recipe] = between
        bench.forget()
    sampler = Sampler(speakers.tolist(), "speaker", bench.n_samples)
    figures = []
    for recipe, between in distances.items():
        errors, nearest = abx_errors(between, digits, speakers), nearest_right(between, digits, speakers)
        figures.append(sampler.figure("words", recipe, "ABX error", lambda k, e=errors: float(np.nanmean(e[k]))))  # type: ignore[misc]
        figures.append(
            sampler.figure("words", recipe, "nearest is the same word", lambda k, n=nearest: float(n[k].mean()))  # type: ignore[misc]
        )
    return figures


def abx_errors(distances: Floats, digits: NDArray[np.str_], speakers: NDArray[np.str_]) -> Floats:
    """Return, for each word X, the mean error over the other speakers."""
    errors = np.zeros(len(digits))
    for x in range(len(digits)):
        gaps = []
        for speaker in sorted(set(speakers) - {speakers[x]}):
            theirs, alike = speakers == speaker, digits == digits[x]
            same, other = distances[x, theirs & alike], distances[x, theirs & ~alike]
            gap = same[:, None] - other[None]
            gaps.append((gap > 0).mean() + 0.5 * (gap == 0).mean())
        errors[x] = np.mean(gaps)
    return errors


def nearest_right(distances: Floats, digits: NDArray[np.str_], speakers: NDArray[np.str_]) -> NDArray[np.bool_]:
    far = np.where(speakers[:, None] == speakers[None], np.inf, distances)
    right: NDArray[np.bool_] = digits[far.argmin(axis=1)] == digits
    return right


# ------------------------------------------------------------------------------------------------ score
class Readings:
    """Rated readings: speakers, ratings, durations, and comparisons with right and wrong texts."""

    def __init__(self, bench: Benchmark) -> None:
        self.bench = bench
        with (bench.data / "readings.csv").open(encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        self.ids = [row["id"] for row in rows]
        self.speakers = [row["speaker"] for row in rows]
        self.human = np.array([10 * float(row["total"]) for row in rows])
        seconds = [
            [soundfile.info(path).duration for path in (self.take(k), self.reference(k, "slt"))] for k in self.all
        ]
        self.watch = np.array([-abs(np.log(take / reference)) for take, reference in seconds])

    @property
    def all(self) -> range:
        return range(len(self.ids))

    def take(self, k: int) -> Path:
        return self.bench.data / "readings" / f"{self.ids[k]}.flac"

    def reference(self, k: int, voice: str) -> Path:
        return self.bench.data / "references" / f"{self.ids[k % len(self.ids)]}_{voice}.flac"

    def compare(self, recipe: str, models: Sequence[ScoreModel | None]) -> dict[str, Floats]:
        """Return the mean score and minus the mean distance over the voices, and scores of right and wrong texts."""
        out = {name: np.zeros((len(self.ids), 2)) for name in ("joe", "slt", "wrong")}
        for k in self.all:
            texts = {voice: self.reference(k, voice) for voice in VOICES} | {"wrong": self.reference(k + SHIFT, "joe")}
            for name, path in texts.items():
                found = self.bench.compare(recipe, path, self.take(k), model=models[k])
                out[name][k] = found.score.value if found.score else 0.0, -found.distance
        means = (out["joe"] + out["slt"]) / 2
        return {"score": means[:, 0], "distance": means[:, 1], "right": out["joe"], "wrong": out["wrong"]}


def score(bench: Benchmark) -> list[Figure]:
    """Hold scores against experts' ratings; the control is a stopwatch: log ratio of durations."""
    people = Readings(bench)
    sampler = Sampler(people.speakers, "speaker", bench.n_samples)
    watch = {"watch": people.watch, "right": people.watch[:, None], "wrong": wrong_watch(people)[:, None]}
    figures = correlations(sampler, people, "duration only", "watch", watch, 0)
    for recipe in RECIPES:
        found = people.compare(recipe, [None] * len(people.ids))
        figures += correlations(sampler, people, f"{recipe}: distance", "distance", found, 1)
        if recipe == "phones":
            figures += correlations(sampler, people, "score, shipped model (in sample)", "score", found, 0)
            validated = people.compare(recipe, cross_validated(bench.data))
            figures += correlations(sampler, people, "score, cross-validated", "score", validated, 0)
        bench.forget()
    return figures


def wrong_watch(people: Readings) -> Floats:
    seconds = [
        [soundfile.info(path).duration for path in (people.take(k), people.reference(k + SHIFT, "joe"))]
        for k in people.all
    ]
    return np.array([-abs(np.log(take / reference)) for take, reference in seconds])


def cross_validated(data: Path) -> list[ScoreModel | None]:
    """Return for each reading a model fitted without its speaker."""
    fitted = Data(data)
    models: list[ScoreModel | None] = [None] * fitted.n
    for fold in calibration.folds(fitted.speakers.tolist()):
        model = fit(fitted, ~fold)
        for k in np.flatnonzero(fold).tolist():
            models[k] = model
    return models


def correlations(
    sampler: Sampler, people: Readings, recipe: str, name: str, found: dict[str, Floats], column: int
) -> list[Figure]:
    value, human, watch = found[name], people.human, people.watch
    right, wrong = found["right"][:, column], found["wrong"][:, column]
    of: dict[str, Callable[[Indexes], float]] = {
        "r with ratings": lambda k: pearson(value[k], human[k]),
        "rank correlation": lambda k: pearson(ranks(value[k]), ranks(human[k])),
        "AUC, right against wrong text": lambda k: area(right[k], wrong[k]),
    }
    if name != "watch":
        of["r beyond duration (partial)"] = lambda k: partial(value[k], human[k], watch[k])
        of["r above that of duration"] = lambda k: pearson(value[k], human[k]) - pearson(watch[k], human[k])
    if name == "score":
        of["wrong texts below 20"] = lambda k: float((wrong[k] < 20).mean())
        of["right texts below 20"] = lambda k: float((right[k] < 20).mean())
        of["mean error"] = lambda k: float(np.abs(value[k] - human[k]).mean())
    return [sampler.figure("score", recipe, label, figure) for label, figure in of.items()]


def ranks(values: Floats) -> Floats:
    """Rank from 0, equal values alike."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    middles: Floats = np.cumsum(counts) - (counts + 1) / 2
    return middles[inverse]


# ------------------------------------------------------------------------------------------------ main
TESTS: dict[str, Callable[[Benchmark], list[Figure]]] = {
    test.__name__: test for test in (retell, words, score, noise, pieces, split)
}


def line(figure: Figure) -> str:
    interval = "" if np.isnan(figure.low) else f"  [{figure.low:.3f}, {figure.high:.3f}] by {figure.by}"
    return f"{figure.test:7s} {figure.recipe:32s} {figure.name:34s} {figure.value:7.3f}{interval}"


def table(figures: Sequence[Figure]) -> str:
    """Write figures as tables, one a test: a row for each figure, a column for each recipe."""
    parts = []
    for test in dict.fromkeys(figure.test for figure in figures):
        chosen = [figure for figure in figures if figure.test == test]
        recipes = list(dict.fromkeys(figure.recipe for figure in chosen))
        by = "".join(f", by {by}" for by in dict.fromkeys(figure.by for figure in chosen) if by)
        doc = (TESTS[test].__doc__ or "").partition("\n")[0]
        rows = [f"| {test}{by} | {' | '.join(recipes)} |", "|---|" + "---|" * len(recipes)]
        for name in dict.fromkeys(figure.name for figure in chosen):
            cells = {figure.recipe: cell(figure) for figure in chosen if figure.name == name}
            rows.append(f"| {name} | {' | '.join(cells.get(recipe, '') for recipe in recipes)} |")
        parts.append("\n".join([doc, "", *rows]))
    return "\n\n".join(parts)


def cell(figure: Figure) -> str:
    if np.isnan(figure.low):
        return f"{figure.value:g}"
    digits = 1 if figure.value > 2 else 2
    return f"{figure.value:.{digits}f} ({figure.low:.{digits}f} to {figure.high:.{digits}f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tests", default=",".join(TESTS), help="which, with commas between")
    parser.add_argument("--markdown", action="store_true", help="print tables for benchmarks/README.md")
    parser.add_argument("--samples", type=int, default=1000, help="of the bootstrap")
    arguments = parser.parse_args()
    bench = Benchmark(arguments.data, arguments.samples)
    figures = []
    for name in arguments.tests.split(","):
        found = TESTS[name](bench)
        figures += found
        if not arguments.markdown:
            print("\n".join(map(line, found)), flush=True)
    if arguments.markdown:
        print(table(figures))


if __name__ == "__main__":
    main()
