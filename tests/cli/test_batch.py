"""``speechcmp batch``: the contract, broken rows, kills, and Ctrl-C."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from commands import Command
from signals import sentences

from speechcmp.cli import progress
from speechcmp.scoring.model import load_model

N_PAIRS = 1000
KILLS = 3


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def shortened(comparison: dict[str, Any]) -> dict[str, Any]:
    """Return what a line of many keeps of a comparison as a whole."""
    return {name: value for name, value in comparison["overall"].items() if name != "score_parts"}


@pytest.fixture
def manifest(tmp_path: Path, reference: Path, take: Path) -> Path:
    path = tmp_path / "lesson" / "manifest.csv"
    path.parent.mkdir()
    path.write_text(
        f"id,reference,take,speaker\nx,../{reference.name},../{take.name},s1\n"
        f"y,../{reference.name},../{reference.name},s2\nz,../{take.name},../{reference.name},s2\n"
    )
    return path


def test_jsonl_is_the_contract(speechcmp: Command, manifest: Path, reference: Path, take: Path, tmp_path: Path) -> None:
    done = speechcmp("batch", manifest, "--out", tmp_path / "r.jsonl", "--jobs", 1)
    assert (done.code, done.err) == (0, "")
    got = lines_of(tmp_path / "r.jsonl")
    assert [line["id"] for line in got] == ["x", "y", "z"]
    assert got[0]["schema"] == "speechcmp.batch/1"
    assert (got[0]["reference"], got[0]["take"]) == (f"../{reference.name}", f"../{take.name}")
    assert [line["speaker"] for line in got] == ["s1", "s2", "s2"]
    alone = speechcmp("compare", reference, take, "--format", "json").json
    assert got[0]["overall"] == shortened(alone)
    assert [(c["index"], c["status"], c["distance"]) for c in got[0]["chunks"]] == [
        (c["index"], c["status"], c["distance"]) for c in alone["chunks"]
    ]
    assert not (tmp_path / "r.failures.jsonl").exists()


def test_csv_has_the_same_numbers(speechcmp: Command, manifest: Path, tmp_path: Path) -> None:
    for name in ("r.jsonl", "r.csv"):
        assert speechcmp("batch", manifest, "--out", tmp_path / name, "--jobs", 1).code == 0
    with (tmp_path / "r.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    for row, line in zip(table, lines_of(tmp_path / "r.jsonl"), strict=True):
        assert float(row["distance"]) == line["overall"]["distance"]
        assert json.loads(row["chunk_list"]) == line["chunks"]
        assert (row["speaker"], row["key"]) == (line["speaker"], line["key"])


def test_without_a_file_lines_are_printed(speechcmp: Command, manifest: Path, tmp_path: Path) -> None:
    printed = speechcmp("batch", manifest, "--jobs", 1)
    speechcmp("batch", manifest, "--out", tmp_path / "r.jsonl", "--jobs", 1)
    assert printed.out == (tmp_path / "r.jsonl").read_text()
    assert "3 scored, 0 failed of 3 rows" in printed.err


def test_a_folder_of_takes(speechcmp: Command, reference: Path, take: Path, tmp_path: Path) -> None:
    done = speechcmp("batch", "--reference", reference, "--takes", tmp_path, "--jobs", 1)
    assert [(line["id"], line["take"]) for line in done.lines] == [("1", str(take))], "not the reference itself"


def test_options_reach_the_comparison(speechcmp: Command, manifest: Path, reference: Path, take: Path) -> None:
    options = ("--recipe", "classic", "--silence-thresh=-40", "--band", "0.3")
    got = speechcmp("batch", manifest, "--jobs", 1, "--limit", 1, "--match", "index", *options).lines
    alone = speechcmp("compare", reference, take, "--by", "index", *options, "--format", "json").json
    assert [line["overall"] for line in got] == [shortened(alone)]


def test_calibration_reaches_the_score(speechcmp: Command, manifest: Path, tmp_path: Path) -> None:
    model = load_model()
    free = replace(model.sound, slopes=(0.0, 0.0))
    lenient = replace(model, sound=free, cepstra=free, verifier=replace(model.verifier, offset=1e6))
    (tmp_path / "model.json").write_text(lenient.to_json())
    options = ("--out", "r.jsonl", "--jobs", 2)
    speechcmp("batch", manifest, *options)
    before = lines_of(tmp_path / "r.jsonl")
    done = speechcmp("batch", manifest, *options, "--resume", "--calibration", "model.json")
    assert "3 of the earlier results belong to no row" in done.err, "other scores are other results"
    after = lines_of(tmp_path / "r.jsonl")
    assert [line["overall"]["distance"] for line in after] == [line["overall"]["distance"] for line in before]
    assert after[0]["overall"]["score"] != before[0]["overall"]["score"]
    (tmp_path / "bad.json").write_text("{}")
    assert speechcmp("batch", manifest, "--calibration", "bad.json").code == 2


def test_copies_are_flagged_and_counted(speechcmp: Command, samples: Path, tmp_path: Path) -> None:
    (tmp_path / "twin.flac").write_bytes((samples / "good-take.flac").read_bytes())
    takes = {"x": samples / "good-take.flac", "y": samples / "reference.flac", "z": samples / "poor-take.flac"}
    rows = [f"{name},{samples / 'reference.flac'},{take}" for name, take in (takes | {"twin": "twin.flac"}).items()]
    manifest = tmp_path / "m.csv"
    manifest.write_text("id,reference,take\n" + "\n".join(rows) + "\n")
    options = ("--flag-copies", "--jobs", 1, "--format", "json")
    done = speechcmp("batch", manifest, "--out", "r.jsonl", *options)
    assert done.json["copies"] == {"reference": 1, "take": 1}
    same = {"offset_s": 0.0, "confidence": 1.0}
    assert [line["copy"] for line in lines_of(tmp_path / "r.jsonl")] == [
        None,
        {"of": "reference", "id": None, "path": str(samples / "reference.flac"), **same},
        None,
        {"of": "take", "id": "x", "path": str(samples / "good-take.flac"), **same},
    ]
    assert list(lines_of(tmp_path / "r.jsonl")[0])[-2:] == ["copy", "key"]
    speechcmp("batch", manifest, "--out", "r.csv", *options)
    with (tmp_path / "r.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [(row["copy_of"], row["copy_id"]) for row in table] == [("", ""), ("reference", ""), ("", ""), ("take", "x")]
    for name in ("r.jsonl", "r.csv"):
        assert "copies 1 of their reference, 1 of another take\n" in speechcmp("report", name).out


def test_takes_that_match_nothing_are_rows_that_fail(speechcmp: Command, reference: Path, take: Path) -> None:
    done = speechcmp("batch", "--reference", reference, "--takes", "gone*.wav", "--takes", take, "--jobs", 1)
    assert done.code == 3
    assert [line["take"] for line in done.lines] == [str(take)]
    assert "row 1: gone*.wav: no such file" in done.err
    alone = speechcmp("batch", "--reference", reference, "--takes", "gone*.wav", "--jobs", 1)
    assert (alone.code, alone.err) == (1, "speechcmp: gone*.wav: no file matches; check the pattern\n")


def broken_files(folder: Path, whole: Path) -> dict[str, str]:
    """Make one of each kind; say how its error goes on after the name."""
    (folder / "text.wav").write_text("no audio at all")
    (folder / "empty.wav").write_bytes(b"")
    (folder / "folder.wav").mkdir()
    (folder / "cut.wav").write_bytes(whole.read_bytes()[:60_000])
    soundfile.write(folder / "silent.wav", np.zeros(16_000), 16_000)
    return {
        "missing.wav": "no such file",
        "silent.wav": "silent (peak -inf dBFS)",
        "cut.wav": "truncated",
        "text.wav": "not audio",
        "empty.wav": "",
        "folder.wav": "is a folder",
    }


def test_broken_rows_are_named_once_and_all_others_scored(
    speechcmp: Command, reference: Path, take: Path, tmp_path: Path
) -> None:
    kinds = broken_files(tmp_path, reference)
    takes = [take.name] * 114
    for k, name in enumerate(kinds):
        takes.insert(3 + 19 * k, name)
    text = "".join(f"{reference.name},{name}\n" for name in takes)
    (tmp_path / "m.csv").write_text("reference,take\n" + text)
    done = speechcmp("batch", "m.csv", "--out", "r.jsonl", "--jobs", 2, "--format", "json")
    assert done.code == 3
    scored, failed = lines_of(tmp_path / "r.jsonl"), lines_of(tmp_path / "r.failures.jsonl")
    assert len(scored) == 114
    assert [line["file"] for line in failed] == list(kinds)
    assert [int(line["id"]) for line in failed] == [4 + 19 * k for k in range(6)]
    for line in failed:
        assert line["schema"] == "speechcmp.failure/1"
        alone = speechcmp("compare", line["file"], reference.name)
        assert alone.err == f"speechcmp: {line['reason']}\n"
        assert line["reason"].startswith(f"{line['file']}: {kinds[line['file']]}")
    assert (done.json["scored"], done.json["failed"]) == (114, 6)
    assert sum(failure["rows"] for failure in done.json["failures"]) == 6


def test_none_could_be_scored(speechcmp: Command, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("reference,take\na.wav,b.wav\n")
    done = speechcmp("batch", "m.csv", "--jobs", 1)
    assert (done.code, done.out) == (1, "")
    assert "row 1: a.wav: no such file" in done.err


def test_max_failures(speechcmp: Command, take: Path, tmp_path: Path) -> None:
    (tmp_path / "m.csv").write_text("reference,take\n" + f"{take.name},gone.wav\n" * 50 + f"{take.name},{take.name}\n")
    done = speechcmp("batch", "m.csv", "--out", "r.jsonl", "--jobs", 1, "--max-failures", 2, "--failures", "f.jsonl")
    assert done.code == 1
    assert "stopped after" in done.err
    assert 2 <= len(lines_of(tmp_path / "f.jsonl")) < 50
    again = speechcmp("batch", "m.csv", "--out", "r.jsonl", "--jobs", 1, "--resume", "--failures", "f.jsonl")
    assert again.code == 3
    assert len(lines_of(tmp_path / "f.jsonl")) == 50


def test_nothing_is_overwritten(speechcmp: Command, manifest: Path, tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_text("mine\n")
    for resume, message in (([], "--resume goes on with it, or remove it"), (["--resume"], "does not hold")):
        done = speechcmp("batch", manifest, "--out", "r.jsonl", "--jobs", 1, *resume)
        assert done.code == 2
        assert message in done.err
    assert (tmp_path / "r.jsonl").read_text() == "mine\n"
    done = speechcmp("batch", manifest, "--out", "new.jsonl", "--failures", "r.jsonl", "--jobs", 1)
    assert (done.code, (tmp_path / "r.jsonl").read_text()) == (2, "mine\n")


def test_what_went_is_said(speechcmp: Command, manifest: Path, tmp_path: Path) -> None:
    speechcmp("batch", manifest, "--out", "r.jsonl", "--jobs", 1)
    before = (tmp_path / "r.jsonl").read_bytes()
    done = speechcmp("batch", manifest, "--out", "r.jsonl", "--jobs", 1, "--resume", "--recipe", "classic")
    assert done.code == 0
    assert "3 of the earlier results belong to no row of the manifest as it is now" in done.err
    assert (tmp_path / "r.jsonl.old").read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no manifest: name one, or give --reference and --takes"),
        (["gone.csv"], "gone.csv: no such file"),
        (["-"], "-: a manifest is read more than once"),
        (["m.csv", "--takes", "."], "not both"),
        (["m.csv", "--resume"], "--resume: needs the results"),
        (["m.csv", "--by", "speaker"], "--by: no column 'speaker'; choose one of reference, take, x"),
        (["m.csv", "--band", "2"], "band"),
        (["m.csv", "--recipe", "clasic"], "'clasic' is unknown"),
        (["m.csv", "--jobs", "0"], "--jobs: 0 is too few"),
        (["bad.csv", "--out", "r.jsonl"], "bad.csv: line 3: 1 fields, and the header has 2"),
        (["m.csv", "--out", "r.xlsx"], "r.xlsx: results are"),
    ],
)
def test_wrong_usage(speechcmp: Command, tmp_path: Path, arguments: list[str], message: str) -> None:
    (tmp_path / "m.csv").write_text("reference,take,x\na.wav,b.wav,1\n")
    (tmp_path / "bad.csv").write_text("reference,take\na.wav,b.wav\na.wav\n")
    done = speechcmp("batch", *arguments)
    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert done.err.count("\n") == 1
    assert not (tmp_path / "r.jsonl").exists()


def test_summary_by_speaker(speechcmp: Command, manifest: Path) -> None:
    done = speechcmp("batch", manifest, "--out", "r.jsonl", "--jobs", 1, "--by", "speaker", "--format", "json")
    assert done.json["schema"] == "speechcmp.summary/1"
    assert [(group["value"], group["rows"]) for group in done.json["by"]["groups"]] == [("s1", 1), ("s2", 2)]
    again = speechcmp("batch", manifest, "--out", "r.jsonl", "--jobs", 1, "--by", "speaker", "--resume")
    lines = [line.split() for line in again.out.splitlines()]
    assert lines[0] == ["3", "scored,", "0", "failed", "of", "3", "rows"]
    assert ["speaker", "rows", "distance", "spread"] in [line[:4] for line in lines]
    assert ["s2", "2"] in [line[:2] for line in lines]
    assert any(line[:2] == ["worst", "chunks"] for line in lines)


def test_progress_is_plain_lines(speechcmp: Command, manifest: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_EVERY_S", 0.0)
    done = speechcmp("batch", manifest, "--out", "r.jsonl", "--jobs", 1)
    assert [line.split(",")[0] for line in done.err.splitlines()] == [f"speechcmp: {n} of 3 rows" for n in (1, 2, 3)]
    assert "rows/s" in done.err
    assert "0 failed" in done.err


def test_duration() -> None:
    assert [progress._duration(seconds) for seconds in (0, 61, 3725.4)] == ["0:00", "1:01", "1:02:05"]


# --- interrupted and killed


@pytest.fixture
def many(tmp_path: Path) -> Path:
    for k in range(24):
        samples = sentences([(0.1, 0.6 + k / 100)], 0.8 + k / 50, 8000, seed=k, noise=1e-3)
        soundfile.write(tmp_path / f"w{k}.wav", samples, 8000)
    rows = [f"w{k % 24}.wav,w{k * 7 % 23}.wav,{k}" for k in range(N_PAIRS)]
    (tmp_path / "many.csv").write_text("\n".join(["reference,take,n", *rows]) + "\n")
    return tmp_path / "many.csv"


Start = Callable[..., subprocess.Popen[str]]


def start(many: Path, out: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "speechcmp", "batch", str(many), "--out", str(out), *options]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=many.parent,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, errors = process.communicate(timeout=120)
    return process.returncode, errors


def wait_until_larger(out: Path, n_bytes: int, process: subprocess.Popen[str]) -> None:
    while process.poll() is None and not (out.exists() and out.stat().st_size > n_bytes):
        time.sleep(0.005)


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_killed_at_random_and_resumed(many: Path, tmp_path: Path, suffix: str) -> None:
    whole, out = tmp_path / f"whole.{suffix}", tmp_path / f"r.{suffix}"
    assert finish(start(many, whole, "--jobs", "1"))[0] == 0
    n_lines = N_PAIRS + (suffix == "csv")
    assert whole.read_bytes().count(b"\n") == n_lines
    moments = np.random.default_rng(len(suffix))
    n_kills = 0
    for _ in range(KILLS):
        before = out.stat().st_size if out.exists() else 0
        process = start(many, out, "--jobs", "2", "--resume")
        wait_until_larger(out, before, process)
        time.sleep(moments.uniform(0, 0.15))
        process.kill()
        n_kills += finish(process)[0] == -signal.SIGKILL
        with out.open("ab") as file:  # and as if the last line had been torn by it
            file.write(whole.read_bytes()[-int(moments.integers(1, 200)) : -1])
    assert n_kills >= 2
    code, errors = finish(start(many, out, "--jobs", "2", "--resume"))
    assert (code, errors) == (0, "")
    assert out.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_interrupted_and_resumed(many: Path, tmp_path: Path, jobs: str) -> None:
    whole, out = tmp_path / "whole.jsonl", tmp_path / "r.jsonl"
    process = start(many, out, "--jobs", jobs)
    wait_until_larger(out, 0, process)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: workers get it, too
    code, errors = finish(process)
    assert code == 130
    assert "--resume goes on" in errors
    n_done = len(lines_of(out))
    assert 0 < n_done < N_PAIRS
    assert f"interrupted: {n_done} rows are done, {N_PAIRS - n_done} are left" in errors
    assert "Traceback" not in errors
    assert finish(start(many, out, "--jobs", jobs, "--resume")) == (0, "")
    assert finish(start(many, whole, "--jobs", jobs))[0] == 0
    assert out.read_bytes() == whole.read_bytes()
