"""How far apart two feature sequences are when time may stretch: dynamic time warping.

The kernel is exact, nothing is approximated away: every cell inside the band is visited. Local costs are
float32, accumulated costs float64, so that recordings of an hour have the same accuracy as words. A compiled
kernel (`_dtw.cpp`) is used where there is one, `_dtw_numpy.py` otherwise; both give the same paths.

Steps are (1, 0), (0, 1) and (1, 1) with equal weights [1]_. Of equally cheap predecessors of a cell the
diagonal one is taken first, then (1, 0), which stays on the take's frame, then (0, 1); of equally cheap free
ends the earliest. (Paths compare costs to 51 bits, so that rounding does not break ties at random.)

References
----------
.. [1] Sakoe and Chiba, "Dynamic programming algorithm optimization for spoken word recognition",
   IEEE Transactions on Acoustics, Speech, and Signal Processing 26(1), 1978. The total cost equals the last
   cell of ``librosa.sequence.dtw``.
.. [2] Müller, "Information Retrieval for Music and Motion", chapter 4 (subsequence DTW), Springer, 2007.
.. [3] Salvador and Chan, "Toward accurate dynamic time warping in linear time and space", Intelligent Data
   Analysis 11(5), 2007.
"""

import functools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from speechcmp.checks import checked
from speechcmp.dtw import _dtw_numpy
from speechcmp.dtw.kernel import Kernel, Packed, Recordings, current_kernel, pack, pack_all
from speechcmp.errors import ParameterError

METRICS = ("l1", "l2", "sqeuclidean", "cosine")
_METRIC_CODES = dict(zip(METRICS, (0, 1, 2, 2), strict=True))  # cosine: of unit vectors
_CHUNKS_PER_THREAD = 8  # evens out pairs of unequal size
_ONE_PAIR = np.zeros((1, 2), np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class WarpingPath:
    """The cheapest alignment of a reference with a take.

    Attributes
    ----------
    steps : ndarray of int64, shape (k, 2)
        Pairs (reference frame, take frame), ascending.
    total_cost : float
        Sum of the local costs along `steps`, in float64.
    distance : float
        `total_cost` / (reference frames + take frames the path covers).

    Examples
    --------
    >>> import speechcmp
    >>> path = speechcmp.dtw_path([[0.0], [1.0], [2.0]], [[0.0], [1.0], [1.0], [3.0]])
    >>> path
    <WarpingPath of 4 steps: total cost 1.000, distance 0.143>
    >>> path.steps.tolist()
    [[0, 0], [1, 1], [1, 2], [2, 3]]
    """

    steps: NDArray[np.int64]
    total_cost: float
    distance: float

    def __repr__(self) -> str:
        """Show the number of steps, the cost and the distance, in one line."""
        return (
            f"<WarpingPath of {len(self.steps)} steps: total cost {self.total_cost:.3f}, distance {self.distance:.3f}>"
        )


@checked
def dtw_distance(
    reference: ArrayLike,
    take: ArrayLike,
    *,
    metric: str = "l1",
    band: float | None = None,
    open_begin: bool = False,
    open_end: bool = False,
) -> float:
    """Return the total cost of the cheapest alignment, divided by the number of frames of both.

    Memory is O(n + m), except with `open_begin`, which needs the path (see `dtw_path`).

    Parameters
    ----------
    reference : array_like, shape (n, n_dims)
        Features of the reference, time first; used as float32.
    take : array_like, shape (m, n_dims)
        Features of the take, time first; used as float32.
    metric : {"l1", "l2", "sqeuclidean", "cosine"}
        Local cost of two frames: the sum of absolute differences, its Euclidean and squared Euclidean
        siblings, or 1 - cos of the angle. For cosine a frame of zeros points in a direction of its own:
        it costs 0 beside another frame of zeros and 1 beside any other frame.
    band : float, optional
        Half width of the Sakoe-Chiba band [1]_ as a fraction, in (0, 1], of the longer side. With N frames on
        the longer side and M on the shorter one, frame a of the longer side may meet frame b of
        the shorter one only if ``|a - b * (N - 1) / (M - 1)| <= band * N``: the band is slanted from
        corner to corner. It is widened, if need be, to ``N // 2 / (M - 1)`` frames, so that a path
        exists. By default there is no band.
    open_begin, open_end : bool
        Whether the path may begin after the take's first frame, or end before its last one (subsequence
        DTW [2]_). The reference is always used as a whole. The end with the least total cost is
        taken. With a band, free ends reach only as far as the band does.

    Returns
    -------
    float
        Total cost / (n + number of take frames covered); all m are covered unless an end is open.

    Raises
    ------
    ParameterError
        A side is empty, not two-dimensional or not numeric, or has a value that is not finite or whose
        magnitude is above 1e15 (for cosine any finite value will do); the sides differ in dimensions; or an
        option is out of range.

    Examples
    --------
    Of three frames and two the cheapest path costs 2: 0, 1 and 2 meet 0, 0 and 3.

    >>> import speechcmp
    >>> speechcmp.dtw_distance([[0.0], [1.0], [2.0]], [[0.0], [3.0]])  # 2 / (3 + 2)
    0.4
    """
    if open_begin:
        path = dtw_path(reference, take, metric=metric, band=band, open_begin=True, open_end=open_end)
        return path.distance
    kernel = current_kernel()
    packed = [pack(kernel, reference, "reference", metric), pack(kernel, take, "take", metric)]
    options = _options(kernel, packed, metric, band, open_begin=open_begin, open_end=open_end)
    first, second = packed
    results = np.empty((1, 2))
    kernel.module.totals(options, [first.data], [second.data], _ONE_PAIR, results)
    total, end = results[0].tolist()
    return float(_scale(metric) * total / (first.n_frames + end + 1))


@checked
def dtw_path(
    reference: ArrayLike,
    take: ArrayLike,
    *,
    metric: str = "l1",
    band: float | None = None,
    open_begin: bool = False,
    open_end: bool = False,
) -> WarpingPath:
    """Return the cheapest alignment itself.

    Memory is 2 bits a cell inside the band: 900 MB for two sides of 60,000 frames without one. (The numpy
    kernel takes a byte.) The total cost is summed along the path in float64, hence may differ from
    `dtw_distance` by float32 rounding, 1e-6 relative.

    Parameters
    ----------
    reference, take, metric, band, open_begin, open_end
        As for `dtw_distance`.

    Returns
    -------
    WarpingPath
        From (0, first take frame) to (n - 1, last take frame).

    Raises
    ------
    ParameterError
        As for `dtw_distance`.

    Examples
    --------
    >>> import speechcmp
    >>> word, sentence = [[1.0], [2.0]], [[5.0], [1.0], [2.0], [2.0], [7.0]]
    >>> speechcmp.dtw_path(word, sentence, open_begin=True, open_end=True).steps.tolist()
    [[0, 1], [1, 2]]
    """
    kernel = current_kernel()
    packed = [pack(kernel, reference, "reference", metric), pack(kernel, take, "take", metric)]
    options = _options(kernel, packed, metric, band, open_begin=open_begin, open_end=open_end)
    first, second = packed
    steps = np.empty((first.n_frames + second.n_frames - 1, 2), np.int64)
    count, total = kernel.module.path(options, first.data, second.data, steps)
    steps = steps[-count:].copy()
    total *= _scale(metric)
    used = int(steps[-1, 1] - steps[0, 1]) + 1
    return WarpingPath(steps, total, total / (first.n_frames + used))


@checked
def dtw_distances(
    references: Sequence[ArrayLike],
    takes: Sequence[ArrayLike],
    *,
    metric: str = "l1",
    band: float | None = None,
    n_threads: int | None = None,
) -> NDArray[np.float64]:
    """Return the distance of every reference from every take.

    Parameters
    ----------
    references : sequence of n array_like, shape (n_frames, n_dims) each
        Features; every recording is converted and checked once.
    takes : sequence of m array_like, shape (n_frames, n_dims) each
        Features; the same object as `references` for all pairs among them.
    metric, band
        As for `dtw_distance`.
    n_threads : int, optional
        By default as many as this process may use processors. Results do not depend on it.

    Returns
    -------
    ndarray of float64, shape (n, m)
        ``dtw_distance(references[i], takes[j])`` at [i, j].

    Raises
    ------
    ParameterError
        As for `dtw_distance`, the message says which recording; or `n_threads` is below 1.

    Examples
    --------
    >>> import speechcmp
    >>> readings = [[[0.0], [1.0]], [[0.0], [2.0], [2.0]]]
    >>> speechcmp.dtw_distances(readings, readings).round(2).tolist()
    [[0.0, 0.4], [0.4, 0.0]]
    """
    shape = (len(references), len(takes))
    pairs = np.indices(shape).reshape(2, -1).T
    options: dict[str, Any] = {"metric": metric, "band": band, "n_threads": n_threads}
    return dtw_pair_distances(references, takes, pairs, **options).reshape(shape)


def dtw_pair_distances(
    references: Recordings,
    takes: Recordings,
    pairs: ArrayLike,
    *,
    metric: str = "l1",
    band: float | None = None,
    n_threads: int | None = None,
) -> NDArray[np.float64]:
    """Return the distances of chosen pairs.

    Parameters
    ----------
    references, takes, metric, band, n_threads
        As for `dtw_distances`. Sequences of one length are packed faster as an array (n, n_frames, n_dims).
    pairs : array_like of int, shape (k, 2)
        Indexes (reference, take), in any order.

    Returns
    -------
    ndarray of float64, shape (k,)
        The distance of each pair.

    Raises
    ------
    ParameterError
        As for `dtw_distances`, or a pair is out of range.
    """
    kernel = current_kernel()
    chosen = _check_pairs(pairs, len(references), len(takes))
    n_threads = _check_threads(n_threads)
    packed = pack_all(kernel, references, "reference", metric)
    packed_takes = packed if takes is references else pack_all(kernel, takes, "take", metric)
    options = _options(kernel, [*packed, *packed_takes], metric, band)
    if not len(chosen):
        return np.empty(0)
    sides = _Sides([item.data for item in packed], [item.data for item in packed_takes])
    totals = _run_in_threads(functools.partial(_totals, kernel, options, sides), chosen, n_threads)
    lengths = [np.array([item.shape[0] for item in side]) for side in (packed, packed_takes)]
    n_frames: NDArray[np.int64] = lengths[0][chosen[:, 0]] + lengths[1][chosen[:, 1]]
    return _scale(metric) * totals / n_frames


def kernel_name() -> str:
    """Return which kernel runs: "native" and its instruction set, or "numpy".

    Instruction sets are avx512, avx2, sse2, neon and generic, of which the best one is taken. The environment
    variable ``SPEECHCMP_KERNEL``, an instruction set or numpy, forces one.

    Returns
    -------
    str
        For example ``"native avx2"``.

    Raises
    ------
    ParameterError
        The variable names a kernel that does not exist, or that this machine can't run.

    Examples
    --------
    >>> import speechcmp
    >>> speechcmp.kernel_name().partition(" ")[0] in {"native", "numpy"}
    True
    """
    return current_kernel().name


def fastdtw_distance(
    reference: NDArray[np.float32], take: NDArray[np.float32], *, metric: str = "l1", radius: int = 1
) -> float:
    """Return the normalized distance of the fastdtw package's approximate path [3]_.

    For those who want its numbers; `dtw_distance` is exact and faster.

    Parameters
    ----------
    reference, take : float, shapes (n, n_dims) and (m, n_dims)
        Features, time first.
    metric : {"l1", "l2", "sqeuclidean", "cosine"}
        Frame distance.
    radius : int
        fastdtw's search radius; its path costs at least as much as the exact one.

    Returns
    -------
    float
        The path's cost / (n + m).

    Raises
    ------
    ParameterError
        The metric is unknown.
    """
    from fastdtw import fastdtw  # noqa: PLC0415 - imports scipy where its compiled form is missing

    _check_metric(metric)
    sides = (side.astype(np.float64) for side in (reference, take))
    total_cost, _path = fastdtw(*sides, radius=radius, dist=_FAST_METRICS[metric])
    return float(total_cost) / (len(reference) + len(take))


def _cosine(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    lengths = float(np.sqrt((a @ a) * (b @ b)))
    return 1.0 - float(a @ b) / lengths if lengths else float(a.any() or b.any())


# What fastdtw takes: the p of a norm, or a function of two frames.
_FAST_METRICS: dict[str, Any] = {"l1": 1, "l2": 2, "sqeuclidean": lambda a, b: ((a - b) ** 2).sum(), "cosine": _cosine}


# ------------------------------------------------------------------------------------------------ options


def _options(
    kernel: Kernel,
    packed: Sequence["Packed"],
    metric: str,
    band: float | None,
    *,
    open_begin: bool = False,
    open_end: bool = False,
) -> _dtw_numpy.Options:
    _check_metric(metric)
    code, fraction = _METRIC_CODES[metric], _check_band(band)
    return _dtw_numpy.Options(kernel.level, code, _common_dims(packed), fraction, open_begin, open_end)


def _common_dims(packed: Sequence[Packed]) -> int:
    for other in packed:
        if other.n_dims != packed[0].n_dims:
            raise ParameterError(
                f"{packed[0].name} and {other.name}: dimensions differ, given shapes {packed[0].shape} and "
                f"{other.shape}; extract both with the same parameters"
            )
    return packed[0].n_dims if packed else 1


class _Sides(NamedTuple):
    references: list[Any]
    takes: list[Any]


def _totals(
    kernel: Kernel, options: _dtw_numpy.Options, sides: _Sides, pairs: NDArray[np.int64]
) -> NDArray[np.float64]:
    results = np.empty((len(pairs), 2))
    kernel.module.totals(options, *sides, pairs, results)
    return results[:, 0]


def _run_in_threads(
    run: Callable[[NDArray[np.int64]], NDArray[np.float64]], pairs: NDArray[np.int64], n_threads: int
) -> NDArray[np.float64]:
    if n_threads == 1 or len(pairs) == 1:
        return run(pairs)
    n_parts = min(len(pairs), n_threads * _CHUNKS_PER_THREAD)
    totals = np.empty(len(pairs))
    parts = [np.ascontiguousarray(pairs[part::n_parts]) for part in range(n_parts)]
    with ThreadPoolExecutor(n_threads) as pool:
        for part, values in enumerate(pool.map(run, parts)):
            totals[part::n_parts] = values
    return totals


def _scale(metric: str) -> float:
    return 0.5 if metric == "cosine" else 1.0


# ------------------------------------------------------------------------------------------------ options


def _check_metric(metric: str) -> None:
    if metric not in METRICS:
        raise ParameterError(f"metric: {metric!r} is unknown; choose one of {', '.join(METRICS)}")


def _check_band(band: float | None) -> float:
    if band is None:
        return 0.0
    if not 0 < band <= 1:
        raise ParameterError(f"band: must be in (0, 1], given {band}; it is a fraction of the longer side")
    return float(band)


def _check_threads(n_threads: int | None) -> int:
    if n_threads is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if n_threads < 1:
        raise ParameterError(f"n_threads: must be at least 1, given {n_threads}")
    return n_threads


def _check_pairs(pairs: ArrayLike, n_references: int, n_takes: int) -> NDArray[np.int64]:
    chosen = np.asarray(pairs)
    if chosen.size == 0:
        return np.empty((0, 2), np.int64)
    if chosen.ndim != 2 or chosen.shape[1] != 2 or chosen.dtype.kind not in "iu":
        raise ParameterError(f"pairs: must be (k, 2) integers, given {chosen.dtype} of shape {chosen.shape}")
    outside = ((chosen < 0) | (chosen >= (n_references, n_takes))).any(axis=1)
    if outside.any():
        row = int(outside.argmax())
        raise ParameterError(
            f"pairs: {chosen[row].tolist()} at row {row} is out of range; "
            f"there are {n_references} references and {n_takes} takes"
        )
    return np.ascontiguousarray(chosen, np.int64)
