"""A real MariaDB of the tests' own, and a fresh library on each back end."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pymysql
import pytest

from speechcmp.fingerprint.store.base import Store
from speechcmp.fingerprint.store.open import open_store

REQUIRED = "SPEECHCMP_REQUIRE_MARIADB"
PASSWORD = "s3cret,$ü"  # noqa: S105 - of a server that lives for one test run
OPTIONS = [
    "--no-defaults",
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--innodb-buffer-pool-size=64M",
    "--innodb-log-file-size=32M",
    "--performance-schema=OFF",
]


def find_program(name: str) -> str | None:
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"]))


class MariaDb:
    """A server that can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "s"
        self.log = folder / "log"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process: subprocess.Popen[bytes] | None = None
        self._numbers = count()
        self._user = ["--user=root"] if os.geteuid() == 0 else []

    def install(self) -> None:
        program = find_program("mariadb-install-db")
        assert program, "mariadbd is there and mariadb-install-db is not"
        options = ["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]
        subprocess.run(
            [program, *options, *self._user, f"--datadir={self.folder / 'data'}"],
            check=True,
            capture_output=True,
        )
        self._make_certificates()

    def _make_certificates(self) -> None:
        """Make an authority, a certificate it signs for 127.0.0.1, and an authority nobody asked."""
        key = ["-newkey", "rsa:2048", "-nodes", "-days", "2"]
        for name in ("ca", "stranger"):
            self._request(*key, "-subj", f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.pem")
        signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "subjectAltName=IP:127.0.0.1"]
        self._request(*key, *signed, "-subj", "/CN=server", "-keyout", "server.key", "-out", "server.pem")

    def _request(self, *options: str) -> None:
        subprocess.run(["openssl", "req", "-x509", *options], check=True, capture_output=True, cwd=self.folder)

    def start(self) -> None:
        program = find_program("mariadbd")
        assert program
        places = [
            f"--datadir={self.folder / 'data'}",
            f"--socket={self.socket}",
            f"--port={self.port}",
            f"--pid-file={self.folder / 'pid'}",
            f"--ssl-ca={self.folder / 'ca.pem'}",
            f"--ssl-cert={self.folder / 'server.pem'}",
            f"--ssl-key={self.folder / 'server.key'}",
        ]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen([program, *OPTIONS, *self._user, *places], stdout=log, stderr=log)
        self._wait()

    def _wait(self) -> None:
        assert self.process
        for _ in range(600):
            try:
                # First without PyMySQL, which leaves a socket open when nobody answers.
                socket.create_connection(("127.0.0.1", self.port)).close()
                self.connect().close()
            except (OSError, pymysql.err.OperationalError):
                assert self.process.poll() is None, self.log.read_text(encoding="utf-8", errors="replace")
                time.sleep(0.05)
            else:
                return
        pytest.fail(f"mariadbd does not answer: {self.log.read_text(encoding='utf-8', errors='replace')}")

    def kill(self) -> None:
        """Kill it as `kill -9` does."""
        assert self.process
        self.process.kill()
        self.process.wait()

    def connect(self) -> Any:
        return pymysql.connect(unix_socket=str(self.socket), user="root", autocommit=True)

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        connection = self.connect()
        try:
            cursor = connection.cursor()
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())
        finally:
            connection.close()

    def new_database(self) -> str:
        name = f"library_{next(self._numbers)}"
        self.run(f"CREATE DATABASE {name} CHARACTER SET latin1")  # the tables must choose their own
        return name

    def url(self, database: str) -> str:
        return f"mysql://root@127.0.0.1:{self.port}/{database}"


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDb]:
    if find_program("mariadbd") is None:
        message = "no mariadbd; install mariadb-server"
        pytest.fail(message) if os.environ.get(REQUIRED) == "1" else pytest.skip(message)
    server = MariaDb(tmp_path_factory.mktemp("db"))
    server.install()
    server.start()
    yield server
    server.kill()


@pytest.fixture
def mysql_url(mariadb: MariaDb) -> Iterator[str]:
    database = mariadb.new_database()
    yield mariadb.url(database)
    mariadb.run(f"DROP DATABASE {database}")


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'library.db'}"


@pytest.fixture(params=["sqlite", "mysql"])
def url(request: pytest.FixtureRequest) -> str:
    """Return the URL of a database without tables, on each back end in turn."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with open_store(url) as opened:
        opened.create()
        yield opened


@pytest.fixture(autouse=True)
def nobodys_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the developer's own ~/.my.cnf and password out."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SPEECHCMP_DB_PASSWORD", raising=False)
