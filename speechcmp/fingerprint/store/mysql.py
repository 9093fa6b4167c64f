"""The library in MySQL, MariaDB or a cluster that speaks their protocol, through PyMySQL.

The database and its account are the user's to make; ``speechcmp library init`` makes the tables. The
password comes from the URL, else from ``SPEECHCMP_DB_PASSWORD``, else from ``~/.my.cnf`` (group ``client``),
as do user, host, port and socket where the URL has none. A server whose `innodb_buffer_pool_size` holds the
library answers fastest.
"""

import configparser
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Self
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import numpy as np
import pymysql
from numpy.typing import NDArray
from pymysql.constants import CR, ER

from speechcmp.errors import DependencyError, ParameterError, StoreError, StoreUnavailableError
from speechcmp.fingerprint.store.sql import (
    TABLES,
    FingerprintRows,
    Result,
    Row,
    Session,
    SqlStore,
    no_library,
    not_ours,
)
from speechcmp.fingerprint.voting import Hits

PASSWORD_VARIABLE = "SPEECHCMP_DB_PASSWORD"  # noqa: S105 - the name of it
_TEXT_OPTIONS = ("unix_socket", "bind_address", "read_default_file", "read_default_group")
_TLS_FILES = ("ssl_ca", "ssl_cert", "ssl_key", "ssl_key_password")
_SWITCHES = ("ssl_disabled", "ssl_verify_cert", "ssl_verify_identity")
_SECONDS = ("connect_timeout", "read_timeout", "write_timeout")
_TRUTH = {
    "1": True,
    "true": True,
    "yes": True,
    "on": True,
    "0": False,
    "false": False,
    "no": False,
    "off": False,
}

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
_ASKS_IN_CLEAR = 2061  # CR_AUTH_PLUGIN_ERR of the C client
# What the server says, and what helps. Some numbers have no names in PyMySQL.
_LACKS_RIGHTS = "let an administrator GRANT SELECT, INSERT, UPDATE, DELETE, CREATE ON the database TO the user"
_READ_ONLY = "name a server that can be written to, or let an administrator end its read_only"
_NO_ROOM = "make room on the server's disk"
_REMEDIES = {
    **dict.fromkeys((ER.TABLEACCESS_DENIED_ERROR, ER.COLUMNACCESS_DENIED_ERROR, 1227), _LACKS_RIGHTS),
    **dict.fromkeys((1290, 1792, 1836), _READ_ONLY),
    **dict.fromkeys((ER.DISK_FULL, ER.RECORD_FILE_FULL, ER.ERROR_ON_WRITE), _NO_ROOM),
    ER.NET_PACKET_TOO_LARGE: "let an administrator raise max_allowed_packet",
    ER.CON_COUNT_ERROR: "try again later, or let an administrator raise max_connections",
    ER.UNKNOWN_STORAGE_ENGINE: "use a server with InnoDB",
}
_REFUSALS = {
    **dict.fromkeys(
        (ER.DBACCESS_DENIED_ERROR, ER.ACCESS_DENIED_ERROR, 1698),
        f"access denied; check the user, its rights and the password (in the URL, {PASSWORD_VARIABLE} or ~/.my.cnf)",
    ),
    _ASKS_IN_CLEAR: "asks for the password in clear, which goes through verified TLS only; give ssl_ca in the URL",
    ER.BAD_DB_ERROR: "there is no such database; make it with CREATE DATABASE first",
}
_UNREACHABLE = {CR.CR_CONN_HOST_ERROR, CR.CR_CONNECTION_ERROR, ER.CON_COUNT_ERROR}
_COLLIDED = {ER.LOCK_WAIT_TIMEOUT, ER.LOCK_DEADLOCK, _TIDB_WRITE_CONFLICT}

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
_BLOCK = 256  # hashes: some 3,000 hits, 36 kB, in a library of 10 million


class _MysqlSession:
    def __init__(self, connection: "pymysql.Connection[Any]") -> None:
        self.connection = connection
        self.cursor = connection.cursor()
        self.n_numbers = 0
        for statement in _SESSION_SET_UP:
            self.change(statement)

    def rows(self, sql: str, values: Sequence[Any] = ()) -> Sequence[Row]:
        self.cursor.execute(sql, tuple(values))
        rows: Sequence[Row] = self.cursor.fetchall()
        return rows

    def change(self, sql: str, values: Sequence[Any] = ()) -> int:
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
        hits = np.frombuffer(b"".join(row[2] for row in found), ">u4").reshape(-1, 3) & _LOW_BITS
        if sum(row[1] for row in found) != len(hits):
            raise StoreError(
                "library: hashes are stored too often for one answer; raise the server's max_allowed_packet"
            )
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
        return int(sizes[0][0] or 0)

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

        Options are PyMySQL's: `unix_socket`, `bind_address`, `read_default_file`, `read_default_group`,
        `ssl_ca`, `ssl_cert`, `ssl_key`, `ssl_key_password`, `ssl_disabled`, `ssl_verify_cert`,
        `ssl_verify_identity`, `connect_timeout`, `read_timeout`, `write_timeout` (seconds). With `ssl_ca` the
        server's certificate and name are verified unless the URL says otherwise. A password is sent in clear, which
        a server may ask for, through a local socket or verified TLS only.
        """
        parts, port = _split(url)
        database = unquote(parts.path.removeprefix("/"))
        if not database or "/" in database:
            raise ParameterError("database URL: names no database; give mysql://user@host:3306/database")
        options: dict[str, Any] = {"charset": "utf8mb4", "autocommit": True, "database": database}
        options |= {"read_default_file": "~/.my.cnf", "read_timeout": 600, "write_timeout": 600}
        options["auth_plugin_map"] = {b"mysql_clear_password": _InClear, b"dialog": _Dialog}
        options |= {"host": parts.hostname, "port": port, "user": unquote(parts.username or "") or None}
        password = unquote(parts.password or "") or os.environ.get(PASSWORD_VARIABLE, "")
        # As bytes: PyMySQL encodes text as Latin-1, and its error would quote what it can't.
        options["password"] = password.encode()
        options |= _query_options(parts.query)
        user = f"{parts.username}@" if parts.username else ""
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
        return cls(f"mysql://{user}{host}{f':{port}' if port else ''}/{database}", options)

    def _connected(self) -> _MysqlSession:
        if self._session is None:
            self._session = _MysqlSession(self._connect())
            self._was_connected = True
        return self._session

    def _connect(self) -> "pymysql.Connection[Any]":
        try:
            return pymysql.connect(**self._options)
        except (configparser.Error, UnicodeError):
            pass  # these quote the option file: no cause and no context of what is raised
        except RuntimeError as error:
            raise DependencyError(f"{self.label}: {error}; pip install cryptography, or use TLS") from error
        except (OSError, ValueError) as error:
            raise StoreError(f"{self.label}: can't connect with the options given: {error}") from error
        file = self._options["read_default_file"]
        raise StoreError(f"{file}: not an option file in plain ASCII; correct it or name another")

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
            session.connection.begin()
            result = work(session)
            session.connection.commit()
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
        return code in _LOST | _COLLIDED or (code in _UNREACHABLE and self._was_connected)

    def refusal(self, failure: Exception) -> StoreError:
        code = _code(failure)
        said = failure.args[-1] if failure.args else failure
        if code == ER.NO_SUCH_TABLE:
            return no_library(self.label)
        if code in _REFUSALS:
            return StoreError(f"{self.label}: {_REFUSALS[code]}")
        if code in _UNREACHABLE:
            remedy = _REMEDIES.get(code, "start it, or check host and port")
            return StoreUnavailableError(f"{self.label}: no server answers ({said}); {remedy}")
        return StoreError(f"{self.label}: the server says: {said}; {_REMEDIES.get(code, 'ask who runs it')}")

    def lost(self, waited_s: float) -> StoreUnavailableError:
        return StoreUnavailableError(f"{self.label}: lost or busy, not back after {waited_s:.0f} s; run it again later")

    def compact(self) -> None:
        def work(session: Session) -> None:
            session.change("SET SESSION lock_wait_timeout = %s", [_COMPACT_WAIT_S])
            session.rows("OPTIMIZE TABLE fingerprints")

        try:
            self.reading(work)
        except pymysql.err.Error as failure:
            if not self.is_passing(failure):
                raise self.refusal(failure) from failure
        self.close()  # and with it the short patience

    def close(self) -> None:
        if self._session is not None:
            with suppress(pymysql.err.Error, OSError):
                self._session.connection.close()
            self._session = None


class _InClear:
    """Sends the password as it is, where nobody can listen or stand between; PyMySQL alone sends it to who asks.

    Parameters
    ----------
    connection : pymysql.Connection
        Not let in yet.
    """

    is_dialog = False

    def __init__(self, connection: Any) -> None:  # noqa: ANN401 - PyMySQL has no annotations
        self._connection = connection

    def authenticate(self, _packet: Any) -> Any:  # noqa: ANN401
        """Answer a server that asks for the password, or for more than that in a dialog."""
        connection = self._connection
        context = getattr(connection, "ctx", None)
        verified = connection._secure and context and context.verify_mode and context.check_hostname  # noqa: SLF001
        if not (connection.unix_socket or verified):
            raise pymysql.err.OperationalError(_ASKS_IN_CLEAR, "asks for the password in clear")
        if self.is_dialog:
            raise AttributeError  # for which PyMySQL answers by itself
        connection.write_packet(connection.password + b"\0")
        answer = connection._read_packet()  # noqa: SLF001 - as PyMySQL's own methods do
        answer.check_error()
        return answer


class _Dialog(_InClear):
    """Lets PyMySQL answer the questions of PAM and the like, where nobody can listen."""

    is_dialog = True


def _code(failure: Exception) -> int:
    return failure.args[0] if failure.args and isinstance(failure.args[0], int) else -1


def _split(url: str) -> tuple[SplitResult, int]:
    """Split a URL; what can't be split is not quoted, for it may hold a password."""
    try:
        parts = urlsplit(url)
        port = parts.port or 0
    except ValueError:
        parts, port = None, 0
    misplaced = parts is not None and ("@" in parts.path + parts.query or parts.fragment)
    if parts is None or misplaced:
        raise ParameterError(
            "database URL: can't be read; give mysql://user@host:3306/database, "
            "with / ? # @ : in user and password written as %2F %3F %23 %40 %3A"
        ) from None
    return parts, port


def _query_options(query: str) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name in _TEXT_OPTIONS + _TLS_FILES:
            options[name] = value
        elif name in _SWITCHES and value.lower() in _TRUTH:
            options[name] = _TRUTH[value.lower()]
        elif name in _SECONDS and value.isdecimal() and int(value):
            options[name] = int(value)
        elif name in _SWITCHES + _SECONDS:
            kind = "true or false" if name in _SWITCHES else "whole seconds"
            raise ParameterError(f"database URL: option {name} takes {kind}, given {value!r}")
        else:
            known = ", ".join(sorted(_TEXT_OPTIONS + _TLS_FILES + _SWITCHES + _SECONDS))
            raise ParameterError(f"database URL: unknown option {name!r}; the options are {known}")
    # PyMySQL alone would take a CA and then verify nothing against it, and a certificate of anybody's name.
    if "ssl_ca" in options:
        options.setdefault("ssl_verify_cert", True)
    if options.get("ssl_verify_cert"):
        options.setdefault("ssl_verify_identity", True)
    return options
