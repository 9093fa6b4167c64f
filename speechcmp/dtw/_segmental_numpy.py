"""One chunk of a reference warped into a take, entered anywhere: as `_segmental.cpp`, without a compiler."""

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
Cuts = NDArray[np.int32]

_FAR = np.full(1, 1e300)


def sweep(local: NDArray[np.float32], detour: float, entered: bool, cost: Doubles, begin: Cuts) -> None:
    """Go down rows of local costs, in place.

    Parameters
    ----------
    local : float32, shape (n_rows, n)
    detour : float
        What a step off the diagonal costs beside the local cost; a diagonal one costs that twice.
    entered : bool
        Whether `cost` is that of the row before, or the penalty of entering the first one at each column.
    cost : float64, shape (n,)
    begin : int32, shape (n,)
        Columns where the cheapest ways were entered; written only, unless `entered`.
    """
    index = np.arange(len(cost), dtype=np.int32)
    for row in local.astype(np.float64):
        arrived, came_from = cost, index
        if entered:
            arrived, came_from = np.append(_FAR, cost[:-1]), np.append(index[:1], begin[:-1])
        arrived = arrived + 2 * row
        aside = row + detour
        if entered:
            stay = cost + aside
            came_from = np.where(stay < arrived, begin, came_from)
            arrived = np.minimum(stay, arrived)
        # Any number of steps along the take: a running minimum once their summed penalty is taken off.
        along = np.cumsum(aside)
        arrived = arrived - along
        cheapest = np.minimum.accumulate(arrived)
        begin[:] = came_from[np.maximum.accumulate(np.where(cheapest == arrived, index, 0))]
        cost[:] = cheapest + along
        entered = True
