"""The sweep of a chunk over a take: both kernels against plain loops."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray

from speechcmp.dtw import _segmental_numpy
from speechcmp.dtw.kernel import import_native
from speechcmp.dtw.segmental import AlignParams, Bins, Problem, warp

NATIVE = import_native("_segmental")
KERNELS = [_segmental_numpy, *([NATIVE] if NATIVE else [])]
DETOUR = 0.4

shapes = st.tuples(st.integers(1, 8), st.integers(1, 12), st.integers(0, 2**32 - 1))


def cheapest(local: NDArray[np.float32], entry: NDArray[np.float64]) -> list[tuple[float, int]]:
    """Return (cost, column entered) of each cell of the last row, by the definition of the steps."""
    above: list[tuple[float, int]] = []
    for i, costs in enumerate(local.tolist()):
        row: list[tuple[float, int]] = []
        for j, cost in enumerate(costs):
            ways = [(entry[j] + 2 * cost, j)] if i == 0 else [(above[j][0] + cost + DETOUR, above[j][1])]
            if i and j:
                ways.append((above[j - 1][0] + 2 * cost, above[j - 1][1]))
            if j:
                ways.append((row[j - 1][0] + cost + DETOUR, row[j - 1][1]))
            row.append(min(ways))
        above = row
    return above


@pytest.mark.parametrize("kernel", KERNELS)
@given(shape=shapes, split=st.floats(0, 1))
@settings(max_examples=60)
def test_sweeps_are_as_cheap_as_can_be(kernel: object, shape: tuple[int, int, int], split: float) -> None:
    n_rows, n, seed = shape
    rng = np.random.default_rng(seed)
    local, entry = rng.random((n_rows, n), np.float32), rng.random(n) * 3
    cost, begin = entry.copy(), np.empty(n, np.int32)
    head = max(1, round(split * n_rows))  # rows come in blocks
    kernel.sweep(local[:head], DETOUR, False, cost, begin)  # type: ignore[attr-defined]
    if head < n_rows:
        kernel.sweep(local[head:], DETOUR, True, cost, begin)  # type: ignore[attr-defined]
    want = cheapest(local, entry)
    np.testing.assert_allclose(cost, [one for one, _ in want], rtol=1e-12)
    np.testing.assert_array_equal(begin, [column for _, column in want])


@pytest.mark.skipif(NATIVE is None, reason="the extension is not built")
@pytest.mark.parametrize(("n_costs", "n_begin"), [(4, 3), (3, 4), (0, 0)])
def test_arrays_that_do_not_fit_are_refused(n_costs: int, n_begin: int) -> None:
    local = np.zeros((2, 4), np.float32)
    with pytest.raises(ValueError, match="sizes differ"):
        NATIVE.sweep(local, DETOUR, False, np.zeros(n_costs), np.zeros(n_begin, np.int32))


def price(problem: Problem, placed: list[tuple[int, int] | None]) -> float:
    """Add up what a placement costs, by the definition of the prices."""
    cut, total = 0, 0.0
    stops = [*placed, (len(problem.take.starts), len(problem.take.starts))]
    for chunk, place in enumerate(stops):
        if place is None:
            total += problem.miss(chunk)
            continue
        start, stop = place
        if start > cut:
            total += problem.passing[start] - problem.passing[cut] + problem.span_penalty
        if chunk < len(placed):
            local = (1 - problem.rows(chunk) @ problem.take.units[start:stop].T).astype(np.float32)
            entry = np.full(stop - start, np.inf)
            entry[0] = 0
            total += cheapest(local, entry)[-1][0] + problem.edges[start] + problem.edges[stop]
        cut = stop
    return total


@given(seed=st.integers(0, 2**32 - 1), shift=st.integers(0, 3))
@settings(max_examples=80)
def test_windowed_warping_is_as_cheap_as_can_be(seed: int, shift: int) -> None:
    rng = np.random.default_rng(seed)
    n_bins, m = (2, 2), 6
    ours, theirs = (rng.standard_normal((n, 3)).astype(np.float32) for n in (sum(n_bins), m))
    reference, take = (
        Bins(x / np.linalg.norm(x, axis=1, keepdims=True), np.arange(len(x)), np.arange(len(x)) + 1, np.ones(len(x)))
        for x in (ours, theirs)
    )
    passing, edges = np.append(0.0, np.cumsum(rng.random(m))), rng.random(m + 1)
    problem = Problem(
        AlignParams(), np.ones(m, bool), reference, take, np.array([0, 2, 4]), passing, edges, float(rng.random())
    )
    windows = [(0, m - shift), (shift, m)]
    choices = [[None, *((a, b) for a in range(lo, hi) for b in range(a + 1, hi + 1))] for lo, hi in windows]
    least = min(
        price(problem, [first, second])
        for first in choices[0]
        for second in choices[1]
        if not (first and second and first[1] > second[0])
    )
    found = [place and (place.start, place.stop) for place in warp(problem, windows)]
    assert price(problem, found) == pytest.approx(least, rel=1e-6)
