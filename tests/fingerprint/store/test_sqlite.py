"""The SQLite file: made when needed and only then, and equal to schema.sql."""

import os
import re
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fingerprint.store.making import PRESET, recording

from speechcmp.errors import ParameterError, StoreError, StoreUnavailableError
from speechcmp.fingerprint.store import sqlite
from speechcmp.fingerprint.store.open import open_store
from speechcmp.fingerprint.store.sql import schema_statements
from speechcmp.fingerprint.store.sqlite import SqliteStore

ROOT = Path(__file__).resolve().parents[3]


def test_there_is_one_schema() -> None:
    text = re.sub(r"--.*", "", (ROOT / "schema.sql").read_text(encoding="utf-8"))
    assert " ".join(schema_statements()).split() == text.replace(";", " ").split()


def test_tables_equal_those_of_the_schema(tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path / 'x.db'}") as store:
        store.create()
    database = sqlite3.connect(tmp_path / "x.db")
    tables = {
        x[0]: x[1] for x in database.execute("SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'")
    }
    wanted = {}
    for statement in schema_statements():
        if found := re.match(r"CREATE TABLE IF NOT EXISTS (\w+) \((.*)\)", statement, re.DOTALL):
            wanted[found[1]] = re.findall(r"^ +`?([a-z_0-9]+)`? [A-Z]", found[2], re.MULTILINE)
    assert set(tables) == set(wanted) == {"library", "recordings", "fingerprints"}
    for table, columns in wanted.items():
        shape = database.execute(f"PRAGMA table_info({table})").fetchall()
        assert [column[1] for column in shape] == columns
        assert all(column[3] for column in shape if column[1] != "id"), "NOT NULL"
    keys = [x[1] for x in sorted(database.execute("PRAGMA table_info(fingerprints)"), key=lambda x: x[5])]
    assert keys == ["hash", "recording_id", "offset"]
    assert tables["fingerprints"].endswith("WITHOUT ROWID")
    assert "AUTOINCREMENT" in tables["recordings"]
    assert "UNIQUE (content_sha1)" in tables["recordings"]
    assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    database.close()


def test_adding_makes_file_and_folder_and_reading_does_not(tmp_path: Path) -> None:
    path = tmp_path / "data" / "speech comparison" / "library.db"
    with open_store(f"sqlite:///{str(path).replace(' ', '%20')}") as store:
        for read in (store.info, store.list, store.compact):
            with pytest.raises(StoreError, match="there is no library yet"):
                read()
        assert store.known([bytes(20)]) == {}
        assert not path.parent.exists()
        store.add(recording(1), PRESET)
    assert path.exists()


def test_relative_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with open_store("sqlite:///here.db") as store:
        store.create()
    assert (tmp_path / "here.db").exists()


@pytest.mark.parametrize(
    "table", ["things (x)", "recordings (title)", "library (title)"], ids=lambda table: table.split()[0]
)
def test_tables_of_somebody_else_are_left_alone(tmp_path: Path, table: str) -> None:
    path = tmp_path / "other.db"
    database = sqlite3.connect(path)
    database.execute(f"CREATE TABLE {table}")
    database.commit()
    database.close()
    before = path.read_bytes()
    with open_store(f"sqlite:///{path}") as store:
        for use in (store.create, lambda: store.add(recording(1), PRESET), store.info, store.list):
            with pytest.raises(StoreError, match="is another program's database") as caught:
                use()
            assert f"(tables {table.split(maxsplit=1)[0]}); nothing was changed" in str(caught.value)
    assert path.read_bytes() == before


def test_an_empty_file_is_as_good_as_none(tmp_path: Path) -> None:
    (tmp_path / "x.db").touch()
    with open_store(f"sqlite:///{tmp_path / 'x.db'}") as store:
        assert not store.add(recording(1), PRESET).known


@pytest.fixture
def shelf() -> Iterator[Path]:
    """Make a folder that others can get into, as pytest's own can't be."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)
        Path(folder).chmod(0o755)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Be somebody whom file permissions hold back."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_library_that_can_only_be_read(shelf: Path) -> None:
    path = shelf / "library.db"
    with open_store(f"sqlite:///{path}") as store:
        store.add(recording(1), PRESET)
    path.chmod(0o444)
    for rights in (0o555, 0o755):
        shelf.chmod(rights)
        with as_nobody(), open_store(f"sqlite:///{path}") as store:
            assert len(store.find(recording(1).hashes, PRESET).hash_index) >= 200
            assert store.info().n_recordings == len(store.list()) == 1
            with pytest.raises(StoreError, match="readonly database; check the file, its rights"):
                store.add(recording(2), PRESET)
    assert [entry.name for entry in shelf.iterdir()] == ["library.db"]


def test_a_library_that_can_only_be_read_and_was_left_unfinished(shelf: Path) -> None:
    path = shelf / "library.db"
    with open_store(f"sqlite:///{path}") as store:
        store.add(recording(1), PRESET)
        log = (shelf / "library.db-wal").read_bytes()  # gone when the last connection closes
        main = path.read_bytes()
    path.write_bytes(main)
    (shelf / "library.db-wal").write_bytes(log)
    shelf.chmod(0o555)
    with (
        as_nobody(),
        open_store(f"sqlite:///{path}") as store,
        pytest.raises(StoreError, match=r"library\.db-wal holds the latest changes"),
    ):
        store.info()


def test_a_library_that_can_not_be_read(shelf: Path) -> None:
    path = shelf / "library.db"
    with open_store(f"sqlite:///{path}") as store:
        store.create()
    path.chmod(0)
    with (
        as_nobody(),
        open_store(f"sqlite:///{path}") as store,
        pytest.raises(StoreError, match="unable to open database file; check the file, its rights"),
    ):
        store.info()


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but long enough to be looked at\n" * 100, encoding="utf-8")
    with open_store(f"sqlite:///{path}") as store:
        for use in (store.info, store.create, lambda: store.add(recording(1), PRESET)):
            with pytest.raises(StoreError, match="file is not a database; check the file"):
                use()


def test_a_folder_that_can_not_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        open_store(f"sqlite:///{tmp_path}/file/library.db") as store,
        pytest.raises(StoreError, match="its folder"),
    ):
        store.create()


def test_of_another_version(tmp_path: Path) -> None:
    with open_store(f"sqlite:///{tmp_path / 'x.db'}") as store:
        store.create()
        database = sqlite3.connect(tmp_path / "x.db")
        database.execute("UPDATE library SET value = '2' WHERE name = 'schema'")
        database.commit()
        database.close()
        with pytest.raises(StoreError, match="its tables are of version 2, this program's of 1"):
            store.add(recording(1), PRESET)


def test_busy_for_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert 10 <= sqlite._BUSY_S * (1 + len(SqliteStore.retry_delays_s)) + sum(SqliteStore.retry_delays_s) <= 15
    monkeypatch.setattr(sqlite, "_BUSY_S", 0.01)
    with open_store(f"sqlite:///{tmp_path / 'x.db'}") as store:
        store.create()
        other = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        assert store.info().n_recordings == 0  # reading goes on
        with pytest.raises(StoreUnavailableError, match=r"busy, another process has been writing to it for \d+ s"):
            store.add(recording(1), PRESET)
        store.compact()  # at another time, then
        other.close()
        assert not store.add(recording(1), PRESET).known


@pytest.mark.parametrize("url", ["sqlite:///", "sqlite://library.db", "sqlite:///a%00b", "sqlite://u:s3cret@h/x"])
def test_urls_without_a_file(url: str) -> None:
    with pytest.raises(ParameterError, match="give sqlite:///FILE") as caught:
        open_store(url)
    assert "s3cret" not in str(caught.value)


def test_options_are_named() -> None:
    with pytest.raises(ParameterError, match="unknown option 'mode'"):
        open_store("sqlite:///x.db?mode=ro")
