"""``speechcmp report``: the summary that batch prints, again from its results, whole or not."""

import json
from pathlib import Path
from typing import Any

import pytest
from commands import Command

from speechcmp.batch.result_file import open_results
from speechcmp.batch.worker import content_key

OVERALL = ("distance", "score", "chunks")


def record(number: int) -> dict[str, Any]:
    distances = [0.2 + number / 100, None if number % 4 == 3 else 0.5, 0.1]
    chunks = [{"index": k, "status": "matched", "distance": x, "score": 50.0} for k, x in enumerate(distances)]
    return {
        "id": str(number),
        "reference": "r.wav",
        "take": f"t{number}.wav",
        "speaker": f"s{number % 3}",
        "overall": {"distance": 0.3 + number / 1000, "score": 50.0 + number, "chunks": 3},
        "chunks": chunks,
        "key": content_key(bytes([number]), b"", b""),
    }


def written(path: Path, n_rows: int = 12) -> Path:
    if path.suffix == ".parquet":
        pytest.importorskip("pyarrow")
    results = open_results(path, carried=("speaker",), overall=OVERALL)
    for number in range(n_rows):
        results.append(record(number))
    results.close()
    return path


FAILURE = {"schema": "speechcmp.failure/1", "id": "x", "reference": "r.wav", "take": "t.wav", "file": "t.wav"}


@pytest.fixture(params=["jsonl", "csv", "parquet"])
def results(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return written(tmp_path / f"r.{request.param}")


def test_every_format_gives_the_same(speechcmp: Command, results: Path, tmp_path: Path) -> None:
    failures = [{**FAILURE, "id": str(k), "reason": f"t.wav: silent (peak -{k} dBFS); record again"} for k in (70, 80)]
    failures.insert(0, failures[1])  # left by an earlier run, and noted again
    name = "r.failures.jsonl" if results.suffix == ".jsonl" else f"{results.name}.failures.jsonl"
    (tmp_path / name).write_text("\n".join(map(json.dumps, failures)) + "\n")
    done = speechcmp("report", results, "--by", "speaker", "--format", "json")
    assert (done.code, done.err) == (0, "")
    got = done.json
    assert got["schema"] == "speechcmp.summary/1"
    assert (got["rows"], got["scored"], got["failed"]) == (14, 12, 2)
    assert got["failures"] == [{"reason": "silent", "rows": 2}]
    assert got["score"]["mean"] == pytest.approx(55.5)
    assert [(group["value"], group["rows"]) for group in got["by"]["groups"]] == [("s0", 4), ("s1", 4), ("s2", 4)]
    assert got["by"]["groups"][1]["score"]["mean"] == pytest.approx(55.5)
    assert [(chunk["index"], chunk["missing"]) for chunk in got["worst_chunks"]] == [(1, 3), (0, 0), (2, 0)]
    table = speechcmp("report", results, "--by", "speaker").out.splitlines()
    assert table[0] == "12 scored, 2 failed of 14 rows"
    assert any(line.startswith("failed 2: silent") for line in table)


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_what_batch_printed(speechcmp: Command, reference: Path, take: Path, tmp_path: Path, suffix: str) -> None:
    rows = f"{reference},{take},a\n{reference},gone.wav,b\n{take},{reference},b\n"
    (tmp_path / "m.csv").write_text("reference,take,speaker\n" + rows)
    options = ("--by", "speaker", "--format", "json")
    printed = speechcmp("batch", "m.csv", "--out", f"r.{suffix}", "--jobs", 1, *options)
    assert printed.code == 3
    assert speechcmp("report", f"r.{suffix}", *options).json == printed.json


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_a_torn_last_line_is_said(speechcmp: Command, tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path / f"r.{suffix}")
    whole = path.read_bytes()
    for n_bytes in (2, 30):
        path.write_bytes(whole[:-n_bytes])
        done = speechcmp("report", path, "--format", "json")
        assert (done.code, done.json["rows"]) == (0, 11)
        assert done.err.startswith(f"speechcmp: warning: {path}: its last line is torn")
        assert path.read_bytes() == whole[:-n_bytes], "it is only read"
    path.write_bytes(whole[:9])
    assert speechcmp("report", path, "--format", "json").json["rows"] == 0


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_damage_is_said_and_left_out(speechcmp: Command, tmp_path: Path, suffix: str) -> None:
    path = written(tmp_path / f"r.{suffix}")
    lines = path.read_bytes().splitlines(keepends=True)
    lines[5] = b"\0" * 40 + b"\n"
    lines[8] = lines[8].replace(b'"index', b'"indes').replace(b'""index', b'""indes')
    path.write_bytes(b"".join(lines))
    done = speechcmp("report", path, "--format", "json")
    assert (done.code, done.json["rows"]) == (3, 10)
    assert f"{path}: 2 damaged, line 6 first, and left out" in done.err


def test_a_broken_shard(speechcmp: Command, tmp_path: Path) -> None:
    path = written(tmp_path / "r.parquet")
    (path / "part-000001.parquet").write_bytes(b"PAR1 no")
    done = speechcmp("report", path, "--format", "json")
    assert (done.code, done.json["rows"]) == (3, 12)
    assert "1 damaged, part-000001.parquet first" in done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gone.jsonl"], "gone.jsonl: no such file; name the results of a batch"),
        (["m.csv"], "m.csv: does not hold batch results"),
        (["c.jsonl"], "c.jsonl: does not hold batch results"),
        (["c.json"], "c.json: results are a .jsonl or .csv file, or a .parquet folder"),
        (["folder.csv"], "folder.csv: results are a .jsonl"),
        (["r.jsonl", "--by", "teacher"], "--by: no column 'teacher'; choose one of id, reference, speaker, take"),
        (["r.jsonl", "--failures", "gone"], "gone: no such file; name the failures"),
        (["r.jsonl", "--failures", "r.jsonl"], "r.jsonl: does not hold failures of a batch"),
    ],
)
def test_wrong_usage(speechcmp: Command, tmp_path: Path, arguments: list[str], message: str) -> None:
    written(tmp_path / "r.jsonl")
    (tmp_path / "m.csv").write_text("id,reference,take,speaker\n1,r,t,s\n")
    for name in ("c.jsonl", "c.json"):
        (tmp_path / name).write_text('{"schema": "speechcmp.compare/1"}\n')
    (tmp_path / "folder.csv").mkdir()
    done = speechcmp("report", *arguments)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert done.err.count("\n") == 1
