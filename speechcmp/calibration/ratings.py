"""Results and the user's ratings of them, read from files and joined: what a calibration is fitted to."""

import csv
import io
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from speechcmp.batch.manifest import import_parquet, text_encoding
from speechcmp.batch.results import SCHEMA as BATCH_SCHEMA, CsvLines
from speechcmp.batch.shards import Layout, Record, nested
from speechcmp.calibration.fit import Examples
from speechcmp.comparison.serialize import SCHEMA as COMPARE_SCHEMA, take_measures
from speechcmp.errors import ParameterError
from speechcmp.scoring.model import TakeMeasures

FULL_SCALE = (0.0, 100.0)
_UNNAMED = "\0"  # no speaker's name begins so
_MADE_BY = "give what speechcmp batch -o wrote, or compare --format json"


class Result(NamedTuple):
    """A take that was compared: where that stands, what it is called, and its measures."""

    where: str
    id: str | None
    take: str
    speaker: str | None
    measures: TakeMeasures


class Rating(NamedTuple):
    """A rating, 0 to 100, None where the row has none; `key` is an id, or a take's name."""

    where: str
    key: str
    speaker: str | None
    value: float | None


@dataclass(frozen=True, slots=True)
class RatingFile:
    """Ratings as they were read.

    Attributes
    ----------
    name : str
    key : {"id", "take"}
        Which column says what is rated.
    ratings : tuple of Rating
    """

    name: str
    key: str
    ratings: tuple[Rating, ...]


class Joined(NamedTuple):
    """Results with their ratings.

    `speakers`: of the takes of which the ratings name one; `n_unmatched`: ratings of nothing in the results;
    `n_unrated`: results without a rating; `n_empty`: rows of the ratings without one.
    """

    examples: Examples
    speakers: dict[str, str]
    n_unmatched: int
    n_unrated: int
    n_empty: int


# ------------------------------------------------------------------------------------------------ results


def read_results(path: str | os.PathLike[str]) -> list[Result]:
    """Read results of many comparisons, whatever has written them.

    Parameters
    ----------
    path : path
        ``.jsonl``, ``.csv`` or ``.parquet`` of a batch; or what ``compare --format json`` or ``jsonl`` printed.

    Raises
    ------
    ParameterError
        It can't be read, is something else, or has no measures; the message names the line and the field.
    """
    path = Path(path)
    readers = {".csv": _csv_records, ".parquet": _parquet_records}
    results = []
    try:
        for where, record in readers.get(path.suffix.lower(), _json_records)(path):
            results.append(_result(f"{path}: {where}", record))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "no UTF-8 text"
        raise ParameterError(f"{path}: can't be read ({reason}); {_MADE_BY}") from error
    if not results:
        raise ParameterError(f"{path}: no results; {_MADE_BY}")
    return results


def _result(where: str, record: Record) -> Result:
    take = record.get("take")
    name = take.get("path") if isinstance(take, Mapping) else take  # a comparison's, or a batch's
    if not isinstance(name, str):
        raise ParameterError(f"{where}: take is {name!r}, no name; {_MADE_BY}")
    try:
        measures = take_measures(record)
    except ParameterError as error:
        raise ParameterError(f"{where}: {error}") from error
    return Result(where, _text(record.get("id")), name, _text(record.get("speaker")), measures)


def _text(value: object) -> str | None:
    return None if value is None or value == "" else str(value)


def _json_records(path: Path) -> Iterator[tuple[str, Record]]:
    """Yield the objects of a file of lines, or of one JSON document; a torn last line is none."""
    text = path.read_bytes().decode()
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError):
        lines = [(f"line {line}", part) for line, part in enumerate(text.split("\n"), start=1) if part.strip()]
    else:
        objects = whole if isinstance(whole, list) else [whole]
        yield from ((f"item {k}", _checked(path, f"item {k}", item)) for k, item in enumerate(objects, start=1))
        return
    for where, line in lines:
        try:
            item = json.loads(line)
        except (ValueError, RecursionError) as error:
            if line is lines[-1][1] and len(lines) > 1 and not text.endswith("\n"):
                return  # a run was killed while it wrote this, or still writes
            raise ParameterError(f"{path}: {where}: no JSON ({error}); {_MADE_BY}") from error
        yield where, _checked(path, where, item)


def _checked(path: Path, where: str, item: object) -> Record:
    schema = item.get("schema") if isinstance(item, dict) else None
    if not isinstance(item, dict) or schema not in {BATCH_SCHEMA, COMPARE_SCHEMA}:
        raise ParameterError(f"{path}: {where}: schema is {schema!r}, no result's; {_MADE_BY}")
    return item


def _csv_records(path: Path) -> Iterator[tuple[str, Record]]:
    lines = CsvLines(Layout((), ()))
    with path.open("rb") as file:
        number = 1
        for line in lines.records(file):
            try:
                if number == 1:
                    lines.learn(line)
                else:
                    yield f"line {number}", lines.decode(line)
            except ValueError as error:
                raise ParameterError(f"{path}: line {number}: no result; {_MADE_BY}") from error
            number += line.count(b"\n")


def _parquet_records(path: Path) -> Iterator[tuple[str, Record]]:
    parquet = import_parquet()
    from pyarrow import ArrowException  # noqa: PLC0415 - an extra

    for shard in sorted(path.glob("part-*.parquet")):
        try:
            table = parquet.read_table(shard)
            layout = Layout.of(table.column_names)
            records = [nested(cells, layout) for cells in table.to_pylist()]
        except (ArrowException, ValueError) as error:
            raise ParameterError(f"{path}: {shard.name}: no results, or damaged; {_MADE_BY}") from error
        for number, record in enumerate(records, start=1):
            yield f"{shard.name}: row {number}", record


# ------------------------------------------------------------------------------------------------ ratings


def read_ratings(
    path: str | os.PathLike[str], *, column: str = "rating", scale: tuple[float, float] = FULL_SCALE
) -> RatingFile:
    """Read a table of ratings: CSV or TSV with columns ``id`` or ``take``, the rating, and maybe ``speaker``.

    Parameters
    ----------
    path : path
    column : str
        Of the ratings.
    scale : tuple of (float, float)
        The worst and the best rating there can be; they become 0 and 100.

    Raises
    ------
    ParameterError
        It can't be read, or a column or cell is wrong; the message names the line.
    """
    path, (low, high) = Path(path), scale
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ParameterError(f"scale: {low:g} to {high:g} is none; give the worst and the best rating, such as 1 and 5")
    rows = _table(path)
    columns = rows[0][1].keys() if rows else ()
    key = next((name for name in ("id", "take") if name in columns), None)
    if key is None or column not in columns:
        raise ParameterError(
            f"{path}: needs columns id (or take) and {column}, has {', '.join(columns) or 'no rows'}; "
            "--rating-column names the one of the ratings"
        )
    ratings, seen = [], dict[str, str]()
    for where, cells in rows:
        name = cells[key]
        if not name:
            raise ParameterError(f"{where}: {key} is empty; say what is rated")
        if name in seen:
            raise ParameterError(f"{where}: {key} {name!r} was rated before, in {seen[name]}; keep one of them")
        seen[name] = where.rpartition(": ")[2]
        value = _scaled(f"{where}: {column}", cells[column], low, high)
        ratings.append(Rating(where, name, cells.get("speaker") or None, value))
    return RatingFile(str(path), key, tuple(ratings))


def _scaled(where: str, text: str, low: float, high: float) -> float | None:
    if not text:
        return None
    try:
        value = float(text.replace(",", "."))  # a decimal comma, as spreadsheets write it in much of the world
    except ValueError:
        raise ParameterError(f"{where} is {text!r}, no number; write a number, or leave it empty") from None
    if not low <= value <= high:  # true of NaN, too
        raise ParameterError(f"{where} is {text}, not in {low:g} to {high:g}; --scale LOW,HIGH gives the scale")
    return 100 * (value - low) / (high - low)


def _table(path: Path) -> list[tuple[str, dict[str, str]]]:
    """Read rows of stripped cells and where they stand."""
    try:
        text = path.read_text(encoding=text_encoding(path))
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "no UTF-8 text"
        raise ParameterError(f"{path}: can't be read ({reason}); save the ratings as UTF-8 CSV") from error
    head = text.partition("\n")[0]
    delimiter = max("\t;,", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    header: list[str] = []
    rows: list[tuple[str, dict[str, str]]] = []
    try:
        for fields in reader:
            where = f"{path}: line {reader.line_num}"
            cells = [field.strip() for field in fields]
            if not any(cells):
                continue
            if not header:
                header = _checked_header(where, cells)
            elif len(cells) != len(header):
                raise ParameterError(
                    f"{where}: {len(cells)} fields, and the header has {len(header)}; "
                    "fill it up, or quote what holds a separator"
                )
            else:
                rows.append((where, dict(zip(header, cells, strict=True))))
    except csv.Error as error:
        raise ParameterError(f"{path}: line {reader.line_num}: can't be read ({error}); save it as CSV") from error
    return rows


def _checked_header(where: str, names: list[str]) -> list[str]:
    twice = [name for name in names if name and names.count(name) > 1]
    if twice:
        raise ParameterError(f"{where}: two columns are called {twice[0]!r}; rename one")
    return names


# --------------------------------------------------------------------------------------------------- join


def all_takes(results: Sequence[Result], speakers: Mapping[str, str] | None = None) -> Examples:
    """Return all takes, without ratings; `speakers` names those of some takes better than the results do."""
    named = speakers or {}
    return Examples(
        tuple(one.measures for one in results), tuple(named.get(one.take) or _speaker(one) for one in results)
    )


def join(results: Sequence[Result], rated: RatingFile) -> Joined:
    """Give each result its rating.

    By ``id``, or by the take's name if the ratings have no ids; one rating may then serve several results, of
    several references. The speaker is the ratings' own, else the results'; a take without one is a speaker by
    itself.

    Raises
    ------
    ParameterError
        An id stands in two results, or no result is rated.
    """
    by_key: dict[str, list[Result]] = {}
    for result in results:
        key = result.id if rated.key == "id" else result.take
        by_key.setdefault(key or "", []).append(result)
    takes, speakers, values, n_unmatched = [], [], [], 0
    named: dict[str, str] = {}
    for rating in rated.ratings:
        found = by_key.get(rating.key, [])
        if rated.key == "id" and len(found) > 1:
            raise ParameterError(
                f"{found[1].where}: id {rating.key!r} stands in {found[0].where.rpartition(': ')[2]}, too; "
                "give each row its own, or rate by take"
            )
        n_unmatched += not found
        if rating.speaker:
            named.update((result.take, rating.speaker) for result in found)
        if rating.value is None:
            continue
        for result in found:
            takes.append(result.measures)
            speakers.append(named.get(result.take) or _speaker(result))
            values.append(rating.value)
    if not takes:
        shown = next(iter(by_key), "")
        raise ParameterError(
            f"{rated.name}: none of its {len(rated.ratings)} rows rates a result by {rated.key}, such as {shown!r}; "
            "check that column"
        )
    n_empty = sum(rating.value is None for rating in rated.ratings)
    return Joined(
        Examples(tuple(takes), tuple(speakers), tuple(values)), named, n_unmatched, len(results) - len(takes), n_empty
    )


def count_unnamed(examples: Examples) -> int:
    """Count takes of which no speaker is known."""
    return sum(speaker.startswith(_UNNAMED) for speaker in examples.speakers)


def _speaker(result: Result) -> str:
    return result.speaker or _UNNAMED + result.take
