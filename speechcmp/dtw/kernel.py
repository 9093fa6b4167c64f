"""Which kernel there is, compiled or numpy, and feature sequences as it takes them."""

import functools
import importlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from speechcmp.dtw import _dtw_numpy
from speechcmp.errors import ParameterError

KERNEL_VARIABLE = "SPEECHCMP_KERNEL"

Recordings = Sequence[ArrayLike] | NDArray[np.floating]


def wanted_kernel() -> str:
    """Return the instruction set, or "numpy", that the environment asks for; empty for the best one."""
    return os.environ.get(KERNEL_VARIABLE, "")


def import_native(name: str) -> Any:  # noqa: ANN401 - a compiled module has no annotations
    """Return a compiled module of the package, or None if it was not built."""
    try:
        return importlib.import_module(f"speechcmp.dtw.{name}")
    except ImportError:
        return None


@dataclass(frozen=True, slots=True)
class Kernel:
    """A module with the functions of `_dtw_numpy`, and the instruction set it is told to use."""

    name: str
    level: str
    module: Any


def current_kernel() -> Kernel:
    """Return the kernel that the environment asks for, or the best one."""
    return _find_kernel(wanted_kernel())


@functools.cache
def _find_kernel(wanted: str) -> Kernel:
    native = import_native("_dtw")
    levels: list[str] = native.levels() if native else []
    if wanted not in {"", "numpy", *levels}:
        offered = ", ".join(["numpy", *levels])
        raise ParameterError(f"{KERNEL_VARIABLE}: can't run {wanted!r} on this machine; choose one of {offered}")
    if native is None or wanted == "numpy":
        return Kernel("numpy", "", _dtw_numpy)
    level = wanted or levels[0]
    return Kernel(f"native {level}", level, native)


class Packed(NamedTuple):
    """Features as a kernel takes them: which they are, their shape as given, and the kernel's own data."""

    side: str
    nth: int | None
    shape: tuple[int, ...]
    data: Any
    n_dims: int  # as the kernel sees it

    @property
    def name(self) -> str:
        return self.side if self.nth is None else f"{self.side} {self.nth}"

    @property
    def n_frames(self) -> int:
        return self.shape[0]


def pack_all(kernel: Kernel, recordings: Recordings, side: str, metric: str) -> list[Packed]:
    """Pack many feature sequences, named `side` and their number in errors."""
    if isinstance(recordings, np.ndarray) and recordings.ndim == 3 and recordings.size:
        return _pack_stack(kernel, recordings, side, metric)
    return [pack(kernel, features, side, metric, index) for index, features in enumerate(recordings)]


def _pack_stack(kernel: Kernel, stack: NDArray[Any], side: str, metric: str) -> list[Packed]:
    """Pack sequences of one length, made ready in one go: for words ten times faster."""
    frames = _as_frames(stack.reshape(-1, stack.shape[2]), side)
    vectors = unit_vectors(frames) if metric == "cosine" else frames
    n_frames, n_dims = stack.shape[1], vectors.shape[1]
    packed = [kernel.module.pack(one, n_dims) for one in vectors.reshape(-1, n_frames, n_dims)]
    for index, data in enumerate(packed):
        if data is None:
            raise ParameterError(_describe_unusable(stack[index], f"{side} {index}", metric))
    return [Packed(side, index, stack.shape[1:], data, n_dims) for index, data in enumerate(packed)]


def pack(kernel: Kernel, features: ArrayLike, side: str, metric: str, index: int | None = None) -> Packed:
    """Check one feature sequence and turn it into what the kernel reads.

    Raises
    ------
    ParameterError
        It has the wrong shape or type, or a value that no kernel can take.
    """
    name = side if index is None else f"{side} {index}"
    frames = _as_frames(features, name)
    vectors = unit_vectors(frames) if metric == "cosine" else frames
    n_dims = vectors.shape[1]
    data = kernel.module.pack(vectors, n_dims)
    if data is None:
        raise ParameterError(_describe_unusable(frames, name, metric))
    return Packed(side, index, frames.shape, data, n_dims)


def _as_frames(features: ArrayLike, name: str) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    try:
        frames = np.asarray(features)
    except ValueError as error:
        raise ParameterError(f"{name}: not an array, {error}; give (n_frames, n_dims) numbers") from error
    if frames.ndim != 2 or 0 in frames.shape:
        raise ParameterError(f"{name}: must be (n_frames, n_dims) and not empty, given shape {frames.shape}")
    if frames.dtype.kind not in "fiub":
        raise ParameterError(f"{name}: must be real numbers, given dtype {frames.dtype}")
    if frames.dtype != np.float32:
        with np.errstate(over="ignore"):  # becomes infinite, and is reported as such
            frames = frames.astype(np.float32)
    return np.ascontiguousarray(frames)


def unit_vectors(frames: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return frames of length 1, (n_frames, n_dims + 1), whose squared distance is 2 (1 - cos).

    The last dimension is 1 for frames of zeros and 0 for all others. The squared distance, unlike 1 - dot, is
    never negative and exactly 0 between equal frames. Their distances by "sqeuclidean" are twice those of the
    frames by "cosine".
    """
    norms = np.sqrt(np.einsum("nd,nd->n", frames, frames, dtype=np.float64))
    silent = norms == 0
    units = np.empty((len(frames), frames.shape[1] + 1), np.float32)
    with np.errstate(invalid="ignore"):
        np.divide(frames, (norms + silent)[:, None], out=units[:, :-1], casting="same_kind")
    units[:, -1] = silent
    return units


def _describe_unusable(frames: NDArray[np.float32], name: str, metric: str) -> str:
    largest = np.inf if metric == "cosine" else _dtw_numpy.LARGEST
    usable = np.isfinite(frames) & (np.abs(frames) <= largest)
    frame, dim = np.argwhere(~usable)[0]
    value = frames[frame, dim]
    reason = f"above {largest:g} and overflows float32 costs" if np.isfinite(value) else "not a finite number"
    return f"{name}: {value} at frame {frame}, dimension {dim}, is {reason}; shape {frames.shape}"
