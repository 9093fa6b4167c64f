"""``speechcmp index``, ``identify`` and ``library``, on real files and a real SQLite file."""

import io
import sqlite3
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from commands import Command, Ran
from signals import buzz, sentences

from speechcmp.fingerprint.store.base import LibraryInfo
from speechcmp.fingerprint.store.sqlite import SqliteStore

Library = str


@pytest.fixture
def lessons(tmp_path: Path) -> list[Path]:
    """Write three recordings of 12 s that share nothing."""
    paths = [tmp_path / "lessons" / f"lesson{k}.flac" for k in range(3)]
    paths[0].parent.mkdir()
    for k, path in enumerate(paths):
        rng = np.random.default_rng(k)
        samples = np.concatenate([buzz(4_000, pitch_hz=rng.uniform(90, 300), seed=100 * k + i) for i in range(48)])
        soundfile.write(path, samples, 16_000)
    return paths


@pytest.fixture
def db(tmp_path: Path) -> Library:
    return f"sqlite:///{tmp_path / 'library.db'}"


@pytest.fixture
def clip(tmp_path: Path, lessons: list[Path]) -> Path:
    samples, rate = soundfile.read(lessons[1])
    path = tmp_path / "clip.wav"
    soundfile.write(path, 0.3 * samples[5 * rate : 8 * rate], rate)
    return path


@pytest.fixture
def unknown(tmp_path: Path) -> Path:
    path = tmp_path / "unknown.wav"
    soundfile.write(path, sentences([(0.1, 2.8)], 3.0, seed=77), 16_000)
    return path


def index(speechcmp: Command, db: Library, *inputs: object) -> Ran:
    return speechcmp("index", "--db", db, "--jobs", 1, *inputs, "--format", "json")


def test_index_then_identify(speechcmp: Command, db: Library, lessons: list[Path], clip: Path, unknown: Path) -> None:
    added = index(speechcmp, db, lessons[0].parent)
    assert added.code == 0
    assert sorted((Path(row["path"]).name, row["status"]) for row in added.json["recordings"]) == [
        (path.name, "added") for path in lessons
    ]
    found = speechcmp("identify", "--db", db, clip, "--format", "json")
    assert found.code == 0
    assert found.json["schema"] == "speechcmp.identify/1"
    assert found.json["query"]["path"] == str(clip)
    assert found.json["query"]["duration_s"] == 3.0
    (match,) = found.json["matches"]
    assert set(match) == {*("recording_id", "name", "path", "offset_s", "votes", "confidence", "query_share")}
    assert (match["name"], match["path"]) == ("lesson1.flac", str(lessons[1]))
    assert match["offset_s"] == pytest.approx(5.0, abs=0.01)
    assert match["confidence"] > 0.999
    none = speechcmp("identify", "--db", db, unknown, "--format", "json")
    assert (none.code, none.json["matches"]) == (4, [])


def test_clips_are_answered_in_order(
    speechcmp: Command, db: Library, lessons: list[Path], clip: Path, unknown: Path, tmp_path: Path
) -> None:
    index(speechcmp, db, *lessons)
    result = speechcmp("identify", "--db", db, unknown, clip, lessons[2], "--format", "jsonl")
    assert result.code == 4
    assert [line["query"]["path"] for line in result.lines] == [str(unknown), str(clip), str(lessons[2])]
    assert [[match["name"] for match in line["matches"]] for line in result.lines] == [
        *([], ["lesson1.flac"], ["lesson2.flac"])
    ]
    table = speechcmp("identify", "--db", db, unknown, clip).out
    assert f"{unknown}: unknown" in table
    assert f"{clip}: lesson1.flac at 5.0" in table
    rows = speechcmp("identify", "--db", db, unknown, clip, "--format", "csv").out.splitlines()
    assert rows[0] == "query,recording_id,name,path,offset_s,votes,confidence,query_share"
    assert len(rows) == 3
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"")
    some = speechcmp("identify", "--db", db, broken, clip, "--format", "jsonl")
    assert (some.code, len(some.lines)) == (3, 1)
    assert "broken.wav: empty" in some.err


def test_many_clips_count_the_library_once(
    speechcmp: Command, db: Library, lessons: list[Path], clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index(speechcmp, db, *lessons)
    info, asked = SqliteStore.info, []

    def counted(store: SqliteStore) -> LibraryInfo:
        asked.append(store.label)
        return info(store)

    monkeypatch.setattr(SqliteStore, "info", counted)
    found = speechcmp("identify", "--db", db, clip, *lessons, "--format", "jsonl").lines
    assert [line["matches"][0]["name"] for line in found] == ["lesson1.flac", *(path.name for path in lessons)]
    assert len(asked) == 1


def test_clip_from_standard_input(
    speechcmp: Command, db: Library, lessons: list[Path], clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index(speechcmp, db, *lessons)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(clip.read_bytes())))
    assert speechcmp("identify", "--db", db, "-", "-f", "json").json["matches"][0]["name"] == "lesson1.flac"
    refused = speechcmp("index", "--db", db, "-")
    assert (refused.code, "stream" in refused.err) == (2, True)


def test_known_content_is_skipped_and_said_so(
    speechcmp: Command, db: Library, lessons: list[Path], tmp_path: Path
) -> None:
    index(speechcmp, db, lessons[0])
    renamed = tmp_path / "another name.flac"
    renamed.write_bytes(lessons[0].read_bytes())
    again = speechcmp("index", "--db", db, renamed, lessons[1], "--jobs", 1)
    assert "another name.flac: known already as recording 1, skipped" in again.out
    assert "1 added" in again.out
    info = speechcmp("library", "info", "--db", db, "--format", "json").json
    assert (info["recordings"], info["preset"]) == (2, "speech")


def test_all_places_of_a_clip(speechcmp: Command, db: Library, lessons: list[Path], tmp_path: Path) -> None:
    index(speechcmp, db, *lessons)
    (one, rate), (two, _) = soundfile.read(lessons[0]), soundfile.read(lessons[2])
    both = tmp_path / "both.wav"
    soundfile.write(both, np.concatenate([one[: 4 * rate], two[2 * rate : 6 * rate]]), rate)
    found = speechcmp("identify", "--db", db, both, "--all", "--format", "json").json["matches"]
    places = {match["name"]: match["offset_s"] for match in found}
    assert places["lesson0.flac"] == pytest.approx(0.0, abs=0.02)
    assert places["lesson2.flac"] == pytest.approx(-2.0, abs=0.02)


def test_list_and_remove(speechcmp: Command, db: Library, lessons: list[Path], clip: Path) -> None:
    index(speechcmp, db, *lessons)
    rows = speechcmp("library", "list", "--db", db, "--format", "json").json["recordings"]
    assert {"id", "name", "path", "duration_s", "hashes", "added_at", "state"} == set(rows[0])
    assert sorted(row["name"] for row in rows) == [path.name for path in lessons]
    (gone,) = (row["id"] for row in rows if row["name"] == "lesson1.flac")
    assert speechcmp("library", "remove", gone, "--db", db).code == 0
    assert speechcmp("identify", "--db", db, clip).code == 4
    kept = next(row["id"] for row in rows if row["id"] != gone)
    missing = speechcmp("library", "remove", kept, gone, 10**30, "--db", db)
    assert missing.code == 1
    assert f"no recording {gone}, {10**30}, nothing was removed" in missing.err
    listed = speechcmp("library", "list", "--db", db).out
    assert "lesson0.flac" in listed
    assert "lesson2.flac" in listed


def test_head_only(speechcmp: Command, db: Library, lessons: list[Path], clip: Path) -> None:
    speechcmp("index", "--db", db, "--limit", 4, "--jobs", 1, *lessons[:2])
    assert speechcmp("identify", "--db", db, clip).code == 4
    rows = speechcmp("library", "list", "--db", db, "-f", "json").json["recordings"]
    assert {(row["duration_s"], row["state"]) for row in rows} == {(4.0, "head")}
    assert "head" in speechcmp("library", "list", "--db", db).out
    longer = speechcmp("index", "--db", db, "--limit", 6, "--jobs", 1, lessons[0])
    (number,) = (row["id"] for row in rows if row["name"] == "lesson0.flac")
    assert f"{lessons[0]}: of recording {number} only a shorter head was known; to 6 s now" in longer.out
    whole = speechcmp("index", "--db", db, "--jobs", 1, *lessons)
    assert "only a shorter head was known; whole now" in whole.out
    assert "1 added, 2 extended (" in whole.out
    assert speechcmp("identify", "--db", db, clip).code == 0
    after = speechcmp("library", "list", "--db", db, "-f", "json").json["recordings"]
    assert [row["id"] for row in after[:2]] == [row["id"] for row in rows]
    assert {(row["duration_s"], row["state"]) for row in after} == {(12.0, "whole")}
    again = index(speechcmp, db, "--limit", 4, *lessons).json["recordings"]
    assert {row["status"] for row in again} == {"known"}


def test_bad_files_do_not_end_the_run(speechcmp: Command, db: Library, lessons: list[Path], tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_text("words")
    result = index(speechcmp, db, tmp_path / "bad.wav", lessons[0], tmp_path / "missing.wav")
    assert result.code == 3
    assert sorted(row["status"] for row in result.json["recordings"]) == ["added", "failed", "failed"]
    assert "bad.wav: " in result.err
    assert "missing.wav: no such file" in result.err


def test_there_is_no_library_yet(speechcmp: Command, db: Library, clip: Path) -> None:
    result = speechcmp("identify", "--db", db, clip)
    assert result.code == 1
    assert "speechcmp library init" in result.err
    assert speechcmp("library", "init", "--db", db).code == 0
    assert speechcmp("library", "init", "--db", db).code == 0
    assert speechcmp("identify", "--db", db, clip).code == 4


def test_another_programs_file_is_left_alone(speechcmp: Command, clip: Path, tmp_path: Path) -> None:
    database = sqlite3.connect(tmp_path / "cookies.db")
    database.execute("CREATE TABLE cookies (x)")
    database.commit()
    database.close()
    before = (tmp_path / "cookies.db").read_bytes()
    url = f"sqlite:///{tmp_path / 'cookies.db'}"
    for arguments in (["library", "init"], ["index", "--jobs", 1, clip], ["identify", clip], ["library", "list"]):
        result = speechcmp(*arguments, "--db", url)
        assert (result.code, result.out) == (1, "")
        assert "cookies.db: is another program's database (tables cookies); nothing was changed" in result.err
    assert (tmp_path / "cookies.db").read_bytes() == before


@pytest.mark.parametrize("url", ["postgres://x/y", "library.db", "mysql://root@localhost/x?nonsense=1"])
def test_wrong_urls(speechcmp: Command, clip: Path, url: str) -> None:
    result = speechcmp("identify", "--db", url, clip)
    assert result.code == 2
    assert result.err.count("\n") == 1


@pytest.mark.parametrize("kind", ["sqlite", "postgres", "MYSQL", "root:s3cret@host", "mysql+x"])
def test_wrong_urls_are_not_quoted(speechcmp: Command, clip: Path, kind: str) -> None:
    for arguments in (["identify", clip], ["index", "--jobs", 1, clip], ["library", "info"]):
        result = speechcmp(*arguments, "--db", f"{kind}://root:s3cret@host/x")
        assert result.code == 2
        assert "database URL" in result.err
        assert "s3cret" not in result.err + result.out


def test_passwords_are_not_shown(speechcmp: Command, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPEECHCMP_DB_PASSWORD", "other-s3cret")
    for arguments in (["identify", clip], ["--debug", "identify", clip]):
        try:
            result = speechcmp(*arguments, "--db", "mysql://root:s3cret@127.0.0.1:1/x?connect_timeout=1")
            shown = result.out + result.err
        except Exception as error:  # noqa: BLE001 - what --debug shows
            shown = repr(error) + repr(error.__cause__)
        assert "s3cret" not in shown
        assert "127.0.0.1" in shown


def test_copies_are_flagged(speechcmp: Command, lessons: list[Path], tmp_path: Path) -> None:
    samples, rate = soundfile.read(lessons[0])
    soundfile.write(tmp_path / "copy.ogg", 0.5 * samples[2 * rate :], rate)
    takes = (tmp_path / "copy.ogg", lessons[1])
    result = speechcmp("compare", lessons[0], *takes, "--flag-copies", "--format", "jsonl")
    copied, other = result.lines
    assert copied["copy"]["offset_s"] == pytest.approx(2.0, abs=0.02)
    assert "is a copy of" in copied["warnings"][-1]
    assert "copy" not in other
