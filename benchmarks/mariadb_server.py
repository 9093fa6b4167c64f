"""A MariaDB of one's own, on 127.0.0.1, for as long as a benchmark runs."""

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Self

import pymysql

STARTED_IN_S = 60


class MariaDbServer:
    """A server in a folder, with an empty database ``bench``; as a context manager it ends itself.

    Parameters
    ----------
    folder : path
        Where to keep its data.
    buffer_pool : str
        `innodb_buffer_pool_size`, such as ``1G``.
    """

    def __init__(self, folder: Path, buffer_pool: str) -> None:
        self._folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        user = ["--user=root"] if os.geteuid() == 0 else []
        self._common = ["--no-defaults", *user, f"--datadir={folder / 'data'}"]
        self._options = [
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            f"--port={self._port}",
            f"--socket={folder / 's'}",
            f"--pid-file={folder / 'pid'}",
            f"--innodb-buffer-pool-size={buffer_pool}",
            "--innodb-log-file-size=256M",
        ]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"mysql://root@127.0.0.1:{self._port}/bench"

    @property
    def process_id(self) -> int:
        assert self._process
        return self._process.pid

    def __enter__(self) -> Self:
        install = [_program("mariadb-install-db"), *self._common, "--auth-root-authentication-method=normal"]
        subprocess.run([*install, "--skip-test-db"], check=True, capture_output=True)
        with (self._folder / "log").open("wb") as log:
            command = [_program("mariadbd"), *self._common, *self._options]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        self._wait()
        return self

    def _wait(self) -> None:
        for _ in range(10 * STARTED_IN_S):
            try:
                with pymysql.connect(host="127.0.0.1", port=self._port, user="root") as connection:
                    connection.cursor().execute("CREATE DATABASE bench")
            except pymysql.err.OperationalError:
                time.sleep(0.1)
            else:
                return
        raise SystemExit(f"mariadbd does not answer; see {self._folder / 'log'}")

    def __exit__(self, *_: object) -> None:
        assert self._process
        self._process.kill()
        self._process.wait()


def _program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        raise SystemExit(f"no {name}; install mariadb-server, or leave it out with --stores sqlite")
    return found
