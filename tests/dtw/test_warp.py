"""Every kernel against plain loops, and against what must hold for any features.

Whole numbers are exact in float32 and their sums in float64, so there totals and paths must be equal to the
bit. Otherwise a local cost of D dimensions is rounded D times: relative 1e-6 covers D up to 39, and
accumulating in float64 adds nothing visible, however long the recordings.
"""

import functools
import os
import threading
import time
from collections.abc import Iterator
from typing import Any
from unittest import mock

import numpy as np
import oracle_dtw
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from speechcmp.dtw import _dtw_numpy, kernel as module, warp as dtw
from speechcmp.dtw.kernel import KERNEL_VARIABLE, import_native
from speechcmp.dtw.warp import (
    METRICS,
    dtw_distance,
    dtw_distances,
    dtw_pair_distances,
    dtw_path,
    fastdtw_distance,
    kernel_name,
)
from speechcmp.errors import ParameterError

NATIVE: Any = import_native("_dtw")
LEVELS: list[str] = NATIVE.levels() if NATIVE else []
KERNELS = ["numpy", *LEVELS]
ENDS = [(False, False), (True, False), (False, True), (True, True)]
CLOSE = 1e-6

needs_native = pytest.mark.skipif(NATIVE is None, reason="the extension is not built")


@pytest.fixture(params=KERNELS)
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv(KERNEL_VARIABLE, request.param)
    return str(request.param)


def whole_numbers(seed: int, *shape: int) -> NDArray[np.float32]:
    """Few values, so that ties abound."""
    return np.random.default_rng(seed).integers(-2, 3, shape).astype(np.float32)


def real_numbers(seed: int, *shape: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@functools.cache
def whole_case(
    n: int, m: int, band: float | None, ends: tuple[bool, bool]
) -> tuple[NDArray[np.float32], NDArray[np.float32], oracle_dtw.Warp]:
    reference, take = whole_numbers(n, n, 2), whole_numbers(100 + m, m, 2)
    expected = oracle_dtw.warp(reference.tolist(), take.tolist(), band=band, open_begin=ends[0], open_end=ends[1])
    return reference, take, expected


def check_whole_case(n: int, m: int, band: float | None, ends: tuple[bool, bool]) -> None:
    reference, take, expected = whole_case(n, m, band, ends)
    path = dtw_path(reference, take, band=band, open_begin=ends[0], open_end=ends[1])
    assert path.steps.tolist() == [list(step) for step in expected.steps], (n, m)
    assert path.total_cost == expected.total_cost
    assert path.distance == expected.distance
    distance = dtw_distance(reference, take, band=band, open_begin=ends[0], open_end=ends[1])
    assert distance == expected.distance, (n, m)


# ------------------------------------------------------------------------------------------------- oracle


@pytest.mark.parametrize("ends", ENDS)
def test_sizes_around_the_lanes(kernel: str, ends: tuple[bool, bool]) -> None:
    assert kernel in kernel_name()
    for n in range(1, 51):
        for m in {1, 2, (7 * n) % 50 + 1}:
            check_whole_case(n, m, None, ends)


@pytest.mark.parametrize("band", [1e-9, 0.05, 0.2, 0.55, 1.0])
@pytest.mark.parametrize("ends", ENDS)
@pytest.mark.usefixtures("kernel")
def test_band(band: float, ends: tuple[bool, bool]) -> None:
    for n, m in [(1, 9), (9, 1), (2, 2), (2, 30), (30, 2), (16, 16), (17, 33), (45, 20), (40, 41)]:
        check_whole_case(n, m, band, ends)


@pytest.mark.usefixtures("kernel")
def test_long_and_narrow_band() -> None:
    """Strips begin and end in the middle of the take, and words of codes are cut anywhere."""
    for n, m in [(200, 90), (90, 200), (150, 150)]:
        check_whole_case(n, m, 0.06, (False, False))


@functools.cache
def real_case(metric: str, n_dims: int) -> tuple[NDArray[np.float32], NDArray[np.float32], oracle_dtw.Warp]:
    reference, take = real_numbers(n_dims, 37, n_dims), real_numbers(50 + n_dims, 29, n_dims)
    reference[5], take[7:9] = 0, 0
    return reference, take, oracle_dtw.warp(reference.tolist(), take.tolist(), metric)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("n_dims", [1, 2, 5, 13, 39])
@pytest.mark.usefixtures("kernel")
def test_metrics(metric: str, n_dims: int) -> None:
    reference, take, expected = real_case(metric, n_dims)
    assert dtw_distance(reference, take, metric=metric) == pytest.approx(expected.distance, rel=CLOSE, abs=1e-8)
    path = dtw_path(reference, take, metric=metric)
    assert path.total_cost == pytest.approx(expected.total_cost, rel=CLOSE, abs=1e-7)
    if n_dims > 1 or metric != "cosine":  # between numbers 1 - cos is 0 or 2: float64 ties the oracle rounds
        assert path.steps.tolist() == [list(step) for step in expected.steps]


@pytest.mark.usefixtures("kernel")
def test_cosine_of_silence() -> None:
    silence, sound = np.zeros((1, 3)), np.array([[1.0, -2.0, 2.0]])
    assert dtw_distance(silence, silence, metric="cosine") == 0
    assert dtw_distance(silence, sound, metric="cosine") == pytest.approx(0.5, rel=CLOSE)
    assert dtw_distance(sound, -sound, metric="cosine") == pytest.approx(1.0, rel=CLOSE)
    assert dtw_distance(sound, 1e-30 * sound, metric="cosine") == pytest.approx(0.0, abs=1e-12)
    assert dtw_distance(sound, 1e30 * sound, metric="cosine") == pytest.approx(0.0, abs=1e-12)


@pytest.mark.usefixtures("kernel")
def test_open_ends_find_the_excerpt() -> None:
    take = real_numbers(1, 120, 13)
    path = dtw_path(take[31:72], take, open_begin=True, open_end=True)
    assert path.steps.tolist() == [[k, 31 + k] for k in range(41)]
    assert path.distance == 0
    tail = dtw_path(take[80:], take, open_begin=True)
    assert tail.steps[0].tolist() == [0, 80]
    head = real_numbers(2, 120, 13)
    head[:50] = take[:50]
    assert dtw_distance(take[:50], head, open_end=True) == 0


@pytest.mark.usefixtures("kernel")
def test_free_end_counts_the_frames_it_covers() -> None:
    reference, take = np.zeros((2, 1)), np.array([[9.0], [1.0], [1.0], [9.0], [9.0]])
    assert dtw_distance(reference, take, open_begin=True, open_end=True) == 2 / (2 + 1)
    assert dtw_distance(reference, take, open_end=True) == (9 + 1) / (2 + 2)
    assert dtw_distance(reference, take) == (9 + 1 + 1 + 9 + 9) / (2 + 5)


# --------------------------------------------------------------------------------------- between kernels


@needs_native
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("band", [None, 0.1])
def test_kernels_agree_to_the_bit(metric: str, band: float | None, monkeypatch: pytest.MonkeyPatch) -> None:
    reference, take = real_numbers(3, 333, 13), real_numbers(4, 271, 13)
    results = []
    for name in KERNELS:
        monkeypatch.setenv(KERNEL_VARIABLE, name)
        path = dtw_path(reference, take, metric=metric, band=band)
        results.append((dtw_distance(reference, take, metric=metric, band=band), path.steps.tolist()))
    assert all(result == results[0] for result in results)


# ------------------------------------------------------------------------------------------------ drift


@pytest.mark.usefixtures("kernel")
def test_an_hour_does_not_drift() -> None:
    """The diagonal is cheapest when all cells cost the same: 60,000 times the cost, over 120,000 frames."""
    cost, n = np.float32(0.1), 60_000
    in_float32 = np.cumsum(np.full(n, cost))[-1]
    assert abs(in_float32 / (n * float(cost)) - 1) > 1e-4  # what this guards against
    reference, take = np.zeros((n, 1), np.float32), np.full((n, 1), cost)
    assert dtw_distance(reference, take, band=0.001) == pytest.approx(float(cost) / 2, rel=1e-9)


@pytest.mark.usefixtures("kernel")
def test_drift_without_band() -> None:
    cost, n, m = np.float32(0.1), 4000, 3000
    reference, take = np.zeros((n, 1), np.float32), np.full((m, 1), cost)
    expected = n * float(cost) / (n + m)
    assert dtw_distance(reference, take) == pytest.approx(expected, rel=1e-9)


@pytest.mark.usefixtures("kernel")
def test_large_and_small_costs_together() -> None:
    """A cost of 1e9 must not swallow those of 1e-3 that follow."""
    reference = np.zeros((2000, 1))
    take = np.full((2000, 1), 1e-3)
    take[0] = 1e9
    small = float(np.float32(1e-3))
    assert dtw_distance(reference, take) * 4000 - 1e9 == pytest.approx(1999 * small, rel=1e-4)


# ------------------------------------------------------------------------------------------- properties

kernels = st.sampled_from(KERNELS)
bands = st.none() | st.floats(1e-6, 1)


@st.composite
def feature_pairs(draw: st.DrawFn) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    n_dims = draw(st.integers(1, 5))
    values = st.floats(-100, 100, width=32)
    n, m = (draw(st.integers(1, 40)) for _ in range(2))
    first, second = (draw(hnp.arrays(np.float32, (length, n_dims), elements=values)) for length in (n, m))
    return first, second


def forced(name: str) -> Any:
    return mock.patch.dict(os.environ, {KERNEL_VARIABLE: name})


@settings(max_examples=60, deadline=None)
@given(pair=feature_pairs(), name=kernels, metric=st.sampled_from(METRICS), band=bands)
def test_distance_is_a_symmetric_dissimilarity(
    pair: tuple[NDArray[np.float32], NDArray[np.float32]], name: str, metric: str, band: float | None
) -> None:
    reference, take = pair
    with forced(name):
        there = dtw_distance(reference, take, metric=metric, band=band)
        back = dtw_distance(take, reference, metric=metric, band=band)
        assert dtw_distance(reference, reference.copy(), metric=metric, band=band) == 0
    assert there >= 0
    assert there == pytest.approx(back, rel=1e-12)


@settings(max_examples=60, deadline=None)
@given(pair=feature_pairs(), name=kernels, metric=st.sampled_from(METRICS), band=bands)
def test_path_goes_from_corner_to_corner(
    pair: tuple[NDArray[np.float32], NDArray[np.float32]], name: str, metric: str, band: float | None
) -> None:
    reference, take = pair
    n, m = len(reference), len(take)
    with forced(name):
        path = dtw_path(reference, take, metric=metric, band=band)
        distance = dtw_distance(reference, take, metric=metric, band=band)
    assert path.steps[0].tolist() == [0, 0]
    assert path.steps[-1].tolist() == [n - 1, m - 1]
    moves = {tuple(move) for move in np.diff(path.steps, axis=0).tolist()}
    assert moves <= {(1, 0), (0, 1), (1, 1)}
    assert all(oracle_dtw.in_band(i, j, n, m, band) for i, j in path.steps.tolist())
    resummed = sum(oracle_dtw.local_cost(reference[i].tolist(), take[j].tolist(), metric) for i, j in path.steps)
    assert path.total_cost == pytest.approx(resummed, rel=CLOSE, abs=2e-6)
    assert distance == pytest.approx(path.distance, rel=CLOSE, abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(pair=feature_pairs(), name=kernels, data=st.data())
def test_no_path_is_cheaper(
    pair: tuple[NDArray[np.float32], NDArray[np.float32]], name: str, data: st.DataObject
) -> None:
    reference, take = pair
    i, j, total = 0, 0, 0.0
    while True:
        total += oracle_dtw.local_cost(reference[i].tolist(), take[j].tolist(), "l1")
        moves = [(a, b) for a, b in ((1, 1), (1, 0), (0, 1)) if i + a < len(reference) and j + b < len(take)]
        if not moves:
            break
        move = data.draw(st.sampled_from(moves))
        i, j = i + move[0], j + move[1]
    with forced(name):
        assert dtw_path(reference, take).total_cost <= total * (1 + CLOSE)


@settings(max_examples=40, deadline=None)
@given(pair=feature_pairs(), name=kernels, narrow=st.floats(1e-6, 1), wide=st.floats(1e-6, 1))
def test_a_wider_band_is_never_dearer(
    pair: tuple[NDArray[np.float32], NDArray[np.float32]], name: str, narrow: float, wide: float
) -> None:
    narrow, wide = sorted((narrow, wide))
    with forced(name):
        distances = [dtw_distance(*pair, band=band) for band in (narrow, wide, None)]
    assert distances == sorted(distances, reverse=True)
    assert distances[2] == pytest.approx(dtw_distance(*pair, band=1.0), rel=1e-12)


# ------------------------------------------------------------------------------------------- many pairs


@pytest.fixture
def recordings() -> list[NDArray[np.float32]]:
    return [real_numbers(k, 20 + 7 * k, 13) for k in range(6)]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("n_threads", [None, 1, 3])
@pytest.mark.usefixtures("kernel")
def test_many_pairs(recordings: list[NDArray[np.float32]], metric: str, n_threads: int | None) -> None:
    references, takes = recordings[:2], recordings[1:]
    matrix = dtw_distances(references, takes, metric=metric, band=0.3, n_threads=n_threads)
    assert matrix.dtype == np.float64
    expected = [[dtw_distance(a, b, metric=metric, band=0.3) for b in takes] for a in references]
    assert matrix.tolist() == expected


@pytest.mark.usefixtures("kernel")
def test_chosen_pairs(recordings: list[NDArray[np.float32]]) -> None:
    pairs = [(5, 0), (2, 2), (5, 0), (1, 4)]
    distances = dtw_pair_distances(recordings, recordings, pairs, n_threads=2)
    assert distances.tolist() == [dtw_distance(recordings[i], recordings[j]) for i, j in pairs]


def test_each_recording_is_packed_once(recordings: list[NDArray[np.float32]]) -> None:
    with mock.patch.object(module, "pack", wraps=module.pack) as pack:
        dtw_distances(recordings, recordings)
        assert pack.call_count == len(recordings)
        dtw_distances(recordings[:2], recordings[2:])
        assert pack.call_count == 2 * len(recordings)


def test_no_pairs(recordings: list[NDArray[np.float32]]) -> None:
    assert dtw_distances([], recordings).shape == (0, 6)
    assert dtw_distances(recordings, []).shape == (6, 0)
    assert dtw_pair_distances(recordings, recordings, []).shape == (0,)


@needs_native
def test_lock_is_released_while_computing() -> None:
    recording = real_numbers(0, 15_000, 13)
    packed = NATIVE.pack(recording, 13)
    options = _dtw_numpy.Options(LEVELS[0], 0, 13, 0.0, open_begin=False, open_end=False)
    results = np.empty((1, 2))
    arguments = (options, [packed], [packed], dtw._ONE_PAIR, results)
    spans = []

    def work() -> None:
        start = time.perf_counter()
        NATIVE.totals(*arguments)
        spans.append(time.perf_counter() - start)

    worker = threading.Thread(target=work)
    last, longest_pause = time.perf_counter(), 0.0
    worker.start()
    while worker.is_alive():
        now = time.perf_counter()
        last, longest_pause = now, max(longest_pause, now - last)
    worker.join()
    assert longest_pause < 0.7 * spans[0]  # a held lock would stop this thread for all of it
    assert results[0, 0] == 0


# ------------------------------------------------------------------------------------------------ input


def conversions(features: NDArray[np.float32]) -> Iterator[Any]:
    yield features.astype(np.float64)
    yield features.astype(np.int16)
    yield features.astype(">f4")
    yield np.asfortranarray(features)
    yield np.repeat(features, 2, axis=0)[::2]
    yield features[::-1].copy()[::-1]
    yield features.tolist()


@pytest.mark.usefixtures("kernel")
def test_input_is_converted() -> None:
    reference, take = whole_numbers(1, 20, 3), whole_numbers(2, 30, 3)
    expected = dtw_distance(reference, take)
    for converted in conversions(take):
        assert dtw_distance(reference, converted) == expected
        assert dtw_path(converted, reference).distance == expected


GOOD = np.ones((4, 3))
BAD: list[tuple[Any, dict[str, Any], str]] = [
    (np.ones((0, 3)), {}, r"take: .*not empty, given shape \(0, 3\)"),
    (np.ones((4, 0)), {}, r"take: .*not empty, given shape \(4, 0\)"),
    (np.ones(4), {}, r"take: .*n_dims\).*given shape \(4,\)"),
    (np.ones((4, 3, 1)), {}, r"given shape \(4, 3, 1\)"),
    (np.ones((4, 2)), {}, r"dimensions differ, given shapes \(4, 3\) and \(4, 2\)"),
    ([[1, 2, 3], [1, 2]], {}, "take: not an array"),
    (GOOD.astype(str), {}, "take: must be real numbers, given dtype <U"),
    (GOOD * 1j, {}, "given dtype complex128"),
    (np.array([[1, 2, 3], [1, np.nan, 3]]), {}, "take: nan at frame 1, dimension 1"),
    (np.array([[1, 2, -np.inf]]), {}, "take: -inf at frame 0, dimension 2"),
    (np.array([[1, 2, np.inf]]), {"metric": "cosine"}, "take: inf at frame 0, dimension 2"),
    (GOOD * 1e300, {}, "take: inf at frame 0"),
    (GOOD * 1e16, {"metric": "sqeuclidean"}, r"1.*e\+16 at frame 0, dimension 0, is above 1e\+15"),
    (GOOD, {"metric": "manhattan"}, "metric: 'manhattan' is unknown; choose one of l1, l2"),
    (GOOD, {"band": 0}, r"band: must be in \(0, 1\], given 0"),
    (GOOD, {"band": 1.01}, "given 1.01"),
    (GOOD, {"band": -0.5}, "given -0.5"),
    (GOOD, {"band": float("nan")}, "given nan"),
]


@pytest.mark.parametrize(("take", "options", "message"), BAD)
@pytest.mark.usefixtures("kernel")
def test_bad_input(take: Any, options: dict[str, Any], message: str) -> None:
    for function in (dtw_distance, dtw_path):
        with pytest.raises(ParameterError, match=message):
            function(GOOD, take, **options)


@pytest.mark.usefixtures("kernel")
def test_bad_reference_is_named() -> None:
    with pytest.raises(ParameterError, match="reference: nan at frame 0"):
        dtw_distance(GOOD * np.nan, GOOD)
    with pytest.raises(ParameterError, match="take 1: nan at frame 0"):
        dtw_distances([GOOD], [GOOD, GOOD * np.nan])
    with pytest.raises(ParameterError, match="reference 0 and take 1: dimensions differ"):
        dtw_distances([GOOD], [GOOD, GOOD[:, :2]])


@pytest.mark.parametrize("pairs", [[(0, 2)], [(1, 0)], [(0, -1)], [(0, 0), (0, 5)]])
def test_pairs_out_of_range(pairs: list[tuple[int, int]]) -> None:
    with pytest.raises(ParameterError, match="out of range; there are 1 references and 2 takes"):
        dtw_pair_distances([GOOD], [GOOD, GOOD], pairs)


def test_bad_options_of_many_pairs() -> None:
    with pytest.raises(ParameterError, match=r"pairs: must be \(k, 2\) integers, given float64"):
        dtw_pair_distances([GOOD], [GOOD], [(0.0, 0.0)])
    with pytest.raises(ParameterError, match=r"of shape \(1, 3\)"):
        dtw_pair_distances([GOOD], [GOOD], [(0, 0, 0)])
    with pytest.raises(ParameterError, match="n_threads: must be at least 1, given 0"):
        dtw_distances([GOOD], [GOOD], n_threads=0)
    with pytest.raises(ParameterError, match="metric: 'l3' is unknown"):
        dtw_distances([], [], metric="l3")


# ----------------------------------------------------------------------------------------------- kernels


def test_kernel_can_be_forced(kernel: str) -> None:
    assert kernel_name() == (kernel if kernel == "numpy" else f"native {kernel}")


def test_best_kernel_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KERNEL_VARIABLE, raising=False)
    assert kernel_name() == (f"native {LEVELS[0]}" if LEVELS else "numpy")


@pytest.mark.parametrize("name", ["mmx", "native", "AVX2"])
def test_unknown_kernel(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KERNEL_VARIABLE, name)
    with pytest.raises(ParameterError, match=f"SPEECHCMP_KERNEL: can't run '{name}'.*choose one of numpy"):
        dtw_distance(GOOD, GOOD)


def test_numpy_without_extension(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KERNEL_VARIABLE, raising=False)
    monkeypatch.setattr(module, "import_native", lambda _: None)
    module._find_kernel.cache_clear()
    try:
        assert kernel_name() == "numpy"
        assert dtw_distance(GOOD, GOOD + 1) == 4 * 3 / 8
    finally:
        module._find_kernel.cache_clear()


@needs_native
def test_native_kernel_checks_every_buffer() -> None:
    good = (LEVELS[0], 0, 3, 0.0, False, False)
    packed = NATIVE.pack(GOOD.astype(np.float32), 3)
    pairs, results, steps = np.zeros((1, 2), np.int64), np.empty((1, 2)), np.empty((7, 2), np.int64)
    frozen = np.empty((1, 2))
    frozen.flags.writeable = False
    assert NATIVE.path(good, packed, packed, steps) == (4, 0.0)
    assert NATIVE.totals(good, [packed], [packed], pairs, results) is None
    calls: list[tuple[type[Exception], Any]] = [
        (ValueError, lambda: NATIVE.pack(b"\0" * 8, 3)),
        (ValueError, lambda: NATIVE.pack(b"", 0)),
        (ValueError, lambda: NATIVE.path(good, packed[:-4], packed, steps)),
        (ValueError, lambda: NATIVE.path(good, b"", packed, steps)),
        (ValueError, lambda: NATIVE.path(good, packed[: 32 * 3 * 4], packed, steps)),
        (ValueError, lambda: NATIVE.path(good, packed, packed, steps[:-1])),
        (TypeError, lambda: NATIVE.path(good, packed, None, steps)),
        (BufferError, lambda: NATIVE.path(good, packed, packed, bytes(steps))),
        (ValueError, lambda: NATIVE.path(("mmx", *good[1:]), packed, packed, steps)),
        (ValueError, lambda: NATIVE.path((LEVELS[0], 3, *good[2:]), packed, packed, steps)),
        (ValueError, lambda: NATIVE.path((LEVELS[0], 0, 0, *good[3:]), packed, packed, steps)),
        (ValueError, lambda: NATIVE.path((*good[:3], float("nan"), False, False), packed, packed, steps)),
        (ValueError, lambda: NATIVE.totals(good, [packed], [packed], pairs + 1, results)),
        (ValueError, lambda: NATIVE.totals(good, [packed], [packed], pairs - 1, results)),
        (ValueError, lambda: NATIVE.totals(good, [packed], [packed], pairs, results[:0])),
        (
            ValueError,
            lambda: NATIVE.totals(good, [packed], [packed], pairs[:, :1].copy(), results[:, :1].copy()),
        ),
        (ValueError, lambda: NATIVE.totals(good, [packed], [packed], pairs, frozen)),
        (TypeError, lambda: NATIVE.totals(good, 3, [packed], pairs, results)),
    ]
    for error, call in calls:
        with pytest.raises(error):
            call()


@pytest.mark.parametrize("metric", METRICS)
def test_a_stack_gives_what_its_sequences_give(metric: str, kernel: str) -> None:
    assert kernel_name().endswith(kernel)
    rng = np.random.default_rng(8)
    ours, theirs = rng.standard_normal((3, 9, 4)).astype(np.float32), rng.standard_normal((2, 12, 4))
    theirs[1, 3] = 0
    pairs = [(0, 0), (2, 1), (1, 1)]
    want = dtw_pair_distances(list(ours), list(theirs), pairs, metric=metric)
    np.testing.assert_array_equal(dtw_pair_distances(ours, theirs, pairs, metric=metric), want)


def test_what_is_wrong_in_a_stack_is_named() -> None:
    stack = np.zeros((3, 5, 2), np.float32)
    stack[1, 4, 0] = np.nan
    with pytest.raises(ParameterError, match="take 1: nan at frame 4, dimension 0"):
        dtw_pair_distances(np.zeros((1, 5, 2)), stack, [(0, 0)])


# ------------------------------------------------------------------------------------- the fastdtw package
def fast_pair(seed: int) -> tuple[np.ndarray[tuple[int, int], np.dtype[np.float32]], ...]:
    rng = np.random.default_rng(seed)
    return tuple(rng.standard_normal((n, 4)).astype(np.float32) for n in (23, 31))


@pytest.mark.parametrize("metric", ["l1", "l2", "sqeuclidean", "cosine"])
def test_a_wide_radius_is_exact(metric: str) -> None:
    reference, take = fast_pair(1)
    exact = dtw_distance(reference, take, metric=metric)
    assert fastdtw_distance(reference, take, metric=metric, radius=40) == pytest.approx(exact, rel=1e-5)
    assert fastdtw_distance(reference, take, metric=metric) >= exact * (1 - 1e-5)


def test_cosine_of_silent_frames_is_that_of_the_exact_kernel() -> None:
    reference, take = np.zeros((3, 4), np.float32), fast_pair(2)[1][:2]
    for a, b in ((reference, take), (reference, reference), (take, reference)):
        assert fastdtw_distance(a, b, metric="cosine", radius=9) == pytest.approx(dtw_distance(a, b, metric="cosine"))


def test_unknown_metric_is_named() -> None:
    with pytest.raises(ParameterError, match="'euclid' is unknown"):
        fastdtw_distance(*fast_pair(3), metric="euclid")
