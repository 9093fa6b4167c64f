"""The rows of a batch that failed, a line each: beside the results, made anew by every run."""

import json
from pathlib import Path
from typing import Any, Self

from speechcmp.batch.reader import FAILURE_SCHEMA
from speechcmp.batch.worker import Failure
from speechcmp.errors import ParameterError, SpeechcmpError


def failures_beside(results: Path) -> Path:
    """Return where the failures of a batch go that has these results."""
    return results.with_suffix(".failures.jsonl")


class FailureFile:
    """One line a failure; no file while there is none.

    Parameters
    ----------
    path : Path or None
        Where they go; None: nowhere. What an earlier run noted there goes when this is entered, because every failed
        row is tried again.

    Raises
    ------
    ParameterError
        The file is there and holds something else.
    """

    begin = f'{{"schema": "{FAILURE_SCHEMA}", '.encode()

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._file: Any = None

    def __enter__(self) -> Self:
        if self.path is not None and self.path.exists():
            head = self.path.read_bytes()[: len(self.begin)] if self.path.is_file() else b"/"
            if not self.begin.startswith(head):
                raise ParameterError(f"{self.path}: does not hold failures; give them another name")
            self.path.unlink()
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, failure: Failure) -> None:
        """Note a failure.

        Raises
        ------
        SpeechcmpError
            The file can't be written.
        """
        if self.path is None:
            return
        row = failure.row
        line = {"id": row.id, "reference": row.reference, "take": row.take}
        text = json.dumps({**line, "file": failure.file, "reason": failure.reason}, ensure_ascii=False)
        try:
            if self._file is None:
                self._file = self.path.open("wb", buffering=0)
            self._file.write(self.begin + text[1:].encode("utf-8", "backslashreplace") + b"\n")
        except OSError as error:
            raise SpeechcmpError(
                f"{self.path}: can't be written ({error.strerror}); check the folder and the space left"
            ) from error
