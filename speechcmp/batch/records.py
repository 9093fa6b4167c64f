"""Results as they lie there, read and not touched, also while a run still adds to them."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from speechcmp.batch.manifest import import_parquet
from speechcmp.batch.results import SCHEMA, SUFFIXES, CsvLines
from speechcmp.batch.shards import Layout, Record, nested
from speechcmp.errors import ParameterError

FAILURE_SCHEMA = "speechcmp.failure/1"
_PARQUET_ROWS = 1024


class Damaged(NamedTuple):
    """Something that is no record: where it is, and whether it may only be unfinished."""

    where: str
    torn: bool


def read_records(path: str | os.PathLike[str]) -> Iterator[Record | Damaged]:
    """Go through the results of a batch.

    Parameters
    ----------
    path : path
        A .jsonl or .csv file, or a .parquet folder of shards.

    Yields
    ------
    dict or Damaged
        A record as `speechcmp.batch.results` describes it; what is no record is named, and the rest goes on.

    Raises
    ------
    ParameterError
        There is no such file, or it holds something else.
    """
    path = Path(path)
    kind = path.suffix.lower()
    if not path.exists():
        raise ParameterError(f"{path}: no such file; name the results of a batch")
    if kind not in SUFFIXES or path.is_dir() != (kind == ".parquet"):
        raise ParameterError(f"{path}: results are a .jsonl or .csv file, or a .parquet folder; name one of these")
    readers = {".csv": _csv_records, ".parquet": _parquet_records}
    yield from readers.get(kind, _json_records)(path)


def read_failures(path: str | os.PathLike[str]) -> Iterator[dict[str, Any] | Damaged]:
    """Go through the failures of a batch: ``id``, ``reference``, ``take``, ``file``, ``reason``; as `read_records`."""
    path = Path(path)
    if not path.is_file():
        raise ParameterError(f"{path}: no such file; name the failures of a batch")
    yield from _json_lines(path, FAILURE_SCHEMA, _is_whole_failure, "failures of a batch")


def _json_records(path: Path) -> Iterator[Record | Damaged]:
    return _json_lines(path, SCHEMA, _is_whole, "batch results")


def _json_lines(
    path: Path, schema: str, is_whole: Callable[[dict[str, Any]], bool], what: str
) -> Iterator[dict[str, Any] | Damaged]:
    begin = f'{{"schema": "{schema}", '.encode()
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            found = _parsed(line)
            if isinstance(found, dict) and found.pop("schema", None) == schema and is_whole(found):
                yield found
                continue
            torn = not line.endswith(b"\n")
            if number == 1 and not (torn and line[: len(begin)] == begin[: len(line)]):
                raise ParameterError(f"{path}: holds something else than {what}; name those")
            yield Damaged(f"line {number}", torn)


def _parsed(line: bytes) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _csv_records(path: Path) -> Iterator[Record | Damaged]:
    lines = CsvLines(Layout((), ()))
    with path.open("rb") as file:
        records = lines.records(file)
        header = next(records, b"")
        if not header.endswith(b"\n") and lines.begin.startswith(header[: len(lines.begin)]):
            return  # nothing but the beginning of a header
        yield from _decoded(records, _decoder(path, lines, header))


def _decoder(path: Path, lines: CsvLines, header: bytes) -> Callable[[bytes], Record]:
    try:
        lines.learn(header)
    except ValueError as error:
        raise ParameterError(f"{path}: holds something else than batch results; name those") from error
    return lines.decode


def _decoded(records: Iterator[bytes], decode: Callable[[bytes], Record]) -> Iterator[Record | Damaged]:
    for number, line in enumerate(records, start=1):
        torn = not line.endswith(b"\n")
        try:
            record = None if torn else decode(line)
        except ValueError:
            record = None
        yield record if record is not None and _is_whole(record) else Damaged(f"record {number}", torn)


def _parquet_records(path: Path) -> Iterator[Record | Damaged]:
    parquet = import_parquet()
    from pyarrow import ArrowException  # noqa: PLC0415 - an extra

    for shard in sorted(path.glob("part-*.parquet")):
        try:
            with parquet.ParquetFile(shard) as file:
                layout = Layout.of(file.schema_arrow.names)
                for batch in file.iter_batches(batch_size=_PARQUET_ROWS):
                    for row in batch.to_pylist():
                        record = nested(row, layout)
                        yield record if _is_whole(record) else Damaged(shard.name, torn=False)
        except (ArrowException, ValueError, OSError):
            yield Damaged(shard.name, torn=False)


def _is_whole(record: Record) -> bool:
    """Tell whether a summary can be made of it."""
    chunks, overall, copy = record.get("chunks"), record.get("overall"), record.get("copy")
    return (
        {"reference", "take", "key"} <= record.keys()
        and isinstance(overall, dict)
        and all(isinstance(overall.get(name), int | float | None) for name in ("distance", "score"))
        and isinstance(chunks, list)
        and all(
            isinstance(chunk, dict)
            and isinstance(chunk.get("index"), int)
            and isinstance(chunk.get("distance", ""), int | float | None)
            for chunk in chunks
        )
        and (copy is None or (isinstance(copy, dict) and copy.get("of") in {"reference", "take"}))
    )


def _is_whole_failure(failure: dict[str, Any]) -> bool:
    return {"file", "reason"} <= failure.keys()
