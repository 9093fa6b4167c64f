"""The library in MySQL, MariaDB or a cluster that speaks their protocol, through PyMySQL.

The database and its account are the user's to make; ``speechcmp library init`` makes the tables. The
password comes from the URL, else from ``SPEECHCMP_DB_PASSWORD``, else from ``~/.my.cnf`` (group ``client``),
as do user, host, port and socket where the URL has none. A server whose `innodb_buffer_pool_size` holds the
library answers fastest.
"""

import ssl
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Self

import numpy as np
import pymysql
from numpy.typing import NDArray
from pymysql.constants import CR, ER

from speechcmp.errors import StoreError, StoreUnavailableError
from speechcmp.fingerprint.store.mysql_login import PASSWORD_VARIABLE, connect, read_url, understood
from speechcmp.fingerprint.store.sql import (
    TABLES,
    FingerprintRows,
    Result,
    Row,
    Session,
    SqlStore,
    UnusableError,
    checked_count,
    no_library,
    not_ours,
    one_line,
)
from speechcmp.fingerprint.voting import Hits

_ROWS_AT_ONCE = 2_000
_COMPACT_WAIT_S = 10

# Server's and client's numbers for "the connection is gone" that PyMySQL has no names for.
_KILLED_BY_ADMIN, _IDLE_TOO_LONG, _TIDB_WRITE_CONFLICT = 1927, 4031, 9007
_LOST = {
    0,
    CR.CR_SERVER_GONE_ERROR,
    CR.CR_SERVER_LOST,
    CR.CR_SERVER_LOST_EXTENDED,
    ER.SERVER_SHUTDOWN,
    _KILLED_BY_ADMIN,
    _IDLE_TOO_LONG,
}
_UNREACHABLE = {CR.CR_CONN_HOST_ERROR, CR.CR_CONNECTION_ERROR}
_CROWDED = {ER.CON_COUNT_ERROR, ER.TOO_MANY_USER_CONNECTIONS, ER.USER_LIMIT_REACHED}
_COLLIDED = {ER.LOCK_WAIT_TIMEOUT, ER.LOCK_DEADLOCK, _TIDB_WRITE_CONFLICT}

_RIGHTS = "SELECT, INSERT, UPDATE, DELETE, CREATE, CREATE TEMPORARY TABLES"
# What to do about what a server says; numbers that PyMySQL has no names for are MySQL's and MariaDB's own.
_CURES = {
    code: cure
    for codes, cure in (
        (
            (ER.ACCESS_DENIED_ERROR, 1698),
            f"check the user and the password (in the URL, {PASSWORD_VARIABLE} or ~/.my.cnf)",
        ),
        (
            (
                ER.DBACCESS_DENIED_ERROR,
                ER.TABLEACCESS_DENIED_ERROR,
                ER.COLUMNACCESS_DENIED_ERROR,
                ER.SPECIFIC_ACCESS_DENIED_ERROR,
            ),
            f"ask for GRANT {_RIGHTS} on this database (for identify, the first and the last)",
        ),
        ((ER.HOST_NOT_PRIVILEGED, ER.HOST_IS_BLOCKED), "ask for an account that may connect from this machine"),
        ((ER.MUST_CHANGE_PASSWORD, 1862, 3118, 4151), "have the account unlocked, or its password renewed"),
        (
            (CR.CR_AUTH_PLUGIN_ERR,),
            "which goes through verified TLS only; give ssl_ca in the URL, or ask for another login",
        ),
        ((CR.CR_AUTH_PLUGIN_CANNOT_LOAD, ER.NOT_SUPPORTED_AUTH_MODE), "ask for an account with a password login"),
        ((CR.CR_SSL_CONNECTION_ERROR,), "leave out the options of TLS, or ask for a server that has it"),
        ((3159,), "give ssl_ca in the URL"),
        ((CR.CR_MALFORMED_PACKET,), "check that host and port are those of a MySQL or MariaDB server"),
        ((ER.BAD_DB_ERROR,), "make the database with CREATE DATABASE first"),
        ((*_CROWDED,), "run it again later, or have max_connections raised"),
        ((ER.NET_PACKET_TOO_LARGE, ER.WARN_ALLOWED_PACKET_OVERFLOWED), "have max_allowed_packet raised, to 64M say"),
        ((ER.OPTION_PREVENTS_STATEMENT, 1792, 1836, ER.OPEN_AS_READONLY), "name the server that takes changes"),
        (
            (ER.RECORD_FILE_FULL, ER.DISK_FULL, ER.ERROR_ON_WRITE),
            "make room on the server's disk, or have max_heap_table_size raised",
        ),
        ((1969, 3024), "have max_statement_time, or max_execution_time, raised"),
        ((ER.CRASHED_ON_USAGE, ER.CRASHED_ON_REPAIR, ER.NOT_KEYFILE), "have the table repaired, or restored"),
        (
            (
                ER.CANT_AGGREGATE_2COLLATIONS,
                ER.CANT_AGGREGATE_3COLLATIONS,
                ER.CANT_AGGREGATE_NCOLLATIONS,
                ER.TRUNCATED_WRONG_VALUE_FOR_FIELD,
            ),
            "run ALTER TABLE ... CONVERT TO CHARACTER SET utf8mb4 on library and recordings",
        ),
        ((ER.UNKNOWN_CHARACTER_SET, ER.UNKNOWN_COLLATION), "use a server that has utf8mb4, MySQL 8 or MariaDB 10.6"),
        (
            (ER.BAD_FIELD_ERROR, ER.VIEW_INVALID, ER.NON_UPDATABLE_TABLE, 1471, ER.WRONG_OBJECT),
            "the tables are not as speechcmp library init makes them; name another database",
        ),
    )
    for code in codes
}

_SESSION_SET_UP = (
    # Each statement sees what is committed, and a removal locks only the rows it removes.
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'",
    "SET SESSION group_concat_max_len = 1073741824",
)
_NUMBERS = """
    CREATE TEMPORARY TABLE IF NOT EXISTS hash_numbers (
        block INT UNSIGNED NOT NULL, number INT UNSIGNED NOT NULL, PRIMARY KEY USING BTREE (block, number)
    ) ENGINE = MEMORY"""

# All hashes travel in one string, and the table of numbers, filled once a connection, cuts it up: no inserts.
# PyMySQL takes 5 µs to read a row, so the hits of a block of hashes come as one binary string: three numbers of
# 4 bytes each, whose top bit is set because CHAR() leaves out leading zero bytes.
_FIND = """
    SELECT n.block, COUNT(*),
           GROUP_CONCAT(CHAR(n.number | 2147483648, f.recording_id | 2147483648, f.`offset` | 2147483648) SEPARATOR '')
    FROM hash_numbers AS n STRAIGHT_JOIN fingerprints AS f ON f.hash = SUBSTR(%s, n.number * 10 + 1, 10)
    WHERE n.block <= %s AND n.number < %s
    GROUP BY n.block"""
_LOW_BITS = 0x7FFFFFFF
_HIT_BYTES = 12
_BLOCK = 256  # hashes: some 3,000 hits, 36 kB, in a library of 10 million


class _MysqlSession:
    def __init__(self, connection: "pymysql.Connection[Any]") -> None:
        self.connection = connection
        self.cursor = connection.cursor()
        self.n_numbers = 0
        for statement in _SESSION_SET_UP:
            self.change(statement)

    def rows(self, sql: str, values: Sequence[Any] = ()) -> Sequence[Row]:
        with understood():
            self.cursor.execute(sql, tuple(values))
            rows: Sequence[Row] = self.cursor.fetchall()
        return rows

    def change(self, sql: str, values: Sequence[Any] = ()) -> int:
        with understood():
            return int(self.cursor.execute(sql, tuple(values)))

    def insert(self, sql: str, values: Sequence[Any]) -> int | None:
        return int(self.cursor.lastrowid) if self.change(sql, values) else None

    def insert_rows(self, rows: FingerprintRows) -> None:
        # By the first byte alone: near each other in the tree, so that few pages are in use at a time, but
        # in no order there. InnoDB takes ascending keys for a pattern and cuts pages at the newest row: 85
        # bytes a row instead of 60.
        rows = rows.taken(np.argsort(rows.hashes[:, 0], kind="stable"))
        for columns in rows.parts(_ROWS_AT_ONCE):
            self._insert_values("fingerprints (hash, recording_id, `offset`)", columns)

    def find(self, hashes: NDArray[np.uint8], max_per_hash: int | None) -> Hits:
        self._number(len(hashes))
        found = self.rows(_FIND, [hashes.tobytes(), len(hashes) // _BLOCK, len(hashes)])
        packed = [row[2] for row in found]
        if sum(row[1] for row in found) * _HIT_BYTES != sum(map(len, packed)):
            raise UnusableError(
                "its hashes are stored too often for one answer; have max_allowed_packet raised, to 64M say"
            )
        hits = np.frombuffer(b"".join(packed), ">u4").reshape(-1, 3) & _LOW_BITS
        if max_per_hash is not None:
            hits = hits[np.bincount(hits[:, 0], minlength=1)[hits[:, 0]] <= max_per_hash]
        return Hits(*hits.T.astype(np.int64))

    def _number(self, n_hashes: int) -> None:
        """Have at least so many numbers to cut a string of hashes up with."""
        if not self.n_numbers:
            self.change(_NUMBERS)
        while self.n_numbers < n_hashes:
            numbers = range(self.n_numbers, self.n_numbers + _ROWS_AT_ONCE)
            self._insert_values("hash_numbers (block, number)", [[x // _BLOCK for x in numbers], numbers])
            self.n_numbers = numbers.stop

    def n_bytes(self) -> int:
        sizes = self.rows(
            "SELECT SUM(data_length + index_length) FROM information_schema.tables "
            "WHERE table_schema = DATABASE() AND table_name IN ('library', 'recordings', 'fingerprints')"
        )
        return checked_count(sizes[0][0] or 0, "size")

    def _insert_values(self, table: str, columns: Sequence[Sequence[Any]]) -> None:
        width, n_rows = len(columns), len(columns[0])
        values: list[Any] = [None] * (width * n_rows)
        for position, column in enumerate(columns):
            values[position::width] = column
        mark = "(" + ",".join(["%s"] * width) + ")"
        self.change(f"INSERT INTO {table} VALUES {','.join([mark] * n_rows)}", values)  # noqa: S608


class MysqlStore(SqlStore):
    """A `Store` on a server; made by `from_url`.

    Parameters
    ----------
    label : str
        What messages call it: the URL without password and options.
    options : mapping
        Arguments of ``pymysql.connect``.
    """

    failures = (pymysql.err.Error,)

    def __init__(self, label: str, options: Mapping[str, Any]) -> None:
        super().__init__(label)
        self._options = options
        self._session: _MysqlSession | None = None
        self._was_connected = False

    @classmethod
    def from_url(cls, url: str) -> Self:
        """Open ``mysql://user:password@host:3306/database?option=value``.

        Options are PyMySQL's: `unix_socket`, `bind_address`, `read_default_file` (its whole path),
        `read_default_group`, `ssl_ca`, `ssl_cert`, `ssl_key`, `ssl_key_password`, `ssl_disabled`, `ssl_verify_cert`,
        `ssl_verify_identity`, `connect_timeout`, `read_timeout`, `write_timeout` (seconds). Any option of TLS has it
        verify the server's certificate and name, unless the URL says otherwise. A password is sent in clear, which
        a server may ask for, through a local socket or verified TLS only.
        """
        return cls(*read_url(url))

    def _connected(self) -> _MysqlSession:
        if self._session is None:
            self._session = _MysqlSession(connect(self.label, self._options))
            self._was_connected = True
        return self._session

    def reading(self, work: Callable[[Session], Result]) -> Result:
        session = self._connected()
        try:
            return work(session)
        except BaseException:
            self.close()  # an answer that nobody has read may still be under way
            raise

    def writing(self, work: Callable[[Session], Result]) -> Result:
        session = self._connected()
        try:
            session.change("BEGIN")
            result = work(session)
            session.change("COMMIT")
        except BaseException:
            self.close()  # the server undoes what was not committed
            raise
        return result

    def refuse_strangers(self, session: Session) -> None:
        # A database may be shared with other programs as long as the names are free.
        rows = session.rows("SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()")
        taken = TABLES & {row[0] for row in rows}
        if taken and "library" not in taken:  # which an interrupted `create` makes first
            raise not_ours(self.label, taken)

    def is_passing(self, failure: Exception) -> bool:
        code = _code(failure)
        return code in _LOST | _COLLIDED or (code in _UNREACHABLE | _CROWDED and self._was_connected)

    def refusal(self, failure: Exception) -> StoreError:
        code = _code(failure)
        said = one_line(failure.args[-1] if failure.args else failure)
        if isinstance(getattr(failure, "original_exception", None), ssl.SSLError):
            return StoreError(
                f"{self.label}: TLS with this server fails ({said}); check ssl_ca, and that "
                "the host is named as in the server's certificate"
            )
        if code in _UNREACHABLE:
            return StoreUnavailableError(f"{self.label}: no server answers ({said}); start it, or check host and port")
        if code == ER.NO_SUCH_TABLE:
            return no_library(self.label)
        kind = StoreUnavailableError if code in _CROWDED else StoreError
        return kind(f"{self.label}: the server says: {said}; {_CURES.get(code, 'ask who looks after it')}")

    def lost(self, waited_s: float) -> StoreUnavailableError:
        return StoreUnavailableError(
            f"{self.label}: lost or busy, not back after {waited_s:.0f} s; run it again later, "
            "or have max_allowed_packet raised"
        )

    def compact(self) -> None:
        def work(session: Session) -> None:
            session.change("SET SESSION lock_wait_timeout = %s", [_COMPACT_WAIT_S])
            session.rows("OPTIMIZE TABLE fingerprints")

        with suppress(StoreUnavailableError):
            self.patiently(lambda: self.reading(work), at_once=True)
        self.close()  # and with it the short patience

    def close(self) -> None:
        if self._session is not None:
            with suppress(pymysql.err.Error, OSError):
                self._session.connection.close()
            self._session = None


def _code(failure: Exception) -> int:
    return failure.args[0] if failure.args and isinstance(failure.args[0], int) else -1
