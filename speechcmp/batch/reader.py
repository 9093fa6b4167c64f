"""Results as they lie there, read and not touched, also while a run still adds to them."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import chain, count
from pathlib import Path
from typing import NamedTuple

from speechcmp.batch.layout import SCHEMA, SUFFIXES, Layout, Record, is_whole, nested
from speechcmp.batch.result_file import CsvLines
from speechcmp.comparison.serialize import SCHEMA as COMPARISON_SCHEMA
from speechcmp.errors import ParameterError
from speechcmp.files import irregular
from speechcmp.tables import decode_json, import_parquet

FAILURE_SCHEMA = "speechcmp.failure/1"
_PARQUET_ROWS = 1024
_KEY = re.compile("[0-9a-f]{40}")  # see `speechcmp.batch.worker.content_key`

Check = Callable[[Record], bool]


class Entry(NamedTuple):
    """What stands somewhere in a file of results.

    `record` is None where it is none; `torn`: then it may only be unfinished, as a run was killed or still writes.
    """

    where: str
    record: Record | None
    torn: bool = False


def read_results(path: str | os.PathLike[str], *, comparisons: bool = False) -> Iterator[Entry]:
    """Go through the results of a batch.

    Parameters
    ----------
    path : path
        A .jsonl or .csv file, or a .parquet folder of shards.
    comparisons : bool
        Also what ``compare --format json`` or ``jsonl`` printed.

    Yields
    ------
    Entry
        A record as `speechcmp.batch.layout` describes it, or the object of a comparison; what is neither is named,
        and the rest goes on.

    Raises
    ------
    ParameterError
        There is no such file, or it holds something else.
    """
    path = Path(path)
    kind = path.suffix.lower()
    what = "results of a batch or of compare --format json" if comparisons else "batch results"
    if not path.exists():
        raise ParameterError(f"{path}: no such file; name the results of a batch")
    if (not comparisons and kind not in SUFFIXES) or path.is_dir() != (kind == ".parquet"):
        raise ParameterError(f"{path}: results are a .jsonl or .csv file, or a .parquet folder; name one of these")
    _check_regular(path, what)
    # A comparison has other fields: whoever asks for both looks himself for those that he needs.
    check: Check = bool if comparisons else is_whole
    if kind == ".csv":
        return _csv_entries(path, check, what)
    if kind == ".parquet":
        return _parquet_entries(path, check)
    return _json_entries(path, dict.fromkeys((SCHEMA, COMPARISON_SCHEMA) if comparisons else (SCHEMA,), check), what)


def read_failures(path: str | os.PathLike[str]) -> Iterator[Entry]:
    """Go through the failures of a batch: ``id``, ``reference``, ``take``, ``file``, ``reason``; as `read_results`."""
    path = Path(path)
    if not path.is_file():
        raise ParameterError(f"{path}: no such file; name the failures of a batch")
    return _json_entries(path, {FAILURE_SCHEMA: _is_whole_failure}, "failures of a batch")


def _check_regular(path: Path, what: str) -> None:
    other = irregular(path)
    if other and not path.is_dir():
        raise ParameterError(f"{path}: is {other}; name {what}")


def _json_entries(path: Path, checks: Mapping[str, Check], what: str) -> Iterator[Entry]:
    """Yield the objects of a file of lines, or of one JSON document; the first must be one of those asked for."""
    begins = [f'{{"schema": "{schema}", '.encode() for schema in checks]
    try:
        with path.open("rb") as file:
            first_number, first = next(((k, line) for k, line in enumerate(file, start=1) if line.strip()), (1, b""))
            if first and COMPARISON_SCHEMA in checks and not isinstance(_parsed(first), dict):
                whole = _parsed(first + file.read())
                items = whole if isinstance(whole, list) else [whole]
                found = ((f"item {number}", item, False) for number, item in enumerate(items, start=1))
            else:
                lines = enumerate(chain([first], file), start=first_number)
                found = ((f"line {k}", _parsed(line), not line.endswith(b"\n")) for k, line in lines if line.strip())
            begun = not first.endswith(b"\n") and any(begin[: len(first)] == first[: len(begin)] for begin in begins)
            yield from _checked(path, found, checks, what, begun=begun)
    except OSError as error:
        raise ParameterError(f"{path}: can't be read ({error.strerror}); name {what}") from error


def _checked(
    path: Path, found: Iterator[tuple[str, object, bool]], checks: Mapping[str, Check], what: str, *, begun: bool
) -> Iterator[Entry]:
    for number, (where, item, torn) in enumerate(found):
        schema = str(item.pop("schema", "")) if isinstance(item, dict) else ""  # hostile files have lists there
        if isinstance(item, dict) and schema in checks and checks[schema](item):
            yield Entry(where, item)
            continue
        if not number and not begun and schema not in checks:
            raise ParameterError(f"{path}: does not hold {what}; name a file that does")
        yield Entry(where, None, torn)


def _parsed(text: bytes) -> object:
    try:
        return decode_json(text.decode("utf-8-sig"))
    except ValueError:
        return None


def _csv_entries(path: Path, check: Check, what: str) -> Iterator[Entry]:
    lines = CsvLines(Layout((), ()))
    try:
        with path.open("rb") as file:
            records = lines.records(file)
            header = next(records, b"")
            if not header.endswith(b"\n") and lines.begin.startswith(header[: len(lines.begin)]):
                return  # nothing but the beginning of a header
            _learn(path, lines, header, what)
            number = 1 + header.count(b"\n")
            for line in records:
                record = _attempted(partial(lines.decode, line), check)
                torn = not line.endswith(b"\n")
                # The key comes last: where it is whole, so is the record, and only its line's end is missing.
                whole = not torn or (record is not None and _KEY.fullmatch(str(record["key"])) is not None)
                yield Entry(f"line {number}", record if whole else None, torn)
                number += line.count(b"\n")
    except OSError as error:
        raise ParameterError(f"{path}: can't be read ({error.strerror}); name {what}") from error


def _learn(path: Path, lines: CsvLines, header: bytes, what: str) -> None:
    try:
        lines.learn(header)
    except ValueError as error:
        raise ParameterError(f"{path}: does not hold {what}; name a file that does") from error


def _parquet_entries(path: Path, check: Check) -> Iterator[Entry]:
    parquet = import_parquet()
    from pyarrow import ArrowException  # noqa: PLC0415 - an extra

    for shard in sorted(path.glob("part-*.parquet")):
        numbers = count(1)
        try:
            with parquet.ParquetFile(shard) as file:
                layout = Layout.of(file.schema_arrow.names)
                for batch in file.iter_batches(batch_size=_PARQUET_ROWS):
                    for row in batch.to_pylist():
                        yield Entry(
                            f"{shard.name}: row {next(numbers)}", _attempted(partial(nested, row, layout), check)
                        )
        except (ArrowException, ValueError, OSError):
            yield Entry(shard.name, None)


def _attempted(decode: Callable[[], Record], check: Check) -> Record | None:
    try:
        record = decode()
    except ValueError:
        return None
    return record if check(record) else None


def _is_whole_failure(failure: Record) -> bool:
    return {"file", "reason"} <= failure.keys()
