"""Mismatches stand where the two sides differ, in the time of either, and nowhere in copies."""

import numpy as np
import pytest

from speechcmp.comparison.mismatch import find_mismatches, local_costs
from speechcmp.dtw.warp import dtw_path
from speechcmp.errors import ParameterError
from speechcmp.features.mfcc import Features


def noisy_copy(n: int, bad: list[tuple[int, int]]) -> tuple[Features, Features]:
    rng = np.random.default_rng(7)
    features = rng.standard_normal((n, 12)).astype(np.float32)
    other = features + 0.2 * rng.standard_normal((n, 12)).astype(np.float32)
    for start, stop in bad:
        other[start:stop] = rng.standard_normal((stop - start, 12))
    return features, other


def test_replaced_stretches_are_found_where_they_are() -> None:
    bad = [(100, 130), (250, 290), (400, 420), (520, 570)]
    reference, take = noisy_copy(700, bad)
    steps = np.repeat(np.arange(700)[:, None], 2, axis=1)
    costs = local_costs(reference, take, steps)
    found = find_mismatches(steps, costs, 0.01, chance_cost=1.0, offsets_s=(2.0, 5.0))
    # The three longest of the four; edges are blurred by half the smoothing.
    want = [(3.0, 3.3), (4.5, 4.9), (7.2, 7.7)]
    assert len(found) == 3
    for one, (start_s, end_s) in zip(found, want, strict=True):
        assert one.reference_s == pytest.approx((start_s, end_s), abs=0.07)
        assert np.subtract(one.take_s, one.reference_s) == pytest.approx([3.0, 3.0])
        assert one.distance > 0.5


def test_short_stretches_are_left_out_and_neighbors_are_one() -> None:
    reference, take = noisy_copy(400, [(50, 54), (200, 220), (224, 250)])
    steps = np.repeat(np.arange(400)[:, None], 2, axis=1)
    found = find_mismatches(steps, local_costs(reference, take, steps), 0.01, chance_cost=1.0)
    assert [one.reference_s for one in found] == [pytest.approx((2.0, 2.5), abs=0.07)]


def test_copies_have_no_mismatch() -> None:
    reference, take = noisy_copy(300, [])
    steps = np.repeat(np.arange(300)[:, None], 2, axis=1)
    assert find_mismatches(steps, local_costs(reference, take, steps), 0.01, chance_cost=1.0) == []
    assert find_mismatches(steps, np.zeros(300), 0.01, chance_cost=0.0) == []


def test_mismatches_are_told_in_the_time_of_either_side() -> None:
    reference, take = noisy_copy(300, [(150, 190)])
    slow = np.repeat(take, 2, axis=0)
    path = dtw_path(reference, slow, metric="cosine")
    costs = local_costs(reference, slow, path.steps)
    (found,) = find_mismatches(path.steps, costs, 0.01, chance_cost=1.0)
    assert found.reference_s == pytest.approx((1.5, 1.9), abs=0.1)
    assert found.take_s == pytest.approx((3.0, 3.8), abs=0.2)


@pytest.mark.parametrize("metric", ["l1", "l2", "sqeuclidean", "cosine"])
def test_local_costs_add_up_to_the_path(metric: str) -> None:
    reference, take = noisy_copy(80, [(20, 40)])
    take[5] = reference[9] = 0
    path = dtw_path(reference, take, metric=metric)
    costs = local_costs(reference, take, path.steps, metric=metric)
    # The kernel sums float32 costs.
    assert costs.sum() == pytest.approx(path.total_cost, rel=1e-5)


def test_steps_and_costs_must_fit() -> None:
    with pytest.raises(ParameterError, match="steps"):
        find_mismatches(np.zeros((3, 2), np.int64), np.zeros(4), 0.01, chance_cost=1.0)
