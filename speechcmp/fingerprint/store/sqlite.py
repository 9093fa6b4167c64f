"""The library in one SQLite file: no server, no set-up.

Adding the first recording makes the file, its folder and its tables, for there is nothing a user could decide
about them; reading never makes any. Writing uses the write-ahead log, so that readers are not held up.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from speechcmp.errors import ParameterError, StoreError, StoreUnavailableError
from speechcmp.files import irregular
from speechcmp.fingerprint.store.base import Added, NewRecording, Preset, StoredRecording
from speechcmp.fingerprint.store.sql import (
    TABLES,
    FingerprintRows,
    Result,
    Row,
    Session,
    SqlStore,
    UnusableError,
    checked_count,
    columns_of,
    hash_keys,
    no_library,
    not_ours,
    one_line,
)
from speechcmp.fingerprint.voting import Hits

_BUSY_S = 4.0  # three times, before giving up
_CACHE_KIB = 65_536
_NO_LIMIT = 2**62
_ROWS_AT_ONCE = 100_000
_BUSY_CODES = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_UNWRITABLE_CODES = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}
_CURES = {
    sqlite3.SQLITE_NOTADB: "check the file's name",
    sqlite3.SQLITE_CORRUPT: "take a copy from before, or fill a new library",
    sqlite3.SQLITE_FULL: "make room on its disk, and run it again",
}

# In this order: the first names the column that a later one looks for.
_DIALECT = (
    ("INT UNSIGNED NOT NULL AUTO_INCREMENT", "INTEGER PRIMARY KEY AUTOINCREMENT"),
    ("PRIMARY KEY (id),", ""),
    ("UNIQUE KEY content_sha1", "UNIQUE"),
    (" DEFAULT CHARACTER SET utf8mb4", ""),
    (
        "PRIMARY KEY (hash, recording_id, `offset`)\n)",
        "PRIMARY KEY (hash, recording_id, `offset`)\n) WITHOUT ROWID",
    ),
    ("INT UNSIGNED", "INTEGER"),
    ("BINARY(10)", "BLOB"),
    ("BINARY(20)", "BLOB"),
    ("INSERT IGNORE", "INSERT OR IGNORE"),
)

# One row a hash, all its hits in one text: a row of Python objects a hit would cost five times as much.
_FIND = """
    SELECT asked.value,
           (SELECT CASE WHEN COUNT(*) <= %s THEN GROUP_CONCAT(recording_id << 32 | `offset`) END
            FROM fingerprints WHERE hash = SUBSTR(%s, asked.value * 10 + 1, 10))
    FROM json_each(%s) AS asked"""


class _SqliteSession:
    def __init__(self, connection: sqlite3.Connection) -> None:
        self.connection = connection

    def rows(self, sql: str, values: Sequence[Any] = ()) -> Sequence[Row]:
        return self.connection.execute(sql.replace("%s", "?"), tuple(values)).fetchall()

    def change(self, sql: str, values: Sequence[Any] = ()) -> int:
        return self.connection.execute(sql.replace("%s", "?"), tuple(values)).rowcount

    def insert(self, sql: str, values: Sequence[Any]) -> int | None:
        cursor = self.connection.execute(sql.replace("%s", "?"), tuple(values))
        return cursor.lastrowid if cursor.rowcount else None

    def insert_rows(self, rows: FingerprintRows) -> None:
        head, tail = hash_keys(rows.hashes)
        rows = rows.taken(np.lexsort((rows.offsets, rows.recording_ids, tail, head)))
        for columns in rows.parts(_ROWS_AT_ONCE):
            self.connection.executemany(
                "INSERT INTO fingerprints (hash, recording_id, `offset`) VALUES (?, ?, ?)",
                zip(*columns, strict=True),
            )

    def find(self, hashes: NDArray[np.uint8], max_per_hash: int | None) -> Hits:
        asked = json.dumps(list(range(len(hashes))))
        limit = _NO_LIMIT if max_per_hash is None else max_per_hash
        found = [row for row in self.rows(_FIND, [limit, hashes.tobytes(), asked]) if row[1] is not None]
        if not found:
            return Hits(*np.empty((3, 0), np.int64))
        hits = np.fromstring(",".join(row[1] for row in found), np.int64, sep=",")
        rows = np.array([row[0] for row in found], np.int64)
        counts = np.array([row[1].count(",") + 1 for row in found], np.int64)
        return Hits(np.repeat(rows, counts), hits >> 32, hits & 0xFFFFFFFF)

    def n_bytes(self) -> int:
        pages, size = self.rows("PRAGMA page_count")[0][0], self.rows("PRAGMA page_size")[0][0]
        return checked_count(pages, "number of pages") * checked_count(size, "size of pages")


class SqliteStore(SqlStore):
    """A `Store` in a file.

    Parameters
    ----------
    path : path
        The file; made, with its folder, by `create` or by adding the first recording.
    """

    failures = (sqlite3.Error,)
    insert_new = "INSERT OR IGNORE INTO"
    retry_delays_s = (0.1, 0.2)

    def __init__(self, path: Path) -> None:
        super().__init__(str(path))
        self._path = path
        self._session: _SqliteSession | None = None

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Open ``sqlite:///relative.db`` or ``sqlite:////absolute.db``."""
        path = unquote(url.removeprefix("sqlite:///"))
        if not url.startswith("sqlite:///") or not path or "\0" in path:
            # Not the URL itself: who takes SQLite for a server may have written a password into it.
            raise ParameterError("database URL: names no file; give sqlite:///FILE, or sqlite:////FILE from the root")
        if "?" in url:
            option = url.partition("?")[2].partition("=")[0]
            raise ParameterError(f"database URL: unknown option {option!r}; SQLite takes none (write ? as %3F)")
        return cls(Path(path))

    def create(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{self.label}: its folder can't be made ({error.strerror}); name another file") from error
        self.patiently(self._switch_to_log)
        super().create()

    def refuse_strangers(self, session: Session) -> None:
        kinds: dict[str, str] = dict(
            session.rows("SELECT name, type FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'")
        )
        if not kinds:
            return
        if not kinds.keys() >= TABLES:
            raise not_ours(self.label, kinds)
        # A view or a trigger of a library that came from elsewhere might never end.
        for table, columns in columns_of().items():
            shape = [row[1] for row in session.rows(f"PRAGMA table_info({table})")]
            made = session.rows("SELECT 1 FROM sqlite_master WHERE name = %s AND sql LIKE 'CREATE TABLE%'", [table])
            if kinds[table] != "table" or shape != columns or not made:  # virtual tables are tables, too
                raise UnusableError(
                    f"its table {table} is not as speechcmp library init makes it; "
                    "take a copy from before, or fill a new library"
                )
        if "trigger" in kinds.values():
            raise UnusableError("has triggers, which no library has; take a copy from before, or fill a new library")

    def _switch_to_log(self) -> None:
        connection = self._connected(make=True).connection
        if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
            connection.execute("PRAGMA journal_mode = WAL")

    def dialect(self, statement: str) -> str:
        for ours, theirs in _DIALECT:
            statement = statement.replace(ours, theirs)
        return statement

    def add_many(self, recordings: Sequence[NewRecording], preset: Preset) -> Sequence[Added]:
        if self._is_new():
            self.create()
        return super().add_many(recordings, preset)

    def known(self, content_sha1s: Iterable[bytes]) -> Mapping[bytes, StoredRecording]:
        return {} if self._is_new() else super().known(content_sha1s)

    def _is_new(self) -> bool:
        return not self._is_there() or not self.patiently(lambda: self.reading(_has_tables))

    def _is_there(self) -> bool:
        try:
            other, is_there = irregular(self._path), self._path.exists()
        except OSError as error:
            raise StoreError(f"{self.label}: can't be looked at ({error.strerror}); name another file") from error
        if other:
            raise StoreError(f"{self.label}: is {other}; give sqlite:///FILE")
        return is_there

    def _connected(self, *, make: bool = False) -> _SqliteSession:
        if self._session is None:
            if not self._is_there() and not make:
                raise no_library(self.label)
            connection = self._open()
            try:
                session = _SqliteSession(connection)
                self.refuse_strangers(session)
                session.change(f"PRAGMA cache_size = -{_CACHE_KIB}")
            except BaseException:
                connection.close()
                raise
            self._session = session
        return self._session

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=_BUSY_S, isolation_level=None)
        try:
            connection.execute("PRAGMA schema_version")  # now the file is read, and its log opened
        except sqlite3.Error as failure:
            connection.close()
            if _code(failure) not in _UNWRITABLE_CODES or not self._path.exists():
                raise
            return self._open_unchanging(failure)
        return connection

    def _open_unchanging(self, failure: sqlite3.Error) -> sqlite3.Connection:
        """Open a file for which no log can be made, in a folder that can't be written to, say.

        Nobody who sees it so can write to it, so it is read without locks.
        """
        log = Path(f"{self._path}-wal")
        if log.exists() and log.stat().st_size:
            raise StoreError(
                f"{self.label}: can't be read where it can't be written, for {log.name} holds the latest changes; "
                "run speechcmp library info once with the right to write, or copy both files"
            ) from failure
        return sqlite3.connect(
            f"{self._path.absolute().as_uri()}?immutable=1", uri=True, timeout=_BUSY_S, isolation_level=None
        )

    def reading(self, work: Callable[[Session], Result]) -> Result:
        return work(self._connected())

    def writing(self, work: Callable[[Session], Result]) -> Result:
        session = self._connected()
        session.change("BEGIN IMMEDIATE")
        try:
            result = work(session)
            session.change("COMMIT")
        except BaseException:
            if session.connection.in_transaction:
                session.change("ROLLBACK")
            raise
        return result

    def is_passing(self, failure: Exception) -> bool:
        return _code(failure) in _BUSY_CODES

    def lost(self, waited_s: float) -> StoreUnavailableError:
        return StoreUnavailableError(
            f"{self.label}: busy, another process has been writing to it for {waited_s:.0f} s; "
            "wait until that is done, and run it again"
        )

    def refusal(self, failure: Exception) -> StoreError:
        if "no such table" in str(failure):
            return no_library(self.label)
        cure = _CURES.get(_code(failure), "check the file, its rights and the disk, or take a copy from before")
        return StoreError(f"{self.label}: SQLite says: {one_line(failure)}; {cure}")

    def compact(self) -> None:
        with suppress(StoreUnavailableError):
            self.patiently(lambda: self.reading(lambda session: session.change("VACUUM")), at_once=True)

    def close(self) -> None:
        if self._session is not None:
            self._session.connection.close()
            self._session = None


def _code(failure: Exception) -> int:
    return getattr(failure, "sqlite_errorcode", 0) & 0xFF


def _has_tables(session: Session) -> bool:
    return bool(session.rows("SELECT 1 FROM sqlite_master LIMIT 1"))
