"""Where the project is, and what a run of its command line gives back."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
SPANS_S = [(0.7, 2.1), (3.0, 4.4), (5.4, 6.6)]  # where the reference of the command line's tests speaks


class Ran(NamedTuple):
    """Exit code and streams of a command."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


Command = Callable[..., Ran]
