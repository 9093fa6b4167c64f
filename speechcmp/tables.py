"""Tables as people and programs write them: encodings, delimiters, headers; and values as we write them.

Readers yield a row at a time, with where it stands, and name the line of what can't be read.
"""

import codecs
import csv
import datetime as dt
import html
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from speechcmp.errors import DependencyError, ParameterError
from speechcmp.files import Snapshot

Cells = Mapping[str, Any]
Rows = Iterator[tuple[str, Cells]]  # where a row stands, and its cells by column
CheckHeader = Callable[[str, list[str]], None]

_DELIMITERS = ",;\t"  # a spreadsheet separates by semicolons where the comma is the decimal point, Unicode text by tabs
_PARQUET_ROWS = 1024
_MOST_ROW_BYTES = 1 << 20  # on average; packed, a cell of gigabytes is a file of kilobytes
_DEEPEST = 32  # of values in values; what takes results to workers and files does not go on for ever
_TOO_DEEP = f"values in values, more than {_DEEPEST} deep"
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def finite(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Round to microseconds and their like, and turn what is no finite number into None."""
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(x) for key, x in value.items()}
    if isinstance(value, list | tuple):
        return [finite(x) for x in value]
    return value


def import_parquet() -> Any:  # noqa: ANN401 - pyarrow has no annotations
    """Import pyarrow.parquet; raises as `_import_extra`."""
    return _import_extra("pyarrow.parquet", "Parquet", "parquet")


def import_pandas() -> Any:  # noqa: ANN401 - pandas is no dependency
    """Import pandas; raises as `_import_extra`."""
    return _import_extra("pandas", "to_frame", "frames")


def _import_extra(module: str, what: str, extra: str) -> Any:  # noqa: ANN401
    """Import what is only needed for `what`.

    Raises
    ------
    DependencyError
        It is not installed.
    """
    try:
        return import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise DependencyError(
            f"{what} needs {package}, which is not installed; pip install 'speechcmp[{extra}]'"
        ) from error


def shown_number(value: float | None, decimals: int) -> str:
    """Write a number for people; a dash where there is none."""
    return "–" if value is None or not math.isfinite(value) else f"{value:.{decimals}f}"


def html_table(head: Sequence[str], rows: Sequence[Sequence[str]], *, caption: str) -> str:
    """Make an HTML table for notebooks; every text is escaped."""

    def line(cells: Sequence[str], tag: str) -> str:
        return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"

    body = "".join(line(row, "td") for row in rows)
    return f"<table><caption>{html.escape(caption)}</caption>{line(head, 'th')}{body}</table>"


# --------------------------------------------------------------------------------------------------- text


def snapshot(path: Path) -> Snapshot:
    """Read a table's bytes: what is made of them comes from one state of the file.

    Raises
    ------
    ParameterError
        It can't be read, is no file, or has more than 1 GiB.
    """
    try:
        return Snapshot(path)
    except OSError as error:
        raise ParameterError(f"{path}: can't be read ({error.strerror}); check the path") from error


def text_encoding(table: Snapshot) -> str:
    """Tell UTF-16, which begins with its mark, from UTF-8."""
    return "utf-16" if table.binary().read(2) in _UTF16_MARKS else "utf-8-sig"


def read_csv(
    table: Snapshot, check_header: CheckHeader, *, delimiter: str | None = None, skip_blank: bool = False
) -> Rows:
    """Read rows of text under one header.

    Parameters
    ----------
    table : Snapshot
        UTF-8, or UTF-16 if it begins with a byte order mark.
    check_header : callable
        Given where the header stands and the columns' names, without spaces around; raises what is wrong with them.
    delimiter : str, optional
        By default the comma, the semicolon or the tab, whichever cuts the header into most columns.
    skip_blank : bool
        Pass over rows of blank fields, which spreadsheets leave; empty lines are passed over anyway.

    Raises
    ------
    ParameterError
        A column's name stands twice, a row has more or fewer fields than the header, a quote is left open, or the
        text is in another encoding.
    """
    line = 1
    try:
        with table.text(text_encoding(table), newline="") as file:
            delimiter = delimiter or _delimiter(next((text for text in file if text.strip()), ""))
            file.seek(0)
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            header: list[str] = []
            for fields in reader:
                where = f"{table}: line {line}"
                told = any(map(str.strip, fields)) if skip_blank else bool(fields)
                if told and not header:
                    header = _header(where, fields, check_header)
                elif told:
                    yield f"line {line}", _row(where, header, fields)
                line = reader.line_num + 1
    except csv.Error as error:
        raise ParameterError(f"{table}: line {line}: can't be read ({error}); save it as CSV UTF-8") from error
    except UnicodeDecodeError as error:
        raise _encoding_error(table, error) from error


def _delimiter(head: str) -> str:
    unquoted = re.sub('"[^"]*"', "", head)
    return max(_DELIMITERS, key=unquoted.count)


def _header(where: str, fields: list[str], check: CheckHeader) -> list[str]:
    names = [name.strip() for name in fields]
    check(where, names)
    (name, n), *_ = Counter(filter(None, names)).most_common(1) or [("", 0)]
    if n > 1:
        raise ParameterError(f"{where}: two columns are called {name!r}; rename one")
    return names


def _row(where: str, header: list[str], fields: list[str]) -> dict[str, str]:
    if len(fields) != len(header):
        raise ParameterError(
            f"{where}: {len(fields)} fields, and the header has {len(header)}; "
            "fill it up, or quote what holds a separator"
        )
    return dict(zip(header, fields, strict=True))


def _encoding_error(table: Snapshot, error: UnicodeDecodeError) -> ParameterError:
    """Name the line: a text is decoded a block at a time, so the error alone does not know."""
    if error.encoding.startswith("utf-16"):
        return ParameterError(f"{table}: broken UTF-16 ({error.reason}); save it as CSV UTF-8")
    with table.binary() as file:
        for line, text in enumerate(file, start=1):
            try:
                text.decode()
            except UnicodeDecodeError as found:
                what = f"byte 0x{text[found.start]:02x} is no UTF-8"
                return ParameterError(f"{table}: line {line}: {what}; save it as CSV UTF-8 (not as ANSI or plain CSV)")
    return ParameterError(f"{table}: no UTF-8 ({error.reason}); save it as CSV UTF-8")


# --------------------------------------------------------------------------------------------------- JSON


def read_jsonl(table: Snapshot) -> Rows:
    """Read an object a line: only what a line of results can say, too.

    Raises
    ------
    ParameterError
        A line is no object, or holds a number that JSON does not know, or values more than 32 deep.
    """
    try:
        with table.text(text_encoding(table), newline="\n") as file:
            for line, text in enumerate(file, start=1):
                if text.strip():
                    yield f"line {line}", _object(f"{table}: line {line}", text)
    except UnicodeDecodeError as error:
        raise _encoding_error(table, error) from error


def _object(where: str, text: str) -> dict[str, Any]:
    try:
        cells = decode_json(text)
    except ValueError as error:
        raise ParameterError(f"{where}: {error}; write one flat object a line") from error
    if not isinstance(cells, dict):
        raise ParameterError(f"{where}: no object; write {{'reference': …, 'take': …}}")
    return cells


def decode_json(text: str) -> Any:  # noqa: ANN401 - any JSON value
    """Read a JSON value that can be written again.

    Raises
    ------
    ValueError
        It is none, or holds a number that JSON does not know, one of thousands of digits, or values more than 32 deep.
    """
    try:
        value = _JSON.decode(text.strip())
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    except ValueError as error:
        reason = "a number of thousands of digits" if "digits" in str(error) else str(error)
        raise ValueError(f"no JSON ({reason})") from error
    if text.count("[") + text.count("{") > _DEEPEST and _is_deeper(value, _DEEPEST):
        raise ValueError(_TOO_DEEP)
    return value


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


# ------------------------------------------------------------------------------------------------ Parquet


def read_parquet(table: Snapshot) -> Rows:
    """Read the rows of a Parquet file; what is no number becomes None.

    Raises
    ------
    DependencyError
        pyarrow is not installed.
    ParameterError
        The file is no Parquet, or broken.
    """
    parquet = import_parquet()
    from pyarrow import ArrowException  # noqa: PLC0415 - an extra

    row = 0
    try:
        with parquet.ParquetFile(table.binary()) as file:
            _check_row_groups(table, file.metadata)
            for batch in file.iter_batches(batch_size=_PARQUET_ROWS):
                for cells in batch.to_pylist():
                    row += 1
                    yield f"row {row}", {name: _plain(without_nan(value)) for name, value in cells.items()}
    except ParameterError:
        raise
    except (ArrowException, OSError, ValueError, OverflowError) as error:
        raise ParameterError(
            f"{table}: no Parquet file, or broken after row {row} ({error}); write it again"
        ) from error


def _check_row_groups(table: Snapshot, metadata: Any) -> None:  # noqa: ANN401 - pyarrow's
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        if group.total_byte_size > _MOST_ROW_BYTES * max(group.num_rows, 1):
            raise ParameterError(f"{table}: has cells of {_MOST_ROW_BYTES >> 20} MiB and more; write paths in them")


def _plain(value: Any) -> Any:  # noqa: ANN401 - any cell
    """Write a date, a time or a number that JSON does not know as text."""
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    return value if value is None or isinstance(value, str | bool | int | float) else str(value)


def without_nan(value: Any) -> Any:  # noqa: ANN401 - any cell
    """Write what is no number as None, as everywhere in results."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: without_nan(item) for name, item in value.items()}
    return [without_nan(item) for item in value] if isinstance(value, list) else value
