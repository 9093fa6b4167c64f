"""Servers that want the password: it goes to nobody who might not be who they say."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from speechcmp.errors import StoreError
from speechcmp.fingerprint.store.open import open_store

PASSWORD = "open5esame"  # noqa: S105 - of no server
PLUGINS = [b"mysql_clear_password", b"dialog"]
_CAPABILITIES = 0x00000001 | 0x00000008 | 0x00000200 | 0x00008000 | 0x00080000  # PLUGIN_AUTH and what goes with it


class Hostile(threading.Thread):
    """Speaks as much of the protocol as it takes to be given a password."""

    def __init__(self, plugin: bytes, *, default: bool) -> None:
        super().__init__(daemon=True)
        self.plugin, self.default = plugin, default
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.heard = b""

    def run(self) -> None:
        connection, _ = self.listener.accept()
        with connection:
            connection.settimeout(5)
            offered = self.plugin if self.default else b"mysql_native_password"
            low, high = _CAPABILITIES & 0xFFFF, _CAPABILITIES >> 16
            hello = b"\x0a8.0.0\0" + struct.pack("<I", 1) + b"saltsalt\0"
            hello += struct.pack("<HBHHB10x", low, 45, 2, high, 21) + b"saltsaltsalt\0" + offered + b"\0"
            self._send(connection, 0, hello)
            try:
                self.heard += connection.recv(1 << 16)
                question = b"\x03Password: " if self.plugin == b"dialog" else b"\0"
                self._send(connection, 2, b"\xfe" + self.plugin + b"\0" + question)
                while data := connection.recv(1 << 16):
                    self.heard += data
            except OSError:
                pass

    @staticmethod
    def _send(connection: socket.socket, number: int, data: bytes) -> None:
        connection.sendall(struct.pack("<I", len(data))[:3] + bytes([number]) + data)


@contextmanager
def hostile(plugin: bytes, *, default: bool) -> Iterator[Hostile]:
    server = Hostile(plugin, default=default)
    server.start()
    try:
        yield server
    finally:
        server.listener.close()
        server.join(10)


@pytest.mark.timeout(30)
@pytest.mark.parametrize("default", [False, True])
@pytest.mark.parametrize("plugin", PLUGINS)
def test_no_password_in_clear_to_who_asks(plugin: bytes, default: bool) -> None:
    with hostile(plugin, default=default) as server:
        url = f"mysql://anna:{PASSWORD}@127.0.0.1:{server.port}/lessons"
        with (
            pytest.raises(StoreError, match="asks for the password in clear, which goes through verified TLS only"),
            open_store(url) as store,
        ):
            store.info()
    assert b"anna" in server.heard
    assert PASSWORD.encode() not in server.heard
