"""Where two recordings of a text sound least alike: where to listen, never what is wrong."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from speechcmp.errors import ParameterError
from speechcmp.features.mfcc import Features
from speechcmp.runs import find_runs, join_runs


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A stretch where the two sound least alike.

    Attributes
    ----------
    reference_s, take_s : tuple of (float, float)
        Start and end, seconds from the start of each recording.
    distance : float
        Mean of the stretch's frame distances, by the metric of the recipe.

    Examples
    --------
    The second word is said otherwise in its middle.

    >>> import numpy as np
    >>> import speechcmp
    >>> words = np.random.default_rng(0).normal(0, 0.1, (3, 16_000)) * np.sin(np.arange(16_000) / 300) ** 2
    >>> other = words.copy()
    >>> other[1, 6000:10_000] = 0.05 * np.sign(np.sin(np.arange(4000) / 10))
    >>> sides = [np.pad(side, [(0, 0), (8000, 8000)]).ravel() for side in (words, other)]
    >>> noises = (speechcmp.Recording.from_array(side, 16_000) for side in sides)
    >>> result = speechcmp.compare(*noises, params=speechcmp.CompareParams(recipe="mfcc"))  # no speech for the network
    >>> [len(pair.worst) for pair in result.pairs]
    [0, 1, 0]
    >>> start_s, end_s = result.pairs[1].worst[0].reference_s
    >>> print(f"{start_s:.1f} to {end_s:.1f}")  # the noise was replaced from 2.875 s to 3.125 s
    2.9 to 3.1
    """

    reference_s: tuple[float, float]
    take_s: tuple[float, float]
    distance: float


def local_costs(
    reference: Features, take: Features, steps: NDArray[np.int64], *, metric: str = "cosine"
) -> NDArray[np.float64]:
    """Return the cost of each step of a warping path, (k,), by a metric of `speechcmp.dtw.warp`."""
    ours, theirs = reference[steps[:, 0]].astype(np.float64), take[steps[:, 1]].astype(np.float64)
    if metric == "cosine":
        lengths = np.sqrt((ours**2).sum(axis=1) * (theirs**2).sum(axis=1))
        silent = lengths == 0
        alike = (ours * theirs).sum(axis=1) / (lengths + silent)
        costs = 1 - np.where(silent, (ours == theirs).all(axis=1), alike)
        floored: NDArray[np.float64] = np.maximum(costs, 0.0)
        return floored
    gap = np.abs(ours - theirs)
    squares: NDArray[np.float64] = gap.sum(axis=1) if metric == "l1" else (gap**2).sum(axis=1)
    return np.sqrt(squares) if metric == "l2" else squares


def find_mismatches(
    steps: NDArray[np.int64],
    costs: NDArray[np.float64],
    hop_s: float,
    *,
    chance_cost: float,
    offsets_s: tuple[float, float] = (0.0, 0.0),
    n_most: int = 3,
    shortest_s: float = 0.12,
) -> list[Mismatch]:
    """Find where a chunk and its place in the take are least alike: where to listen, not what is wrong.

    Costs are averaged over `shortest_s`; a stretch stands out if it lies above what is typical of this
    path (median and 1.5 robust standard deviations), and above half of what unrelated sounds cost.

    Parameters
    ----------
    steps : int64, shape (k, 2)
        The warping path: (reference frame, take frame), ascending.
    costs : float, shape (k,)
        Of each step; see `local_costs`.
    hop_s : float
        Seconds from frame to frame.
    chance_cost : float
        Mean cost of frames that have nothing to do with each other, in the unit of `costs`.
    offsets_s : tuple of (float, float)
        Where frame 0 lies in the recordings.
    n_most : int
        The largest by mean excess times duration are kept.
    shortest_s : float
        Stretches that are shorter, on either side, are left out; gaps up to half of it are bridged.

    Returns
    -------
    list of Mismatch
        In the order of time.

    Raises
    ------
    ParameterError
        The shapes don't fit, or a length is not positive.
    """
    if steps.shape != (len(costs), 2) or not len(costs) or min(hop_s, shortest_s) <= 0:
        raise ParameterError(
            f"steps {steps.shape} and costs {costs.shape} must be (k, 2) and (k,), k > 0; hop_s {hop_s:g} "
            f"and shortest_s {shortest_s:g} above 0"
        )
    width = min(max(1, round(shortest_s / hop_s)), len(costs))
    smooth = np.convolve(np.pad(costs, (width // 2, (width - 1) // 2), mode="edge"), np.ones(width) / width, "valid")
    typical = float(np.median(smooth))
    spread = 1.4826 * float(np.median(np.abs(smooth - typical)))  # equals sigma for a normal distribution
    limit = max(typical + 1.5 * spread, chance_cost / 2)
    found = []
    for start, stop in join_runs(find_runs(smooth > limit), max(1, width // 2) + 1).tolist():
        first, last = steps[start], steps[stop - 1] + 1
        durations_s = (last - first) * hop_s
        if durations_s.min() >= shortest_s - hop_s / 2:
            begin_s, end_s = first * hop_s + offsets_s, last * hop_s + offsets_s
            sides = [(float(a), float(b)) for a, b in zip(begin_s, end_s, strict=True)]
            mean = float(costs[start:stop].mean())
            found.append(((mean - typical) * float(durations_s.sum()), Mismatch(sides[0], sides[1], mean)))
    largest = sorted(found, key=lambda item: -item[0])[:n_most]
    return sorted((mismatch for _, mismatch in largest), key=lambda mismatch: mismatch.reference_s)
