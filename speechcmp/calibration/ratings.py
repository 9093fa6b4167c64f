"""Results and the user's ratings of them, read from files and joined: what a calibration is fitted to."""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from speechcmp.batch.layout import Record
from speechcmp.batch.reader import read_results as read_batch_results
from speechcmp.calibration.fit import Examples
from speechcmp.comparison.serialize import take_measures
from speechcmp.errors import ParameterError
from speechcmp.scoring.model import TakeMeasures
from speechcmp.tables import Cells, read_csv, snapshot

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
    results = []
    for entry in read_batch_results(path, comparisons=True):
        if entry.record is not None:
            results.append(_result(f"{path}: {entry.where}", entry.record))
        elif not (entry.torn and results):  # else a run was killed while it wrote this, or still writes
            raise ParameterError(f"{path}: {entry.where}: is damaged, or no result; {_MADE_BY}")
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
        raise ParameterError(
            f"scale: {low:g} to {high:g} is no scale; give the worst and the best rating, such as 1 and 5"
        )
    rows = [
        (f"{path}: {where}", _stripped(cells))
        for where, cells in read_csv(snapshot(path), lambda *_: None, skip_blank=True)
    ]
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


def _stripped(cells: Cells) -> dict[str, str]:
    return {name: text.strip() for name, text in cells.items()}


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
