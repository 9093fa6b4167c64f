"""Servers that want the password: it goes to nobody who might not be who they say; and servers that talk nonsense."""

import os
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from fingerprint.store.conftest import MariaDb

from speechcmp.errors import ParameterError, StoreError
from speechcmp.fingerprint.store.mysql import MysqlStore
from speechcmp.fingerprint.store.open import open_store

PASSWORD = "open5esame"  # noqa: S105 - of no server
_CAPABILITIES = 0x00000001 | 0x00000008 | 0x00000200 | 0x00008000 | 0x00080000  # PLUGIN_AUTH and what goes with it
_TLS = 0x0800
_SALT = b"saltsaltsaltsaltsalt\0"

# What a server may greet with, and ask for after the first answer.
CLEAR = (b"mysql_native_password", b"\xfemysql_clear_password\0")
PAM = (b"mysql_native_password", b"\xfedialog\0\x03Password: ")
ASKING = {
    "clear": CLEAR,
    "pam": PAM,
    "greets with clear": (b"mysql_clear_password", CLEAR[1]),
    "greets with pam": (b"dialog", PAM[1]),
    "sha256": (b"mysql_native_password", b"\xfesha256_password\0" + _SALT),
    "greets with sha256": (b"sha256_password", b"\xfesha256_password\0" + _SALT),
    "unknown to the cache": (b"caching_sha2_password", b"\x01\x04"),
    "its own key": (b"caching_sha2_password", b"\x01-----BEGIN PUBLIC KEY-----"),
    "old": (b"mysql_native_password", b"\xfe"),
}


def hello(greeting: bytes, *, tls: bool = False) -> bytes:
    capabilities = _CAPABILITIES | (_TLS if tls else 0)
    low, high = capabilities & 0xFFFF, capabilities >> 16
    start = b"\x0a8.0.0\0" + struct.pack("<I", 1) + _SALT[:8] + b"\0"
    return start + struct.pack("<HBHHB10x", low, 45, 2, high, 21) + _SALT[8:] + greeting + b"\0"


def packet(number: int, data: bytes) -> bytes:
    return struct.pack("<I", len(data))[:3] + bytes([number]) + data


class Hostile(threading.Thread):
    """Speaks as much of the protocol as it takes to be given a password."""

    def __init__(self, greeting: bytes, question: bytes, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(daemon=True)
        self.greeting, self.question, self.tls = greeting, question, tls
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.heard = b""

    def run(self) -> None:
        connection, _ = self.listener.accept()
        connection.settimeout(5)
        with connection, suppress(OSError):
            connection.sendall(packet(0, hello(self.greeting, tls=self.tls is not None)))
            if self.tls is None:
                self._ask(connection, 2)
            else:
                connection.recv(4 + 32)  # no more than the wish for TLS
                with self.tls.wrap_socket(connection, server_side=True) as secure:
                    self._ask(secure, 3)

    def _ask(self, connection: socket.socket, number: int) -> None:
        self.heard += connection.recv(1 << 16)
        connection.sendall(packet(number, self.question))
        while data := connection.recv(1 << 16):
            self.heard += data


@contextmanager
def served(server: Hostile) -> Iterator[Hostile]:
    server.start()
    try:
        yield server
    finally:
        server.listener.close()
        server.join(10)


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a certificate for 127.0.0.1, the authority that signed it, and one that did not."""
    folder = tmp_path_factory.mktemp("tls")
    MariaDb(folder)._make_certificates()
    return folder


def server_tls(folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem", folder / "server.key")
    return context


def ask(url: str) -> None:
    with open_store(url) as store:
        store.info()


@pytest.mark.timeout(30)
@pytest.mark.parametrize("asking", ASKING)
@pytest.mark.parametrize("options", ["plain", "", "?ssl_verify_cert=no", "?ssl_ca={}/ca.pem&ssl_verify_identity=no"])
def test_no_password_in_clear_to_who_asks(asking: str, options: str, certified: Path) -> None:
    tls = None if options == "plain" else server_tls(certified)
    with served(Hostile(*ASKING[asking], tls)) as server:
        options = "" if options == "plain" else options.format(certified)
        with pytest.raises(StoreError, match="asks for the password in clear; which goes through verified TLS only"):
            ask(f"mysql://anna:{PASSWORD}@127.0.0.1:{server.port}/lessons{options}")
    assert b"anna" in server.heard
    assert PASSWORD.encode() not in server.heard


@pytest.mark.timeout(30)
@pytest.mark.parametrize("asking", ["clear", "pam", "sha256", "greets with sha256", "unknown to the cache"])
def test_the_password_goes_to_a_server_that_has_proved_to_be_the_right_one(asking: str, certified: Path) -> None:
    with served(Hostile(*ASKING[asking], server_tls(certified))) as server:
        store = open_store(f"mysql://anna:{PASSWORD}@127.0.0.1:{server.port}/lessons?ssl_ca={certified}/ca.pem")
        assert isinstance(store, MysqlStore)
        with pytest.raises(StoreError):
            impatient(store)
    assert PASSWORD.encode() in server.heard


def impatient(store: MysqlStore) -> None:
    store.retry_delays_s = ()
    store._options = {**store._options, "read_timeout": 1}
    store.info()


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "options", ["ssl_verify_identity=yes", "ssl_verify_cert=yes", "ssl_cert={0}/server.pem&ssl_key={0}/server.key"]
)
def test_tls_without_an_authority_of_ones_own_is_verified_too(options: str, certified: Path) -> None:
    with (
        served(Hostile(*CLEAR, server_tls(certified))) as server,
        pytest.raises(StoreError, match=r"TLS with this server fails \(.*verify failed.*; check ssl_ca"),
    ):
        ask(f"mysql://anna:{PASSWORD}@127.0.0.1:{server.port}/lessons?{options.format(certified)}")
    assert server.heard == b""


@pytest.mark.timeout(30)
def test_a_server_that_has_no_tls_where_it_is_asked_for(certified: Path) -> None:
    with (
        served(Hostile(*CLEAR)) as server,
        pytest.raises(StoreError, match="doesn't support it; leave out the options of TLS, or ask for a server"),
    ):
        ask(f"mysql://anna:{PASSWORD}@127.0.0.1:{server.port}/lessons?ssl_ca={certified}/ca.pem")
    assert server.heard == b""


# ------------------------------------------------------------------------------------------------- option files


@pytest.mark.parametrize("more", ["", "&ssl_cert={0}/server.pem&ssl_key={0}/server.key"])
def test_an_authority_in_the_option_file_counts(more: str, certified: Path, tmp_path: Path) -> None:
    (tmp_path / "own.cnf").write_text(f"[client]\npassword = '{PASSWORD}'\nssl-ca = {certified}/stranger.pem\n")
    with served(Hostile(*CLEAR, server_tls(certified))) as server:
        url = f"mysql://anna@127.0.0.1:{server.port}/lessons?read_default_file={tmp_path}/own.cnf"
        with pytest.raises(StoreError, match="verify failed"):
            ask(url + more.format(certified))
    assert server.heard == b""


def test_a_host_in_the_url_is_not_overruled_by_a_socket_in_the_option_file(tmp_path: Path) -> None:
    (tmp_path / "own.cnf").write_text("[client]\nsocket = /run/other.sock\n")
    with pytest.raises(StoreError, match=r"no server answers .*127"):
        ask(f"mysql://anna@127.0.0.1:1/lessons?read_default_file={tmp_path}/own.cnf")


@pytest.mark.parametrize("name", ["own.cnf", "./own.cnf", "../own.cnf", ""])
def test_no_option_file_of_whatever_folder_one_works_in(name: str) -> None:
    with pytest.raises(ParameterError, match=r"read_default_file is .*; give its whole path"):
        open_store(f"mysql://anna@127.0.0.1/lessons?read_default_file={name}")


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ["fifo", "device", "folder", "large", "missing", "port"])
def test_option_files_that_are_none_are_one_line(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "own.cnf"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "device":
        path = Path("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    elif kind != "missing":
        path.write_text("[client]\nport = s3cret\n" if kind == "port" else "#" * (2 << 20))
    with pytest.raises(StoreError) as caught:
        ask(f"mysql://anna@127.0.0.1/lessons?read_default_file={path}")
    assert str(caught.value).startswith(f"{path}: ")
    assert "; " in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("option", ["ssl_ca", "ssl_cert", "ssl_key"])
def test_files_of_tls_have_an_end(option: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StoreError, match=f"{option} is a pipe or a device; name a file"):
        ask(f"mysql://anna@127.0.0.1/lessons?{option}={tmp_path}/pipe")


def test_an_identity_without_a_certificate() -> None:
    with pytest.raises(ParameterError, match="leave one out"):
        open_store("mysql://anna@127.0.0.1/lessons?ssl_verify_identity=1&ssl_verify_cert=0")


# ------------------------------------------------------------------------------------------------- nonsense


GREETING = packet(0, hello(CLEAR[0]))
NONSENSE: dict[str, list[bytes]] = {
    "another protocol": [b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n"],
    "an empty greeting": [packet(0, b"")],
    "a short greeting": [packet(0, b"\x0a5")],
    "no version": [packet(0, b"\x0ax.y\0" + bytes(40))],
    "an error in half": [packet(0, b"\xff")],
    "an error of odd bytes": [packet(0, b"\xff\x15\x04#\xff\xff\xff\xff\xff\xff")],
    "a switch without end": [GREETING, packet(2, b"\xfe\xff\xff")],
    "a local file": [GREETING, packet(2, b"\0\0\0\2\0\0\0"), packet(1, b"\xfb/etc/passwd")],
    "columns without end": [GREETING, packet(2, b"\0\0\0\2\0\0\0"), packet(1, b"\xfe\xff\xff\xff\xff\xff\xff\xff\x7f")],
    "words over lines": [packet(0, b"\xff\x15\x04#28000a\nb\x1b[2J")],
}


@pytest.mark.timeout(30)
@pytest.mark.parametrize("kind", NONSENSE)
def test_servers_that_talk_nonsense_are_one_line(kind: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        answering = threading.Thread(target=lambda: talk(listener, NONSENSE[kind]), daemon=True)
        answering.start()
        store = open_store(f"mysql://anna:{PASSWORD}@127.0.0.1:{port}/lessons")
        assert isinstance(store, MysqlStore)
        with pytest.raises(StoreError) as caught:
            impatient(store)
        answering.join(10)
    said = str(caught.value)
    assert said.startswith(f"mysql://anna@127.0.0.1:{port}/lessons: ")
    assert "; " in said
    assert "\n" not in said


def talk(listener: socket.socket, answers: list[bytes]) -> None:
    connection, _ = listener.accept()
    connection.settimeout(3)
    with connection, suppress(OSError):
        for answer in answers:
            connection.sendall(answer)
            connection.recv(1 << 16)


CALLS: dict[str, Callable[[], object]] = {
    "host": lambda: ask(f"mysql://anna@{'a' * 70}.example/lessons"),
    "surrogate": lambda: open_store("mysql://an\udcffna@127.0.0.1/lessons"),
    "years": lambda: open_store(f"mysql://anna@127.0.0.1/lessons?connect_timeout={'9' * 5000}"),
}


@pytest.mark.parametrize("kind", CALLS)
def test_urls_that_no_server_is_at(kind: str) -> None:
    with pytest.raises((StoreError, ParameterError)) as caught:
        CALLS[kind]()
    assert len(str(caught.value)) < 400
