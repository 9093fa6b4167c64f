"""What quality is measured with: figures with bootstrap intervals, and recordings prepared once."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from speechcmp.audio.recording import load_recording
from speechcmp.calibration.evaluate import resample_groups
from speechcmp.comparison.compare import CompareParams, Prepared, compare_prepared, prepare
from speechcmp.comparison.result import Comparison
from speechcmp.scoring.model import ScoreModel

Floats = NDArray[np.float64]
Indexes = NDArray[np.int64]


class Figure(NamedTuple):
    """A figure with its 95 % interval, and by what recipe it came about."""

    test: str
    recipe: str
    name: str
    value: float
    low: float = float("nan")
    high: float = float("nan")
    by: str = ""


class Sampler:
    """Bootstrap samples of the groups (speakers, recordings) to which items belong."""

    def __init__(self, groups: Sequence[str], by: str, n_samples: int) -> None:
        self.groups, self.by = np.array(groups), by
        self.samples = list(resample_groups(groups, n_samples, seed=4))

    def figure(self, test: str, recipe: str, name: str, of: Callable[[Indexes], float]) -> Figure:
        values = [of(sample) for sample in self.samples]
        low, high = np.nanquantile(values, [0.025, 0.975])
        return Figure(test, recipe, name, of(np.arange(len(self.groups))), float(low), float(high), self.by)


class Benchmark:
    """The data, and what was prepared of them."""

    def __init__(self, data: Path, n_samples: int) -> None:
        self.data, self.n_samples = data, n_samples
        self._prepared: dict[tuple[str, Path], Prepared] = {}

    def params(self, recipe: str) -> CompareParams:
        return CompareParams(recipe=recipe, details="scores")

    def prepared(self, recipe: str, path: Path) -> Prepared:
        """Prepare a recording once."""
        if (recipe, path) not in self._prepared:
            self._prepared[recipe, path] = prepare(load_recording(path), self.params(recipe))
        return self._prepared[recipe, path]

    def compare(
        self,
        recipe: str,
        reference: Path,
        take: Path,
        *,
        by: Literal["time", "index"] = "time",
        model: ScoreModel | None = None,
    ) -> Comparison:
        sides = self.prepared(recipe, reference), self.prepared(recipe, take)
        return compare_prepared(*sides, params=replace(self.params(recipe), by=by, model=model))

    def forget(self) -> None:
        self._prepared.clear()
