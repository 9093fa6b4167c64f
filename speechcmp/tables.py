"""Values as they are written: rounded, and nothing that JSON has no word for."""

import math
from typing import Any


def finite(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Round to microseconds and their like, and turn what is no finite number into None."""
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(x) for key, x in value.items()}
    if isinstance(value, list | tuple):
        return [finite(x) for x in value]
    return value
