"""Recordings behind URLs: read whole, through fsspec, by whoever needs them."""

import re
from typing import Any

from speechcmp.errors import AudioError, DependencyError

MAX_URL_BYTES = 256 << 20  # over two hours of 16 kHz WAV
_CONNECT_S, _SILENT_S, _TOTAL_S = 10, 30, 300
_BLOCK_BYTES = 1 << 20
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")  # one letter would be a drive of Windows
_HERE = re.compile(r"file://(?:localhost)?(?=/)", re.IGNORECASE)
# The second form is a password that holds what should have been escaped; a port is none.
_PASSWORD = re.compile(r"(?<=://)([^/?#@:\s]*):(?:[^/?#\s]*|(?!\d+[/?#])\S*)@")
_USER = re.compile(r"(?<=://)[^/?#@:\s]+@")  # a name, or a token
_TOKEN = re.compile(r"([?&#][^=&\s]*(?:sig|token|key|secret|pass|cred|auth|code)[^=&\s]*=)[^&#\s]+", re.IGNORECASE)


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
    return _TOKEN.sub(r"\1***", _PASSWORD.sub(r"\1:***@", _USER.sub("***@", text))) if "://" in text else text


def read_url(url: str) -> bytes:
    """Read what is behind a URL, whole.

    Parameters
    ----------
    url : str
        ``http``, ``https``, ``s3``, ``gs`` or another protocol that fsspec knows. What is needed to be let in is
        best kept out of it, in the protocol's own settings.

    Raises
    ------
    AudioError
        There is nothing, or it can't be had, is larger than 256 MiB, or takes longer than 5 minutes.
    DependencyError
        The protocol needs a package that is not installed.
    """
    name = without_secrets(url)
    try:
        data = _fetch(url)
    except ImportError as error:
        raise DependencyError(_what_is_missing(name, error)) from error
    except FileNotFoundError as error:
        raise AudioError(f"{name}: no such file; check the URL") from error
    except TimeoutError as error:
        raise AudioError(f"{name}: no answer in time; check the server, or copy the file") from error
    except Exception as error:  # each protocol has its own
        raise AudioError(f"{name}: unreadable ({_reason(error)}); check the URL and the server") from error
    if len(data) > MAX_URL_BYTES:
        raise AudioError(f"{name}: more than {MAX_URL_BYTES >> 20} MiB from a URL; copy it to a file first")
    return data


def _fetch(url: str) -> bytes:
    """Read up to one byte more than is allowed."""
    from fsspec import url_to_fs  # noqa: PLC0415 - an extra

    how: dict[str, Any] = {}
    if url.lower().startswith(("http://", "https://")):
        from aiohttp import ClientTimeout  # noqa: PLC0415 - an extra

        patience = ClientTimeout(total=_TOTAL_S, sock_connect=_CONNECT_S, sock_read=_SILENT_S)
        files, path = url_to_fs(url, client_kwargs={"timeout": patience})
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


def _what_is_missing(name: str, error: ImportError) -> str:
    package = (error.name or "").partition(".")[0]
    if package in {"fsspec", "aiohttp"}:
        return f"{name}: URLs need {package}, which is not installed; pip install 'speechcmp[remote]'"
    return f"{name}: the protocol needs a package that is not installed ({_reason(error)}); install it"


def _reason(error: Exception) -> str:
    status = getattr(error, "status", None)  # of an HTTP answer
    text = f"status {status}" if isinstance(status, int) else " ".join(str(error).split())
    return without_secrets(text)[:200].rstrip(".") or type(error).__name__
