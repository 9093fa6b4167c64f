"""What a batch amounts to, in bounded memory: how many, how good, who, and what everyone gets wrong."""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_MOST_GROUPS = 10_000
_MOST_CHUNKS = 20_000
_MOST_REASONS = 200
_WORST = 10

Record = Mapping[str, Any]


@dataclass(slots=True)
class RunningStats:
    """Mean and standard deviation of a stream of numbers.

    References
    ----------
    Welford (1962), Technometrics 4(3), 419-420.
    """

    n: int = 0
    mean: float = 0.0
    squares: float = 0.0

    def add(self, value: float) -> None:
        """Take a number into account."""
        self.n += 1
        step = value - self.mean
        self.mean += step / self.n
        self.squares += step * (value - self.mean)

    def values(self) -> dict[str, Any]:
        """Return ``mean`` and ``spread`` (one standard deviation), None where there is none."""
        return {
            "mean": round(self.mean, 6) if self.n else None,
            "spread": round(math.sqrt(self.squares / (self.n - 1)), 6) if self.n > 1 else None,
        }


class Distribution:
    """A `RunningStats` with quantiles, of numbers to three digits."""

    def __init__(self) -> None:
        self._spread = RunningStats()
        self._counts: Counter[float] = Counter()

    def add(self, value: float) -> None:
        """Take a number into account."""
        self._spread.add(value)
        self._counts[float(f"{value:.3g}")] += 1

    def values(self) -> dict[str, Any] | None:
        """Return mean, spread and quantiles; None without numbers."""
        if not self._spread.n:
            return None
        ordered = sorted(self._counts.items())
        return {
            **self._spread.values(),
            "quantiles": {f"{q:g}": _quantile(ordered, q, self._spread.n) for q in _QUANTILES},
        }


def _quantile(ordered: list[tuple[float, int]], share: float, n: int) -> float:
    """Equals `numpy.quantile`: between two numbers in proportion; rounded, as the numbers are."""
    position = share * (n - 1)
    below = _at(ordered, math.floor(position))
    above = _at(ordered, math.ceil(position))
    return round(below + (above - below) * (position % 1), 6)


def _at(ordered: list[tuple[float, int]], index: int) -> float:
    passed = 0
    for value, count in ordered:
        passed += count
        if passed > index:
            return value
    return ordered[-1][0]


@dataclass(slots=True)
class _Group:
    """Rows that have one value in the column asked for."""

    n_rows: int
    distance: RunningStats
    score: RunningStats


@dataclass(slots=True)
class _Chunk:
    """One chunk of a reference over all takes."""

    n_takes: int
    n_missing: int
    distance: RunningStats


class Summary:
    """Collects outcomes one by one.

    Parameters
    ----------
    by : str, optional
        A carried column, to summarize each of its values by itself.
    """

    def __init__(self, by: str | None = None) -> None:
        self.n_scored = 0
        self.n_failed = 0
        self._n_copies: Counter[str] | None = None
        self._by = by
        self._distance = Distribution()
        self._score = Distribution()
        self._reasons: Counter[str] = Counter()
        self._groups: dict[str, _Group] = {}
        self._chunks: dict[tuple[str, int], _Chunk] = {}

    def add(self, record: Record) -> None:
        """Take a result into account."""
        self.n_scored += 1
        overall = record["overall"]
        distance, score = overall.get("distance"), overall.get("score")
        if distance is not None:
            self._distance.add(distance)
        if score is not None:
            self._score.add(score)
        if self._by is not None:
            self._add_to_group(str(record.get(self._by, "")), distance, score)
        if "copy" in record:
            self._n_copies = self._n_copies or Counter(reference=0, take=0)
            if record["copy"]:
                self._n_copies[record["copy"]["of"]] += 1
        for chunk in record["chunks"]:
            self._add_chunk(record["reference"], chunk)

    def add_failure(self, file: str, reason: str) -> None:
        """Take a failure into account."""
        self.n_failed += 1
        kind = reason_kind(file, reason)
        self._reasons[kind if kind in self._reasons or len(self._reasons) < _MOST_REASONS else "other"] += 1

    def values(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        return {
            "rows": self.n_scored + self.n_failed,
            "scored": self.n_scored,
            "failed": self.n_failed,
            "failures": [{"reason": reason, "rows": n} for reason, n in self._reasons.most_common()],
            "distance": self._distance.values(),
            "score": self._score.values(),
            **({"copies": dict(self._n_copies)} if self._n_copies else {}),
            **({"by": {"column": self._by, "groups": self._group_values()}} if self._by is not None else {}),
            "worst_chunks": self._worst_chunks(),
        }

    def _add_to_group(self, value: str, distance: float | None, score: float | None) -> None:
        if value not in self._groups and len(self._groups) >= _MOST_GROUPS:
            value = "other"
        group = self._groups.setdefault(value, _Group(0, RunningStats(), RunningStats()))
        group.n_rows += 1
        if distance is not None:
            group.distance.add(distance)
        if score is not None:
            group.score.add(score)

    def _add_chunk(self, reference: str, chunk: Record) -> None:
        key = (reference, chunk["index"])
        found = self._chunks.get(key)
        if found is None:
            if len(self._chunks) >= _MOST_CHUNKS:
                self._forget_single_takes()
            found = self._chunks[key] = _Chunk(0, 0, RunningStats())
        found.n_takes += 1
        if chunk["distance"] is None:
            found.n_missing += 1
        else:
            found.distance.add(chunk["distance"])

    def _forget_single_takes(self) -> None:
        """Make room: a chunk that few takes have is not what everyone gets wrong."""
        fewest = min(chunk.n_takes for chunk in self._chunks.values())
        self._chunks = {key: chunk for key, chunk in self._chunks.items() if chunk.n_takes > fewest}

    def _group_values(self) -> list[dict[str, Any]]:
        return [
            {
                "value": value,
                "rows": group.n_rows,
                "distance": group.distance.values(),
                "score": group.score.values() if group.score.n else None,
            }
            for value, group in sorted(self._groups.items())
        ]

    def _worst_chunks(self) -> list[dict[str, Any]]:
        """List the chunks of several takes that are missing most often, or farthest off."""
        several = [(key, chunk) for key, chunk in self._chunks.items() if chunk.n_takes > 1]
        several.sort(key=lambda item: (-item[1].n_missing / item[1].n_takes, -item[1].distance.mean, item[0]))
        return [
            {
                "reference": reference,
                "index": index,
                "takes": chunk.n_takes,
                "missing": chunk.n_missing,
                "distance": chunk.distance.values()["mean"],
            }
            for (reference, index), chunk in several[:_WORST]
        ]


def reason_kind(file: str, reason: str) -> str:
    """Shorten a reason to what it has in common with others: no file, no numbers, no remedy."""
    return reason.removeprefix(f"{file}: ").split(" (")[0].split(";")[0]
