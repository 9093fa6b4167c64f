"""Libraries that are not as this program makes them: one line that names the library and says what to do."""

# ruff: noqa: S608 - the statements are made of what stands here

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from fingerprint.store.conftest import MariaDb
from fingerprint.store.making import PRESET, recording

from speechcmp.errors import StoreError, StoreUnavailableError
from speechcmp.fingerprint.store.base import Store
from speechcmp.fingerprint.store.mysql import MysqlStore
from speechcmp.fingerprint.store.open import open_store
from speechcmp.fingerprint.voting import vote

VALUES = [
    "NULL",
    "'x'",
    "x'ff'",
    "CAST(x'ff' AS TEXT)",
    "''",
    "-1",
    "1.5",
    "9e999",
    "9223372036854775807",
    "zeroblob(99)",
]
ODD = ["'[1, 2]'", "'{}'", "'[[], {}]'", f"'[{'9' * 5000}]'", f"'{'[' * 3000}'", "'NaN'"]
COLUMNS = ["id", "name", "path", "content_sha1", "duration_s", "sample_rate", "n_hashes", "state", "added_at"]
UPDATES = {
    **{f"{column} {value}": f"UPDATE recordings SET {column} = {value}" for column in COLUMNS for value in VALUES},
    **{
        f"{column} {value}": f"UPDATE OR REPLACE fingerprints SET `{column}` = {value}"
        for column in ("hash", "recording_id", "offset")
        for value in VALUES
    },
    **{
        f"{name} {value[:20]}": f"INSERT OR REPLACE INTO library VALUES ('{name}', {value})"
        for name in ("schema", "preset")
        for value in VALUES + ODD
    },
}
ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x AS id FROM c"
SHAPES = {
    "a view": ["ALTER TABLE recordings RENAME TO r", "CREATE VIEW recordings AS SELECT * FROM r"],
    "an endless view": ["DROP TABLE recordings", f"CREATE VIEW recordings AS {ENDLESS}"],
    "a lost column": ["ALTER TABLE recordings DROP COLUMN state"],
    "a renamed column": ["ALTER TABLE fingerprints RENAME COLUMN `offset` TO place"],
    "a trigger": [f"CREATE TRIGGER t BEFORE DELETE ON recordings BEGIN SELECT COUNT(*) FROM ({ENDLESS}); END"],
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "x.db"
    with open_store(f"sqlite:///{path}") as store:
        store.add_many([recording(1), recording(2)], PRESET)
    return path


def identify(store: Store) -> object:
    hashes, info = recording(1).hashes, store.info()
    hits, places = store.find(hashes, PRESET), np.arange(len(hashes))
    frames = max(1, round(info.duration_s / 0.01))
    found = vote(hits, places, places.astype(float), hop_s=0.01, library_frames=frames)
    return store.describe({match.recording_id for match in found})


USES: dict[str, Callable[[Store], object]] = {
    "info": lambda store: store.info(),
    "list": lambda store: store.list(),
    "identify": identify,
    "known": lambda store: store.known([recording(1).content_sha1]),
    "add": lambda store: store.add_many([recording(1), recording(3)], PRESET),
    "remove": lambda store: store.remove(1),
    "compact": lambda store: store.compact(),
    "create": lambda store: store.create(),
}


def use(path: Path) -> list[str]:
    """Use a copy of the file in every way; return what is said."""
    said = []
    for action in USES.values():
        copy = path.with_name("copy.db")
        shutil.copy(path, copy)
        with open_store(f"sqlite:///{copy}") as store:
            try:
                action(store)
            except StoreError as error:
                said.append(str(error))
        for left in path.parent.glob("copy.db*"):
            left.unlink()
    assert all(text.startswith(f"{copy}: ") and "; " in text and "\n" not in text for text in said)
    return said


def changed(whole: Path, target: Path, *statements: str, loosely: bool = False) -> Path:
    """Change a copy; loosely, with tables that take any value."""
    shutil.copy(whole, target)
    with closing(sqlite3.connect(target, isolation_level=None)) as database:
        if loosely:
            database.execute("PRAGMA writable_schema = ON")
            database.execute("UPDATE sqlite_master SET sql = REPLACE(sql, 'NOT NULL', '') WHERE type = 'table'")
            database.execute("PRAGMA writable_schema = RESET")
        for statement in statements:
            database.execute(statement)
        database.execute("PRAGMA journal_mode = DELETE")
    return target


@pytest.mark.timeout(30)
@pytest.mark.parametrize("what", UPDATES)
def test_odd_values(what: str, whole: Path, tmp_path: Path) -> None:
    try:
        path = changed(whole, tmp_path / "x.db", UPDATES[what], loosely="NULL" in what)
    except sqlite3.IntegrityError:
        pytest.skip("SQLite itself takes no such value")
    use(path)


def test_an_odd_value_is_told(whole: Path, tmp_path: Path) -> None:
    said = use(changed(whole, tmp_path / "x.db", "UPDATE recordings SET duration_s = 9e999 WHERE id = 1"))
    assert "holds the duration inf, which no library holds; take a copy from before" in said[0]
    assert len(said) == 5, "all but known, remove, compact and create look at it"


@pytest.mark.timeout(30)
@pytest.mark.parametrize("what", SHAPES)
def test_tables_of_another_shape(what: str, whole: Path, tmp_path: Path) -> None:
    said = use(changed(whole, tmp_path / "x.db", *SHAPES[what]))
    assert len(said) == len(USES)
    assert all("take a copy from before, or fill a new library" in text for text in said)


@pytest.mark.timeout(30)
@pytest.mark.parametrize("damage", ["page", "half", "header", "zeros"])
def test_torn_files(damage: str, whole: Path, tmp_path: Path) -> None:
    data = bytearray(whole.read_bytes())
    if damage == "page":
        for start in range(4096, len(data), 4096):
            data[start : start + 200] = os.urandom(200)
    elif damage == "half":
        del data[len(data) // 2 + 100 :]
    elif damage == "header":
        data[16:60] = bytes(range(44))
    else:
        data[100:] = bytes(len(data) - 100)
    (tmp_path / "x.db").write_bytes(data)
    assert use(tmp_path / "x.db")


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "long", "in a file"])
def test_paths_that_no_library_is_at(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "x"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "in a file":
        path.touch()
    url = {"device": "sqlite:////dev/zero", "long": f"sqlite:///{'x' * 300}"}
    with open_store(url.get(kind, f"sqlite:///{path / 'y' if kind == 'in a file' else path}")) as store:
        for action in USES.values():
            with pytest.raises(StoreError, match=r"^[^\n]+: [^\n]+; [^\n]+$"):
                action(store)


def test_numbers_that_no_recording_has(whole: Path) -> None:
    with open_store(f"sqlite:///{whole}") as store:
        assert store.describe([2**63, -1, 2**31, 0]) == {}
        with pytest.raises(StoreError, match="no recording 9223372036854775808"):
            store.remove(2**63)


# --- what servers say


@pytest.fixture
def library(mysql_url: str) -> str:
    with open_store(mysql_url) as store:
        store.create()
        store.add(recording(1), PRESET)
    return mysql_url


def account(mariadb: MariaDb, url: str, rights: str, more: str = "") -> str:
    database = url.rpartition("/")[2]
    mariadb.run("DROP USER IF EXISTS guest", f"CREATE USER guest {more}", f"GRANT {rights} ON {database}.* TO guest")
    return url.replace("root@", "guest@")


@pytest.mark.parametrize(
    ("rights", "action"),
    [("SELECT", "identify"), ("SELECT, CREATE TEMPORARY TABLES", "add"), ("SELECT", "remove"), ("SELECT", "create")],
)
def test_missing_rights(rights: str, action: str, library: str, mariadb: MariaDb) -> None:
    with (
        open_store(account(mariadb, library, rights)) as store,
        pytest.raises(StoreError, match=r"denied .*; ask for GRANT SELECT, INSERT"),
    ):
        USES[action](store)


def test_a_server_that_can_only_be_read(library: str, mariadb: MariaDb) -> None:
    url = account(mariadb, library, "SELECT, INSERT, UPDATE, DELETE, CREATE TEMPORARY TABLES")
    mariadb.run("SET GLOBAL read_only = 1")
    try:
        with open_store(url) as store:
            USES["identify"](store)
            with pytest.raises(StoreError, match=r"read-only option.*; name the server that takes changes"):
                USES["add"](store)
    finally:
        mariadb.run("SET GLOBAL read_only = 0")


def test_too_many_connections(library: str, mariadb: MariaDb) -> None:
    url = account(mariadb, library, "SELECT", "WITH MAX_USER_CONNECTIONS 1")
    with open_store(url) as first, open_store(url) as second:
        first.info()
        with pytest.raises(StoreUnavailableError, match="run it again later, or have max_connections raised"):
            second.info()


def test_a_full_table(library: str, mariadb: MariaDb) -> None:
    mariadb.run("SET GLOBAL max_heap_table_size = 16384")
    try:
        with (
            open_store(library) as store,
            pytest.raises(StoreError, match=r"is full; make room .* max_heap_table_size"),
        ):
            store.find(np.zeros((40_000, 10), np.uint8), PRESET)
    finally:
        mariadb.run("SET GLOBAL max_heap_table_size = DEFAULT")


def test_packets_that_are_too_large(library: str, mariadb: MariaDb, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MysqlStore, "retry_delays_s", (0.01,))
    mariadb.run("SET GLOBAL max_allowed_packet = 1024")
    try:
        with open_store(library) as store, pytest.raises(StoreError, match="max_allowed_packet"):
            store.add(recording(2, 5_000), PRESET)
    finally:
        mariadb.run("SET GLOBAL max_allowed_packet = DEFAULT")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("ALTER TABLE recordings DROP COLUMN state", "not as speechcmp library init makes them"),
        ("ALTER TABLE recordings MODIFY duration_s TEXT", "the duration '2'"),
        ("ALTER TABLE recordings MODIFY name BLOB", "a recording called b'1.wav'"),
        ("ALTER TABLE recordings MODIFY content_sha1 VARCHAR(40) CHARACTER SET latin1", "the content_sha1 '"),
        ("ALTER TABLE recordings MODIFY n_hashes DOUBLE NULL", "the number of hashes 200.0"),
        ("ALTER TABLE recordings MODIFY n_hashes BIGINT", None),
        ("ALTER TABLE recordings MODIFY added_at TEXT NULL", None),
        ("UPDATE recordings SET state = 'half'", "the state 'half'"),
        ("UPDATE recordings SET duration_s = -1", "the duration -1.0"),
        ("UPDATE library SET value = 'NaN' WHERE name = 'preset'", None),
        ("UPDATE library SET value = '[[], {}]' WHERE name = 'preset'", None),
        ("ALTER TABLE fingerprints MODIFY recording_id BIGINT", None),
        ("UPDATE fingerprints SET recording_id = 0", None),
        ("ALTER TABLE fingerprints MODIFY `offset` TEXT, DROP PRIMARY KEY", None),
    ],
)
def test_odd_tables_of_a_server(change: str, said: str | None, library: str, mariadb: MariaDb) -> None:
    mariadb.run(f"USE {library.rpartition('/')[2]}", change)
    told = []
    for name in ("info", "list", "identify", "add", "remove"):
        with open_store(library) as store:
            try:
                USES[name](store)
            except StoreError as error:
                told.append(str(error))
    assert all(text.startswith(f"{library}: ") and "; " in text for text in told)
    assert said is None or any(said in text for text in told)
