"""Stretches of True in a row of booleans."""

import numpy as np
from numpy.typing import NDArray


def find_runs(mask: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the longest stretches of True, ascending: half-open ranges, shape (n_runs, 2)."""
    padded = np.zeros(len(mask) + 2, bool)
    padded[1:-1] = mask
    runs: NDArray[np.int64] = np.flatnonzero(padded[1:] != padded[:-1]).reshape(-1, 2)
    return runs
