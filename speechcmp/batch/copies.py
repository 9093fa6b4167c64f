"""Which takes are copies, of their reference or of an earlier row's take: found before anything is scored.

The later row, in the manifest's order, is the copy, so what is found depends on the manifest and the files alone.
Sketches, a sixteenth of pairs of landmarks, find the suspects; `find_copy` looks at their recordings and decides.
How rare a sketch is, and what survives an MP3: docs/algorithms/copies.md.
"""

import functools
import hashlib
import math
import time
import uuid
from array import array
from base64 import b64decode, b64encode
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from speechcmp.audio.recording import mix_down
from speechcmp.batch.manifest import Manifest, Row
from speechcmp.batch.schedule import run_rows
from speechcmp.batch.worker import Done, FileCache, read_recording
from speechcmp.fingerprint.identify import find_copy
from speechcmp.fingerprint.landmarks import HASH_BYTES, Landmarks, landmarks
from speechcmp.fingerprint.store.base import NewRecording, Preset, Store
from speechcmp.fingerprint.store.open import open_store
from speechcmp.parallel.processes import Workers

_PRESET = Preset("sketch", '{"pairs": "one frame", "kept": "1/16"}')
_KEPT = 16  # of 256
_FEWEST_KEYS = 32  # of a word
_MOST_A_KEY = 64  # occurrences of a key; more, as of a hum, and it says nothing
_REACH = 7  # landmarks of one frame that one is paired with
_BLOCK_ROWS = 512
_LEAST_VOTES = 2
_KEYS_A_VOTE = 256
_SUSPECTED = 3  # of the earlier takes
_SAME = 0.5  # of a sketch found in another: it adds nothing to the library
_CACHE_BYTES = 4 << 20
_SURE = (0.0, 1.0)  # offset and confidence of the same bytes

Copies = dict[int, dict[str, Any]]
Sighting = tuple[float, float]
Hashes = NDArray[np.uint8]
Frames = NDArray[np.uint32]


class Sketch(NamedTuple):
    """What is kept of a take: keys (n, 10) and their frames (n,); and where it is in its reference."""

    sha1: bytes
    keys: Hashes
    frames: Frames
    in_reference: Sighting | None


@dataclass(frozen=True, slots=True, eq=False)
class _Heard:
    sha1: bytes
    marks: Landmarks


def find_copies(
    manifest: Manifest,
    workers: Workers,
    *,
    stopped: Callable[[], bool] = lambda: False,
    looked: Callable[[int], None] = lambda _: None,
) -> Copies:
    """Find the rows of which the take is a copy.

    Parameters
    ----------
    manifest : Manifest
    workers : Workers
    stopped : callable
        Asked now and then: what is found then is not all.
    looked : callable
        Told now and then how many rows have been looked at.

    Returns
    -------
    dict
        By row number: what it is a copy of (``of``: reference or take), whose take (``id``), what the manifest
        calls the original (``path``), where the copy starts in it (``offset_s``), ``confidence``.

    Raises
    ------
    StoreError
        There is no room for the temporary library.
    """
    found: Copies = {}
    suspects: dict[int, list[int]] = {}
    task = functools.partial(sketch_rows, run=uuid.uuid4().hex)
    sketches = run_rows(manifest, task, workers, lost=lambda _: None, stopped=stopped)
    with TemporaryDirectory(prefix="speechcmp-") as folder, open_store(_url(folder)) as store:
        store.create()
        earlier = _Earlier(store)
        while block := [(row, _unpacked(sketch)) for row, sketch in islice(sketches, _BLOCK_ROWS)]:
            for row, sketch in block:
                if sketch is not None and sketch.in_reference:
                    found[row.number] = _values("reference", None, row.reference, sketch.in_reference)
            suspects |= earlier.take_in([(row, sketch) for row, sketch in block if sketch is not None])
            looked(block[-1][0].number)
    suspects = {number: others for number, others in suspects.items() if number not in found}
    return found if stopped() else found | _confirmed(manifest, suspects, workers, stopped)


def _url(folder: str) -> str:
    return f"sqlite:///{quote(str(Path(folder).absolute() / 'takes.db'))}"


def _confirmed(
    manifest: Manifest, suspects: dict[int, list[int]], workers: Workers, stopped: Callable[[], bool]
) -> Copies:
    """Have the workers look at every suspect beside what it may be a copy of; the earliest is the original."""
    if not suspects:
        return {}
    wanted = {*suspects, *(number for others in suspects.values() for number in others)}
    rows = {row.number: row for row in manifest if row.number in wanted}

    def pairs() -> Iterator[Row]:
        for number, others in suspects.items():
            for other in sorted(others):
                original = rows[other]
                copy = rows[number]
                yield copy._replace(id=original.id, reference=original.take, reference_path=original.take_path)

    copies: Copies = {}
    confirm = functools.partial(confirm_rows, run=uuid.uuid4().hex)
    for row, sighting in run_rows(pairs(), confirm, workers, lost=lambda _: None, stopped=stopped):
        if sighting is not None and row.number not in copies:
            copies[row.number] = _values("take", row.id, row.reference, sighting)
    return copies


def _values(of: str, row_id: str | None, path: str, sighting: Sighting) -> dict[str, Any]:
    offset_s, confidence = sighting
    return {"of": of, "id": row_id, "path": path, "offset_s": round(offset_s, 6) + 0.0, "confidence": confidence}


# ------------------------------------------------------------------------------------------------- workers


def sketch_rows(rows: list[Row], run: str) -> Done:
    """Sketch each row's take; None where it can't be read. What a URL gave is kept for one `run`."""
    return _each(rows, run, _sketch_row)


def confirm_rows(rows: list[Row], run: str) -> Done:
    """Say where in its reference each take is, None where it is no copy."""
    return _each(rows, run, _confirm_row)


def _packed(sketch: Sketch) -> dict[str, Any]:
    """Write a sketch as values that JSON can hold, as a cluster's answers are."""
    frames = sketch.frames.astype("<u4").tobytes()
    texts = {"sha1": sketch.sha1, "keys": sketch.keys.tobytes(), "frames": frames}
    return {name: b64encode(value).decode() for name, value in texts.items()} | {"in_reference": sketch.in_reference}


def _unpacked(values: dict[str, Any] | None) -> Sketch | None:
    if values is None:
        return None
    sha1, keys, frames = (b64decode(values[name]) for name in ("sha1", "keys", "frames"))
    return Sketch(
        sha1,
        np.frombuffer(keys, np.uint8).reshape(-1, HASH_BYTES),
        np.frombuffer(frames, "<u4").astype(np.uint32),
        values["in_reference"],
    )


def _each(rows: list[Row], run: str, work: Callable[[Row, str], Any]) -> Done:
    started = time.perf_counter()
    outcomes = []
    for row in rows:
        try:
            outcomes.append(work(row, run))
        except Exception:  # noqa: BLE001 - what can't be read fails when it is scored, and is named then
            outcomes.append(None)
    return Done(outcomes, time.perf_counter() - started)


def _sketch_row(row: Row, run: str) -> dict[str, Any]:
    take = _heard(row.take_path, row.take, run)
    keys, frames = _sketch(take.marks)
    try:
        reference = _heard(row.reference_path, row.reference, run)
    except Exception:  # noqa: BLE001 - as above
        return _packed(Sketch(take.sha1, keys, frames, None))
    if take.sha1 == reference.sha1:
        sighting: Sighting | None = _SURE
    else:
        sighting = _sighting(row) if _may_be_copy(reference.marks, take.marks) else None
    return _packed(Sketch(take.sha1, keys, frames, sighting))


def _confirm_row(row: Row, run: str) -> Sighting | None:
    take, original = (_heard(path, "", run) for path in (row.take_path, row.reference_path))
    return _SURE if take.sha1 == original.sha1 else _sighting(row)


def _sighting(row: Row) -> Sighting | None:
    (_, original), (_, copy) = (
        read_recording(row.reference_path, row.reference),
        read_recording(row.take_path, row.take),
    )
    match = find_copy(original, copy)
    return (match.offset_s, match.confidence) if match else None


def _may_be_copy(original: Landmarks, copy: Landmarks) -> bool:
    """Count landmarks that agree on an offset; in 450 pairs of other sentences and voices there were 3 at most."""
    ours, theirs = (_words(marks.hashes, 0) for marks in (original, copy))
    order = np.argsort(ours, kind="stable")
    first, stop = (np.searchsorted(ours, theirs, side, sorter=order) for side in ("left", "right"))
    n_hits = np.where(stop - first > _MOST_A_KEY, 0, stop - first)
    total = int(n_hits.sum())
    if not total:
        return False
    pair = np.arange(total) + np.repeat(first - np.cumsum(n_hits) + n_hits, n_hits)
    offset = original.anchor_frames[order[pair]].astype(np.int64) - np.repeat(copy.anchor_frames, n_hits)
    columns = np.bincount(offset + copy.n_frames, minlength=original.n_frames + copy.n_frames + 2)
    chance = 2 * total / (original.n_frames + copy.n_frames)
    return int((columns[:-1] + columns[1:]).max()) >= max(3.0, chance + 6 * math.sqrt(chance))


def _sketch(marks: Landmarks) -> tuple[Hashes, Frames]:
    """Pair the landmarks of each frame, and keep the pairs that their hash chooses."""
    order = np.lexsort((_words(marks.hashes, 0), marks.anchor_frames))
    hashes, frames = marks.hashes[order], marks.anchor_frames[order]
    pairs = [
        (np.flatnonzero(frames[step:] == frames[:-step]), step) for step in range(1, min(_REACH, len(frames) - 1) + 1)
    ]
    first = np.concatenate([np.zeros(0, np.int64), *(column for column, _ in pairs)])
    second = np.concatenate([np.zeros(0, np.int64), *(column + step for column, step in pairs)])
    rank = _words(hashes, 2)[first] ^ _words(hashes, 2)[second]  # as good as random, and the same in a copy
    n_kept = max(_FEWEST_KEYS, int((rank < np.uint64(_KEPT << 56)).sum()))
    kept = np.argsort(rank, kind="stable")[:n_kept]
    keys = np.concatenate([hashes[first[kept], :5], hashes[second[kept], :5]], axis=1)
    return keys, frames[first[kept]]


def _words(hashes: Hashes, start: int) -> NDArray[np.uint64]:
    words: NDArray[np.uint64] = np.ascontiguousarray(hashes[:, start : start + 8]).view("<u8").ravel()
    return words


def _heard(path: str, name: str, run: str) -> _Heard:
    return _HEARD.get(path, None, run, lambda: _hear(path, name))


def _hear(path: str, name: str) -> tuple[_Heard, int]:
    sha1, recording = read_recording(path, name)
    marks = landmarks(mix_down(recording).samples, recording.sample_rate)
    return _Heard(sha1, marks), 1000 + marks.hashes.nbytes + marks.anchor_frames.nbytes


_HEARD: FileCache[_Heard] = FileCache(_CACHE_BYTES, fewest=1)


# ------------------------------------------------------------------------------------------ earlier takes


class _Seen(NamedTuple):
    """A content: the row in which it came first, and what that row's path hashes to."""

    number: int
    path: int


class _Earlier:
    """The takes so far: their contents and sketches in a library, 16 bytes each here."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._numbers = array("q", [0])  # by recording id, from 1
        self._paths = array("q", [0])

    def take_in(self, block: list[tuple[Row, Sketch]]) -> dict[int, list[int]]:
        """Return the rows that may be copies, with the rows of which, and remember all."""
        suspects: dict[int, list[int]] = {}
        contents = self._known(sketch for _, sketch in block)
        hits = self._hits([sketch for _, sketch in block])
        new: list[tuple[Row, Sketch]] = []
        keys: defaultdict[bytes, list[tuple[int, int]]] = defaultdict(list)
        for (row, sketch), stored in zip(block, hits, strict=True):
            path = _path_hash(row.take_path)
            seen = contents.get(sketch.sha1)
            if seen is not None and seen.path != path:
                suspects[row.number] = [seen.number]
                continue
            before = seen.number if seen else row.number
            others, share = _agreeing(sketch, stored, _among(keys, sketch), before)
            if others:
                suspects[row.number] = others
            if seen is None and share < _SAME:
                contents[sketch.sha1] = _Seen(row.number, path)
                new.append((row, sketch))
                for key, frame in zip(map(bytes, sketch.keys), sketch.frames.tolist(), strict=True):
                    keys[key].append((row.number, frame))
        self._add(new)
        return suspects

    def _known(self, sketches: Iterable[Sketch]) -> dict[bytes, _Seen]:
        known = self._store.known({sketch.sha1 for sketch in sketches})
        return {sha1: _Seen(self._numbers[found.id], self._paths[found.id]) for sha1, found in known.items()}

    def _hits(self, sketches: list[Sketch]) -> Iterator[NDArray[np.int64]]:
        """Yield for each sketch the hits among stored ones: rows of (key, row number, frame)."""
        if not sketches:
            return
        hits = self._store.find(np.concatenate([x.keys for x in sketches]), _PRESET, max_per_hash=_MOST_A_KEY)
        numbers = np.frombuffer(self._numbers, np.int64)[hits.recording_ids.astype(np.int64)]
        table = np.stack([hits.hash_index, numbers, hits.anchor_frames], axis=1).astype(np.int64)
        table = table[np.argsort(table[:, 0], kind="stable")]
        starts = np.cumsum([0, *(len(x.keys) for x in sketches)])
        for start, part in zip(starts, np.split(table, np.searchsorted(table[:, 0], starts[1:-1])), strict=False):
            yield part - [start, 0, 0]

    def _add(self, new: list[tuple[Row, Sketch]]) -> None:
        recordings = [
            NewRecording(str(row.number), "", sketch.sha1, 0.0, 0, sketch.keys, sketch.frames) for row, sketch in new
        ]
        for (row, _), added in zip(new, self._store.add_many(recordings, _PRESET) if new else (), strict=True):
            missing = added.recording_id + 1 - len(self._numbers)
            self._numbers.extend([0] * missing)
            self._paths.extend([0] * missing)
            self._numbers[added.recording_id] = row.number
            self._paths[added.recording_id] = _path_hash(row.take_path)


def _path_hash(path: str) -> int:
    digest = hashlib.sha1(path.encode("utf-8", "surrogateescape"), usedforsecurity=False).digest()
    return int.from_bytes(digest[:8], "little", signed=True)


def _among(keys: dict[bytes, list[tuple[int, int]]], sketch: Sketch) -> NDArray[np.int64]:
    """Look a sketch up among those of the same block: rows of (key, row number, frame)."""
    found = []
    for index, key in enumerate(map(bytes, sketch.keys)):
        occurrences = keys.get(key, ())
        if len(occurrences) <= _MOST_A_KEY:
            found += [(index, *occurrence) for occurrence in occurrences]
    return np.array(found, np.int64).reshape(-1, 3)


def _agreeing(
    sketch: Sketch, stored: NDArray[np.int64], same_block: NDArray[np.int64], before: int
) -> tuple[list[int], float]:
    """Return the earlier rows on which most keys agree, and the largest share of keys that do."""
    key, number, frame = np.concatenate([stored, same_block]).T
    key, number, frame = (column[number < before] for column in (key, number, frame))
    if len(key) < _LEAST_VOTES:
        return [], 0.0
    offset = frame - sketch.frames[key].astype(np.int64)
    column, votes = np.unique((number << 32) + offset + (1 << 31), return_counts=True)
    joined = votes.copy()
    joined[:-1] += np.where(np.diff(column) == 1, votes[1:], 0)  # a copy may lie between two frames
    enough = max(_LEAST_VOTES, len(sketch.keys) // _KEYS_A_VOTE)
    order = [k for k in np.argsort(-joined, kind="stable") if joined[k] >= enough]
    others = list(dict.fromkeys(int(column[k]) >> 32 for k in order))
    return others[:_SUSPECTED], float(joined.max()) / len(sketch.keys)
