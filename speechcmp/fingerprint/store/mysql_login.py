"""How a MySQL or MariaDB server is reached: from a URL and an option file to a connection that gives no secret away.

PyMySQL alone would send the password itself to whoever asks for it, verify no certificate where no authority is named,
and read an option file that never ends.
"""

import configparser
import os
import ssl
import struct
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import pymysql
from pymysql.connections import Connection, MysqlPacket
from pymysql.constants import CR

from speechcmp.errors import DependencyError, ParameterError, StoreError
from speechcmp.files import irregular, read_bounded

PASSWORD_VARIABLE = "SPEECHCMP_DB_PASSWORD"  # noqa: S105 - the name of it
OPTION_FILE = "~/.my.cnf"

_TEXT_OPTIONS = ("unix_socket", "bind_address", "read_default_file", "read_default_group")
_TLS_FILES = ("ssl_ca", "ssl_cert", "ssl_key")
_TLS_TEXTS = (*_TLS_FILES, "ssl_key_password")
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
# What an option file may say, and what it is called here; the last two have no option in the URL.
_FROM_FILE = {
    "user": "user",
    "password": "password",
    "host": "host",
    "port": "port",
    "bind-address": "bind_address",
    "ssl-ca": "ssl_ca",
    "ssl-cert": "ssl_cert",
    "ssl-key": "ssl_key",
    "ssl-capath": "ssl_capath",
    "ssl-cipher": "ssl_cipher",
}

# Logins by which the server gets no more than a hash that is worth nothing to it elsewhere.
_HASHED = {b"", b"mysql_native_password", b"caching_sha2_password", b"client_ed25519"}
_SWITCH, _MORE = 0xFE, 0x01  # first bytes of what a server may answer to a login
_HASH_WAS_ENOUGH = b"\x03"  # of caching_sha2_password
# What PyMySQL raises at bytes that are not as they should be; RuntimeError, when it is asked for a local file.
_GARBLED = (struct.error, LookupError, ValueError, TypeError, AttributeError, AssertionError, RuntimeError)


# ------------------------------------------------------------------------------------------------- URL


def read_url(url: str) -> tuple[str, dict[str, Any]]:
    """Take a URL apart: what messages call the database, and the options, named as in PyMySQL.

    Raises
    ------
    ParameterError
        It can't be read, or an option is unknown or wrong. The message never quotes what may hold a password.
    """
    parts, port = _split(url)
    database = unquote(parts.path.removeprefix("/"))
    if not database or "/" in database:
        raise ParameterError("database URL: names no database; give mysql://user@host:3306/database")
    options: dict[str, Any] = {"charset": "utf8mb4", "autocommit": True, "database": database}
    options |= {"read_timeout": 600, "write_timeout": 600}
    options |= {"host": parts.hostname, "port": port, "user": unquote(parts.username or "") or None}
    # As bytes: PyMySQL encodes text as Latin-1, and its error would quote what it can't.
    options["password"] = unquote(parts.password or "").encode() or os.fsencode(os.environ.get(PASSWORD_VARIABLE, ""))
    options |= _query_options(parts.query)
    user = f"{parts.username}@" if parts.username else ""
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
    return f"mysql://{user}{host}{f':{port}' if port else ''}/{database}", options


def _split(url: str) -> tuple[SplitResult, int]:
    """Split a URL; what can't be split is not quoted, for it may hold a password."""
    try:
        url.encode()  # half a character can't be sent to a server
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
        if name in _TEXT_OPTIONS + _TLS_TEXTS:
            options[name] = value
        elif name in _SWITCHES and value.lower() in _TRUTH:
            options[name] = _TRUTH[value.lower()]
        elif name in _SECONDS and value.isascii() and value.isdecimal() and 0 < int(value[:9]) <= 31_536_000:
            options[name] = int(value[:9])
        elif name in _SWITCHES + _SECONDS:
            kind = "true or false" if name in _SWITCHES else "whole seconds, a year at most"
            raise ParameterError(f"database URL: option {name} takes {kind}, given {value[:40]!r}")
        else:
            known = ", ".join(sorted(_TEXT_OPTIONS + _TLS_TEXTS + _SWITCHES + _SECONDS))
            raise ParameterError(f"database URL: unknown option {name[:40]!r}; the options are {known}")
    file = options.get("read_default_file", OPTION_FILE)
    if not os.path.isabs(os.path.expanduser(file)):  # noqa: PTH111, PTH117 - Path raises where there is no home
        # It says whom to give which password: that must not depend on the folder somebody works in.
        raise ParameterError(
            f"database URL: option read_default_file is {file[:40]!r}, which stands for another file in each folder; "
            "give its whole path"
        )
    if options.get("ssl_verify_identity") and options.get("ssl_verify_cert") is False:
        raise ParameterError(
            "database URL: ssl_verify_identity needs the certificate that ssl_verify_cert=false ignores; leave one out"
        )
    return options


# ------------------------------------------------------------------------------------------------- option file


def with_option_file(options: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in what the URL leaves open from the option file it names, else from the user's own.

    Raises
    ------
    StoreError
        The file can't be read, or is none. No line of it is quoted, for it holds a password.
    """
    filled = dict(options)
    named = filled.pop("read_default_file", None)
    path = Path(os.path.expanduser(named or OPTION_FILE))  # noqa: PTH111 - as above
    own = _read_options(path, filled.pop("read_default_group", "client"), is_named=named is not None)
    if "socket" in own and not filled["host"]:  # a socket would be preferred to the host that the URL names
        filled.setdefault("unix_socket", own["socket"])
    for key, name in _FROM_FILE.items():
        if key in own and not filled.get(name):
            filled[name] = own[key]
    port = str(filled["port"])
    if not (port.isascii() and port.isdecimal() and int(port[:6]) < 1 << 16):
        raise StoreError(f"{path}: its port is no number from 1 to 65535; correct it")
    filled["port"] = int(port[:6])
    if isinstance(filled["password"], str):
        filled["password"] = filled["password"].encode()
    return filled


def _read_options(path: Path, group: str, *, is_named: bool) -> dict[str, str]:
    parser = configparser.RawConfigParser(allow_no_value=True, strict=False)
    parser.optionxform = lambda optionstr: optionstr.lower().replace("_", "-")  # type: ignore[method-assign]
    try:
        parser.read_string(read_bounded(path).decode("utf-8-sig"))
    except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
        if not is_named:
            return {}
        raise StoreError(f"{path}: can't be read ({error.strerror}); check read_default_file in the URL") from error
    except OSError as error:
        raise StoreError(f"{path}: can't be read ({error.strerror}); name an option file") from error
    except (configparser.Error, UnicodeError):
        parser.clear()
        is_one = False  # these errors quote the file: what is raised must neither name nor hold them
    else:
        is_one = True
    if not is_one:
        raise StoreError(f"{path}: not an option file in UTF-8; correct it or name another")
    found = parser.items(group) if parser.has_section(group) else []
    return {key: _unquoted(value) for key, value in found if value}


def _unquoted(value: str) -> str:
    is_quoted = len(value) >= 2 and value[0] == value[-1] and value[0] in "'\""
    return value[1:-1] if is_quoted else value


# ------------------------------------------------------------------------------------------------- connection


def connect(label: str, options: Mapping[str, Any]) -> Connection:
    """Connect, with TLS as the options say.

    Whoever asks for TLS by any option has the server's certificate and name verified, unless another option says
    otherwise; without an authority of their own, by those of the system. Nobody having asked, TLS is used where the
    server has it, against listeners, and verifies nothing.

    Raises
    ------
    StoreError
        The option file or a file of TLS can't be used.
    DependencyError
        The account has a login that takes another package.
    pymysql.err.Error
        The server can't be reached, or refuses.
    """
    given = with_option_file(options)
    asked = {name: given.pop(name) for name in list(given) if name.startswith("ssl_") and name != "ssl_disabled"}
    if asked and not given.get("ssl_disabled"):
        given["ssl"] = _tls(label, asked)
    try:
        with understood():
            return _Connection(**given)
    except pymysql.err.InternalError as error:
        if "pynacl" in str(error.__cause__):
            raise DependencyError(f"{label}: the account's login ed25519 needs PyNaCl; pip install pynacl") from error
        raise


@contextmanager
def understood() -> Iterator[None]:
    """Make an error of PyMySQL's of what it raises at an answer that breaks the protocol."""
    try:
        yield
    except _GARBLED as error:
        reason = f"its answer breaks the protocol ({type(error).__name__})"
        raise pymysql.err.InternalError(CR.CR_MALFORMED_PACKET, reason) from error


def _tls(label: str, asked: Mapping[str, Any]) -> ssl.SSLContext:
    verify_cert = asked.get("ssl_verify_cert", True)
    try:
        for name in _TLS_FILES:
            other = irregular(Path(asked[name])) if name in asked else None
            if other:
                raise StoreError(f"{label}: {name} is {other}; name a file in PEM")
        context = ssl.create_default_context(cafile=asked.get("ssl_ca"), capath=asked.get("ssl_capath"))
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # the authorities that MySQL makes for itself break its rules
        context.check_hostname = asked.get("ssl_verify_identity", verify_cert)
        context.verify_mode = ssl.CERT_REQUIRED if verify_cert else ssl.CERT_NONE
        if "ssl_cert" in asked:
            # Without a password OpenSSL would ask for one on the terminal.
            context.load_cert_chain(asked["ssl_cert"], asked.get("ssl_key"), asked.get("ssl_key_password", ""))
        if "ssl_cipher" in asked:
            context.set_ciphers(asked["ssl_cipher"])
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise StoreError(
            f"{label}: TLS can't be used as asked for ({reason}); check the files of ssl_ca, ssl_cert and ssl_key"
        ) from error
    return context


class _Connection(Connection):  # type: ignore[misc] # PyMySQL has no annotations
    """A connection that gives the password itself only to a server that has proved to be the right one.

    A hash of it is enough for most logins. The others send the password, or encrypt it for whoever asks: with
    ``mysql_clear_password``, ``dialog`` (PAM), ``sha256_password``, and ``caching_sha2_password`` where the server does
    not know the hash yet. Those are for verified TLS, or a socket of this machine.
    """

    _auth_plugin_name: str
    _is_logging_in = False

    def _request_authentication(self) -> None:
        self._is_logging_in = not self._is_proven()
        if self._is_logging_in and self._auth_plugin_name.encode() not in _HASHED:
            # PyMySQL answers some greetings with the password; after a hash, the server asks for what it needs.
            self._auth_plugin_name = "mysql_native_password"
        super()._request_authentication()
        self._is_logging_in = False

    def _read_packet(self, packet_type: type[MysqlPacket] = MysqlPacket) -> MysqlPacket:
        packet = super()._read_packet(packet_type)
        data = packet.get_all_data()
        if self._is_logging_in and data:
            switches = data[0] == _SWITCH and data[1:].partition(b"\0")[0] not in _HASHED - {b""}
            if switches or (data[0] == _MORE and data[1:] != _HASH_WAS_ENOUGH):
                raise pymysql.err.OperationalError(CR.CR_AUTH_PLUGIN_ERR, "asks for the password in clear")
        return packet

    def _is_proven(self) -> bool:
        verified = self._ssl_required and self.ctx.verify_mode == ssl.CERT_REQUIRED and self.ctx.check_hostname
        return bool(self.unix_socket or verified)
