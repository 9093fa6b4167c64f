"""A manifest into result lines: on one core or many, interrupted and resumed, whatever single files do.

::

    Manifest ─► rows not in the results yet ─► tasks ─► workers ─► records ─► ResultFile

A resumed run first gives every row its content key (both files, parameters, version). Records with such a key
are kept, under the row's present name; all others go, and rows without a record are scored.
"""

import functools
import os
import uuid
from array import array
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from speechcmp.audio.url import without_secrets
from speechcmp.batch.copies import Copies, find_copies
from speechcmp.batch.failures import FailureFile, failures_beside
from speechcmp.batch.manifest import Manifest, Pair, Row, manifest_of
from speechcmp.batch.result_file import ResultFile, open_results
from speechcmp.batch.schedule import run_rows
from speechcmp.batch.worker import Failure, Scored, failed, key_rows, outcome_of, record_of, score_rows
from speechcmp.comparison.compare import CompareParams
from speechcmp.comparison.serialize import OVERALL_COLUMNS
from speechcmp.errors import ParameterError
from speechcmp.parallel.processes import Workers

_MISSING = -1


class Known(NamedTuple):
    """A row whose record was there before.

    Attributes
    ----------
    row : Row
        What was to be compared.
    record : dict
        As `Scored.record`.
    """

    row: Row
    record: dict[str, Any]


Outcome = Known | Scored | Failure


class Batch:
    """One run over a manifest.

    Parameters
    ----------
    manifest : Manifest
        Checked before; read up to four times.
    results : ResultFile, optional
        Where records go; what is there already is used.
    params : CompareParams
    limit : int, optional
        Score only the first rows of the manifest.
    ordered : bool
        Keep the results in the manifest's order.
    copies : bool
        Say in each record of what the take is a copy, of its reference or an earlier row's take; looked for
        before anything is scored.

    Attributes
    ----------
    n_dropped : int
        Records that were there and are of no row of the manifest, with these parameters.
    """

    def __init__(
        self,
        manifest: Manifest,
        results: ResultFile | None,
        *,
        params: CompareParams,
        limit: int | None = None,
        ordered: bool = True,
        copies: bool = False,
    ) -> None:
        self.n_dropped = 0
        self._copies: Copies | None = {} if copies else None
        self._manifest = manifest
        self._results = results
        self._params = params
        self._limit = limit
        self._ordered = ordered
        self._positions: array[int] | None = None  # of each row's record, where records were there before

    @property
    def kept(self) -> Path | None:
        """Where the results that were there are, if this run had to change them and kept them."""
        return self._results.kept if self._results else None

    def run(
        self,
        workers: Workers,
        *,
        stopped: Callable[[], bool] = lambda: False,
        looked: Callable[[int], None] = lambda _: None,
    ) -> Generator[Outcome, None, None]:
        """Score what is missing.

        Parameters
        ----------
        workers : Workers
        stopped : callable
            Asked now and then: no row is begun any more then, and what is under way is finished and kept.
        looked : callable
            Told now and then how many rows have been searched for copies.

        Yields
        ------
        Known, Scored or Failure
            One a row; a scored row's record is in the results by then.

        Raises
        ------
        SpeechcmpError
            The results can't be written.
        """
        if self._copies is not None:
            self._copies = find_copies(self._manifest.first(self._limit), workers, stopped=stopped, looked=looked)
            if stopped():
                return
        index = _Index(self._results) if self._results else None
        if index is not None and len(index):
            yield from self._keep_known(index, workers, stopped)
            if stopped():
                return
        yield from self._score_missing(workers, stopped)
        self._put_in_order()

    def _score_missing(self, workers: Workers, stopped: Callable[[], bool]) -> Iterator[Outcome]:
        copies = self._copies is not None
        function = functools.partial(score_rows, params=self._params, run=uuid.uuid4().hex, copies=copies)
        positions = self._positions
        rows: Iterator[Row] = iter(self._manifest.first(self._limit))
        if positions is not None:
            rows = (row for row in rows if positions[row.number - 1] == _MISSING)
        done = run_rows(rows, function, workers, lost=_lost, ordered=self._ordered, stopped=stopped)
        for row, values in done:
            outcome = outcome_of(row, values)
            if isinstance(outcome, Scored) and self._copies is not None:
                outcome = Scored(row, self._record(row, outcome.record))
            if self._results is not None and isinstance(outcome, Scored):
                position = self._results.append(outcome.record)
                if positions is not None:
                    positions[row.number - 1] = position
            yield outcome

    def _keep_known(self, index: "_Index", workers: Workers, stopped: Callable[[], bool]) -> Iterator[Known]:
        """Find each row's record, and rewrite the results if they are not just these."""
        assert self._results is not None  # noqa: S101 - it has an index
        positions = array("q")
        renamed = False
        function = functools.partial(key_rows, params=self._params, copies=self._copies is not None)
        for row, key in run_rows(self._manifest, function, workers, lost=lambda _: None, stopped=stopped):
            position = index.take(key) if key else _MISSING
            positions.append(position)
            if position == _MISSING:
                continue
            old = self._results.read(position)
            record = self._record(row, old)
            renamed = renamed or not _same_words(old, record)
            if self._limit is None or row.number <= self._limit:
                yield Known(row, record)
        if stopped():  # the rows after this one are not known
            return
        self.n_dropped = len(index) - len(np.unique(_found(positions)))
        self._positions = positions
        if renamed or self.n_dropped or self._results.other_layout or not self._are_in_place():
            self._rewrite()

    def _are_in_place(self) -> bool:
        """Say whether the results are one record a row, in the rows' order if that is wanted."""
        found = _found(self._positions) if self._positions else np.empty(0, np.int64)
        if not self._ordered:
            return len(np.unique(found)) == len(found)
        return bool((np.diff(found) > 0).all())

    def _put_in_order(self) -> None:
        if self._positions is not None and not self._are_in_place():
            self._rewrite()

    def _rewrite(self) -> None:
        results, positions = self._results, self._positions
        assert results is not None  # noqa: S101 - there are positions in it
        assert positions is not None  # noqa: S101
        results.rewrite(self._records(results, positions), keep_old=bool(self.n_dropped))
        there = (number for number, position in enumerate(positions) if position != _MISSING)
        for number, found in zip(there, results.find_all(), strict=True):
            positions[number] = found.position

    def _records(self, results: ResultFile, positions: "array[int]") -> Iterator[dict[str, Any]]:
        for row in self._manifest:
            position = positions[row.number - 1]
            if position != _MISSING:
                yield self._record(row, results.read(position))

    def _record(self, row: Row, values: dict[str, Any]) -> dict[str, Any]:
        looked_at = self._limit is None or row.number <= self._limit  # what lies beyond keeps what was found before
        if self._copies is not None and looked_at:
            values = {**values, "copy": self._copies.get(row.number)}
        return record_of(row, values)


def compare_pairs(
    pairs: Manifest | Iterable[Pair],
    *,
    params: CompareParams | None = None,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    failures: str | os.PathLike[str] | None = None,
    n_jobs: int | None = None,
    ordered: bool = True,
    flag_copies: bool = False,
) -> Iterator[Outcome]:
    """Compare many takes with their references, as ``speechcmp batch`` does, and yield what is found.

    Bad files do not end it. Where it is left before its end, by an error or a ``break``, what was found is kept in
    `out`; what workers have in hand then is waited for, and dropped.

    Parameters
    ----------
    pairs : Manifest or iterable of (reference, take) or of mapping
        See `manifest_of` and `open_manifest`.
    params : CompareParams, optional
        `details` are left out: records hold distances and scores.
    out : path, optional
        Where records go, too: .jsonl, .csv or .parquet.
    resume : bool
        Go on with `out`: only what is missing or has changed is compared.
    failures : path, optional
        Where failures go; beside `out` by default.
    n_jobs : int, optional
        Processes; all cores by default, and 1 works in this process. Workers are started afresh, so a script needs
        its ``if __name__ == "__main__":``.
    ordered : bool
        In the order of the pairs, or as soon as known.
    flag_copies : bool
        Say in each record's ``copy`` of what the take is a copy, of its reference or an earlier take.

    Returns
    -------
    iterator of Known, Scored or Failure
        One a pair, as soon as it is known. ``record`` of the first two has ``id``, ``reference``, ``take``, the
        pair's other words, ``overall``, ``chunks`` and ``key``; a failure has ``file`` and ``reason``.

    Raises
    ------
    ParameterError
        There are no pairs or one is wrong, `n_jobs` is not positive, or `out` is there and not to be resumed.
    SpeechcmpError
        The results can't be written.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import speechcmp
    >>> words = np.random.default_rng(0).normal(0, 0.1, (2, 16_000)) * np.sin(np.arange(16_000) / 300) ** 2
    >>> said = np.pad(words, [(0, 0), (8000, 8000)]).ravel()  # each word between half a second of silence
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     speechcmp.Recording.from_array(said, 16_000).save(f"{folder}/said.wav")
    ...     pairs = [(f"{folder}/said.wav", f"{folder}/{name}.wav") for name in ("said", "gone")]
    ...     for found in speechcmp.compare_pairs(pairs, n_jobs=1):
    ...         print(found.row.number, type(found).__name__)
    1 Scored
    2 Failure
    """
    if n_jobs is not None and n_jobs < 1:
        raise ParameterError(f"n_jobs: {n_jobs} is too few; give at least 1")
    if resume and out is None:
        raise ParameterError("resume: needs the results to go on with; name them by out")
    manifest = pairs if isinstance(pairs, Manifest) else manifest_of(pairs)
    checked = manifest.check()
    brief = replace(params or CompareParams(), details="scores")

    def outcomes() -> Iterator[Outcome]:
        with ExitStack() as stack:
            workers = stack.enter_context(Workers(min(n_jobs or os.cpu_count() or 1, checked.n_rows)))
            files = open_files(out, failures, checked.carried, copies=flag_copies, resume=resume)
            results, failed = stack.enter_context(files)
            batch = Batch(manifest, results, params=brief, ordered=ordered, copies=flag_copies)
            # Closed before the files that it writes to, also where nobody wants the rest.
            for outcome in stack.enter_context(closing(batch.run(workers))):
                if isinstance(outcome, Failure):
                    failed.add(outcome)
                else:
                    failed.settle(outcome.row)
                yield outcome
            failed.settle_all()

    return outcomes()


@contextmanager
def open_files(
    out: str | os.PathLike[str] | None,
    failures: str | os.PathLike[str] | None,
    carried: Sequence[str],
    *,
    copies: bool,
    resume: bool,
) -> Iterator[tuple[ResultFile | None, FailureFile]]:
    """Open what a batch writes to, and close it at the end.

    Parameters
    ----------
    out : path or None
        Where records go; None: nowhere.
    failures : path or None
        Where failures go; None: beside `out`.
    carried, copies, resume
        See `open_results`.

    Raises
    ------
    ParameterError, SpeechcmpError
        As `open_results` and `FailureFile`; also where both are one file.
    """
    noted = Path(failures) if failures else failures_beside(Path(out)) if out else None
    if out is not None and noted is not None and os.path.realpath(out) == os.path.realpath(noted):
        raise ParameterError(f"failures {noted}: is the results file, too; give it another name")
    with ExitStack() as stack:
        results = None
        if out is not None:
            results = open_results(out, carried=carried, overall=OVERALL_COLUMNS, copies=copies, resume=resume)
            stack.callback(results.close)
        yield results, stack.enter_context(FailureFile(noted))


def _found(positions: "array[int]") -> NDArray[np.int64]:
    """Return the positions of records that are there; as an array, for millions of them."""
    every: NDArray[np.int64] = np.array(positions, np.int64)
    return np.delete(every, every == _MISSING)


def _lost(row: Row) -> dict[str, Any]:
    name = without_secrets(row.take)
    return failed(name, f"{name}: the worker was killed twice; check the file and the memory")


def _same_words(old: dict[str, Any], new: dict[str, Any]) -> bool:
    """Compare as text: a table has no other."""
    if old.keys() != new.keys():
        return False
    return all(old[name] == new[name] or _text(old[name]) == _text(new[name]) for name in new)


def _text(value: object) -> str:
    return "" if value is None else str(value)


class _Index:
    """The records of a file by their key: 16 bytes a record."""

    def __init__(self, results: ResultFile) -> None:
        self._results = results
        hashes, positions = array("q"), array("q")
        self._n_found = 0
        for found in results.find_all():
            self._n_found += 1
            if found.key is not None:
                hashes.append(_hash(found.key))
                positions.append(found.position)
        unsorted = np.frombuffer(hashes, np.int64) if hashes else np.empty(0, np.int64)
        order = np.argsort(unsorted, kind="stable")
        self._hashes = unsorted[order]
        self._positions = np.frombuffer(positions, np.int64)[order] if positions else order
        self._n_taken: dict[int, int] = {}  # of keys that several records have

    def __len__(self) -> int:
        return self._n_found

    def take(self, key: str) -> int:
        """Return the position of a record with this key, another one each time while there are some."""
        wanted = _hash(key)
        first, stop = (int(np.searchsorted(self._hashes, wanted, side)) for side in ("left", "right"))
        if stop - first > 1:
            n_taken = self._n_taken.get(first, 0)
            self._n_taken[first] = n_taken + 1
            first = min(first + n_taken, stop - 1)
        if first == stop:
            return _MISSING
        position = int(self._positions[first])
        try:
            record = self._results.read(position)
        except ValueError:  # damaged behind its key: scored anew
            return _MISSING
        return position if record["key"] == key else _MISSING


def _hash(key: str) -> int:
    try:
        return max(0, int(key[:16], 16)) - (1 << 63)  # a damaged key may have a sign
    except ValueError:
        return 0
