"""What a record of a batch is, and its columns where it stands in a table.

A record is a dict: ``id``, ``reference``, ``take``, carried columns, ``overall``, ``chunks``, maybe ``copy``, and
``key``, which says of what and how it was made.
"""

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from speechcmp.errors import SpeechcmpError
from speechcmp.tables import decode_json

Record = dict[str, Any]

SCHEMA = "speechcmp.batch/1"
SUFFIXES = (".jsonl", ".ndjson", ".csv", ".parquet")
LABELS = ("id", "reference", "take")
CHUNKS = "chunk_list"
KEY = "key"
COPY = "copy"
_COPY_COLUMNS = {
    "copy_of": "of",
    "copy_id": "id",
    "copy_path": "path",
    "copy_offset_s": "offset_s",
    "copy_confidence": "confidence",
}
COPY_NUMBERS = ("copy_offset_s", "copy_confidence")
_LARGEST = 1e12  # no distance or score is anywhere near
WHOLE_NUMBERS = frozenset({"chunks", "missing", "extra"})
TEXTS = frozenset({"verdict"})
_INTERVAL = ("interval_low", "interval_high")  # one list of two numbers in a record


class Found(NamedTuple):
    """A record in a file, `key` None if it is damaged."""

    position: int
    key: str | None


def write_error(path: Path, error: OSError) -> SpeechcmpError:
    """Make the error of a result file that can't grow."""
    return SpeechcmpError(
        f"{path}: can't be written ({error.strerror or error}); what is there is whole: "
        "make room, and run again with --resume"
    )


def touched_error(path: Path, what: str) -> SpeechcmpError:
    """Make the error of results that somebody else has changed in mid-run."""
    return SpeechcmpError(
        f"{path}: {what} while the run wrote to it; what it held may be lost: look for it, and run again with --resume"
    )


def unguessable(path: Path) -> Path:
    """Return a name beside `path` under which nobody can have laid a link."""
    return path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")


def is_whole(record: Record) -> bool:
    """Tell whether a record has what is made of records: summaries, and records again."""
    chunks, overall, copy = record.get("chunks"), record.get("overall"), record.get("copy")
    return (
        "id" in record
        and all(isinstance(record.get(name), str) for name in ("reference", "take", KEY))
        and isinstance(overall, dict)
        and all(_is_number(overall.get(name)) for name in ("distance", "score"))
        and isinstance(chunks, list)
        and all(
            isinstance(chunk, dict)
            and type(chunk.get("index")) is int
            and "distance" in chunk
            and _is_number(chunk["distance"])
            for chunk in chunks
        )
        and (copy is None or (isinstance(copy, dict) and copy.get("of") in {"reference", "take"}))
    )


def whole(record: Record) -> Record:
    """Return a record that is whole; ValueError if it is not."""
    if not is_whole(record):
        raise ValueError(record)
    return record


def _is_number(value: object) -> bool:
    return value is None or (
        not isinstance(value, bool) and isinstance(value, int | float) and abs(value) <= _LARGEST
    )  # not NaN, either


def free_name(path: Path) -> Path:
    """Return a name beside `path`, with .old at its end, that nothing has."""
    names = (path.with_name(f"{path.name}.old{number or ''}") for number in count())
    return next(name for name in names if not os.path.lexists(name))


def sync_folder(folder: Path) -> None:
    """Bring new names in a folder to the disk, where the system can."""
    if os.name == "posix":
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


# ------------------------------------------------------------------------------------------------- tables


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a table of records: the manifest's, and those of a result, maybe with copies."""

    carried: tuple[str, ...]
    overall: tuple[str, ...]
    copies: bool = False

    @property
    def own_columns(self) -> tuple[str, ...]:
        return (*self.overall, CHUNKS, *(_COPY_COLUMNS if self.copies else ()), KEY)

    @property
    def columns(self) -> tuple[str, ...]:
        return (*LABELS, *self.carried, *self.own_columns)

    @classmethod
    def of(cls, columns: list[str]) -> "Layout":
        """Read a table's header; ValueError if it is none of ours."""
        end = columns.index(CHUNKS)
        start = columns.index("distance")
        layout = cls(tuple(columns[len(LABELS) : start]), tuple(columns[start:end]), "copy_of" in columns[end:])
        if layout.columns != tuple(columns):
            raise ValueError(columns)
        return layout


def flat(record: Record, layout: Layout) -> Record:
    """Turn a record into a row; what is not known is None."""
    return {
        **{column: record.get(column) for column in (*LABELS, *layout.carried)},
        **_judged_cells(record["overall"], layout),
        CHUNKS: json.dumps(record["chunks"], separators=(",", ":")),
        **({column: (record[COPY] or {}).get(name) for column, name in _COPY_COLUMNS.items()} if layout.copies else {}),
        KEY: record[KEY],
    }


def nested(row: Mapping[str, Any], layout: Layout) -> Record:
    """Turn a row, of text or of numbers, back into a record; ValueError if it is damaged."""
    return {
        **{column: row[column] for column in (*LABELS, *layout.carried)},
        "overall": _judged(row, layout),
        "chunks": decode_json(row[CHUNKS]),
        **({COPY: _copy(row)} if layout.copies else {}),
        KEY: row[KEY],
    }


def _judged_cells(overall: Record, layout: Layout) -> Record:
    low, high = overall.get("interval") or (None, None)
    values = {**overall, "interval_low": low, "interval_high": high}
    return {column: values.get(column) for column in layout.overall}


def _judged(row: Mapping[str, Any], layout: Layout) -> Record:
    cells = {column: _number(column, row[column]) for column in layout.overall if column not in TEXTS}
    texts = {column: row[column] or None for column in layout.overall if column in TEXTS}
    ends = [cells.pop(column) for column in _INTERVAL if column in cells]
    interval = {"interval": None if None in ends else ends} if ends else {}
    return {**cells, **interval, **texts}


def _copy(row: Mapping[str, Any]) -> Record | None:
    if not row["copy_of"]:
        return None
    cells = {column: float(row[column]) if column in COPY_NUMBERS else row[column] for column in _COPY_COLUMNS}
    return {
        name: cells[column] or None if column == "copy_id" else cells[column] for column, name in _COPY_COLUMNS.items()
    }


def _number(column: str, value: Any) -> int | float | None:  # noqa: ANN401 - a cell
    if value is None or value == "":
        return None
    return int(value) if column in WHOLE_NUMBERS else float(value)
