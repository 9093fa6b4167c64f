"""Result files: what is written is found again, torn ends are cut off, and a full disk tears nothing."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from speechcmp.batch.layout import SCHEMA
from speechcmp.batch.result_file import ResultFile, open_results
from speechcmp.errors import ParameterError, SpeechcmpError

OVERALL = ("distance", "score", "chunks", "tempo")
SUFFIXES = ["jsonl", "csv", "parquet"]
Open = Callable[..., ResultFile]


def record(number: int, speaker: str = "s1") -> dict[str, Any]:
    distance = None if number % 3 == 2 else number / 7
    return {
        "id": str(number),
        "reference": "ref é.wav",
        "take": f"take,{number}.wav",
        "speaker": speaker,
        "overall": {"distance": distance, "score": 81.5, "chunks": 1, "tempo": 1.0},
        "chunks": [{"index": 0, "status": "matched", "distance": distance}],
        "key": f"{number:040x}",
    }


@pytest.fixture(params=SUFFIXES)
def suffix(request: pytest.FixtureRequest) -> str:
    if request.param == "parquet":
        pytest.importorskip("pyarrow")
    return str(request.param)


@pytest.fixture
def opened(tmp_path: Path, suffix: str) -> Open:
    def call(*, resume: bool = False, carried: tuple[str, ...] = ("speaker",), name: str = "r") -> ResultFile:
        return open_results(tmp_path / f"{name}.{suffix}", carried=carried, overall=OVERALL, resume=resume)

    return call


def fill(results: ResultFile, numbers: range, **words: str) -> list[int]:
    positions = [results.append(record(number, **words)) for number in numbers]
    results.close()
    return positions


def content(results: ResultFile) -> list[dict[str, Any]]:
    found = [results.read(position) for position, key in results.find_all() if key is not None]
    results.close()
    return found


def test_what_is_added_is_found_again(opened: Open) -> None:
    positions = fill(opened(), range(5))
    results = opened(resume=True)
    assert [tuple(found) for found in results.find_all()] == [
        (position, f"{number:040x}") for number, position in enumerate(positions)
    ]
    assert [results.read(position) for position in reversed(positions)] == [record(n) for n in range(4, -1, -1)]
    added = results.append(record(5))
    assert results.read(added) == record(5)
    results.close()
    assert content(opened(resume=True)) == [record(number) for number in range(6)]


def test_quotes_newlines_and_nothing_at_all(opened: Open) -> None:
    words = ['say "no"', "two\nlines", "cr\r\n", ",;\t", "", "a\0b"]
    for number, word in enumerate(words):
        fill(opened(resume=number > 0), range(1), speaker=word)
    assert [found["speaker"] for found in content(opened(resume=True))] == words


def test_half_a_surrogate_pair_is_written_as_an_escape(opened: Open) -> None:
    fill(opened(), range(1), speaker="half \ud800")
    (found,) = content(opened(resume=True))
    assert found["speaker"] in {"half \ud800", "half \\ud800"}


def test_jsonl_is_the_contract(tmp_path: Path) -> None:
    fill(open_results(tmp_path / "r.jsonl", carried=(), overall=()), range(2))
    lines = [json.loads(line) for line in (tmp_path / "r.jsonl").read_text().splitlines()]
    assert lines == [{"schema": SCHEMA, **record(number)} for number in range(2)]
    assert next(iter(lines[0])) == "schema"


def test_csv_is_one_table(tmp_path: Path) -> None:
    import csv

    fill(open_results(tmp_path / "r.csv", carried=("speaker",), overall=OVERALL), range(3))
    with (tmp_path / "r.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["distance"] for row in rows] == ["0.0", repr(1 / 7), ""]
    assert json.loads(rows[1]["chunk_list"]) == record(1)["chunks"]
    assert list(rows[0])[:5] == ["id", "reference", "take", "speaker", "distance"]


@pytest.mark.parametrize("suffix", ["jsonl", "csv"], indirect=True)
def test_torn_at_any_byte(opened: Open, tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)  # a thousand of them take a while
    path = tmp_path / f"r.{suffix}"
    fill(opened(), range(3), speaker='two\n"lines"')
    whole = path.read_bytes()
    records = [record(number, 'two\n"lines"') for number in range(3)]
    for n_bytes in range(len(whole)):
        path.write_bytes(whole[:n_bytes])
        results = opened(resume=True)
        found = [results.read(position) for position, _ in results.find_all()]
        assert found == records[: len(found)]
        for item in records[len(found) :]:
            results.append(item)
        results.close()
        assert path.read_bytes() == whole


@pytest.mark.parametrize("suffix", ["jsonl", "csv"], indirect=True)
def test_what_was_cut_off_is_not_read(opened: Open, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"r.{suffix}"
    positions = fill(opened(), range(3))
    path.write_bytes(path.read_bytes()[:-20])
    results = opened(resume=True)
    other = record(3, "another one, with a longer name")
    assert results.append(other) == positions[2]
    assert results.read(positions[2]) == other, "not the torn record that a buffer may hold still"
    assert results.read(positions[1]) == record(1)
    results.close()


@pytest.mark.parametrize("suffix", ["jsonl", "csv"], indirect=True)
def test_zeros_of_a_power_failure(opened: Open, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"r.{suffix}"
    fill(opened(), range(3))
    whole = path.read_bytes()
    path.write_bytes(whole + bytes(5000))
    assert content(opened(resume=True)) == [record(number) for number in range(3)]
    assert path.read_bytes() == whole
    second = whole.index(b"index", whole.index(b"take,1"))
    path.write_bytes(whole[:second] + bytes(5) + whole[second + 5 :])
    assert content(opened(resume=True)) == [record(0), record(2)]


def test_rewritten(opened: Open, tmp_path: Path, suffix: str) -> None:
    fill(opened(), range(4))
    results = opened(resume=True)
    positions = [position for position, _ in results.find_all()]
    chosen = [positions[3], positions[1]]
    results.rewrite((results.read(position) for position in chosen), keep_old=True)
    results.append(record(9))
    results.close()
    assert content(opened(resume=True)) == [record(3), record(1), record(9)]
    old = tmp_path / f"r.{suffix}.old"
    old.rename(tmp_path / f"before.{suffix}")
    assert content(opened(resume=True, name="before")) == [record(number) for number in range(4)]
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_a_rewrite_that_fails_changes_nothing(opened: Open) -> None:
    fill(opened(), range(3))
    results = opened(resume=True)

    def broken() -> Any:
        yield record(7)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        results.rewrite(broken(), keep_old=False)
    results.append(record(3))
    results.close()
    assert content(opened(resume=True)) == [record(number) for number in range(4)]


def open_names() -> set[str]:
    found = set()
    for fd in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the folder that is being read is among them
            found.add(str(fd.readlink()))
    return found


@pytest.mark.parametrize("suffix", ["jsonl", "csv"], indirect=True)
@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="no list of open files")
@pytest.mark.parametrize("refused", [False, True])
def test_rewritten_where_open_files_are_not_replaced(
    opened: Open, refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows, which refuses that also where it is another program that has the file open."""
    replace = Path.replace

    def strict(self: Path, target: Path) -> Path:
        if refused or {str(self), str(target)} & open_names():
            raise PermissionError(13, "in use")
        return replace(self, target)

    fill(opened(), range(3))
    monkeypatch.setattr(Path, "replace", strict)
    monkeypatch.setattr("speechcmp.batch.result_file._REPLACES_OPEN_FILES", False)
    results = opened(resume=True)
    if refused:
        with pytest.raises(SpeechcmpError, match="in use"):
            results.rewrite([record(7)], keep_old=False)
    else:
        results.rewrite([record(7)], keep_old=False)
    with pytest.raises(SpeechcmpError, match=r"another run \(process \d+ on .*\) is writing it"):
        opened(resume=True)
    added = results.append(record(8))
    assert results.read(added) == record(8)
    results.close()
    there = [record(number) for number in range(3)] if refused else [record(7)]
    assert content(opened(resume=True)) == [*there, record(8)]
    assert not [path for path in results.path.parent.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("suffix", ["csv", "parquet"], indirect=True)
def test_another_column(opened: Open) -> None:
    fill(opened(), range(2))
    same = opened(resume=True)
    assert not same.other_layout
    same.close()
    results = opened(resume=True, carried=("speaker", "lesson"))
    assert results.other_layout
    results.rewrite(({**results.read(position), "lesson": "L1"} for position, _ in results.find_all()), keep_old=False)
    assert not results.other_layout
    assert content(results) == [{**record(number), "lesson": "L1"} for number in range(2)]


def test_nothing_is_overwritten(opened: Open) -> None:
    fill(opened(), range(1))
    with pytest.raises(ParameterError, match=r"is there already; --resume goes on with it, or remove it first"):
        opened()


@pytest.mark.parametrize(
    "text",
    [
        "a diary\n",
        "id,other\n1,2\n",
        '{"schema": "speechcmp.split/1"}\n',
        "\0" * 9,
        "id,reference,take,teacher",
        "id,reference,take,teacher\n1,r,t,me\n",
        "id,reference,take,distance,chunk_list,mine\n",
        'id,reference,take,"teacher\n',
    ],
)
@pytest.mark.parametrize("suffix", ["jsonl", "csv"], indirect=True)
def test_files_of_others_are_left_alone(opened: Open, tmp_path: Path, suffix: str, text: str) -> None:
    path = tmp_path / f"r.{suffix}"
    path.write_text(text)
    with pytest.raises(ParameterError, match="does not hold batch results"):
        opened(resume=True)
    assert path.read_text() == text


@pytest.mark.parametrize("suffix", ["jsonl", "csv"], indirect=True)
def test_one_run_at_a_time(opened: Open) -> None:
    results = opened()
    results.append(record(0))
    with pytest.raises(SpeechcmpError, match=r"another run \(process \d+ on .*\) is writing it"):
        opened(resume=True)
    results.rewrite([record(1)], keep_old=False)
    with pytest.raises(SpeechcmpError, match=r"another run \(process \d+ on .*\) is writing it"):
        opened(resume=True)
    results.close()
    assert content(opened(resume=True)) == [record(1)]


@pytest.mark.parametrize(
    ("name", "message"),
    [("r.txt", r"results are \.jsonl"), ("no/r.jsonl", "no such folder"), ("r.csv", "column 'score'")],
)
def test_wrong_names(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        open_results(tmp_path / name, carried=("score",), overall=OVERALL)


FILL_THE_DISK = """
import json, resource, sys
from speechcmp.errors import SpeechcmpError
from speechcmp.batch.result_file import open_results
path, record, limit = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])
results = open_results(path, carried=("speaker",), overall=tuple(record["overall"]))
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    for number in range(1000):
        results.append({**record, "id": str(number)})
except SpeechcmpError as error:
    print(number, error, sep="\\n")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of a file's size")
@pytest.mark.parametrize("suffix", ["jsonl", "csv"], indirect=True)
@pytest.mark.parametrize("limit", [2000, 2001, 2150])
def test_full_disk(tmp_path: Path, suffix: str, limit: int) -> None:
    path = tmp_path / f"r.{suffix}"
    command = [sys.executable, "-c", FILL_THE_DISK, str(path), json.dumps(record(1)), str(limit)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    number, message = done.stdout.splitlines()
    assert message.startswith(f"{path}: can't be written (File too large)")
    assert "--resume" in message
    lines = path.read_bytes().splitlines(keepends=True)
    assert len(lines) == int(number) + (suffix == "csv")
    assert lines[-1].endswith(b"\n")
    assert path.stat().st_size <= limit
    results = open_results(path, carried=("speaker",), overall=OVERALL, resume=True)
    assert [found["id"] for found in content(results)] == [str(n) for n in range(int(number))]


def test_shards_of_a_killed_run_are_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow")
    from speechcmp.batch import parquet

    monkeypatch.setattr(parquet, "_SHARD_ROWS", 2)
    path = tmp_path / "r.parquet"
    results = open_results(path, carried=("speaker",), overall=OVERALL)
    for number in range(5):
        results.append(record(number))
    (path / ".shard.0.part").write_bytes(b"half a shard")
    assert isinstance(results, parquet.ParquetFolder)
    assert results._lock
    results._lock.release()  # killed here: nobody closes it, and the system lifts the lock
    again = open_results(path, carried=("speaker",), overall=OVERALL, resume=True)
    again.append(record(4))
    assert content(again) == [record(number) for number in range(4)]
    again.close()
    again = open_results(path, carried=("speaker",), overall=OVERALL, resume=True)
    assert content(again) == [record(number) for number in range(5)]


def test_killed_between_the_two_names_of_a_rewrite(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / "r.parquet"
    fill(open_results(path, carried=("speaker",), overall=OVERALL), range(2))
    path.rename(tmp_path / ".r-new.parquet")
    assert content(open_results(path, carried=("speaker",), overall=OVERALL, resume=True)) == [
        record(0),
        record(1),
    ]


def test_a_carriage_return_survives(opened: Open) -> None:
    fill(opened(), range(2), speaker="a\rb")
    fill(opened(resume=True), range(2, 3), speaker="c")
    assert [one["speaker"] for one in content(opened(resume=True))] == ["a\rb", "a\rb", "c"]


def test_a_stray_quote_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    columns = {"carried": ("speaker",), "overall": OVERALL}
    fill(open_results(path, **columns), range(4))  # type: ignore[arg-type]
    lines = path.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b"s1", b's1"', 1)
    path.write_bytes(b"".join(lines))
    (tmp_path / "r.csv.old").symlink_to(tmp_path / "precious")
    results = open_results(path, resume=True, **columns)  # type: ignore[arg-type]
    results.close()
    assert results.kept == tmp_path / "r.csv.old1"
    assert results.kept.read_bytes() == b"".join(lines)
    assert not (tmp_path / "precious").exists()


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    folder = tmp_path / "r.parquet"
    folder.mkdir()
    (folder / "part-000000.parquet").write_bytes(b"PAR1 torn")
    with pytest.raises(ParameterError, match=r"part-000000.parquet: is damaged"):
        open_results(folder, carried=(), overall=OVERALL, resume=True)


def test_files_of_others_stay_in_a_rewritten_folder(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    folder, old = tmp_path / "r.parquet", tmp_path / "r.parquet.old"
    old.mkdir()
    (old / "thesis.txt").write_text("mine")
    fill(open_results(folder, carried=("speaker",), overall=OVERALL), range(3))
    (folder / "notes.txt").write_text("mine, too")
    results = open_results(folder, carried=("speaker",), overall=OVERALL, resume=True)
    results.rewrite([record(1)], keep_old=False)
    results.close()
    assert (old / "thesis.txt").read_text() == "mine"
    assert (tmp_path / "r.parquet.old1" / "notes.txt").read_text() == "mine, too"
