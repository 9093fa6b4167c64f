"""The server: how it is reached, what happens when it goes, and that the password stays where it is."""

import logging
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fingerprint.store.conftest import PASSWORD, MariaDb
from fingerprint.store.making import PRESET, check_whole, recording

from speechcmp.errors import ParameterError, StoreError, StoreUnavailableError
from speechcmp.fingerprint.store import sql
from speechcmp.fingerprint.store.base import Store
from speechcmp.fingerprint.store.mysql import MysqlStore
from speechcmp.fingerprint.store.mysql_login import PASSWORD_VARIABLE
from speechcmp.fingerprint.store.open import open_store

QUOTED = "s3cret%2C%24%C3%BC"
UTF8 = PASSWORD.encode()


@pytest.fixture
def account(mariadb: MariaDb, mysql_url: str) -> Iterator[str]:
    """Make an account that may do no more than the store needs; return its URL, the user to be filled in."""
    database = mysql_url.rpartition("/")[2]
    mariadb.run(
        "SET NAMES utf8mb4",
        f"CREATE USER speaker IDENTIFIED BY '{PASSWORD}'",
        f"GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, CREATE TEMPORARY TABLES ON {database}.* TO speaker",
    )
    yield mysql_url.replace("root@", "{}@")
    mariadb.run("DROP USER speaker")


@pytest.fixture
def library(mysql_url: str) -> Iterator[Store]:
    with open_store(mysql_url) as store:
        store.create()
        yield store


def options(url: str) -> dict[str, Any]:
    store = open_store(url)
    assert isinstance(store, MysqlStore)
    return dict(store._options)


def use(store: Store) -> None:
    with store:
        store.create()
        number = store.add(recording(1), PRESET).recording_id
        assert len(store.find(recording(1).hashes, PRESET).hash_index) >= 200
        store.remove(number)


# --- passwords


def test_password_in_the_url(account: str) -> None:
    use(open_store(account.format(f"speaker:{QUOTED}")))


def test_password_in_the_environment(account: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, PASSWORD)
    use(open_store(account.format("speaker")))


def test_password_in_the_option_file(account: str, mariadb: MariaDb, tmp_path: Path) -> None:
    mariadb.run("ALTER USER speaker IDENTIFIED BY 'plain'")
    (tmp_path / ".my.cnf").write_text("[client]\nuser = speaker\npassword = plain\n", encoding="utf-8")
    use(open_store(account.replace("{}@", "")))
    named = tmp_path / "other.cnf"
    (tmp_path / ".my.cnf").rename(named)
    use(open_store(account.replace("{}@", "") + f"?read_default_file={named}"))


def test_url_before_environment_before_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, "environment")
    assert options("mysql://user:url@host/db")["password"] == b"url"
    assert options("mysql://user@host/db")["password"] == b"environment"
    monkeypatch.delenv(PASSWORD_VARIABLE)
    assert options("mysql://user@host/db")["password"] == b""


def texts_of(error: BaseException) -> str:
    """Return all that a traceback and the chain of causes would show."""
    shown = "".join(traceback.format_exception(error))
    cause: BaseException | None = error
    while cause is not None:
        shown += repr(cause) + str(cause.args)
        cause = cause.__cause__ or cause.__context__
    return shown


@pytest.mark.parametrize("where", ["url", "environment"])
def test_the_password_reaches_no_message(
    where: str,
    account: str,
    mariadb: MariaDb,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(MysqlStore, "retry_delays_s", (0.01,))
    if where == "environment":
        monkeypatch.setenv(PASSWORD_VARIABLE, "s3cret-but-wrong")
    user = "speaker" if where == "environment" else "speaker:s3cret-but-wrong"
    url = account.format(user)
    wrong_port = url.replace(f":{mariadb.port}/", ":1/")
    for tried, message in ((url, "Access denied.*; check the user"), (wrong_port, "no server answers")):
        store = open_store(tried)
        assert "s3cret" not in repr(store) + str(store)
        with pytest.raises(StoreError, match=message) as caught:
            store.info()
        assert "s3cret" not in texts_of(caught.value) + caplog.text
        assert "speaker@127.0.0.1" in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "mysql://user:s3cret/x@host/db",
        "mysql://user:12/s3cret@host/db",
        "mysql://user:12?s3cret@host/db",
        "mysql://user:12#s3cret@host/db",
        "mysql://user:s3[cret@host/db",
        "mysql://user:x@host:s3cret/db",
        "mysql://user:s3cret@host",
        "mysql://user:s3cret@host/a/b",
        "mysql://user:s3cret@host/db?password=s3cret",
        "mysql://user:s3cret@host/db?ssl-ca=x",
        "mysql://user:s3cret@host/db?ssl_disabled=perhaps",
        "mysql://user:s3cret@host/db?connect_timeout=0",
    ],
)
def test_urls_that_can_not_be_are_not_quoted(url: str) -> None:
    with pytest.raises(ParameterError, match=r"^database URL: ") as caught:
        open_store(url)
    assert "s3cret" not in texts_of(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "password = s3cret\n",
        "[client]\npassword\ns3cret = a\n  [s3cret\n[cl",
        "[client]\npassword = s3cret€\n",
    ],
)
def test_an_odd_option_file_is_not_quoted(text: str, tmp_path: Path) -> None:
    (tmp_path / ".my.cnf").write_text(text, encoding="utf-8")
    with open_store("mysql://user@127.0.0.1:1/db") as store, pytest.raises(StoreError) as caught:
        store.info()
    assert "s3cret" not in texts_of(caught.value)
    assert "€" not in texts_of(caught.value)


# --- URLs


def test_unknown_options_are_named() -> None:
    with pytest.raises(ParameterError, match=r"unknown option 'charset'; the options are bind_address, connect_"):
        open_store("mysql://user@host/db?charset=latin1")


def test_options_reach_the_driver() -> None:
    found = options(
        "mysql://a%40b@[::1]:3307/d%20b?ssl_ca=/a%2Bb/ca.pem&ssl_cert=c&ssl_key=k&ssl_verify_identity=no"
        "&connect_timeout=3&unix_socket=/run/s"
    )
    wanted = {"user": "a@b", "host": "::1", "port": 3307, "database": "d b", "charset": "utf8mb4"}
    wanted |= {"ssl_ca": "/a+b/ca.pem", "ssl_cert": "c", "ssl_key": "k", "unix_socket": "/run/s"}
    wanted |= {"ssl_verify_identity": False, "connect_timeout": 3}
    assert found.items() >= wanted.items()


def test_repr_leaves_out_what_is_secret() -> None:
    store = open_store("mysql://u:p@[::1]:3307/db?ssl_key_password=x")
    assert repr(store) == "MysqlStore('mysql://u@[::1]:3307/db')"


def test_socket(mariadb: MariaDb, mysql_url: str) -> None:
    use(open_store(f"mysql://root@localhost/{mysql_url.rpartition('/')[2]}?unix_socket={mariadb.socket}"))


def cipher(url: str) -> str:
    with open_store(url) as store:
        assert isinstance(store, MysqlStore)
        rows = store.patiently(lambda: store.reading(lambda session: session.rows("SHOW STATUS LIKE 'Ssl_cipher'")))
        return str(rows[0][1])


def test_tls_is_verified_when_an_authority_is_given(mariadb: MariaDb, mysql_url: str) -> None:
    assert cipher(f"{mysql_url}?ssl_ca={mariadb.folder / 'ca.pem'}")
    assert not cipher(f"{mysql_url}?ssl_disabled=1")
    other_name = mysql_url.replace("127.0.0.1", "localhost")
    for url in (
        f"{mysql_url}?ssl_ca={mariadb.folder / 'stranger.pem'}",
        f"{other_name}?ssl_ca={mariadb.folder / 'ca.pem'}",
    ):
        with pytest.raises(StoreError, match="certificate verify failed"):
            cipher(url)
    with pytest.raises(StoreError, match="No such file"):
        cipher(f"{mysql_url}?ssl_ca=/no/such.pem")


def test_no_such_database(mariadb: MariaDb) -> None:
    with (
        open_store(mariadb.url("nowhere")) as store,
        pytest.raises(StoreError, match="CREATE DATABASE first"),
    ):
        store.create()


# --- the tables


@pytest.mark.usefixtures("library")
def test_tables(mariadb: MariaDb, mysql_url: str) -> None:
    database = mysql_url.rpartition("/")[2]
    keys = mariadb.run(
        "SELECT table_name, index_name, column_name FROM information_schema.statistics "  # noqa: S608
        f"WHERE table_schema = '{database}' ORDER BY table_name, index_name, seq_in_index"
    )
    assert keys == [
        ("fingerprints", "PRIMARY", "hash"),
        ("fingerprints", "PRIMARY", "recording_id"),
        ("fingerprints", "PRIMARY", "offset"),
        ("library", "PRIMARY", "name"),
        ("recordings", "content_sha1", "content_sha1"),
        ("recordings", "PRIMARY", "id"),
    ]
    collations = mariadb.run(
        "SELECT DISTINCT character_set_name FROM information_schema.columns "  # noqa: S608
        f"WHERE table_schema = '{database}' AND character_set_name IS NOT NULL"
    )
    assert collations == [("utf8mb4",)]


def test_the_same_on_partitions(library: Store, mariadb: MariaDb, mysql_url: str) -> None:
    database = mysql_url.rpartition("/")[2]
    mariadb.run(f"ALTER TABLE {database}.fingerprints PARTITION BY KEY (hash) PARTITIONS 4")
    library.add_many([recording(1), recording(2)], PRESET)
    assert len(library.find(recording(1).hashes, PRESET).hash_index) >= 200
    library.compact()
    library.remove(1)
    check_whole(library)


def test_tables_of_somebody_else_are_left_alone(mariadb: MariaDb, mysql_url: str) -> None:
    database = mysql_url.rpartition("/")[2]
    mariadb.run(f"CREATE TABLE {database}.recordings (x INT)", f"CREATE TABLE {database}.orders (x INT)")
    with open_store(mysql_url) as store:
        with pytest.raises(StoreError, match=r"another program's database \(tables recordings\)"):
            store.create()
        assert mariadb.run(f"SHOW TABLES IN {database}") == [("orders",), ("recordings",)]
        mariadb.run(f"DROP TABLE {database}.recordings")
        store.create()  # beside tables of other names
        assert not store.add(recording(1), PRESET).known


# --- connections lost


def others(mariadb: MariaDb, mysql_url: str) -> list[int]:
    database = mysql_url.rpartition("/")[2]
    rows = mariadb.run(f"SELECT id FROM information_schema.processlist WHERE db = '{database}'")  # noqa: S608
    return [row[0] for row in rows]


def test_a_connection_closed_by_the_server_is_opened_again(library: Store, mariadb: MariaDb, mysql_url: str) -> None:
    library.add(recording(1), PRESET)
    for work in (
        lambda: library.find(recording(1).hashes, PRESET),
        lambda: library.add(recording(2), PRESET),
        library.info,
    ):
        (number,) = others(mariadb, mysql_url)
        mariadb.run(f"KILL {number}")
        work()
    assert library.info().n_recordings == 2
    check_whole(library)


def test_a_transaction_lost_half_way_is_repeated(
    library: Store, mariadb: MariaDb, mysql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = sql._outcome
    kills = iter([True, True])

    def kill_first(*given: Any) -> Any:
        if next(kills, False):
            mariadb.run(f"KILL {others(mariadb, mysql_url)[0]}")
        return outcome(*given)

    monkeypatch.setattr(sql, "_outcome", kill_first)
    assert [x.known for x in library.add_many([recording(1), recording(2)], PRESET)] == [False, False]
    check_whole(library)
    assert library.info().n_recordings == 2


def test_a_server_that_comes_back_is_waited_for(library: Store, mariadb: MariaDb) -> None:
    library.add(recording(1), PRESET)
    mariadb.kill()
    returning = threading.Timer(0.3, mariadb.start)
    returning.start()
    library.add(recording(2), PRESET)
    returning.join()
    assert library.info().n_recordings == 2
    check_whole(library)


def test_a_server_that_does_not_come_back(library: Store, mariadb: MariaDb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MysqlStore, "retry_delays_s", (0.01, 0.02))
    library.add(recording(1), PRESET)
    mariadb.kill()
    try:
        with pytest.raises(StoreUnavailableError, match="not back after 0 s; run it again later"):
            library.add(recording(2), PRESET)
        with (
            open_store(mariadb.url("any")) as store,
            pytest.raises(StoreUnavailableError, match="no server answers"),
        ):
            store.info()
    finally:
        mariadb.start()
    assert library.info().n_recordings == 1
