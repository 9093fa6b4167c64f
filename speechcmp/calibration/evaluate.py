"""How well scores do: their agreement with ratings, and how they tell right texts from wrong ones.

Intervals hold 95 % of 1000 bootstrap samples of speakers: readings by one speaker are no independent evidence.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from speechcmp.scoring.model import REFUSED

_N_SAMPLES = 1000

Floats = NDArray[np.float64]


class Figure(NamedTuple):
    """A figure and its 95 % interval.

    Attributes
    ----------
    value : float
        Of all takes.
    low, high : float
        Of bootstrap samples of speakers.
    """

    value: float
    low: float
    high: float


class Agreement(NamedTuple):
    """Of scores with ratings.

    Attributes
    ----------
    pearson : Figure
        Their correlation, -1 to 1.
    mean_error : Figure
        Mean of ``abs(rating - score)``, in points.
    """

    pearson: Figure
    mean_error: Figure


class Separation(NamedTuple):
    """Of right from wrong texts.

    Attributes
    ----------
    auc : float
        Chance that a right take scores above a wrong one, 0 to 1.
    good_below_20, wrong_below_20 : float
        Shares of the right and of the wrong takes that score below 20, and so are refused.
    """

    auc: float
    good_below_20: float
    wrong_below_20: float


def agreement(scores: Floats, ratings: Floats, speakers: Sequence[str]) -> Agreement:
    """Hold scores against ratings; all (n,)."""
    gaps = np.abs(ratings - scores)
    return Agreement(
        bootstrap(lambda k: correlation(scores[k], ratings[k]), speakers),
        bootstrap(lambda k: float(gaps[k].mean()), speakers),
    )


def separation(good: Floats, wrong: Floats) -> Separation:
    """Hold scores of right takes against those of wrong ones."""
    ranked = np.sort(wrong)
    below, above = (np.searchsorted(ranked, good, side) for side in ("left", "right"))
    auc = float((below + above).mean()) / 2 / len(wrong)
    return Separation(auc, float((good < REFUSED).mean()), float((wrong < REFUSED).mean()))


def bootstrap(figure: Callable[[NDArray[np.int64]], float], speakers: Sequence[str]) -> Figure:
    """Compute a figure of all takes, and its interval over samples of speakers."""
    drawn = [figure(sample) for sample in resample_groups(speakers, _N_SAMPLES)]
    low, high = np.quantile(drawn, [0.025, 0.975]).tolist()
    return Figure(figure(np.arange(len(speakers))), low, high)


def resample_groups(groups: Sequence[str], n_samples: int, *, seed: int = 0) -> Iterator[NDArray[np.int64]]:
    """Yield bootstrap samples of groups (speakers, recordings), as the indexes of all items that belong to those drawn.

    References
    ----------
    Efron and Tibshirani (1993), An Introduction to the Bootstrap, chapter 8: whole groups are drawn, because items of
    one group are no independent evidence.
    """
    names, owner = np.unique(np.asarray(groups), return_inverse=True)
    members = [np.flatnonzero(owner == k) for k in range(len(names))]
    rng = np.random.default_rng(seed)
    for _ in range(n_samples):
        yield np.concatenate([members[k] for k in rng.integers(0, len(names), len(names))])


def correlation(x: Floats, y: Floats) -> float:
    """Pearson's; 0 where one of the two does not vary, and so tells nothing of the other."""
    if min(np.ptp(x), np.ptp(y)) < 1e-9:
        return 0.0
    return float(np.corrcoef(x, y)[0, 1])
