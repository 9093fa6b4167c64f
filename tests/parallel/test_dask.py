"""Batches on a real Dask cluster: the same lines as locally, whoever is killed."""

import gc
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import batch_tasks
import pytest
import soundfile
from batch_tasks import number
from dask_cluster import LocalCluster, is_running, kill_worker, wait_until
from signals import sentences

from speechcmp.batch.manifest import Row
from speechcmp.batch.schedule import run_rows
from speechcmp.cli.main import run
from speechcmp.parallel import dask as module
from speechcmp.parallel.dask import ClusterWorkers, run_there
from speechcmp.parallel.processes import Workers

pytestmark = pytest.mark.skipif(not find_spec("distributed"), reason="needs the extra dask")
N_PAIRS = 2000
slow = pytest.mark.slow  # seconds until a scheduler and its workers are there


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a manifest with many rows, a few of them broken."""
    folder = tmp_path_factory.mktemp("many")
    for k in range(24):
        samples = sentences([(0.1, 0.6 + k / 100)], 0.8 + k / 50, 8000, seed=k, noise=1e-3)
        soundfile.write(folder / f"w{k}.wav", samples, 8000)
    rows = [f"w{k % 24}.wav,w{k * 7 % 23}.wav,{k}" for k in range(N_PAIRS)]
    rows[11] = "w1.wav,gone.wav,11"
    (folder / "many.csv").write_text("\n".join(["reference,take,n", *rows]) + "\n")
    return folder / "many.csv"


@pytest.fixture(scope="module")
def whole(many: Path) -> bytes:
    """Return the result lines of a local run."""
    out = many.with_name("whole.jsonl")
    assert finish(start(many, out, "--jobs", "2"))[0] == 3
    return out.read_bytes()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[LocalCluster]:
    folder = tmp_path / "cluster"
    folder.mkdir()
    with LocalCluster(folder) as started:
        yield started


def start(many: Path, out: Path, *options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "speechcmp", "batch", many.name, "--out", str(out), *map(str, options)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=many.parent,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, list[str]]:
    _, errors = process.communicate(timeout=120)
    return process.returncode, errors.splitlines()


def wait_for_lines(out: Path, process: subprocess.Popen[str]) -> None:
    wait_until(lambda: process.poll() is not None or (out.exists() and out.stat().st_size), "a line of results")


# --- the same lines


@slow
@pytest.mark.parametrize("nanny", [True, False])
def test_a_worker_is_killed(cluster: LocalCluster, many: Path, whole: bytes, tmp_path: Path, nanny: bool) -> None:
    cluster.add_worker()
    victim = cluster.add_worker(nanny=nanny)
    out = tmp_path / "r.jsonl"
    process = start(many, out, "--dask", cluster.file)
    wait_for_lines(out, process)
    killed = kill_worker(victim)
    assert out.stat().st_size < len(whole), "in the middle of it"
    wait_until(lambda: not is_running(killed), "the end of a killed worker")
    code, errors = finish(process)
    assert code == 3
    assert out.read_bytes() == whole
    assert errors[0] == f"speechcmp: on {cluster.address}: 2 workers, 2 threads"
    assert errors[1:] == [f"speechcmp: warning: 1 rows failed; why is in {tmp_path}/r.failures.jsonl"]
    assert json.loads((tmp_path / "r.failures.jsonl").read_text())["reason"] == "gone.wav: no such file; check the path"


@slow
def test_threads_share_a_process(cluster: LocalCluster, many: Path, whole: bytes, tmp_path: Path) -> None:
    cluster.add_worker(n_threads=3)
    code, errors = finish(start(many, tmp_path / "r.jsonl", "--dask", cluster.address))
    assert (code, errors[0]) == (3, f"speechcmp: on {cluster.address}: 1 workers, 3 threads")
    assert (tmp_path / "r.jsonl").read_bytes() == whole


@slow
def test_interrupted_and_resumed(cluster: LocalCluster, many: Path, whole: bytes, tmp_path: Path) -> None:
    workers = [cluster.add_worker(), cluster.add_worker()]
    out = tmp_path / "r.jsonl"
    process = start(many, out, "--dask", cluster.file)
    wait_for_lines(out, process)
    os.killpg(process.pid, signal.SIGINT)
    code, errors = finish(process)
    assert code == 130
    n_done = out.read_bytes().count(b"\n")
    n_failed = int((tmp_path / "r.failures.jsonl").exists())
    assert 0 < n_done < N_PAIRS - 1
    left = N_PAIRS - n_done - n_failed
    assert errors[-1].endswith(f"{n_done} rows are done, {left} are left; the same command with --resume goes on")
    assert [worker.poll() for worker in (cluster.scheduler, *workers)] == [None, None, None]
    assert finish(start(many, out, "--dask", cluster.file, "--resume"))[0] == 3
    assert out.read_bytes() == whole


@slow
def test_the_scheduler_is_killed(cluster: LocalCluster, many: Path, whole: bytes, tmp_path: Path) -> None:
    cluster.add_worker()
    out = tmp_path / "r.jsonl"
    process = start(many, out, "--dask", cluster.address)
    wait_for_lines(out, process)
    cluster.scheduler.kill()
    code, errors = finish(process)
    assert code == 1
    gone = "the scheduler is gone, or has dropped our tasks; what is done is kept, and --resume goes on"
    assert errors[1:] == [f"speechcmp: {cluster.address}: {gone}"]
    assert b"\n" in out.read_bytes()
    assert whole.startswith(out.read_bytes())
    assert finish(start(many, out, "--jobs", "2", "--resume"))[0] == 3
    assert out.read_bytes() == whole


@slow
def test_workers_may_come_late(cluster: LocalCluster, many: Path, whole: bytes, tmp_path: Path) -> None:
    process = start(many, tmp_path / "r.jsonl", "--dask", cluster.file)
    assert process.stderr is not None
    told = [process.stderr.readline() for _ in range(2)]
    assert [line.split(": ", 2)[-1] for line in told] == [
        "0 workers, 0 threads\n",
        "has no workers; waiting for one to come\n",
    ]
    cluster.add_worker()
    assert finish(process)[0] == 3
    assert (tmp_path / "r.jsonl").read_bytes() == whole


# --- what kills workers


@slow
def test_a_row_that_kills_fails_alone(cluster: LocalCluster, tmp_path: Path) -> None:
    cluster.add_worker()
    cluster.add_worker()
    told: list[str] = []
    outcomes = {}
    for kind in ("here", "there"):
        takes = ["x"] * 60
        takes[7], takes[40] = "die", f"die-once:{tmp_path / kind}"
        rows = [Row(k, str(k), f"r{k % 3}", take, f"r{k % 3}", take, {}) for k, take in enumerate(takes)]
        with Workers(2) if kind == "here" else ClusterWorkers(str(cluster.file), notice=told.append) as workers:
            done = run_rows(rows, number, workers, lost=lambda row: f"lost {row.number}")
            outcomes[kind] = [outcome for _, outcome in done]
    assert outcomes["there"] == [*range(7), "lost 7", *range(8, 60)]
    assert outcomes["there"] == outcomes["here"]
    assert told[0] == f"on {cluster.address}: 2 workers, 2 threads"


@slow
def test_results_are_let_go_as_they_come(cluster: LocalCluster) -> None:
    cluster.add_worker()
    rows = [Row(k, str(k), "r", "x", "r", "x", {}) for k in range(5000)]
    gc.disable()
    try:
        with ClusterWorkers(cluster.address, notice=lambda _: None) as workers:
            held = workers._cluster._client.futures
            done = run_rows(rows, number, workers, lost=lambda row: row.number)
            assert max(len(held) for _ in done) <= workers.room + 4
            wait_until(lambda: not held, "the last results to go")
    finally:
        gc.enable()


# --- what can't work


@slow
def test_another_version_is_noticed(cluster: LocalCluster, many: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "speechcmp-0.0.1.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: speechcmp\nVersion: 0.0.1\n")
    cluster.add_worker()
    cluster.add_worker(path=other.parent)
    code, errors = finish(start(many, tmp_path / "r.jsonl", "--dask", cluster.address))
    assert code == 1
    assert len(errors) == 1
    assert "has speechcmp 0.0.1, and this is" in errors[0]
    assert not (tmp_path / "r.jsonl").exists()


@slow
def test_a_worker_that_lacks_something_is_named(cluster: LocalCluster, many: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "soundfile.py").write_text("raise ImportError('no libsndfile here')\n")
    cluster.add_worker(path=broken)
    code, errors = finish(start(many, tmp_path / "r.jsonl", "--dask", cluster.address))
    reason = "a worker can't run tasks (ImportError: no libsndfile here); install there what is here"
    assert (code, errors[1:]) == (1, [f"speechcmp: {cluster.address}: {reason}"])


def test_another_version_is_noticed_by_a_worker_that_comes_late() -> None:
    answer = json.loads(run_there("0.0.1", print, (), {}))
    assert re.search(r"has speechcmp .*, and this is 0\.0\.1, so results would differ", answer["refusal"])


_HOSTILE = """
import os
from speechcmp.parallel import dask

class Trace:
    def __reduce__(self):
        return os.system, ("touch {folder}/unpacked-in-$PPID",)

dask.run_there = lambda *_: Trace()
"""


@slow
def test_an_object_that_a_worker_answers_with_is_not_unpacked(cluster: LocalCluster, tmp_path: Path) -> None:
    hostile = tmp_path / "hostile"
    hostile.mkdir()
    (hostile / "sitecustomize.py").write_text(_HOSTILE.format(folder=tmp_path))
    (hostile / "batch_tasks.py").write_bytes(Path(batch_tasks.__file__).read_bytes())
    worker = cluster.add_worker(path=hostile, nanny=False)
    with ClusterWorkers(cluster.address, notice=lambda _: None) as workers:
        future = workers.submit(number, [Row(1, "1", "a", "b", "a", "b", {})])
        with pytest.raises(TimeoutError):
            future.result(10)
    assert worker.poll() is None
    assert not (tmp_path / f"unpacked-in-{os.getpid()}").exists()


@pytest.mark.parametrize("answer", ["", "[1", "[" * 100_000, '{"result"', "{}", "[]", "7", "null", '{"n": NaN}'])
def test_an_answer_that_is_none_is_an_error(answer: str) -> None:
    with pytest.raises((ValueError, TypeError, KeyError)):
        module._result_of(answer)


def complaint(
    arguments: list[str], capfd: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[int, str]:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
    (folder / "m.csv").write_text("reference,take\na.wav,b.wav\n")
    capfd.readouterr()
    code = run(["batch", "m.csv", "--out", "r.jsonl", *arguments])
    return code, capfd.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--dask", "tcp://127.0.0.1:1"], 1, "tcp://127.0.0.1:1: no Dask scheduler to work with ("),
        (["--dask", "foo://host:1"], 1, "foo://host:1: no Dask scheduler to work with ("),
        (["--dask", "gone.json"], 2, "--dask: 'gone.json' is neither an address nor a scheduler file"),
        (["--dask", "m.csv"], 2, "m.csv: no scheduler file; give what"),
        (["--dask", "tcp://127.0.0.1:1", "--jobs", "2"], 2, "--jobs and --dask: either"),
    ],
)
def test_no_scheduler(
    arguments: list[str],
    code: int,
    message: str,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "CONNECT_S", 0.5)
    started = time.monotonic()
    got, err = complaint(arguments, capfd, tmp_path, monkeypatch)
    assert (got, err.count("\n")) == (code, 1)
    assert err.startswith(f"speechcmp: {message}")
    assert time.monotonic() - started < 60
    assert not (tmp_path / "r.jsonl").exists()


def test_what_answers_is_no_scheduler(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CONNECT_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = "tcp://{}:{}".format(*silent.getsockname())
        code, err = complaint(["--dask", address], capfd, tmp_path, monkeypatch)
    assert code == 1
    assert err.startswith(f"speechcmp: {address}: no Dask scheduler to work with (")


def test_dask_is_not_installed(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    got = complaint(["--dask", "tcp://127.0.0.1:1"], capfd, tmp_path, monkeypatch)
    assert got == (
        1,
        "speechcmp: Dask's distributed is not installed, which --dask needs; pip install 'speechcmp[dask]'\n",
    )


def test_jobs_keep_a_batch_here_whatever_the_environment(
    capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "CONNECT_S", 0.5)
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", "tcp://127.0.0.1:1")
    code, err = complaint(["--jobs", "1"], capfd, tmp_path, monkeypatch)
    assert (code, "no Dask scheduler" in err) == (1, False)
    assert "1 rows failed" in err
    monkeypatch.setenv("SPEECHCMP_JOBS", "1")
    code, err = complaint([], capfd, tmp_path, monkeypatch)
    assert (code, "no Dask scheduler" in err) == (1, True)
