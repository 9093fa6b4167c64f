"""What the SQL stores do alike, in the SQL that all of them read; ``%s`` marks a bound parameter."""

import json
import logging
import re
import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from speechcmp.errors import ParameterMismatchError, SpeechcmpError, StoreError, StoreUnavailableError
from speechcmp.fingerprint.store.base import (
    HASH_BYTES,
    MAX_FRAME,
    SHA1_BYTES,
    STATES,
    Added,
    LibraryInfo,
    NewRecording,
    Preset,
    Store,
    StoredRecording,
    checked_hashes,
)
from speechcmp.fingerprint.voting import Hits

SCHEMA_VERSION = 1
TABLES = frozenset({"library", "recordings", "fingerprints"})
MAX_ID = 2**31 - 1  # what hits have room for
_MAX_COUNT = 2**62
_MAX_DURATION_S = 1e12
FIND_AT_ONCE = 50_000  # hashes; a clip of half a minute, where memory for hits begins to count
_VALUES_AT_ONCE = 500

Row = tuple[Any, ...]
Result = TypeVar("Result")
Item = TypeVar("Item")

_log = logging.getLogger(__name__)


class UnusableError(Exception):
    """What is wrong with a library, and what to do; the store, which knows what it is called, makes the error."""


class Session(Protocol):
    """One connection, as the statements below use it."""

    def rows(self, sql: str, values: Sequence[Any] = ()) -> Sequence[Row]:
        """Run a query and return all its rows."""
        ...

    def change(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Run a statement and return how many rows it changed."""
        ...

    def insert(self, sql: str, values: Sequence[Any]) -> int | None:
        """Insert a row and return its id, or None when its key is there already."""
        ...

    def insert_rows(self, rows: "FingerprintRows") -> None:
        """Insert into the table `fingerprints`."""
        ...

    def find(self, hashes: NDArray[np.uint8], max_per_hash: int | None) -> Hits:
        """Look up some hashes in one go."""
        ...

    def n_bytes(self) -> int:
        """Ask how large the library is on disk."""
        ...


class FingerprintRows(NamedTuple):
    """Rows of the table `fingerprints`: hashes (n, 10), recording ids (n,), offsets (n,)."""

    hashes: NDArray[np.uint8]
    recording_ids: NDArray[np.uint32]
    offsets: NDArray[np.uint32]

    def taken(self, order: NDArray[np.int64]) -> "FingerprintRows":
        return FingerprintRows(self.hashes[order], self.recording_ids[order], self.offsets[order])

    def parts(self, size: int) -> "Iterator[tuple[Sequence[bytes], Sequence[int], Sequence[int]]]":
        """Yield the columns in parts as the drivers take them: Python's objects are large."""
        for start in range(0, len(self.hashes), size):
            part = slice(start, start + size)
            yield as_bytes(self.hashes[part]), self.recording_ids[part].tolist(), self.offsets[part].tolist()


class SqlStore(Store):
    """A store in an SQL database; the back ends know how to connect, insert and join."""

    failures: tuple[type[Exception], ...] = ()  # what the driver raises
    insert_new = "INSERT IGNORE INTO"
    retry_delays_s: tuple[float, ...] = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)

    def __init__(self, label: str) -> None:
        self.label = label
        self._preset: Preset | None = None  # never changes once it is set

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.label!r})"

    @abstractmethod
    def reading(self, work: Callable[[Session], Result]) -> Result:
        """Run `work` once, connecting first where necessary."""

    @abstractmethod
    def writing(self, work: Callable[[Session], Result]) -> Result:
        """Run `work` once in a transaction; whatever it raises undoes it."""

    @abstractmethod
    def is_passing(self, failure: Exception) -> bool:
        """Tell whether trying again can help."""

    @abstractmethod
    def refusal(self, failure: Exception) -> StoreError:
        """Say what a failure that stays means."""

    @abstractmethod
    def lost(self, waited_s: float) -> StoreUnavailableError:
        """Say what it means that failures did not pass."""

    def patiently(self, attempt: Callable[[], Result], *, at_once: bool = False) -> Result:
        """Try until it works, fails for good, or patience is over; `at_once`, without patience."""
        started = time.monotonic()
        delays_s = iter(() if at_once else self.retry_delays_s)
        while True:
            try:
                return attempt()
            except SpeechcmpError:
                raise
            except UnusableError as error:
                raise StoreError(f"{self.label}: {error}") from error
            except (ValueError, TypeError, ArithmeticError, LookupError, AttributeError) as oddity:
                raise self._spoilt(oddity) from oddity
            except self.failures as failure:
                if not self.is_passing(failure):
                    raise self.refusal(failure) from failure
                delay_s = next(delays_s, None)
                if delay_s is None:
                    raise self.lost(time.monotonic() - started) from failure
                _log.info("%s: %s; trying again in %s s", self.label, failure, delay_s)
            time.sleep(delay_s)

    def _spoilt(self, oddity: Exception) -> StoreError:
        """Make the error of rows that were not written here, or have been damaged since."""
        return StoreError(f"{self.label}: {_damage(one_line(f'{type(oddity).__name__}: {oddity}'))}")

    def create(self) -> None:
        def work(session: Session) -> None:
            self.refuse_strangers(session)
            for statement in schema_statements():
                session.change(self.dialect(statement))

        self.patiently(lambda: self.writing(work))

    @abstractmethod
    def refuse_strangers(self, session: Session) -> None:
        """Raise `StoreError` where the tables there are another program's."""

    def dialect(self, statement: str) -> str:
        """Translate a statement of schema.sql."""
        return statement

    def add_many(self, recordings: Sequence[NewRecording], preset: Preset) -> Sequence[Added]:
        return self.patiently(lambda: self.writing(lambda session: self._add_all(session, recordings, preset)))

    def _add_all(self, session: Session, recordings: Sequence[NewRecording], preset: Preset) -> Sequence[Added]:
        self._agree(session, preset, first=True)
        stored = _known(session, [recording.content_sha1 for recording in recordings])
        added: dict[bytes, Added] = {}
        parts = []
        # In the order of their keys: two writers that want the same two must not wait for each other.
        for recording in sorted(recordings, key=lambda recording: recording.content_sha1):
            content = recording.content_sha1
            if content in added:
                continue
            before = stored.get(content)
            if before and not _is_more(recording, before):
                added[content] = Added(before.id, known=True)
                continue
            kept = _distinct_rows(recording)
            added[content] = self._enter(session, recording, len(kept), before)
            if not added[content].known:
                parts.append(_rows_of(recording, added[content].recording_id, kept))
        _delete_rows(session, [one.recording_id for one in added.values() if one.extended])
        if parts:
            session.insert_rows(FingerprintRows(*map(np.concatenate, zip(*parts, strict=True))))
        return _outcome(recordings, added)

    def _enter(self, session: Session, recording: NewRecording, n_hashes: int, before: StoredRecording | None) -> Added:
        """Enter a recording among the others, unless another writer has just entered as much of it."""
        if before is None:
            number = _insert_recording(session, self.insert_new, recording, n_hashes)
            if number is not None:
                return Added(number, known=False)
            before = _known(session, [recording.content_sha1])[recording.content_sha1]
        extended = session.change(
            "UPDATE recordings SET duration_s = %s, n_hashes = %s, state = %s "
            "WHERE id = %s AND state = 'head' AND duration_s < %s",
            [recording.duration_s, n_hashes, recording.state, before.id, recording.duration_s],
        )
        return Added(before.id, known=not extended, extended=bool(extended))

    def _agree(self, session: Session, preset: Preset, *, first: bool = False) -> None:
        """Raise unless `preset` is the library's; with `first`, make it so if it has none yet."""
        stored = self._preset or _stored_preset(session)
        if stored is None and first:
            session.change(
                f"{self.insert_new} library (name, value) VALUES ('preset', %s)",
                [json.dumps([preset.name, preset.parameters])],
            )
            stored = _stored_preset(session)
        elif stored is not None:
            self._preset = stored  # committed by someone
        if stored is not None and stored.parameters != preset.parameters:
            asked = repr(preset.name) if preset.name != stored.name else "other parameters of that name"
            raise ParameterMismatchError(
                f"{self.label}: filled with preset {stored.name!r}, given {asked}; "
                "use the same preset, or another library"
            )

    def known(self, content_sha1s: Iterable[bytes]) -> Mapping[bytes, StoredRecording]:
        wanted = list(content_sha1s)
        return self.patiently(lambda: self.reading(lambda session: _known(session, wanted)))

    def find(self, hashes: NDArray[np.uint8], preset: Preset, *, max_per_hash: int | None = None) -> Hits:
        checked_hashes(hashes)

        def work(session: Session) -> Hits:
            self._agree(session, preset)
            parts = []
            for start in range(0, max(len(hashes), 1), FIND_AT_ONCE):
                hits = session.find(hashes[start : start + FIND_AT_ONCE], max_per_hash)
                _check_hits(hits)
                parts.append(hits._replace(hash_index=hits.hash_index + start))
            return Hits(*map(np.concatenate, zip(*parts, strict=True)))

        return self.patiently(lambda: self.reading(work))

    def list(self) -> Sequence[StoredRecording]:
        return self.patiently(lambda: self.reading(lambda session: _recordings(session, "ORDER BY id")))

    def describe(self, recording_ids: Iterable[int]) -> Mapping[int, StoredRecording]:
        wanted = [int(number) for number in recording_ids if 0 < number <= MAX_ID]

        def work(session: Session) -> Mapping[int, StoredRecording]:
            found: dict[int, StoredRecording] = {}
            for part in _parts(wanted):
                found.update((x.id, x) for x in _recordings(session, f"WHERE id IN ({_marks(part)})", part))
            return found

        return self.patiently(lambda: self.reading(work))

    def remove(self, *recording_ids: int) -> None:
        wanted = sorted(set(recording_ids))

        def work(session: Session) -> None:
            missing = [number for number in wanted if not _delete_recording(session, number)]
            if missing:
                raise StoreError(
                    f"{self.label}: no recording {', '.join(map(str, missing))}, nothing was removed; "
                    "for ids run: speechcmp library list"
                )
            _delete_rows(session, wanted)

        self.patiently(lambda: self.writing(work))

    def info(self) -> LibraryInfo:
        def work(session: Session) -> LibraryInfo:
            counted = session.rows("SELECT COUNT(*), SUM(n_hashes), SUM(duration_s) FROM recordings")
            n_recordings, n_hashes, duration_s = counted[0]
            return LibraryInfo(
                checked_count(n_recordings, "number of recordings"),
                checked_count(n_hashes or 0, "number of hashes"),
                _checked_duration_s(duration_s or 0),
                session.n_bytes(),
                _stored_preset(session),
                SCHEMA_VERSION,
            )

        return self.patiently(lambda: self.reading(work))


def schema_statements() -> Iterator[str]:
    """Yield the statements of schema.sql, without comments."""
    text = resources.files("speechcmp.fingerprint.store").joinpath("schema.sql").read_text(encoding="utf-8")
    for statement in re.sub(r"--.*", "", text).split(";"):
        if statement.strip():
            yield statement.strip()


@cache
def columns_of() -> Mapping[str, Sequence[str]]:
    """Return the names of the columns of each table, as schema.sql has them."""
    made = (re.match(r"CREATE TABLE IF NOT EXISTS (\w+) (.*)", text, re.DOTALL) for text in schema_statements())
    return {found[1]: re.findall(r"^ +`?([a-z_0-9]+)`? [A-Z]", found[2], re.MULTILINE) for found in made if found}


def not_ours(label: str, tables: Iterable[str]) -> StoreError:
    names = ", ".join(sorted(tables)[:3])
    return StoreError(f"{label}: is another program's database (tables {names}); nothing was changed; name a new one")


def no_library(label: str) -> StoreError:
    return StoreError(f"{label}: there is no library yet; run: speechcmp library init")


def _stored_preset(session: Session) -> Preset | None:
    settings: dict[Any, Any] = dict(session.rows("SELECT name, value FROM library"))
    version = settings.get("schema", "0")
    if version != str(SCHEMA_VERSION):
        raise UnusableError(
            f"its tables are of version {version!s:.20}, this program's of {SCHEMA_VERSION}; "
            "use the version of speechcmp that made it, or a new library"
        )
    if "preset" not in settings:
        return None
    try:
        name, parameters = json.loads(settings["preset"])
    except (ValueError, TypeError, RecursionError) as error:
        raise UnusableError(_damage("a preset that is none")) from error
    if not (isinstance(name, str) and isinstance(parameters, str)):
        raise UnusableError(_damage(f"the preset {name!r:.40}"))
    return Preset(name, parameters)


def _known(session: Session, content_sha1s: Sequence[bytes]) -> dict[bytes, StoredRecording]:
    found: dict[bytes, StoredRecording] = {}
    for part in _parts(content_sha1s):
        rows = _recordings(session, f"WHERE content_sha1 IN ({_marks(part)})", part)
        found.update((stored.content_sha1, stored) for stored in rows)
    return found


def _is_more(recording: NewRecording, before: StoredRecording) -> bool:
    return before.state == "head" and recording.duration_s > before.duration_s


def _outcome(recordings: Sequence[NewRecording], added: Mapping[bytes, Added]) -> Sequence[Added]:
    """Say of each recording what became of it; a copy in the same call is known from its first mention on."""
    outcome = []
    mentioned = set()
    for recording in recordings:
        one = added[recording.content_sha1]
        outcome.append(Added(one.recording_id, known=True) if recording.content_sha1 in mentioned else one)
        mentioned.add(recording.content_sha1)
    return outcome


def _delete_recording(session: Session, number: int) -> bool:
    return 0 < number <= MAX_ID and bool(session.change("DELETE FROM recordings WHERE id = %s", [number]))


def _delete_rows(session: Session, recording_ids: Sequence[int]) -> None:
    """Delete the fingerprints of some recordings: once through all, for there is no index by recording."""
    for part in _parts(recording_ids):
        session.change(f"DELETE FROM fingerprints WHERE recording_id IN ({_marks(part)})", part)  # noqa: S608


def _insert_recording(session: Session, insert_new: str, recording: NewRecording, n_hashes: int) -> int | None:
    """Insert unless another writer has come before."""
    values = (
        _storable(recording.name),
        _storable(recording.path),
        recording.content_sha1,
        float(recording.duration_s),
        int(recording.sample_rate),
        n_hashes,
        recording.state,
        datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S"),
    )
    columns = "name, path, content_sha1, duration_s, sample_rate, n_hashes, state, added_at"
    return session.insert(f"{insert_new} recordings ({columns}) VALUES ({_marks(values)})", values)


def _storable(text: str) -> str:
    """Write out the bytes of a file name that are no UTF-8; no database takes them."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _recordings(session: Session, clause: str, values: Sequence[Any] = ()) -> Sequence[StoredRecording]:
    columns = "id, name, path, content_sha1, duration_s, sample_rate, n_hashes, state, added_at"
    rows = session.rows(f"SELECT {columns} FROM recordings {clause}", values)  # noqa: S608
    return [_recording(row) for row in rows]


def _recording(row: Row) -> StoredRecording:
    number, name, path, content_sha1, duration_s, sample_rate, n_hashes, state, added_at = row
    if not (isinstance(name, str) and isinstance(path, str)):
        raise UnusableError(_damage(f"a recording called {name!r:.40} of the file {path!r:.40}"))
    if not isinstance(content_sha1, bytes) or len(content_sha1) != SHA1_BYTES:
        raise UnusableError(_damage(f"the content_sha1 {content_sha1!r:.40}"))
    if state not in STATES:
        raise UnusableError(_damage(f"the state {state!r:.40}"))
    return StoredRecording(
        checked_count(number, "recording", least=1, most=MAX_ID),
        name,
        path,
        content_sha1,
        _checked_duration_s(duration_s),
        checked_count(sample_rate, "sample_rate"),
        checked_count(n_hashes, "number of hashes"),
        state,
        _as_time(added_at),
    )


def _as_time(added_at: object) -> datetime:
    try:
        # A DATETIME comes as a datetime or in its ISO form, as the driver likes.
        return datetime.fromisoformat(str(added_at)).replace(tzinfo=UTC)
    except ValueError as error:
        raise UnusableError(_damage(f"the time {added_at!r:.40}")) from error


def checked_count(value: object, what: str, *, least: int = 0, most: int = _MAX_COUNT) -> int:
    """Return a whole number that a database gave, of whatever type; raise `UnusableError` where it can't be one."""
    if not isinstance(value, int | Decimal) or not least <= value <= most:
        raise UnusableError(_damage(f"the {what} {value!r:.40}"))
    return int(value)


def _checked_duration_s(value: object) -> float:
    if not isinstance(value, int | float) or not 0 <= value <= _MAX_DURATION_S:
        raise UnusableError(_damage(f"the duration {value!r:.40}"))
    return float(value)


def _check_hits(hits: Hits) -> None:
    for what, column, least, most in (
        ("recording", hits.recording_ids, 1, MAX_ID),
        ("offset", hits.anchor_frames, 0, MAX_FRAME),
    ):
        if len(column) and not least <= column.min() <= column.max() <= most:
            wrong = column[(column < least) | (column > most)][0]
            raise UnusableError(_damage(f"a hash with the {what} {wrong}"))


def _damage(what: str) -> str:
    return f"holds {what}, which no library holds; take a copy from before, or fill a new library"


def one_line(text: object) -> str:
    """Return what a database says in one line, not too long."""
    return " ".join(str(text).split())[:200]


def _rows_of(recording: NewRecording, number: int, kept: NDArray[np.int64]) -> FingerprintRows:
    numbers = np.full(len(kept), number, np.uint32)
    return FingerprintRows(recording.hashes[kept], numbers, recording.offsets[kept].astype(np.uint32))


def _distinct_rows(recording: NewRecording) -> NDArray[np.int64]:
    """Find the rows of a recording to keep, in their own order: one of each (hash, offset)."""
    head, tail = hash_keys(recording.hashes)
    order = np.lexsort((recording.offsets, tail, head))
    columns = (head[order], tail[order], recording.offsets[order])
    new = np.ones(len(order), bool)
    new[1:] = np.logical_or.reduce([column[1:] != column[:-1] for column in columns])
    return np.sort(order[new])


def as_bytes(hashes: NDArray[np.uint8]) -> Sequence[bytes]:
    packed = hashes.tobytes()
    return [packed[start : start + HASH_BYTES] for start in range(0, len(packed), HASH_BYTES)]


def hash_keys(hashes: NDArray[np.uint8]) -> tuple[NDArray[np.uint64], NDArray[np.uint16]]:
    """Read the first 8 and the last 2 bytes of each hash as numbers that sort like it."""
    head = np.ascontiguousarray(hashes[:, :8]).view(">u8")[:, 0].astype(np.uint64)
    tail = np.ascontiguousarray(hashes[:, 8:]).view(">u2")[:, 0].astype(np.uint16)
    return head, tail


def _parts(values: Sequence[Item]) -> Iterator[Sequence[Item]]:
    for start in range(0, len(values), _VALUES_AT_ONCE):
        yield values[start : start + _VALUES_AT_ONCE]


def _marks(values: Sequence[Any]) -> str:
    return ",".join(["%s"] * len(values))
