"""The sweep of a chunk over a take: both kernels against plain loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from speechcmp import _warping_numpy
from speechcmp._native import import_native

NATIVE = import_native("_warping")
KERNELS = [_warping_numpy, *([NATIVE] if NATIVE else [])]
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
