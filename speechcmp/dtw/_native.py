"""Kernels compiled from C++, where they are."""

import importlib
import os
from typing import Any

KERNEL_VARIABLE = "SPEECHCMP_KERNEL"


def wanted_kernel() -> str:
    """Return the instruction set, or "numpy", that the environment asks for; empty for the best one."""
    return os.environ.get(KERNEL_VARIABLE, "")


def import_native(name: str) -> Any:  # noqa: ANN401 - a compiled module has no annotations
    """Return a compiled module of the package, or None if it was not built."""
    try:
        return importlib.import_module(f"speechcmp.dtw.{name}")
    except ImportError:
        return None
