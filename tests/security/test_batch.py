"""A batch's files, while somebody edits, removes, replaces or locks them; and how it ends when it is told to."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import soundfile
from commands import Command
from signals import sentences

from speechcmp.audio.url import without_secrets
from speechcmp.batch.layout import Layout
from speechcmp.batch.reader import read_results
from speechcmp.batch.result_file import CsvLines, open_results
from speechcmp.comparison.serialize import OVERALL_COLUMNS
from speechcmp.errors import SpeechcmpError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and inodes of a kind")
N_TAKES, N_ROWS = 24, 550
SUFFIXES = ["jsonl", "csv", "parquet"]


def words(order: Iterable[int]) -> str:
    rows = [f"w{k % N_TAKES}.wav,w{k * 7 % 23}.wav,{k}" for k in order]
    return "\n".join(["reference,take,n", *rows]) + "\n"


@pytest.fixture
def spoken(tmp_path: Path) -> Path:
    for k in range(N_TAKES):
        samples = sentences([(0.1, 0.6 + k / 50)], 0.9 + k / 50, 8_000, seed=k, noise=1e-3)
        soundfile.write(tmp_path / f"w{k}.wav", samples, 8_000)
    (tmp_path / "m.csv").write_text(words(range(N_ROWS)))
    return tmp_path


def start(folder: Path, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "speechcmp", "batch", "m.csv", "--jobs", "1", *options]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, cwd=folder, start_new_session=True)


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, told = process.communicate(timeout=100)
    return process.returncode, told


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    while process.poll() is None and not (path.exists() and (path.is_dir() or path.stat().st_size)):
        time.sleep(0.005)


def scored(path: Path) -> list[tuple[Any, ...]]:
    """Return what identifies each row, and its distance."""
    records = [entry.record for entry in read_results(path)]
    assert None not in records
    return [(x["n"], x["reference"], x["take"], x["overall"]["distance"]) for x in records if x]


# -------------------------------------------------------------------------------- what changes meanwhile


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_manifest_edited_meanwhile_mixes_up_no_rows(spoken: Path, suffix: str) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    whole, out = spoken / f"whole.{suffix}", spoken / f"r.{suffix}"
    assert finish(start(spoken, "--out", str(whole)))[0] == 0
    truth = {row[:3]: row[3] for row in scored(whole)}
    assert finish(start(spoken, "--out", str(out), "--limit", "20"))[0] == 0
    process = start(spoken, "--out", str(out), "--resume")
    rng = random.Random(1)  # noqa: S311 - the same edits for everybody
    while process.poll() is None:
        order = list(range(N_ROWS))
        rng.shuffle(order)
        (spoken / "edited").write_text(words(order[: rng.randrange(10, N_ROWS)]))
        (spoken / "edited").replace(spoken / "m.csv")  # half a manifest is refused, and no test of this
        time.sleep(0.02)
    assert finish(process)[0] == 0
    found = scored(out)
    assert {row[:3]: row[3] for row in found} == truth or set(found) <= {(*key, value) for key, value in truth.items()}
    assert max(Counter(row[:3] for row in found).values()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_killed_and_edited_and_resumed(spoken: Path, suffix: str) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    n_kills, n_edits = (int(os.environ.get(name, "3")) for name in ("SPEECHCMP_KILLS", "SPEECHCMP_EDITS"))
    whole, out = spoken / f"whole.{suffix}", spoken / f"r.{suffix}"
    assert finish(start(spoken, "--out", str(whole)))[0] == 0
    rng = random.Random(2)  # noqa: S311
    n_killed = 0
    for k in range(n_kills + n_edits):
        process = start(spoken, "--out", str(out), "--resume")
        wait_for(out, process)
        time.sleep(rng.uniform(0, 0.8))
        if k < n_edits:
            (spoken / "edited").write_text(words(rng.sample(range(N_ROWS), N_ROWS)))
            (spoken / "edited").replace(spoken / "m.csv")
            time.sleep(rng.uniform(0, 0.2))
        process.kill()
        n_killed += finish(process)[0] == -signal.SIGKILL
    (spoken / "m.csv").write_text(words(range(N_ROWS)))
    assert finish(start(spoken, "--out", str(out), "--resume"))[0] == 0
    assert scored(out) == scored(whole)
    assert n_killed >= n_kills // 2


@pytest.mark.parametrize("what", ["removed", "replaced", "cut short", "written to"])
def test_results_that_somebody_touches_are_missed(spoken: Path, what: str) -> None:
    out = spoken / "r.jsonl"
    process = start(spoken, "--out", str(out))
    wait_for(out, process)
    if what == "removed":
        out.unlink()
    elif what == "replaced":
        (spoken / "other").write_text("")
        (spoken / "other").replace(out)
    elif what == "cut short":
        os.truncate(out, 1)
    else:
        with out.open("ab") as file:
            file.write(b"x")
    _, told = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"r.jsonl: was {what} while the run wrote to it" in told
    assert "--resume" in told


def test_shards_that_somebody_removes_are_missed(spoken: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow")
    monkeypatch.setattr("speechcmp.batch.parquet._SHARD_ROWS", 1)
    results = open_results(spoken / "r.parquet", carried=(), overall=OVERALL_COLUMNS)
    record = {"id": "1", "reference": "r", "take": "t", "overall": {}, "chunks": [], "key": "0" * 40}
    results.append(record)
    next((spoken / "r.parquet").glob("part-*")).unlink()
    for _ in range(2):
        with pytest.raises(SpeechcmpError, match=r"part-000000.parquet was removed"):
            results.append(record)
    with pytest.raises(SpeechcmpError, match="was removed"):
        results.close()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_one_run_at_a_time_whatever_the_format(spoken: Path, suffix: str) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    out = spoken / f"r.{suffix}"
    process = start(spoken, "--out", str(out))
    wait_for(out, process)
    process.send_signal(signal.SIGSTOP)
    code, told = finish(start(spoken, "--out", str(out), "--resume"))
    process.send_signal(signal.SIGCONT)
    assert finish(process)[0] == 0
    assert (code, f"process {process.pid} on" in told) == (1, True)
    assert len(scored(out)) == N_ROWS
    assert not [path for path in spoken.iterdir() if path.name.startswith(".")]


# ---------------------------------------------------------------------------------------------- failures


def test_formats_do_not_share_failures(speechcmp: Command, spoken: Path) -> None:
    (spoken / "m.csv").write_text("reference,take\nw0.wav,gone.wav\n")
    for name in ("s.csv", "s.jsonl"):
        assert speechcmp("batch", "m.csv", "--out", name, "--jobs", 1).code == 1
    assert sorted(path.name for path in spoken.glob("*.failures.jsonl")) == ["s.csv.failures.jsonl", "s.failures.jsonl"]
    for name in ("s.csv", "s.jsonl"):
        assert speechcmp("report", name, "--format", "json").json["failed"] == 1


def test_failures_that_were_not_tried_again_are_kept(speechcmp: Command, spoken: Path) -> None:
    rows = ["w0.wav,gone1.wav", "w0.wav,gone2.wav", "w0.wav,w1.wav"]
    (spoken / "m.csv").write_text("\n".join(["reference,take", *rows]) + "\n")
    noted = spoken / "r.failures.jsonl"

    def failed() -> list[str]:
        return [json.loads(line)["take"] for line in noted.read_text().splitlines()] if noted.exists() else []

    call = ("batch", "m.csv", "--out", "r.jsonl", "--jobs", 1)
    assert speechcmp(*call).code == 3
    assert failed() == ["gone1.wav", "gone2.wav"]
    (spoken / "gone1.wav").write_bytes((spoken / "w2.wav").read_bytes())
    assert speechcmp(*call, "--resume", "--limit", 1).code == 0
    assert failed() == ["gone2.wav"], "the first is settled, the second was not tried"
    assert speechcmp(*call, "--resume").code == 3
    assert failed() == ["gone2.wav"]
    (spoken / "m.csv").write_text("reference,take\nw0.wav,w1.wav\n")
    assert speechcmp(*call, "--resume").code == 0
    assert not noted.exists(), "of no row any more"


# --------------------------------------------------------------------------------------------- damage


@pytest.mark.parametrize("damage", ['"overall": 3', '"overall": {"distance": "far"}', '"overall": {}, "chunks": [{}]'])
def test_a_record_damaged_behind_its_key_is_scored_anew(speechcmp: Command, spoken: Path, damage: str) -> None:
    (spoken / "m.csv").write_text(words(range(3)))
    call = ("batch", "m.csv", "--out", "r.jsonl", "--jobs", 1)
    assert speechcmp(*call).code == 0
    out = spoken / "r.jsonl"
    before = out.read_text()
    first, second, third = before.splitlines()
    key = json.loads(second)["key"]
    head = json.loads(second) | {"schema": "speechcmp.batch/1"}
    spoilt = f'{{"schema": "speechcmp.batch/1", "id": "2", "reference": "{head["reference"]}", "take": "x", {damage}, '
    spoilt += ("" if "chunks" in damage else '"chunks": [], ') + f'"key": "{key}"}}'
    json.loads(spoilt)
    out.write_text(f"{first}\n{spoilt}\n{third}\n")
    assert speechcmp(*call, "--resume").code == 0
    assert out.read_text() == before


def test_a_stray_quote_is_read_once() -> None:
    class Counted(bytes):
        n_read = 0

        def count(self, *sought: Any) -> int:
            Counted.n_read += len(self)
            return super().count(*sought)

    lines = [Counted(b'1,r,t,"\n'), *(Counted(b"2,r,t,0.5,[],\n") for _ in range(2_000))]
    (record,) = CsvLines(Layout((), ())).records(iter(lines))  # type: ignore[arg-type]
    assert len(record) == sum(map(len, lines))
    assert Counted.n_read <= 2 * len(record)


# ------------------------------------------------------------------------------------------------ signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_term_and_hup_end_as_quietly_as_ctrl_c(spoken: Path, number: int) -> None:
    out = spoken / "r.jsonl"
    process = start(spoken, "--out", str(out))
    wait_for(out, process)
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "--resume goes on" in told
    assert "Traceback" not in told
    assert finish(start(spoken, "--out", str(out), "--resume"))[0] == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_other_commands_end_at_once(number: int) -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-m", "speechcmp", "split", "-"], stdin=pipe, stdout=pipe, stderr=pipe
    ) as process:
        assert process.stdin and process.stdout and process.stderr  # noqa: PT018
        process.stdin.write(bytes(1 << 20))  # returns when most of it has been read
        time.sleep(0.5)  # now it waits for more
        process.send_signal(number)
        assert process.wait(20) == 128 + number
        assert process.stdout.read() + process.stderr.read() == b""


def test_a_second_ctrl_c_waits_for_nobody(spoken: Path) -> None:
    """Workers are stopped in the middle of a task, so that whoever waits for them waits for ever."""
    process = start(spoken, "--out", "r.jsonl", "--jobs", "2")
    wait_for(spoken / "r.jsonl", process)
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(process.pid)], capture_output=True, text=True, check=False
    )
    workers = [int(word) for word in listed.stdout.split()]
    for worker in workers:
        os.kill(worker, signal.SIGSTOP)
    try:
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 130
    finally:
        for worker in workers:
            os.kill(worker, signal.SIGKILL)
    process.communicate()


# ------------------------------------------------------------------------------------------------ names


def test_files_that_only_look_like_ours_are_kept(speechcmp: Command, spoken: Path) -> None:
    (spoken / "m.csv").write_text(words(range(2)))
    thesis, lock, backup = spoken / "thesis", spoken / ".r.jsonl.lock", spoken / ".r.jsonl.backup.part"
    thesis.write_text("process of years")
    backup.write_text("precious")
    call = ("batch", "m.csv", "--out", "r.jsonl", "--jobs", 1)
    lock.hardlink_to(thesis)
    assert "is in the way" in speechcmp(*call).err
    lock.unlink()
    lock.write_text("a diary")
    assert (speechcmp(*call).code, lock.read_text()) == (1, "a diary")
    lock.unlink()
    for target in ("nothing", "r.jsonl", "thesis"):
        (spoken / "r.jsonl").symlink_to(target)
        assert speechcmp(*call, "--resume").err == "speechcmp: r.jsonl: is a link; name what it leads to\n"
        (spoken / "r.jsonl").unlink()
    assert speechcmp(*call).code == 0
    assert (thesis.read_text(), backup.read_text(), lock.exists()) == ("process of years", "precious", False)
    assert not (spoken / "nothing").exists()
    for suffix in ("jsonl", "csv", "parquet"):
        call = ("batch", "m.csv", "--out", f"true.{suffix}", "--jobs", 1)
        assert speechcmp(*call).code == 0
        link = spoken / f"link.{suffix}"
        link.symlink_to(f"true.{suffix}")
        assert "is a link; name what it leads to" in speechcmp(*call[:3], link.name, "--resume").err


@pytest.mark.timeout(20)
@pytest.mark.parametrize("url", ["http://127.0.0.1:1/" + "?sig" * 4_000, "http://127.0.0.1:1/" + "://a:" * 20_000])
def test_urls_that_are_hard_to_read(url: str) -> None:
    assert len(without_secrets(url)) <= 5_000
    assert without_secrets("http://h/x?a=1&sig=b#token=c") == "http://h/x?a=1&sig=***#token=***"
