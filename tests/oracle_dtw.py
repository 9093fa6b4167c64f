"""Dynamic time warping by plain loops in float64: slow, and easy to check by eye."""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

Frame = Sequence[float]
Cell = tuple[int, int]


class Warp(NamedTuple):
    steps: list[Cell]
    total_cost: float
    distance: float


def local_cost(a: Frame, b: Frame, metric: str) -> float:
    if metric == "cosine":
        return _cosine_cost(a, b)
    differences = [x - y for x, y in zip(a, b, strict=True)]
    if metric == "l1":
        return sum(abs(difference) for difference in differences)
    squared = sum(difference * difference for difference in differences)
    return {"sqeuclidean": squared, "l2": math.sqrt(squared)}[metric]


def _cosine_cost(a: Frame, b: Frame) -> float:
    length_a, length_b = math.hypot(*a), math.hypot(*b)
    if not length_a or not length_b:
        return float(length_a != length_b)
    return 1 - sum(x * y for x, y in zip(a, b, strict=True)) / (length_a * length_b)


def in_band(i: int, j: int, n: int, m: int, band: float | None) -> bool:
    if band is None or n == 1 or m == 1:
        return True
    if n < m:
        i, j, n, m = j, i, m, n
    half_width = max(Fraction(band * n * (m - 1)), Fraction(n // 2)) / (m - 1)
    return abs(i - Fraction(j * (n - 1), m - 1)) <= half_width


def warp(
    reference: Sequence[Frame],
    take: Sequence[Frame],
    metric: str = "l1",
    band: float | None = None,
    *,
    open_begin: bool = False,
    open_end: bool = False,
) -> Warp:
    n, m = len(reference), len(take)
    total: dict[Cell, float] = {}
    origin: dict[Cell, Cell | None] = {}
    for i in range(n):
        for j in range(m):
            if not in_band(i, j, n, m, band):
                continue
            cost = local_cost(reference[i], take[j], metric)
            if i == 0 and (j == 0 or open_begin):
                total[i, j], origin[i, j] = cost, None
                continue
            # min keeps the first of equals: diagonal, then (1, 0), then (0, 1).
            best = min(
                (cell for cell in ((i - 1, j - 1), (i - 1, j), (i, j - 1)) if cell in total),
                key=lambda cell: total[cell],
                default=None,
            )
            if best is not None:
                total[i, j], origin[i, j] = total[best] + cost, best
    ends = [(n - 1, j) for j in range(m) if (n - 1, j) in total] if open_end else [(n - 1, m - 1)]
    return _trace(min(ends, key=lambda cell: total[cell]), total, origin, n)


def _trace(end: Cell, total: dict[Cell, float], origin: dict[Cell, Cell | None], n: int) -> Warp:
    steps = [end]
    while (previous := origin[steps[-1]]) is not None:
        steps.append(previous)
    steps.reverse()
    used = steps[-1][1] - steps[0][1] + 1
    return Warp(steps, total[end], total[end] / (n + used))
