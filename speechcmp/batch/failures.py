"""The rows of a batch that failed, a line each, beside the results."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from speechcmp.batch.manifest import Row
from speechcmp.batch.reader import FAILURE_SCHEMA
from speechcmp.batch.worker import Failure
from speechcmp.errors import ParameterError, SpeechcmpError
from speechcmp.files import irregular, written_whole


def failures_beside(results: Path) -> Path:
    """Return where the failures of a batch go that has these results: no other format's go there."""
    name = results.stem if results.suffix.lower() == ".jsonl" else results.name
    return results.with_name(f"{name}.failures.jsonl")


class FailureFile:
    """One line a failure; no file while there is none.

    What an earlier run noted stays until its row is settled: while a run goes on, new lines are added below.

    Parameters
    ----------
    path : Path or None
        Where they go; None: nowhere.

    Raises
    ------
    ParameterError
        The file is there and holds something else, or is none.
    """

    begin = f'{{"schema": "{FAILURE_SCHEMA}", '.encode()

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._file: Any = None
        self._earlier: dict[str, bytes] = {}  # the lines there were, by row
        self._n_earlier_bytes = 0

    def __enter__(self) -> Self:
        if self.path is not None and (self.path.exists() or self.path.is_symlink()):
            other = irregular(self.path)
            if other or self.path.is_symlink():
                raise ParameterError(f"{self.path}: is {other or 'a link'}; give failures another name")
            data = self.path.read_bytes()
            if not self.begin.startswith(data[: len(self.begin)]):
                raise ParameterError(f"{self.path}: does not hold failures; give them another name")
            whole = data[: data.rfind(b"\n") + 1]
            if whole != data:  # torn
                self.path.write_bytes(whole)
            self._n_earlier_bytes = len(whole)
            self._earlier = {_key(line): line for line in whole.splitlines(keepends=True)}
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
        if self.path is None or not self._n_earlier_bytes:
            return
        with self._writing():
            data = b"".join(self._earlier.values()) + self.path.read_bytes()[self._n_earlier_bytes :]
            if data:
                with written_whole(self.path) as file:
                    file.write(data)
            else:
                self.path.unlink()

    def settle(self, row: Row) -> None:
        """Forget the earlier failure of a row: it has been tried again, or is done."""
        if self._earlier:
            self._earlier.pop(_key_of(row), None)

    def settle_all(self) -> None:
        """Forget all earlier failures: every row has been tried, and others are no rows any more."""
        self._earlier = {}

    def add(self, failure: Failure) -> None:
        """Note a failure.

        Raises
        ------
        SpeechcmpError
            The file can't be written.
        """
        self.settle(failure.row)
        if self.path is None:
            return
        row = failure.row
        line = {"id": row.id, "reference": row.reference, "take": row.take}
        text = json.dumps({**line, "file": failure.file, "reason": failure.reason}, ensure_ascii=False)
        with self._writing():
            if self._file is None:
                self._file = self.path.open("ab", buffering=0)
            self._file.write(self.begin + text[1:].encode("utf-8", "backslashreplace") + b"\n")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SpeechcmpError(
                f"{self.path}: can't be written ({error.strerror}); check the folder and the space left"
            ) from error


def _key_of(row: Row) -> str:
    return json.dumps([row.id, row.reference, row.take])


def _key(line: bytes) -> str:
    try:
        values = json.loads(line)
        return json.dumps([values["id"], values["reference"], values["take"]])
    except (ValueError, LookupError, TypeError, RecursionError):  # damaged: it stays until all rows are settled
        return line.decode("utf-8", "replace")
