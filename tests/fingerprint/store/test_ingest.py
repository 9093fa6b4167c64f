"""Filling a library: every file a row, and killing anything at any moment changes nothing in the end."""

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from fingerprint.store import run_ingest
from fingerprint.store.conftest import MariaDb
from fingerprint.store.making import check_whole, content, fake_extract, make_files

from speechcmp.errors import ParameterError, ParameterMismatchError
from speechcmp.fingerprint import ingest as module
from speechcmp.fingerprint.ingest import Ingested, IngestFailure, Outcome, fingerprint_file, ingest
from speechcmp.fingerprint.peaks import DEJAVU, SPEECH
from speechcmp.fingerprint.store.base import Preset, Store, StoredRecording
from speechcmp.fingerprint.store.open import open_store
from speechcmp.parallel.processes import IN_FLIGHT_A_JOB

KILLS = 4
N_FILES, N_HASHES = 40, 800


def run(paths: list[str], store: Store, *, n_jobs: int = 1, limit_s: float | None = None) -> list[Outcome]:
    return list(ingest(paths, store, n_jobs=n_jobs, limit_s=limit_s, extract=fake_extract))


def added(rows: list[Outcome]) -> int:
    return sum(isinstance(row, Ingested) and not row.known for row in rows)


def test_every_file_is_a_row(tmp_path: Path, store: Store) -> None:
    paths = make_files(tmp_path / "in", 3)
    Path(paths[1]).write_text("bad", encoding="utf-8")
    odd = tmp_path / "in" / "odd.wav"
    odd.write_text("odd", encoding="utf-8")
    rows = {row.path: row for row in run([*paths, str(odd), "missing.wav"], store)}
    assert rows[paths[0]] == Ingested(paths[0], 1, False, 100, 1.0)
    assert rows[paths[1]] == IngestFailure(paths[1], f"{paths[1]}: not audio; give a recording")
    assert rows[str(odd)] == IngestFailure(str(odd), f"{odd}: KeyError: 'odd'")
    assert rows["missing.wav"] == IngestFailure("missing.wav", "missing.wav: no such file; check the path")
    assert added(list(rows.values())) == 2
    assert store.info().preset == Preset.of(SPEECH)


def test_what_is_known_is_not_fingerprinted(tmp_path: Path, store: Store) -> None:
    paths = make_files(tmp_path / "in", 2)
    first = {row.path: row for row in run(paths, store)}
    copy = tmp_path / "copy.wav"
    copy.write_bytes(Path(paths[0]).read_bytes())

    def never(*_: object) -> None:
        pytest.fail("fingerprinted again")

    again = list(ingest([copy], store, n_jobs=1, extract=never))  # type: ignore[arg-type]
    original = first[paths[0]]
    assert isinstance(original, Ingested)
    assert again == [Ingested(str(copy), original.recording_id, True, 0, 0.0)]


def test_processes_do_as_one_does(tmp_path: Path, sqlite_url: str) -> None:
    paths = make_files(tmp_path / "in", 20)
    with open_store(sqlite_url) as store, open_store(sqlite_url.replace("library", "other")) as other:
        assert added(run(paths, store, n_jobs=2)) == added(run(paths, other)) == 20
        assert content(store) == content(other)
        assert added(run(paths, store, n_jobs=2)) == 0


def test_a_worker_that_dies_costs_one_retry_and_then_a_row(tmp_path: Path, sqlite_url: str) -> None:
    paths = make_files(tmp_path / "in", 8)
    Path(paths[2]).write_text("die", encoding="utf-8")
    Path(paths[5]).write_text("die-once", encoding="utf-8")
    with open_store(sqlite_url) as store:
        rows = run(paths, store, n_jobs=2)
        assert [row for row in rows if isinstance(row, IngestFailure)] == [
            IngestFailure(
                paths[2], f"{paths[2]}: the worker died twice while reading it; check the file and the memory"
            )
        ]
        assert added(rows) == 7
        assert sorted(row.path for row in rows) == paths


def test_paths_are_read_as_needed(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_BATCH_RECORDINGS", 3)
    taken = 0

    def paths() -> Iterator[str]:
        nonlocal taken
        for path in make_files(tmp_path / "in", 50):
            taken += 1
            yield path

    rows = ingest(paths(), store, n_jobs=1, extract=fake_extract)
    for n_rows in range(1, 31):
        next(rows)
        assert taken <= n_rows + 3 + 3 * IN_FLIGHT_A_JOB + module._ASKED_AT_ONCE
    rows.close()  # type: ignore[attr-defined]
    assert store.info().n_recordings < 50


def test_more_than_the_head(tmp_path: Path, store: Store) -> None:
    paths = make_files(tmp_path / "in", 2, n_hashes=500)
    run(paths, store, limit_s=1.0)
    assert [x.state for x in store.list()] == ["head", "head"]
    assert all(row.known for row in run(paths, store, limit_s=0.5) if isinstance(row, Ingested))
    for limit_s, state in ((2.0, "head"), (None, "whole")):
        rows = [row for row in run(paths, store, limit_s=limit_s) if isinstance(row, Ingested)]
        assert [(row.known, row.extended, row.duration_s) for row in rows] == [(False, True, limit_s or 5.0)] * 2
        assert [x.state for x in store.list()] == [state, state]
        check_whole(store)
    for limit_s in (None, 3.0):
        assert all(row.known for row in run(paths, store, limit_s=limit_s) if isinstance(row, Ingested))


def test_the_store_is_asked_for_many_at_once(tmp_path: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = make_files(tmp_path / "in", 40)
    with open_store(sqlite_url) as store:
        asked: list[int] = []
        known = store.known

        def counted(contents: list[bytes]) -> Mapping[bytes, StoredRecording]:
            asked.append(len(contents))
            return known(contents)

        monkeypatch.setattr(store, "known", counted)
        assert added(run(paths, store)) == 40
    assert asked == [16, 16, 8]


def test_another_preset_ends_the_run(tmp_path: Path, store: Store) -> None:
    paths = make_files(tmp_path / "in", 2)
    run(paths[:1], store)
    with pytest.raises(ParameterMismatchError):
        list(ingest(paths, store, n_jobs=1, params=DEJAVU, extract=fake_extract))


def test_a_run_that_makes_a_library_grow_compacts_it(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    monkeypatch.setattr(module, "_COMPACT_HASHES", 100)
    monkeypatch.setattr(type(store), "compact", lambda _: calls.append(1))
    paths = make_files(tmp_path / "in", 12)
    run(paths[:10], store)
    run(paths[:10], store)
    run(paths[10:], store)  # a sixth is not worth it
    list(ingest(make_files(tmp_path / "more", 20), store, n_jobs=1, compact=False, extract=fake_extract))
    assert calls == [1]


@pytest.mark.parametrize("wrong", [{"n_jobs": 0}, {"limit_s": 0.0}, {"limit_s": -1.0}])
def test_what_can_not_be(store: Store, wrong: dict[str, float]) -> None:
    with pytest.raises(ParameterError, match="must be above 0"):
        list(ingest([], store, **wrong))  # type: ignore[arg-type]


def test_real_recordings(samples: Path, store: Store) -> None:
    rows = list(ingest([samples / "reference.flac"], store, n_jobs=1))
    assert added(rows) == 1
    stored = store.list()[0]
    found = fingerprint_file(str(samples / "reference.flac"), SPEECH, None)
    assert (stored.n_hashes, stored.duration_s) == (len(found.hashes), found.duration_s)
    assert len(store.find(found.hashes, Preset.of(SPEECH)).hash_index) >= len(found.hashes)
    head = fingerprint_file(str(samples / "reference.flac"), SPEECH, 1.0)
    assert (head.duration_s, head.whole) == (1.0, False)
    assert 0 < len(head.hashes) < len(found.hashes)


# --- killed


def start(url: str, folder: Path, n_jobs: int = 2) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, run_ingest.__file__, url, str(folder), str(n_jobs)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout
    assert process.stderr
    # Not communicate(): it would lose what readline() has read ahead.
    with process:
        output, errors = process.stdout.read(), process.stderr.read()
    assert process.returncode == 0, errors
    return output.splitlines()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make_files(tmp_path / "in", N_FILES, n_hashes=N_HASHES, kind="slow")
    return tmp_path / "in"


@pytest.fixture
def undisturbed(tmp_path: Path, folder: Path) -> list[tuple[bytes, bytes, int]]:
    with open_store(f"sqlite:///{tmp_path / 'undisturbed.db'}") as store:
        assert added(run([str(path) for path in folder.iterdir()], store)) == N_FILES
        return content(store)


def test_client_killed_and_run_again(
    url: str, store: Store, folder: Path, undisturbed: list[tuple[bytes, bytes, int]]
) -> None:
    moments = np.random.default_rng(1)
    reported: list[str] = []
    for _ in range(KILLS):
        process = start(url, folder)
        assert process.stdout
        first = process.stdout.readline()  # it is at work
        time.sleep(moments.uniform(0, 0.6))
        process.kill()
        rest, _ = process.communicate()
        reported += (first + rest).splitlines()
        check_whole(store)
        finished = {row.path for row in store.list()}
        assert {path for path in reported if path.endswith(".wav")} <= finished
    assert sorted(finish(start(url, folder))) == sorted(str(path) for path in folder.iterdir())
    assert content(store) == undisturbed


def test_server_killed_and_started_again(
    mariadb: MariaDb, mysql_url: str, folder: Path, undisturbed: list[tuple[bytes, bytes, int]]
) -> None:
    with open_store(mysql_url) as store:
        store.create()
    moments = np.random.default_rng(2)
    process = start(mysql_url, folder)
    assert process.stdout
    first = process.stdout.readline()
    for _ in range(KILLS):
        time.sleep(moments.uniform(0, 0.4))
        mariadb.kill()
        mariadb.start()
    rows = Counter([first.strip(), *finish(process)])
    assert rows == Counter(str(path) for path in folder.iterdir())
    with open_store(mysql_url) as store:
        check_whole(store)
        assert content(store) == undisturbed


def test_two_runs_at_once(url: str, store: Store, folder: Path, undisturbed: list[tuple[bytes, bytes, int]]) -> None:
    for process in [start(url, folder, 1), start(url, folder, 1)]:
        assert len(finish(process)) == N_FILES
    check_whole(store)
    assert content(store) == undisturbed
