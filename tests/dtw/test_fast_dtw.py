"""The fastdtw package's distance is its own, and never below the exact one."""

import numpy as np
import pytest

from speechcmp.dtw.fast_dtw import fastdtw_distance
from speechcmp.dtw.warp import dtw_distance
from speechcmp.errors import ParameterError


def pair(seed: int) -> tuple[np.ndarray[tuple[int, int], np.dtype[np.float32]], ...]:
    rng = np.random.default_rng(seed)
    return tuple(rng.standard_normal((n, 4)).astype(np.float32) for n in (23, 31))


@pytest.mark.parametrize("metric", ["l1", "l2", "sqeuclidean", "cosine"])
def test_a_wide_radius_is_exact(metric: str) -> None:
    reference, take = pair(1)
    exact = dtw_distance(reference, take, metric=metric)
    assert fastdtw_distance(reference, take, metric=metric, radius=40) == pytest.approx(exact, rel=1e-5)
    assert fastdtw_distance(reference, take, metric=metric) >= exact * (1 - 1e-5)


def test_cosine_of_silent_frames_is_that_of_the_exact_kernel() -> None:
    reference, take = np.zeros((3, 4), np.float32), pair(2)[1][:2]
    for a, b in ((reference, take), (reference, reference), (take, reference)):
        assert fastdtw_distance(a, b, metric="cosine", radius=9) == pytest.approx(dtw_distance(a, b, metric="cosine"))


def test_unknown_metric_is_named() -> None:
    with pytest.raises(ParameterError, match="'euclid' is unknown"):
        fastdtw_distance(*pair(3), metric="euclid")
