"""Fill a store: workers fingerprint, one writer stores many recordings a transaction."""

import functools
import hashlib
import itertools
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from speechcmp.audio.decode import AudioFile, open_audio, unreadable_error
from speechcmp.checks import checked
from speechcmp.errors import AudioError, ParameterError, SpeechcmpError
from speechcmp.fingerprint.landmarks import landmarks
from speechcmp.fingerprint.peaks import SPEECH, FingerprintParams
from speechcmp.fingerprint.store.base import NewRecording, Preset, Store
from speechcmp.parallel.processes import WorkerDiedError, Workers

_BATCH_HASHES = 250_000  # a transaction of two seconds
_BATCH_RECORDINGS = 500
_BATCH_S = 5.0
_ASKED_AT_ONCE = 16  # a server may be far off, but the first recording should not wait for many
_COMPACT_HASHES = 100_000
_COMPACT_SHARE = 4


class Ingested(NamedTuple):
    """A recording that is in the library now.

    Attributes
    ----------
    path : str
        As given.
    recording_id : int
        As in the library.
    known : bool
        Its content was there before; then nothing was stored, and `n_hashes` and `duration_s` are 0.
    n_hashes : int
        How many were stored.
    duration_s : float
        Seconds fingerprinted.
    extended : bool
        A shorter head of it was there, which this has replaced.
    """

    path: str
    recording_id: int
    known: bool
    n_hashes: int
    duration_s: float
    extended: bool = False


class IngestFailure(NamedTuple):
    """A file that could not be stored.

    Attributes
    ----------
    path : str
        As given.
    reason : str
        The error it gives by itself, one line.
    """

    path: str
    reason: str


Outcome = Ingested | IngestFailure


class Fingerprint(NamedTuple):
    """What is extracted from a file.

    Attributes
    ----------
    hashes : uint8, shape (k, 10)
        Landmark hashes.
    offsets : uint32, shape (k,)
        Frame of each landmark's anchor.
    duration_s : float
        Seconds that were heard.
    sample_rate : int
        Hz of the file.
    whole : bool
        Whether that is all of it.
    """

    hashes: NDArray[np.uint8]
    offsets: NDArray[np.uint32]
    duration_s: float
    sample_rate: int
    whole: bool


Extract = Callable[[str, FingerprintParams, float | None], Fingerprint]


class _Digested(NamedTuple):
    path: str
    content_sha1: bytes


def fingerprint_file(path: str, params: FingerprintParams, limit_s: float | None) -> Fingerprint:
    """Fingerprint a file, or its first `limit_s` seconds, in blocks.

    Raises
    ------
    AudioError
        The file can't be read, or has nothing to be known by.
    """
    file = open_audio(path)
    if file.lost_s:  # every position behind the gap would be wrong
        raise AudioError(f"{file.name}: damaged ({file.lost_s:.1f} s could not be decoded); copy or record it again")
    found = landmarks(_mono_blocks(file), file.sample_rate, params=params, limit_s=limit_s)
    if not len(found):
        raise AudioError(f"{file.name}: no landmarks (silent, or shorter than a window); nothing to store")
    whole = limit_s is None or limit_s >= file.duration_s
    duration_s = file.duration_s if limit_s is None else min(limit_s, file.duration_s)
    return Fingerprint(found.hashes, found.anchor_frames, duration_s, file.sample_rate, whole)


def _mono_blocks(file: AudioFile) -> Iterator[NDArray[np.float32]]:
    scale = np.float32(2.0 ** (1 - 8 * file.sample_width))
    for block in file.pcm_blocks():
        samples = block.astype(np.float32) * scale
        yield samples[:, 0] if file.channels == 1 else samples.mean(axis=1, dtype=np.float32)


@checked
def ingest(
    paths: Iterable[str | Path],
    store: Store,
    *,
    params: FingerprintParams = SPEECH,
    n_jobs: int | None = None,
    limit_s: float | None = None,
    compact: bool = True,
    extract: Extract = fingerprint_file,
) -> Iterator[Outcome]:
    """Fingerprint files and store them.

    Killed at any moment and run again, it completes the work: what was stored is known, and nothing is stored
    by half. Memory holds a few recordings' hashes a job and one batch, however many paths there are.

    Parameters
    ----------
    paths : iterable of path
        Read as needed.
    store : Store
        Used by the calling thread alone.
    params : FingerprintParams
        What to fingerprint with; a library holds one kind.
    n_jobs : int, optional
        Worker processes; all cores by default, and 1 works in this process. Workers are started afresh, so a
        script needs its ``if __name__ == "__main__":``.
    limit_s : float, optional
        Fingerprint only the first seconds of each file. A file of which less is stored is fingerprinted again,
        and replaces that.
    compact : bool
        Rewrite the library without gaps at the end of a run that made it a third larger or more.
    extract : callable
        What fingerprints a file; must be importable by the workers.

    Yields
    ------
    Ingested or IngestFailure
        One a path, as soon as it is known, in no order. A bad file is a failure with its reason; so is one
        that has killed a worker twice.

    Raises
    ------
    ParameterError
        `n_jobs` or `limit_s` is not positive.
    ParameterMismatchError, StoreError, StoreUnavailableError
        The store can't take any more.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import speechcmp
    >>> noise = np.random.default_rng(0).normal(0, 0.1, 64_000)  # 4 s
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     speechcmp.Recording.from_array(noise, 16_000).save(f"{folder}/noise.wav")
    ...     with speechcmp.open_store(f"sqlite:///{folder}/library.db") as store:
    ...         store.create()
    ...         for found in speechcmp.ingest([f"{folder}/noise.wav"], store, n_jobs=1):
    ...             print(type(found).__name__, found.recording_id, found.known, found.duration_s)
    ...         store.info().n_recordings
    Ingested 1 False 4.0
    1
    """
    if (n_jobs is not None and n_jobs < 1) or (limit_s is not None and not limit_s > 0):
        raise ParameterError(f"n_jobs, limit_s: must be above 0, given {n_jobs}, {limit_s}")
    fingerprint = functools.partial(_fingerprint, params=params, limit_s=limit_s, extract=extract)
    with Workers(n_jobs or os.cpu_count() or 1) as workers:
        digested = _through(workers, _digest, (os.fspath(path) for path in paths))
        recordings = _through(workers, fingerprint, _unknown(digested, store, limit_s))
        yield from _written(recordings, store, Preset.of(params), compact=compact)


def _digest(path: str) -> _Digested | IngestFailure:
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116 - as below
            return IngestFailure(path, f"{path}: is not a file that stays; save the recording to one first")
        with open(path, "rb") as file:  # noqa: PTH123 - path may be anything open() takes
            return _Digested(path, hashlib.file_digest(file, "sha1").digest())
    except OSError as error:
        return IngestFailure(path, str(unreadable_error(path, error)))


def _fingerprint(
    task: _Digested, *, params: FingerprintParams, limit_s: float | None, extract: Extract
) -> tuple[str, NewRecording] | IngestFailure:
    path = task.path
    try:
        found = extract(path, params, limit_s)
        recording = NewRecording(
            Path(path).name,
            os.path.abspath(path),  # noqa: PTH100 - no links resolved: the path the user knows
            task.content_sha1,
            found.duration_s,
            found.sample_rate,
            found.hashes,
            found.offsets,
            "whole" if found.whole else "head",
        )
    except SpeechcmpError as error:
        return IngestFailure(path, str(error))
    except Exception as error:  # noqa: BLE001 - whatever one file does, the others are worth having
        return IngestFailure(path, f"{path}: {type(error).__name__}: {error}")
    return path, recording


def _unknown(items: Iterable[Any], store: Store, limit_s: float | None) -> Iterator[Any]:
    """Pass on what is new to the store, in whole or from some second on; of the rest, say so."""
    several = iter(items)
    while some := list(itertools.islice(several, _ASKED_AT_ONCE)):
        stored = store.known([item.content_sha1 for item in some if isinstance(item, _Digested)])
        for item in some:
            found = stored.get(item.content_sha1) if isinstance(item, _Digested) else None
            if found is None or (found.state == "head" and (limit_s is None or limit_s > found.duration_s)):
                yield item
            else:
                yield Ingested(item.path, found.id, True, 0, 0.0)


def _written(recordings: Iterable[Any], store: Store, preset: Preset, *, compact: bool) -> Iterator[Outcome]:
    batch: list[tuple[str, NewRecording]] = []
    n_waiting = n_added = 0
    started = time.monotonic()
    for item in recordings:
        if isinstance(item, Outcome):
            yield item
            continue
        if not batch:
            started = time.monotonic()
        batch.append(item)
        n_waiting += len(item[1].hashes)
        late = time.monotonic() - started > _BATCH_S
        if late or n_waiting >= _BATCH_HASHES or len(batch) >= _BATCH_RECORDINGS:
            yield from _stored(batch, store, preset)
            n_added += n_waiting
            batch, n_waiting = [], 0
    if batch:
        yield from _stored(batch, store, preset)
    n_added += n_waiting
    if compact and n_added >= _COMPACT_HASHES and n_added * _COMPACT_SHARE >= store.info().n_hashes:
        store.compact()


def _stored(batch: list[tuple[str, NewRecording]], store: Store, preset: Preset) -> Iterator[Outcome]:
    outcome = store.add_many([recording for _, recording in batch], preset)
    for (path, recording), (recording_id, known, extended) in zip(batch, outcome, strict=True):
        heard = (0, 0.0) if known else (len(recording.hashes), recording.duration_s)
        yield Ingested(path, recording_id, known, *heard, extended)


def _through(workers: Workers, function: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
    """Send items through the workers, a bounded number at a time; rows pass by."""
    flying: dict[Future[Any], Any] = {}
    waiting = iter(items)
    more = True
    while more or flying:
        while more and len(flying) < workers.room:
            item = next(waiting, None)
            if item is None:
                more = False
            elif isinstance(item, Outcome):
                yield item
            else:
                flying[workers.submit(function, item)] = item
        for future in wait(flying, return_when=FIRST_COMPLETED).done:
            item = flying.pop(future)
            try:
                yield workers.outcome(future, function, item)
            except WorkerDiedError:
                path = item if isinstance(item, str) else item.path
                yield IngestFailure(
                    path, f"{path}: the worker died twice while reading it; check the file and the memory"
                )
