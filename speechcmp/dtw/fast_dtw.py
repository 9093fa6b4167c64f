"""DTW by the fastdtw package, for those who want its numbers; `speechcmp.dtw.warp` is exact and faster.

Salvador and Chan (2007), "Toward accurate dynamic time warping in linear time and space", Intelligent Data
Analysis 11(5), 561-580.
"""

from collections.abc import Callable
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from speechcmp.errors import ParameterError

Frame = NDArray[np.float64]


def _cosine(a: Frame, b: Frame) -> float:
    lengths = float(np.sqrt((a @ a) * (b @ b)))
    return 1.0 - float(a @ b) / lengths if lengths else float(a.any() or b.any())


_METRICS: MappingProxyType[str, int | Callable[[Frame, Frame], float]] = MappingProxyType(
    {"l1": 1, "l2": 2, "sqeuclidean": lambda a, b: float(((a - b) ** 2).sum()), "cosine": _cosine}
)


def fastdtw_distance(
    reference: NDArray[np.float32], take: NDArray[np.float32], *, metric: str = "l1", radius: int = 1
) -> float:
    """Compute the normalized distance of fastdtw's approximate path.

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

    if metric not in _METRICS:
        raise ParameterError(f"metric: {metric!r} is unknown; choose one of {', '.join(_METRICS)}")
    total_cost, _path = fastdtw(
        reference.astype(np.float64), take.astype(np.float64), radius=radius, dist=_METRICS[metric]
    )
    return float(total_cost) / (len(reference) + len(take))
