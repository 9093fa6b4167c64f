"""Stretches of True in a row of booleans, and half-open ranges of them: shape (n_runs, 2), ascending."""

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Runs = NDArray[np.int64]


def find_runs(mask: Mask) -> Runs:
    """Return the longest stretches of True."""
    padded = np.zeros(len(mask) + 2, bool)
    padded[1:-1] = mask
    runs: Runs = np.flatnonzero(padded[1:] != padded[:-1]).reshape(-1, 2)
    return runs


def join_runs(runs: Runs, least_gap: float) -> Runs:
    """Make one of neighbors that are nearer to each other than `least_gap`."""
    if not len(runs):
        return runs
    breaks = runs[1:, 0] - runs[:-1, 1] >= least_gap
    return np.stack([runs[np.append(True, breaks), 0], runs[np.append(breaks, True), 1]], axis=1)


def long_runs(mask: Mask, least: int) -> Mask:
    """Keep the stretches of at least `least`."""
    edges = np.zeros(len(mask) + 1, np.int8)
    starts, stops = find_runs(mask).T
    long = stops - starts >= least
    edges[starts[long]], edges[stops[long]] = 1, -1
    return np.cumsum(edges[:-1]) > 0


def widen(mask: Mask, reach: int) -> Mask:
    """Let every stretch begin `reach` earlier and end as much later (a dilation)."""
    near: Mask = np.convolve(mask, np.ones(2 * reach + 1))[reach : reach + len(mask)] > 0.5
    return near
