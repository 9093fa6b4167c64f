"""Files of results that only grow: whole lines, whatever kills the run, and each can be found again.

A record (`speechcmp.batch.layout`) is kept as a line of JSON or CSV, or as a row of a Parquet shard.
"""

import csv
import glob
import io
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Protocol

from speechcmp.batch.layout import (
    SCHEMA,
    SUFFIXES,
    Found,
    Layout,
    Record,
    flat,
    free_name,
    nested,
    sync_folder,
    touched_error,
    unguessable,
    whole,
    write_error,
)
from speechcmp.batch.lock import Lock
from speechcmp.batch.parquet import ParquetFolder
from speechcmp.errors import ParameterError, SpeechcmpError
from speechcmp.files import irregular
from speechcmp.tables import decode_json

_JSON = {".jsonl", ".ndjson"}
_SYNC_S = 5.0  # of work that a power failure may cost
_REPLACES_OPEN_FILES = sys.platform != "win32"


class ResultFile(Protocol):
    """Where results go. One run at a time writes it.

    Positions ascend in the order of the records; they hold until the file is rewritten.
    """

    path: Path
    kept: Path | None  # where what was there before is, if it was kept

    def append(self, record: Record) -> int:
        """Add a record and return its position; raises `SpeechcmpError`, and adds nothing, if it can't."""
        ...

    def find_all(self) -> Iterator[Found]:
        """Go through all records that are there."""
        ...

    def read(self, position: int) -> Record:
        """Return the record at a position."""
        ...

    def rewrite(self, records: Iterable[Record], *, keep_old: bool) -> None:
        """Put these in place of all that is there, at once; the old file is kept, as `kept` says, if wanted."""
        ...

    @property
    def other_layout(self) -> bool:
        """Whether what is there has other columns than what would be added."""
        ...

    def close(self) -> None:
        """Bring everything to the disk."""
        ...


def open_results(
    path: str | os.PathLike[str],
    *,
    carried: Sequence[str],
    overall: Sequence[str],
    copies: bool = False,
    resume: bool = False,
) -> ResultFile:
    """Open a file of results to add to it; what a kill or a crash left torn at its end is cut off.

    Parameters
    ----------
    path : path
        The suffix tells the format: .jsonl, .csv, or .parquet, which is a folder of shards.
    carried : sequence of str
        The manifest's other columns.
    overall : sequence of str
        Fields of a record's ``overall``.
    copies : bool
        Whether records say of what the take is a copy.
    resume : bool
        Go on with a file that is there.

    Raises
    ------
    ParameterError
        The format is unknown, the file is there and `resume` is not wanted, or it holds something else; or a
        carried column has the name of a result's in a table.
    SpeechcmpError
        The file can't be written, or another run is writing it.
    """
    path = Path(path)
    kind = path.suffix.lower()
    if kind not in SUFFIXES:
        raise ParameterError(f"{path}: results are .jsonl, .csv or .parquet; name the file so")
    if not path.absolute().parent.is_dir():
        raise ParameterError(f"{path}: no such folder; make it first")
    if path.is_symlink():  # another run, by another name, would know nothing of this one's lock
        raise ParameterError(f"{path}: is a link; name what it leads to")
    holds_some = path.exists() and (path.is_dir() or path.stat().st_size > 0)
    if holds_some and not resume:
        raise ParameterError(f"{path}: is there already; --resume goes on with it, or remove it first")
    other = irregular(path)
    if other and not path.is_dir():
        raise ParameterError(f"{path}: is {other}; name a file")
    layout = Layout(tuple(carried), tuple(overall), copies)
    twice = set(carried) & set(layout.own_columns)
    if twice and kind not in _JSON:
        raise ParameterError(f"{path}: column {min(twice)!r} has the name of a result's; rename it, or write .jsonl")
    lock = Lock(path)
    try:
        for left in path.parent.glob(f".{glob.escape(path.name)}.{'[0-9a-f]' * 16}.part"):  # of a run that was killed
            left.unlink(missing_ok=True)
        if kind == ".parquet":
            return ParquetFolder(path, layout, lock)
        return LineFile(path, JsonLines if kind in _JSON else lambda: CsvLines(layout), lock)
    except BaseException:
        lock.release()
        raise


class Lines(Protocol):
    """How records are written as lines; `begin` is how a file of them begins."""

    begin: bytes

    @property
    def other_layout(self) -> bool:
        """Whether the rest is read by another header than `header` gives."""
        ...

    def header(self) -> bytes:
        """Return what stands before the records."""
        ...

    def encode(self, record: Record) -> bytes: ...
    def records(self, file: BinaryIO) -> Iterator[bytes]:
        """Cut what is left of a file into records; the last may be torn."""
        ...

    def learn(self, header: bytes) -> None:
        """Read the rest by this header; raises ValueError if it is none."""
        ...

    def decode(self, line: bytes) -> Record:
        """Raise ValueError if the line is damaged."""
        ...


class JsonLines:
    """One object a line, the schema first."""

    begin = f'{{"schema": "{SCHEMA}", '.encode()
    other_layout = False

    def header(self) -> bytes:
        return b""

    def learn(self, header: bytes) -> None:
        pass

    def encode(self, record: Record) -> bytes:
        text = json.dumps({"schema": SCHEMA, **record}, ensure_ascii=False, allow_nan=False, default=str)
        return text.encode("utf-8", "backslashreplace") + b"\n"

    def records(self, file: BinaryIO) -> Iterator[bytes]:
        return iter(file)

    def decode(self, line: bytes) -> Record:
        if not line.startswith(self.begin):
            raise ValueError(line)
        record: Record = decode_json(line.decode())
        if not isinstance(record.get("key"), str) or not {"overall", "chunks"} <= record.keys():
            raise ValueError(line)
        del record["schema"]
        return record


class CsvLines:
    """A table under one header; the chunks are JSON in one field."""

    begin = b"id,reference,take,"

    def __init__(self, layout: Layout) -> None:
        self._layout = self._read_layout = layout

    @property
    def other_layout(self) -> bool:
        return self._read_layout != self._layout

    def header(self) -> bytes:
        return _csv_line(self._layout.columns)

    def learn(self, header: bytes) -> None:
        self._read_layout = Layout.of(_csv_fields(header))

    def encode(self, record: Record) -> bytes:
        values = flat(record, self._layout)
        return _csv_line([values[column] for column in self._layout.columns])

    def records(self, file: BinaryIO) -> Iterator[bytes]:
        held: list[bytes] = []
        inside = False
        for line in file:
            held.append(line)
            inside ^= line.count(b'"') % 2 == 1  # a quoted field goes on
            if not inside:
                yield b"".join(held)
                held = []
        if held:
            yield b"".join(held)

    def decode(self, line: bytes) -> Record:
        fields = _csv_fields(line)
        columns = self._read_layout.columns
        if len(fields) != len(columns) or not fields[-1]:
            raise ValueError(line)
        return nested(dict(zip(columns, fields, strict=True)), self._read_layout)


def _csv_line(values: Sequence[object]) -> bytes:
    text = io.StringIO()
    # A lone carriage return ends a line for who reads, and the writer would not quote it.
    if any("\r" in str(value) for value in values):
        csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerow(values)
    else:
        csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue().encode("utf-8", "backslashreplace")


def _n_lines(path: Path, start: int) -> int:
    """Count the lines from a position on, a torn one included."""
    with path.open("rb") as file:
        file.seek(start)
        return sum(1 for _ in file)


def _csv_fields(line: bytes) -> list[str]:
    try:
        (fields,) = csv.reader(io.StringIO(line.decode(), newline=""), strict=True)
    except csv.Error as error:
        raise ValueError(line) from error
    return fields


class LineFile:
    """Records as lines of one file, each written by one call and taken back if that fails half way."""

    def __init__(self, path: Path, new_lines: Callable[[], Lines], lock: Lock | None = None) -> None:
        self.path = path
        self._lock = lock
        self.kept: Path | None = None
        self._new_lines = new_lines
        self._lines = new_lines()
        self._fd = _opened(path)
        self._reader = path.open("rb")
        self._synced_at = time.monotonic()
        self._end = os.fstat(self._fd).st_size
        try:
            self._header_end = self._read_header()
            end = self._whole_end()
            if _n_lines(path, end) > 1:  # more than a write that was cut short: a stray quote, say
                self._keep_old()
            self._cut(end)
            self._reader.close()
            self._reader = path.open("rb")  # the first one has buffered what was just cut off
        except BaseException:
            self._release()
            raise

    @property
    def other_layout(self) -> bool:
        """See `ResultFile`."""
        return self._lines.other_layout

    def append(self, record: Record) -> int:
        """See `ResultFile`."""
        if not self._end:
            self._write(self._lines.header())
            self._header_end = self._end
        position = self._end
        self._write(self._lines.encode(record))
        return position

    def find_all(self) -> Iterator[Found]:
        """See `ResultFile`."""
        for position, line in self._records():
            try:
                yield Found(position, whole(self._lines.decode(line))["key"])
            except ValueError:
                yield Found(position, None)

    def read(self, position: int) -> Record:
        """See `ResultFile`."""
        self._reader.seek(position)
        return whole(self._lines.decode(next(self._lines.records(self._reader))))

    def rewrite(self, records: Iterable[Record], *, keep_old: bool) -> None:
        """See `ResultFile`."""
        partial = unguessable(self.path)
        new = LineFile(partial, self._new_lines)
        try:
            for record in records:
                new.append(record)
            new._sync()
            if keep_old:
                self._keep_old()
            self._replace_by(new)
        except BaseException as error:
            new._release()
            partial.unlink(missing_ok=True)
            if isinstance(error, OSError):
                raise write_error(self.path, error) from error
            raise
        self._lines, self._header_end = new._lines, new._header_end
        sync_folder(self.path.parent)

    def _replace_by(self, new: "LineFile") -> None:
        """Put a file of the same records in the place of this one, and go on with it."""
        if _REPLACES_OPEN_FILES:
            new.path.replace(self.path)
            self._release()
            self._fd, self._reader, self._end = new._fd, new._reader, new._end  # noqa: SLF001 - of this class
            return
        new._release()  # noqa: SLF001
        self._release()
        try:
            new.path.replace(self.path)
        finally:  # also where it failed: the old results are still there, and will be closed
            self._fd = _opened(self.path)
            self._reader = self.path.open("rb")
            self._end = os.lseek(self._fd, 0, os.SEEK_END)

    def close(self) -> None:
        """See `ResultFile`."""
        try:
            self._check_untouched()
            self._sync()
        finally:
            self._release()
            if self._lock:
                self._lock.release()

    def _keep_old(self) -> None:
        self.kept = free_name(self.path)
        with self.path.open("rb") as old, self.kept.open("xb") as kept:
            shutil.copyfileobj(old, kept)

    def _records(self) -> Iterator[tuple[int, bytes]]:
        with self.path.open("rb") as file:
            position = file.seek(self._header_end)
            for line in self._lines.records(file):
                yield position, line
                position += len(line)

    def _read_header(self) -> int:
        begin = self._lines.begin
        head = self._reader.read(len(begin))
        own = self._lines.header()
        self._reader.seek(0)
        header = next(self._lines.records(self._reader), b"") if own else b""
        whole = header.endswith(b"\n")
        ours = begin.startswith(head) and (whole or own.startswith(header))  # a torn header of ours may be cut off
        with suppress(ValueError):
            if ours and whole:
                self._lines.learn(header)
            if ours:
                return len(header) if whole else 0
        raise ParameterError(f"{self.path}: does not hold batch results; give another name")

    def _whole_end(self) -> int:
        """Return where the last whole record ends."""
        if self._lines.header() and not self._header_end:
            return 0
        last = (self._header_end, b"")
        for last in self._records():  # noqa: B007 - the last one is wanted
            pass
        position, line = last
        try:
            torn = line and not (line.endswith(b"\n") and self._lines.decode(line))
        except ValueError:
            torn = True
        return position if torn else position + len(line)

    def _cut(self, end: int) -> None:
        if end < self._end:
            os.ftruncate(self._fd, end)
        self._end = os.lseek(self._fd, end, os.SEEK_SET)

    def _write(self, data: bytes) -> None:
        self._check_untouched()
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._fd, rest) :]
        except OSError as error:
            self._end += len(data)  # at most: so that the cut is made
            with suppress(OSError):
                self._cut(self._end - len(data))
            raise write_error(self.path, error) from error
        self._end += len(data)
        if time.monotonic() - self._synced_at > _SYNC_S:
            self._sync()

    def _check_untouched(self) -> None:
        """See to it that what is written goes where it is looked for."""
        ours = os.fstat(self._fd)
        try:
            there = self.path.stat()
        except OSError:
            raise touched_error(self.path, "was removed") from None
        if (there.st_dev, there.st_ino) != (ours.st_dev, ours.st_ino):
            raise touched_error(self.path, "was replaced")
        if ours.st_size != self._end:
            raise touched_error(self.path, "was cut short" if ours.st_size < self._end else "was written to")

    def _sync(self) -> None:
        try:
            os.fsync(self._fd)
        except OSError as error:
            raise write_error(self.path, error) from error
        self._synced_at = time.monotonic()

    def _release(self) -> None:
        """Close the file, once."""
        if not self._reader.closed:
            self._reader.close()
            os.close(self._fd)


def _opened(path: Path) -> int:
    try:
        # Without O_BINARY Windows writes two bytes at the end of a line, and no position holds.
        return os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
    except OSError as error:
        raise SpeechcmpError(f"{path}: can't be opened ({error.strerror}); check the folder") from error
