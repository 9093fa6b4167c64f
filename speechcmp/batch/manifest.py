"""What is to be compared with what: CSV, TSV, JSONL or Parquet, read lazily and as often as needed."""

import codecs
import csv
import json
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from speechcmp.audio.url import is_url, to_path
from speechcmp.errors import DependencyError, ParameterError

SIDES = ("reference", "take")
RESERVED = frozenset({"schema", "overall", "chunks", "copy", "key"})  # what a result line says itself
_PARQUET_ROWS = 1024
_DEEPEST = 32  # of values in values; what takes results to workers and files does not go on for ever
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

Cells = Mapping[str, Any]


class Row(NamedTuple):
    """Two recordings to compare.

    `reference` and `take` are what the manifest calls them, the paths are where they are; `carried` are the
    other columns. `number` counts from 1.
    """

    number: int
    id: str
    reference: str
    take: str
    reference_path: str
    take_path: str
    carried: dict[str, Any]


class Checked(NamedTuple):
    """A manifest that can be run: how many rows it has, and which columns it carries through."""

    n_rows: int
    carried: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Manifest:
    """Rows that can be read again and again; iterating reads them lazily.

    Attributes
    ----------
    name : str
        What messages call it.
    rows : callable
        Begins a reading; raises `ParameterError` at the first row that is wrong.
    """

    name: str
    rows: Callable[[], Iterator[Row]]

    def __iter__(self) -> Iterator[Row]:
        return self.rows()

    def first(self, limit: int | None) -> "Manifest":
        """Return the manifest's first rows only."""
        return self if limit is None else Manifest(self.name, lambda: islice(self.rows(), limit))

    def check(self) -> Checked:
        """Read all rows once.

        Raises
        ------
        ParameterError
            A column or row is wrong; the message says in which line.
        """
        carried: dict[str, None] = {}
        n_rows = 0
        for row in self:
            n_rows += 1
            if row.carried.keys() - carried.keys():
                carried.update(dict.fromkeys(row.carried))
        if not n_rows:
            raise ParameterError(f"{self.name}: no rows; give at least one pair of recordings")
        return Checked(n_rows, tuple(carried))


def open_manifest(path: str | os.PathLike[str]) -> Manifest:
    """Open a manifest: columns ``reference`` and ``take``, maybe ``id``, and any others.

    Paths in it are relative to its folder; URLs stand for themselves.

    Parameters
    ----------
    path : path
        The suffix tells the format: .csv, .tsv (or .txt, as spreadsheets call it), .jsonl or .parquet. Text is
        UTF-8, or UTF-16 if it begins with a byte order mark.

    Raises
    ------
    ParameterError
        There is no such file, or its suffix is none of these. What is wrong inside is raised by reading.
    DependencyError
        Parquet needs pyarrow, which is not installed.
    """
    path = Path(path)
    readers = {
        ".csv": _read_csv,
        ".tsv": _read_tsv,
        ".tab": _read_tsv,
        ".txt": _read_tsv,
        ".jsonl": _read_jsonl,
        ".ndjson": _read_jsonl,
        ".parquet": _read_parquet,
    }
    read = readers.get(path.suffix.lower())
    if read is None:
        raise ParameterError(f"{path}: a manifest is .csv, .tsv, .jsonl or .parquet; save it as one of these")
    if not path.is_file():
        raise ParameterError(f"{path}: no such file; check the path of the manifest")
    if read is _read_parquet:
        import_parquet()
    folder = path.absolute().parent
    return Manifest(str(path), lambda: _rows(path, folder, read(path)))


def pair_with(reference: str, takes: Iterable[str]) -> Manifest:
    """Make a manifest of one reference and many takes."""
    listed = list(takes)
    folder = Path.cwd()

    def rows() -> Iterator[Row]:
        for number, take in enumerate(listed, start=1):
            yield Row(number, str(number), reference, take, _located(folder, reference), _located(folder, take), {})

    return Manifest(reference, rows)


def import_parquet() -> Any:  # noqa: ANN401 - pyarrow has no annotations
    """Import pyarrow.parquet.

    Raises
    ------
    DependencyError
        It is not installed.
    """
    try:
        import pyarrow.parquet  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise DependencyError(
            "Parquet needs pyarrow, which is not installed; pip install 'speechcmp[parquet]'"
        ) from error
    return pyarrow.parquet


def _rows(path: Path, folder: Path, lines: Iterator[tuple[str, Cells]]) -> Iterator[Row]:
    columns: set[str] = set()
    for number, (where, cells) in enumerate(lines, start=1):
        if not cells.keys() <= columns:
            _check_columns(f"{path}: {where}", cells)
            columns |= cells.keys()
        reference, take = (_named(f"{path}: {where}", cells, side) for side in SIDES)
        own = cells.get("id")
        yield Row(
            number,
            str(number if own is None or own == "" else own),
            reference,
            take,
            _located(folder, reference),
            _located(folder, take),
            {name: value for name, value in cells.items() if name not in {"id", *SIDES}},
        )


def _check_columns(where: str, columns: Iterable[str]) -> None:
    names = list(columns)
    for side in SIDES:
        if side not in names:
            raise ParameterError(f"{where}: no column {side!r}, only {', '.join(names)}; name it so")
    for name in names:
        if not name:
            raise ParameterError(f"{where}: column {names.index(name) + 1} has no name; give it one")
        if name in RESERVED:
            raise ParameterError(f"{where}: column {name!r} has the name of a result's field; rename it")


def _named(where: str, cells: Cells, side: str) -> str:
    name = cells.get(side)
    if not isinstance(name, str) or not name:
        shown = repr(name) if len(repr(name)) < 100 else f"a {type(name).__name__}"
        raise ParameterError(f"{where}: {side} is {shown}; give the path of a recording")
    if "\0" in name or not _can_be_a_path(name):
        raise ParameterError(f"{where}: {side} is {name!r}, which no file can be called; give the path of a recording")
    return name


def _can_be_a_path(name: str) -> bool:
    try:
        os.fsencode(name)
    except UnicodeEncodeError:  # half a surrogate pair
        return False
    return True


def _located(folder: Path, name: str) -> str:
    """Return an absolute path, which a worker elsewhere finds, too, or a URL."""
    if "://" in name and is_url(name):
        return to_path(name)
    return os.path.join(folder, name)  # noqa: PTH118 - a million rows: 10 times faster


# ------------------------------------------------------------------------------------------------ formats


def text_encoding(path: Path) -> str:
    """Tell UTF-16, which begins with its mark, from UTF-8."""
    with path.open("rb") as file:
        return "utf-16" if file.read(2) in _UTF16_MARKS else "utf-8-sig"


def _read_csv(path: Path) -> Iterator[tuple[str, Cells]]:
    with path.open(encoding=text_encoding(path), errors="replace") as file:
        first = file.readline()
    # A spreadsheet separates by semicolons where the comma is the decimal point, and Unicode text by tabs.
    return _read_separated(path, next((mark for mark in ",;\t" if mark in first), ","))


def _read_tsv(path: Path) -> Iterator[tuple[str, Cells]]:
    return _read_separated(path, "\t")


def _read_separated(path: Path, delimiter: str) -> Iterator[tuple[str, Cells]]:
    line = 1
    try:
        with path.open(encoding=text_encoding(path), newline="") as file:
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            header: list[str] = []
            for fields in reader:
                if fields and not header:
                    header = _header(f"{path}: line {line}", fields)
                elif fields:
                    if len(fields) != len(header):
                        raise ParameterError(
                            f"{path}: line {line}: {len(fields)} fields, and the header has {len(header)}; "
                            "fill it up, or quote what holds a separator"
                        )
                    yield f"line {line}", dict(zip(header, fields, strict=True))
                line = reader.line_num + 1
    except csv.Error as error:
        raise ParameterError(f"{path}: line {line}: can't be read ({error}); save it as CSV UTF-8") from error
    except UnicodeDecodeError as error:
        raise _encoding_error(path, error) from error


def _encoding_error(path: Path, error: UnicodeDecodeError) -> ParameterError:
    """Name the line: a text is decoded a block at a time, so the error alone does not know."""
    if error.encoding.startswith("utf-16"):
        return ParameterError(f"{path}: broken UTF-16 ({error.reason}); save it as CSV UTF-8")
    with path.open("rb") as file:
        for line, text in enumerate(file, start=1):
            try:
                text.decode()
            except UnicodeDecodeError as found:
                what = f"byte 0x{text[found.start]:02x} is no UTF-8"
                return ParameterError(f"{path}: line {line}: {what}; save it as CSV UTF-8 (not as ANSI or plain CSV)")
    return ParameterError(f"{path}: no UTF-8 ({error.reason}); save it as CSV UTF-8")


def _header(where: str, fields: list[str]) -> list[str]:
    names = [name.strip() for name in fields]
    _check_columns(where, names)
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ParameterError(f"{where}: two columns are called {twice[0]!r}; rename one")
    return names


def _read_jsonl(path: Path) -> Iterator[tuple[str, Cells]]:
    try:
        with path.open(encoding=text_encoding(path), newline="\n") as file:
            for line, text in enumerate(file, start=1):
                if text.strip():
                    yield f"line {line}", _object(f"{path}: line {line}", text)
    except UnicodeDecodeError as error:
        raise _encoding_error(path, error) from error


def _object(where: str, text: str) -> dict[str, Any]:
    """Read a line of JSON: only what a line of results can say, too."""
    try:
        cells = _JSON.decode(text.strip())
    except RecursionError:
        raise _too_deep(where) from None
    except ValueError as error:
        reason = "a number of thousands of digits" if "digits" in str(error) else str(error)
        raise ParameterError(f"{where}: no JSON ({reason}); write one object a line") from error
    if not isinstance(cells, dict):
        raise ParameterError(f"{where}: no object; write {{'reference': …, 'take': …}}")
    if text.count("[") + text.count("{") > _DEEPEST and _is_deeper(cells, _DEEPEST):
        raise _too_deep(where)
    return cells


def _too_deep(where: str) -> ParameterError:
    return ParameterError(f"{where}: values in values, more than {_DEEPEST} deep; write a flat object")


def _is_deeper(value: object, n_levels: int) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    return isinstance(value, list) and (not n_levels or any(_is_deeper(item, n_levels - 1) for item in value))


def _finite_number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):  # NaN and Infinity, which JSON does not know, and 1e999
        raise ValueError(f"{text} is no number of JSON's")
    return number


_JSON = json.JSONDecoder(parse_float=_finite_number, parse_constant=_finite_number)


def _read_parquet(path: Path) -> Iterator[tuple[str, Cells]]:
    parquet = import_parquet()
    from pyarrow import ArrowException  # noqa: PLC0415 - an extra

    row = 0
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_PARQUET_ROWS):
                for cells in batch.to_pylist():
                    row += 1
                    yield f"row {row}", {name: _without_nan(value) for name, value in cells.items()}
    except (ArrowException, OSError) as error:
        raise ParameterError(f"{path}: no Parquet file, or broken ({error}); write it again") from error


def _without_nan(value: Any) -> Any:  # noqa: ANN401 - any cell
    """Write what is no number as None, as everywhere in results."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _without_nan(item) for name, item in value.items()}
    return [_without_nan(item) for item in value] if isinstance(value, list) else value
