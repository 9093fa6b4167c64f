"""What a worker does with rows of a manifest: every recording read and prepared once, every pair compared.

Prepared recordings are kept, the latest used ones, up to a number of bytes: rows come grouped by reference.
"""

import hashlib
import io
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from speechcmp.audio.recording import Recording, load_recording
from speechcmp.audio.url import is_url, read_url, without_secrets
from speechcmp.batch.manifest import Row
from speechcmp.comparison.compare import CompareParams, Prepared, compare_prepared, prepare
from speechcmp.comparison.serialize import brief_values
from speechcmp.errors import AudioError, SpeechcmpError
from speechcmp.files import irregular
from speechcmp.scoring.model import load_model

_CACHE_BYTES = 16 << 20  # of prepared recordings, in each worker: full, and so level, after a few hundred
_CACHE_ENTRIES = 20_000  # failures weigh nothing
_PAIR = 2  # are kept however large: the next row may have the same reference

T = TypeVar("T")
Signature = tuple[int, int, int, int] | str | None


class Scored(NamedTuple):
    """A row that was scored.

    Attributes
    ----------
    row : Row
        What was to be compared.
    record : dict
        What the manifest says (``id``, ``reference``, ``take`` and the carried columns), ``overall``, ``chunks``, maybe
        ``copy``, and ``key``, which says of what and how it was made.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import speechcmp
    >>> words = np.random.default_rng(0).normal(0, 0.1, (2, 16_000)) * np.sin(np.arange(16_000) / 300) ** 2
    >>> said = np.pad(words, [(0, 0), (8000, 8000)]).ravel()  # each word between half a second of silence
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     speechcmp.Recording.from_array(said, 16_000).save(f"{folder}/said.wav")
    ...     (found,) = speechcmp.compare_pairs([(f"{folder}/said.wav", f"{folder}/said.wav")], n_jobs=1)
    >>> found.record["overall"]["score"], found.record["overall"]["missing"]
    (100.0, 0)
    """

    row: Row
    record: dict[str, Any]


class Failure(NamedTuple):
    """A row that could not be scored.

    Attributes
    ----------
    row : Row
        What was to be compared.
    file : str
        The file that is to blame.
    reason : str
        The error it gives by itself, one line.

    Examples
    --------
    >>> import speechcmp
    >>> (found,) = speechcmp.compare_pairs([("gone.wav", "lost.wav")], n_jobs=1)
    >>> found.file, found.reason
    ('gone.wav', 'gone.wav: no such file; check the path')
    """

    row: Row
    file: str
    reason: str


class Done(NamedTuple):
    """What became of some rows, in their order and as values that JSON can hold, and how long it took."""

    outcomes: list[Any]
    elapsed_s: float


@dataclass(frozen=True, slots=True, eq=False)
class _Side:
    """A file as it was when it was read."""

    sha1: bytes
    prepared: Prepared | None
    reason: str


def record_of(row: Row, values: dict[str, Any]) -> dict[str, Any]:
    """Put a row's own words before what was worked out: ``overall``, ``chunks``, maybe ``copy``, and ``key``."""
    return {
        "id": row.id,
        "reference": row.reference,
        "take": row.take,
        **row.carried,
        "overall": values["overall"],
        "chunks": values["chunks"],
        **({"copy": values["copy"]} if "copy" in values else {}),
        "key": values["key"],
    }


def score_rows(rows: list[Row], params: CompareParams, run: str = "", *, copies: bool = False) -> Done:
    """Score rows, `copies` if copies are looked for; nothing that a file does is raised.

    An outcome has ``overall``, ``chunks`` and ``key``, or the ``file`` to blame and the ``reason``. What a URL gave is
    kept for one `run` only: whether it has changed since can't be seen without reading it.
    """
    started = time.perf_counter()
    made_by = _made_by(params, copies=copies)
    outcomes = [_score(row, params, made_by, run) for row in rows]
    return Done(outcomes, time.perf_counter() - started)


def key_rows(rows: list[Row], params: CompareParams, *, copies: bool = False) -> Done:
    """Work out the rows' content keys without scoring them; None where a file can't be read."""
    started = time.perf_counter()
    made_by = _made_by(params, copies=copies)
    digests: dict[str, bytes | None] = {}
    for row in rows:
        for path in (row.reference_path, row.take_path):
            if path not in digests:
                digests[path] = _sha1(path)
    keys: list[str | None] = []
    for row in rows:
        ours, theirs = digests[row.reference_path], digests[row.take_path]
        keys.append(content_key(ours, theirs, made_by) if ours and theirs else None)
    return Done(keys, time.perf_counter() - started)


def content_key(reference_sha1: bytes, take_sha1: bytes, made_by: bytes) -> str:
    """Name a result by all it depends on."""
    return hashlib.sha1(reference_sha1 + take_sha1 + made_by, usedforsecurity=False).hexdigest()


def _made_by(params: CompareParams, *, copies: bool) -> bytes:
    # What a model was fitted to, and when, changes no score.
    model = replace(params.model or load_model(), fitted={}).to_json()
    parts = (_version(), sorted(asdict(replace(params, model=None)).items()), model)
    text = repr((*parts, "copies") if copies else parts)
    return hashlib.sha1(text.encode(), usedforsecurity=False).digest()


@cache
def _version() -> str:
    return version("speechcmp")


def outcome_of(row: Row, values: dict[str, Any]) -> Scored | Failure:
    """Make of a row and one outcome of `score_rows` what callers are given."""
    if "reason" in values:
        return Failure(row, values["file"], values["reason"])
    return Scored(row, record_of(row, values))


def _score(row: Row, params: CompareParams, made_by: bytes, run: str) -> dict[str, Any]:
    name = without_secrets(row.reference)
    try:
        reference = _side(row.reference_path, name, params, made_by, run)
        if reference.prepared is None:
            return failed(name, reference.reason)
        name = without_secrets(row.take)
        take = _side(row.take_path, name, params, made_by, run)
        if take.prepared is None:
            return failed(name, take.reason)
        result = compare_prepared(reference.prepared, take.prepared, params=params)
        values = brief_values(result)
    except Exception as error:  # noqa: BLE001 - whatever one pair does, the others are worth having
        return failed(name, _reason(name, error))
    values["key"] = content_key(reference.sha1, take.sha1, made_by)
    return values


def failed(name: str, reason: str) -> dict[str, Any]:
    """Make the outcome of a row that could not be scored."""
    return {"file": name, "reason": reason}


def _reason(name: str, error: Exception) -> str:
    return str(error) if isinstance(error, SpeechcmpError) else f"{name}: {type(error).__name__}: {error}"


def _side(path: str, name: str, params: CompareParams, made_by: bytes, run: str) -> _Side:
    """Return a recording, read if need be; `made_by` stands for the parameters."""
    return _SIDES.get(path, (name, made_by), run, lambda: _read(path, name, params))


def _read(path: str, name: str, params: CompareParams) -> tuple[_Side, int]:
    try:
        sha1, recording = read_recording(path, name)
        prepared = prepare(recording, params)
    except Exception as error:  # noqa: BLE001 - as above
        return _Side(b"", None, _reason(name, error)), 0
    return _Side(sha1, prepared, ""), sum(array.nbytes for array in _arrays(prepared).values())


def read_recording(path: str, name: str) -> tuple[bytes, Recording]:
    """Return the SHA-1 of a file or URL and what it holds; raises as `load_recording` and `read_url`."""
    if is_url(path):
        data = read_url(path)
        return _digest(data), load_recording(io.BytesIO(data), mono=False, name=name)
    before = signature_of(path, "")
    sha1 = _sha1(path) or b""
    recording = load_recording(path, mono=False, name=name)
    if signature_of(path, "") != before:
        raise AudioError(f"{name}: changed while it was read; let it be, and run again with --resume")
    return sha1, recording


def _arrays(value: object) -> dict[int, NDArray[Any]]:
    """Find the arrays in a prepared recording, each once."""
    if isinstance(value, np.ndarray):
        return {id(value): value}
    if is_dataclass(value):
        value = [getattr(value, item.name) for item in fields(value)]
    found: dict[int, NDArray[Any]] = {}
    for item in value if isinstance(value, tuple | list) else ():
        found |= _arrays(item)
    return found


def _digest(data: bytes) -> bytes:
    return hashlib.sha1(data, usedforsecurity=False).digest()


def _sha1(path: str) -> bytes | None:
    try:
        if is_url(path):
            return _digest(read_url(path))
        if irregular(Path(path)):
            return None
        with open(path, "rb") as file:  # noqa: PTH123 - a million rows
            return hashlib.file_digest(file, "sha1").digest()
    except (OSError, SpeechcmpError):
        return None


def signature_of(path: str, run: str) -> Signature:
    """Return what changes when a file does, and with every run for a URL; None without a file."""
    if is_url(path):
        return run
    try:
        found = os.stat(path)  # noqa: PTH116 - a million rows
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino


class FileCache(Generic[T]):
    """What was made of the files used last, up to `max_bytes` or `fewest`; a file that has changed is read again.

    Threads may share it. Two that want a file at once may both read it.

    Parameters
    ----------
    max_bytes : int
        Of what is kept.
    fewest : int
        So many are kept however large they are.
    """

    def __init__(self, max_bytes: int, *, fewest: int) -> None:
        self._max_bytes = max_bytes
        self._fewest = fewest
        self._n_bytes = 0
        self._entries: OrderedDict[Hashable, _Entry[T]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, path: str, key: Hashable, run: str, make: Callable[[], tuple[T, int]]) -> T:
        """Return what is made of a file: of now, or kept since it has not changed.

        Parameters
        ----------
        path : str
        key : hashable
            Tells apart what is made of one file.
        run : str
            See `signature_of`.
        make : callable
            Reads the file; returns the value and its bytes.
        """
        signature = signature_of(path, run)
        with self._lock:
            entry = self._entries.get((path, key))
            if entry is not None and entry.signature == signature:
                self._entries.move_to_end((path, key))
                return entry.value
        value, n_bytes = make()
        with self._lock:
            self._keep((path, key), _Entry(signature, value, n_bytes))
        return value

    def _keep(self, key: Hashable, entry: "_Entry[T]") -> None:
        replaced = self._entries.pop(key, None)
        self._n_bytes += entry.n_bytes - (replaced.n_bytes if replaced else 0)
        self._entries[key] = entry
        while len(self._entries) > self._fewest and (
            self._n_bytes > self._max_bytes or len(self._entries) > _CACHE_ENTRIES
        ):
            self._n_bytes -= self._entries.popitem(last=False)[1].n_bytes

    def __len__(self) -> int:
        return len(self._entries)

    def clear(self) -> None:
        """Forget all of them."""
        with self._lock:
            self._entries.clear()
            self._n_bytes = 0


class _Entry(NamedTuple, Generic[T]):
    signature: Signature
    value: T
    n_bytes: int


_SIDES: FileCache[_Side] = FileCache(_CACHE_BYTES, fewest=_PAIR)
