"""Recordings behind URLs: read whole, through fsspec, by whoever needs them.

A manifest may come from anybody, so what a URL can do is little: a few protocols, none made of others, and redirects
that stay on the web. A server cannot send its reader on to a neighbor that only the reader can see.
"""

import functools
import ipaddress
import os
import re
import socket
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from speechcmp.errors import AudioError, DependencyError

MAX_URL_BYTES = 256 << 20  # over two hours of 16 kHz WAV
_CONNECT_S, _SILENT_S, _TOTAL_S = 10, 30, 300
_BLOCK_BYTES = 1 << 20
PROTOCOLS = ("http", "https", "s3", "s3a", "gs", "gcs", "abfs", "az", "sftp")
PRIVATE_VARIABLE = "SPEECHCMP_ALLOW_PRIVATE"
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")  # one letter would be a drive of Windows
_HERE = re.compile(r"file://(?:localhost)?(?=/)", re.IGNORECASE)
# The second form is a password that holds what should have been escaped; a port is none.
_PASSWORD = re.compile(r"(?<=://)([^/?#@:\s]*):(?:[^/?#\s]*|(?!\d+[/?#])\S*)@")
_USER = re.compile(r"(?<=://)[^/?#@:\s]+@")  # a name, or a token
_FIELD = re.compile(r"([?&#])([^=&?#\s]*)=([^&#\s]+)")
_TELLING = re.compile("sig|token|key|secret|pass|cred|auth|code", re.IGNORECASE)
_LONGEST_SHOWN = 4096  # no path is longer, and no message has to be


def is_url(name: str) -> bool:
    """Say whether this is a URL, not a path."""
    return _URL.match(name) is not None


def to_path(url: str) -> str:
    """Return the path that a ``file:`` URL stands for; other URLs stay as they are."""
    here = _HERE.match(url)
    if here is None:
        return url
    from urllib.request import url2pathname  # noqa: PLC0415 - 30 ms that few manifests need

    return url2pathname(url[here.end() :])


def without_secrets(text: str) -> str:
    """Put stars in place of users and passwords, and of signatures and the like in queries, of the URLs in a text."""
    if "://" not in text:
        return text
    text = text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…"
    return _FIELD.sub(_without_token, _PASSWORD.sub(r"\1:***@", _USER.sub("***@", text)))


def _without_token(field: re.Match[str]) -> str:
    return f"{field[1]}{field[2]}=***" if _TELLING.search(field[2]) else field[0]


def read_url(url: str) -> bytes:
    """Read what is behind a URL, whole.

    Parameters
    ----------
    url : str
        Of one of the `PROTOCOLS`. What is needed to be let in is best kept out of it, in the protocol's own settings.

    Raises
    ------
    AudioError
        There is nothing, or it can't be had, is larger than 256 MiB, or takes longer than 5 minutes; the protocol is
        another one; or a public server redirects to a private address, which `PRIVATE_VARIABLE` in the environment
        allows if it is set.
    DependencyError
        The protocol needs a package that is not installed.
    """
    name = without_secrets(url)
    protocol, colon, rest = url.partition("://")
    protocol = protocol.lower()
    if protocol not in PROTOCOLS or "::" in url.partition("?")[0]:
        raise AudioError(f"{name}: not a URL that is read; give one of {', '.join(PROTOCOLS)}, and no chain of them")
    try:
        data = _fetch(protocol + colon + rest)
    except ImportError as error:
        raise DependencyError(_what_is_missing(name, error)) from error
    except FileNotFoundError as error:
        raise AudioError(f"{name}: no such file; check the URL") from error
    except TimeoutError as error:
        raise AudioError(f"{name}: no answer in time; check the server, or copy the file") from error
    except Exception as error:  # each protocol has its own
        if isinstance(getattr(error, "os_error", error), _PrivateAddressError):  # of aiohttp's own
            raise AudioError(f"{name}: redirected to a private address; --allow-private permits that") from error
        raise AudioError(f"{name}: unreadable ({_reason(error)}); check the URL and the server") from error
    if len(data) > MAX_URL_BYTES:
        raise AudioError(f"{name}: more than {MAX_URL_BYTES >> 20} MiB from a URL; copy it to a file first")
    return data


def _fetch(url: str) -> bytes:
    """Read up to one byte more than is allowed."""
    from fsspec import url_to_fs  # noqa: PLC0415 - an extra

    how: dict[str, Any] = {}
    if url.startswith(("http://", "https://")):
        from aiohttp import ClientTimeout  # noqa: PLC0415 - an extra

        patience = ClientTimeout(total=_TOTAL_S, sock_connect=_CONNECT_S, sock_read=_SILENT_S)
        host = urlsplit(url).hostname or ""
        files, path = url_to_fs(url, client_kwargs={"timeout": patience}, get_client=_client_for(_private_part(host)))
        how = {"block_size": 0, "size": 1}  # one GET, and none before it to ask for the size
    else:
        files, path = url_to_fs(url)
    data = bytearray()
    with files.open(path, "rb", **how) as file:
        while len(data) <= MAX_URL_BYTES:
            block = file.read(min(_BLOCK_BYTES, MAX_URL_BYTES + 1 - len(data)))
            if not block:
                break
            data += block
    return bytes(data)


class _PrivateAddressError(OSError):
    """A redirect leads to where only this machine can go."""


def _private_part(host: str) -> frozenset[str]:
    """Return the private addresses of a host: who names one wants to go there."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):  # told when it is connected to
        return frozenset()
    return frozenset(str(item[4][0]) for item in found if not _is_public(str(item[4][0])))


def _is_public(address: str) -> bool:
    ip = ipaddress.ip_address(address.partition("%")[0])
    return (getattr(ip, "ipv4_mapped", None) or ip).is_global


@functools.cache
def _client_for(allowed: frozenset[str]) -> Callable[..., Any]:
    """Make what makes sessions that connect to public addresses and these ones.

    Where a name leads is looked at when it is connected to, so that it can't lead elsewhere meanwhile.
    """
    from aiohttp import ClientSession, TCPConnector  # noqa: PLC0415 - an extra

    def make_socket(found: Any) -> socket.socket:  # noqa: ANN401 - what getaddrinfo gives
        family, kind, protocol, _, address = found
        if not (_is_public(address[0]) or address[0] in allowed or os.environ.get(PRIVATE_VARIABLE)):
            raise _PrivateAddressError
        return socket.socket(family, kind, protocol)

    async def make_session(**options: Any) -> ClientSession:  # noqa: ANN401 - fsspec's
        return ClientSession(connector=TCPConnector(socket_factory=make_socket), **options)

    return make_session


def _what_is_missing(name: str, error: ImportError) -> str:
    package = (error.name or "").partition(".")[0]
    if package in {"fsspec", "aiohttp"}:
        return f"{name}: URLs need {package}, which is not installed; pip install 'speechcmp[remote]'"
    return f"{name}: the protocol needs a package that is not installed ({_reason(error)}); install it"


def _reason(error: Exception) -> str:
    status = getattr(error, "status", None)  # of an HTTP answer
    text = f"status {status}" if isinstance(status, int) else " ".join(str(error).split())
    return without_secrets(text)[:200].rstrip(".") or type(error).__name__
