"""Dynamic time warping by anti-diagonals: the same numbers and paths as `_dtw.cpp`, without a compiler.

The functions have the signatures of those in `_dtw`. Cells on one anti-diagonal don't depend on one another,
so each is a handful of array operations. As in the native kernel local costs are
float32, summed dimension by dimension, accumulated costs float64 with the step's code in the two lowest bits.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Integers = NDArray[np.int64]

LARGEST = 1e15
L1, L2 = 0, 1
UP, LEFT, CODE_MASK = 1, 2, 3  # a diagonal step is 0
_FAR = 2.0**1000  # infinity whose lowest bits are clear
_BLOCK = 32  # diagonals whose local costs are computed at once


class Options(NamedTuple):
    """What is asked of a kernel."""

    level: str  # instruction set, for the native kernel
    metric: int
    n_dims: int
    band: float  # 0 for none
    open_begin: bool
    open_end: bool


def pack(frames: Floats, n_dims: int) -> Floats | None:
    """Return the frames by dimension, or None when a value is one that no kernel can take."""
    usable = (np.abs(frames) <= LARGEST).all()
    return np.ascontiguousarray(frames.reshape(-1, n_dims).T) if usable else None


def totals(
    options: Options,
    references: Sequence[Floats],
    takes: Sequence[Floats],
    pairs: Integers,
    results: Doubles,
) -> None:
    """Write (total cost, last take frame) of every pair to `results`."""
    for row, (i, j) in enumerate(pairs):
        grid = _Grid(references[i], takes[j], options.metric, options.band)
        results[row] = _sweep(grid, options)


def path(options: Options, reference: Floats, take: Floats, steps: Integers) -> tuple[int, float]:
    """Write the path to the end of `steps`; return its length and its total cost."""
    grid = _Grid(reference, take, options.metric, options.band)
    codes: list[tuple[int, NDArray[np.uint8]]] = []
    _, end = _sweep(grid, options, codes)
    i, j, count = grid.n - 1, end, 0
    while True:
        count += 1
        steps[-count] = i, j
        if i == 0 and (j == 0 or options.open_begin):
            break
        low, diagonal = codes[i + j]
        code = LEFT if i == 0 else UP if j == 0 else int(diagonal[i - low])
        i -= code != LEFT
        j -= code != UP
    return count, grid.cost_of(steps[-count:])


class _Rows(NamedTuple):
    low: int
    high: int  # inclusive; low - 1 when the diagonal has no cell


@dataclass(frozen=True, slots=True)
class _Grid:
    """The cells of two recordings, (n_dims, n) and (n_dims, m), and their local costs."""

    reference: Floats
    take: Floats
    metric: int
    band: float

    @property
    def n(self) -> int:
        return len(self.reference[0])

    @property
    def m(self) -> int:
        return len(self.take[0])

    def diagonals(self) -> list[_Rows]:
        """Return for each anti-diagonal the rows with a cell inside the band."""
        n, m = self.n, self.m
        t = np.arange(n + m - 1, dtype=np.int64)
        low, high = np.maximum(0, t - m + 1), np.minimum(n - 1, t)
        if self.band > 0 and n > 1 and m > 1:
            longer = max(n, m)
            reach = max(int(self.band * longer * (min(n, m) - 1)), longer // 2)
            low = np.maximum(low, -((reach - t * (n - 1)) // (n + m - 2)))
            high = np.minimum(high, (t * (n - 1) + reach) // (n + m - 2))
        return [_Rows(*rows) for rows in zip(low.tolist(), high.tolist(), strict=True)]

    def costs(self, diagonals: Sequence[_Rows]) -> Iterator[Floats]:
        """Yield the local costs of one anti-diagonal after the other, top row first."""
        # Along a diagonal the take runs backwards: reversed it is a plain slice.
        padded = np.pad(self.take[:, ::-1], ((0, 0), (_BLOCK, _BLOCK)))
        for start in range(0, len(diagonals), _BLOCK):
            block = diagonals[start : start + _BLOCK]
            low, high = block[0].low, max(rows.high for rows in block)
            first = _BLOCK + self.m - start - len(block) + low
            span = padded[:, first : first + high - low + len(block)]
            windows = sliding_window_view(span, high - low + 1, axis=1)[:, ::-1]
            cost = self._local(windows, self.reference[:, low : high + 1])
            for row, rows in zip(cost, block, strict=True):
                yield row[rows.low - low : rows.high + 1 - low]

    def _local(self, takes: Floats, references: Floats) -> Floats:
        total = np.zeros(takes.shape[1:], np.float32)
        term = np.empty_like(total)
        for take, reference in zip(takes, references, strict=True):
            np.subtract(take, reference, out=term)
            total += np.abs(term, out=term) if self.metric == L1 else np.square(term, out=term)
        return np.sqrt(total, out=total) if self.metric == L2 else total

    def cost_of(self, steps: Integers) -> float:
        """Return the sum of the local costs along a path, in float64."""
        i, j = steps.T
        difference = self.reference[:, i].astype(np.float64) - self.take[:, j]
        local = (np.abs(difference) if self.metric == L1 else difference**2).sum(axis=0)
        return float((np.sqrt(local) if self.metric == L2 else local).sum())


def _sweep(
    grid: _Grid, options: Options, codes: list[tuple[int, NDArray[np.uint8]]] | None = None
) -> tuple[float, int]:
    """Run over the anti-diagonals; return the total cost and the take's frame where it ends.

    Arrays are indexed by row + 1; entry 0 is the row above the first, where a path comes from. Rows below the
    band hold infinity from the start, as its lower edge never rises.
    """
    n, m = grid.n, grid.m
    above = 0.0 if options.open_begin else _FAR
    before, last, now = (np.full(n + 2, _FAR) for _ in range(3))
    before[0], last[0] = 0.0, above
    bottom = np.full(m, _FAR)
    diagonals = grid.diagonals()
    for t, (cost, (low, high)) in enumerate(zip(grid.costs(diagonals), diagonals, strict=True)):
        neighbors = before[low : high + 1], last[low : high + 1], last[low + 1 : high + 2]
        if codes is None:
            best = np.minimum(neighbors[0], np.minimum(*neighbors[1:]))
            np.add(best, cost, out=now[low + 1 : high + 2])
        else:
            now[low + 1 : high + 2], taken = _advance_with_codes(*neighbors, cost)
            codes.append((low, taken))
        now[low] = above if low == 0 else _FAR
        if high == n - 1:
            bottom[t - high] = now[n]
        before, last, now = last, now, before
    end = int(bottom.argmin()) if options.open_end else m - 1
    return float(bottom[end]), end


def _advance_with_codes(
    diagonal: Doubles, up: Doubles, left: Doubles, cost: Floats
) -> tuple[Doubles, NDArray[np.uint8]]:
    up = (up.view(np.int64) | UP).view(np.float64)
    left = (left.view(np.int64) | LEFT).view(np.float64)
    best = np.minimum(diagonal, np.minimum(up, left))
    codes = (best.view(np.int64) & CODE_MASK).astype(np.uint8)
    return ((best + cost).view(np.int64) & ~CODE_MASK).view(np.float64), codes
