"""Batches: every row once, in order, whatever files and workers do; a resumed run does what is missing."""

import math
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from batch_tasks import number
from signals import syllables

import speechcmp
from speechcmp.audio.recording import load_recording
from speechcmp.batch import worker as tasks
from speechcmp.batch.failures import failures_beside
from speechcmp.batch.manifest import Manifest, Row, open_manifest
from speechcmp.batch.reader import read_failures, read_results
from speechcmp.batch.result_file import open_results
from speechcmp.batch.run import Batch, Outcome, compare_pairs
from speechcmp.batch.schedule import Pace, run_rows
from speechcmp.batch.summary import RunningStats, Summary, reason_kind
from speechcmp.batch.worker import Failure, FileCache, Scored
from speechcmp.comparison.compare import CompareParams, compare, compare_prepared
from speechcmp.comparison.serialize import OVERALL_COLUMNS, brief_values
from speechcmp.errors import ParameterError
from speechcmp.parallel.processes import Workers
from speechcmp.scoring.model import ErrorBand, load_model

RATE = 8000
PARAMS = CompareParams()


def speak(path: Path, seed: int, duration_s: float = 0.8) -> Path:
    """Write a short recording; each seed says something else."""
    rng = np.random.default_rng(seed)
    samples = 1e-4 * rng.standard_normal(round(duration_s * RATE))
    word = syllables(duration_s - 0.2, RATE, seed=seed)
    samples[len(samples) // 8 :][: len(word)] += word
    soundfile.write(path, samples, RATE)
    return path


@pytest.fixture(autouse=True)
def empty_cache() -> Iterator[None]:
    tasks._SIDES.clear()
    yield
    tasks._SIDES.clear()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two references and four takes."""
    for seed, name in enumerate(["r0", "r1", "t0", "t1", "t2", "t3"]):
        speak(tmp_path / f"{name}.wav", seed)
    return tmp_path


Pairs = list[tuple[str, str]]
PAIRS: Pairs = [(f"r{k % 2}", f"t{k // 2}") for k in range(8)]


def manifest_of(folder: Path, pairs: Pairs = PAIRS, *, ids: bool = False, speaker: str = "s") -> Manifest:
    lines = ["id,reference,take,speaker" if ids else "reference,take,speaker"]
    lines += [(f"{r}-{t}," if ids else "") + f"{r}.wav,{t}.wav,{speaker}" for r, t in pairs]
    (folder / "m.csv").write_text("\n".join(lines) + "\n")
    return open_manifest(folder / "m.csv")


def run(
    manifest: Manifest,
    out: Path | None = None,
    *,
    params: CompareParams = PARAMS,
    stop_after: int | None = None,
    **options: Any,
) -> tuple[list[Outcome], Batch]:
    results = None
    if out is not None:
        results = open_results(out, carried=("speaker",), overall=OVERALL_COLUMNS, resume=True)
    batch = Batch(manifest, results, params=params, **options)
    outcomes: list[Outcome] = []
    with Workers(1) as workers:
        stopped = lambda: stop_after is not None and len(outcomes) >= stop_after  # noqa: E731
        for outcome in batch.run(workers, stopped=stopped):
            outcomes.append(outcome)  # noqa: PERF402 - the condition looks at it
    if results is not None:
        results.close()
    return outcomes, batch


def records(outcomes: list[Outcome]) -> list[dict[str, Any]]:
    return [outcome.record for outcome in outcomes if not isinstance(outcome, Failure)]


def kinds(outcomes: list[Outcome]) -> Counter[str]:
    return Counter(type(outcome).__name__ for outcome in outcomes)


# --- scoring


def test_a_row_is_what_compare_says(folder: Path) -> None:
    (outcome, *_), _ = run(manifest_of(folder, ids=True))
    assert isinstance(outcome, Scored)
    alone = compare(*(load_recording(folder / name, mono=False) for name in ("r0.wav", "t0.wav")))
    assert outcome.record["overall"] == brief_values(alone)["overall"]
    assert outcome.record["overall"]["distance"] == pytest.approx(alone.distance, abs=1e-6)
    assert list(outcome.record) == ["id", "reference", "take", "speaker", "overall", "chunks", "key"]
    assert outcome.record["id"] == "r0-t0"
    assert outcome.record["chunks"][0]["status"] in {"matched", "missing"}


def test_every_recording_is_read_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[str] = []

    def counted(path: str, **options: Any) -> Any:
        loaded.append(Path(path).name)
        return load_recording(path, **options)

    monkeypatch.setattr(tasks, "load_recording", counted)
    manifest = manifest_of(folder, PAIRS * 3 + [("none", "t0")] * 3)
    outcomes, _ = run(manifest)
    assert kinds(outcomes) == {"Scored": 24, "Failure": 3}
    assert Counter(loaded) == Counter([f"{name}.wav" for name in ("r0", "r1", "t0", "t1", "t2", "t3", "none")])
    speak(folder / "t0.wav", 9)
    again, _ = run(manifest_of(folder))
    assert loaded[7:] == ["t0.wav"], "what has changed is read again, the rest is not"
    assert [outcome.row.id for outcome in again] == [str(k + 1) for k in range(8)]


def test_memory_is_bounded(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(name: str) -> tasks._Side:
        return tasks._side(str(folder / f"{name}.wav"), name, PARAMS, b"", "")

    def kept() -> list[str]:
        keys: list[Any] = list(tasks._SIDES._entries)
        return [Path(path).stem for path, _ in keys]

    _, one = tasks._read(str(folder / "r0.wav"), "r0", PARAMS)
    assert 4 * 0.8 * RATE < one < 200 * 0.8 * RATE
    monkeypatch.setattr(tasks, "_SIDES", FileCache(int(2.5 * one), fewest=2))
    for name in ("r0", "r1", "t0", "r1", "t1", "nothing"):
        read(name)
    assert kept() == ["r1", "t1", "nothing"]
    monkeypatch.setattr(tasks, "_SIDES", FileCache(10, fewest=2))
    for name in ("r0", "t0", "r0", "t1"):
        assert read(name).prepared is not None
    assert kept() == ["r0", "t1"], "a pair, however large"


def test_threads_share_the_cache() -> None:
    cache: FileCache[str] = FileCache(40, fewest=2)

    def use(seed: int) -> None:
        for k in np.random.default_rng(seed).integers(1, 12, 2000):
            path = "x" * int(k)
            assert cache.get(path, None, "", lambda path=path: (path, 1 + len(path))) == path  # type: ignore[misc]

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(use, range(8)))
    finally:
        sys.setswitchinterval(before)
    assert cache._n_bytes == sum(kept.n_bytes for kept in cache._entries.values()) <= 40


def test_failures_are_rows_with_the_words_of_the_single_file(folder: Path) -> None:
    (folder / "text.wav").write_text("not audio")
    outcomes, _ = run(manifest_of(folder, [("r0", "text"), ("gone", "t0"), ("gone", "text"), ("r0", "t0")]))
    failures = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    assert [failure.file for failure in failures] == ["text.wav", "gone.wav", "gone.wav"]
    for failure in failures:
        with pytest.raises(Exception, match=r".") as caught:
            load_recording(folder / failure.file, name=failure.file)
        assert failure.reason == str(caught.value)
    assert kinds(outcomes) == {"Failure": 3, "Scored": 1}


def test_whatever_a_pair_does_the_others_are_scored(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(reference: Any, take: Any, **_: Any) -> Any:
        if "t1" in take.recording.name:
            raise ZeroDivisionError("by nothing")
        return compare_prepared(reference, take, params=PARAMS)

    monkeypatch.setattr(tasks, "compare_prepared", broken)
    outcomes, _ = run(manifest_of(folder))
    reasons = {outcome.reason for outcome in outcomes if isinstance(outcome, Failure)}
    assert reasons == {"t1.wav: ZeroDivisionError: by nothing"}
    assert kinds(outcomes) == {"Failure": 2, "Scored": 6}


# --- schedule


def rows(takes: list[str]) -> list[Row]:
    return [Row(k, str(k), f"r{k % 3}", take, f"r{k % 3}", take, {}) for k, take in enumerate(takes)]


def lost(row: Row) -> str:
    return f"lost {row.number}"


def test_order_whatever_the_grouping() -> None:
    with Workers(1) as workers:
        assert [x for _, x in run_rows(rows(["x"] * 5000), number, workers, lost=lost)] == list(range(5000))
        mixed = [x for _, x in run_rows(rows(["x"] * 5000), number, workers, lost=lost, ordered=False)]
    assert mixed != list(range(5000)), "rows of one reference come together"
    assert sorted(mixed) == list(range(5000))


def test_rows_are_read_as_needed() -> None:
    taken = 0

    def endless() -> Iterator[Row]:
        nonlocal taken
        while True:
            taken += 1
            yield Row(taken, "", "r", "x", "r", "x", {})

    with Workers(1) as workers:
        done = run_rows(endless(), number, workers, lost=lost)
        for _ in range(10_000):
            next(done)
    assert taken <= 10_000 + 2 * 1024


def test_windows_are_as_large_as_rows_are_quick() -> None:
    pace = Pace(2)
    assert (pace.task_rows, pace.window_rows) == (1, 16)
    for _ in range(50):
        pace.learn(10, 10.0)
    assert (pace.task_rows, pace.window_rows) == (1, 16)
    for _ in range(50):
        pace.learn(100, 0.05)
    assert (pace.task_rows, pace.window_rows) == (256, 1024)
    for _ in range(50):
        pace.learn(10, 0.1)
    assert pace.task_rows == pytest.approx(25, abs=1)


def test_a_killed_worker_costs_one_retry_and_then_only_the_row_that_kills(tmp_path: Path) -> None:
    takes = ["x"] * 40
    takes[7], takes[20] = "die", f"die-once:{tmp_path / 'mark'}"
    with Workers(2) as workers:
        outcomes = [x for _, x in run_rows(rows(takes), number, workers, lost=lost)]
    assert outcomes == [*range(7), "lost 7", *range(8, 40)]


def test_any_executor_will_do() -> None:
    threads: set[str] = set()

    def noted(some: list[Row]) -> Any:
        threads.add(threading.current_thread().name)
        return number(some)

    with Workers(2, start=lambda n: ThreadPoolExecutor(n, "own")) as workers:
        outcomes = [x for _, x in run_rows(rows(["x"] * 300), noted, workers, lost=lost)]
    assert outcomes == list(range(300))
    assert all(name.startswith("own") for name in threads)


def test_stopping_finishes_what_is_in_hand() -> None:
    begun: list[int] = []
    ended: list[int] = []

    def noted(some: list[Row]) -> Any:
        begun.extend(row.number for row in some)
        return number(some)

    with Workers(2, start=ThreadPoolExecutor) as workers:
        done = run_rows(rows(["slow"] * 100), noted, workers, lost=lost, stopped=lambda: len(ended) >= 3)
        for _, outcome in done:
            ended.append(outcome)
    assert sorted(ended) == sorted(begun)
    assert 3 <= len(ended) < 20


# --- resume


@pytest.fixture(params=["jsonl", "csv"])
def out(request: pytest.FixtureRequest, folder: Path) -> Path:
    return folder / f"results.{request.param}"


def fresh(manifest: Manifest, out: Path, **options: Any) -> bytes:
    other = out.with_name("fresh" + out.suffix)
    other.unlink(missing_ok=True)
    run(manifest, other, **options)
    return other.read_bytes()


def test_what_is_there_is_kept(folder: Path, out: Path) -> None:
    manifest = manifest_of(folder)
    first, _ = run(manifest, out)
    before = out.read_bytes(), out.stat().st_ino
    again, batch = run(manifest, out)
    assert kinds(again) == {"Known": 8}
    assert records(again) == records(first)
    assert (out.read_bytes(), out.stat().st_ino) == before
    assert batch.n_dropped == 0


def test_a_part_is_completed(folder: Path, out: Path) -> None:
    manifest = manifest_of(folder)
    part, _ = run(manifest, out, stop_after=1)
    assert kinds(part) == {"Scored": 1}
    rest, _ = run(manifest, out)
    assert kinds(rest) == {"Known": 1, "Scored": 7}
    assert out.read_bytes() == fresh(manifest, out)


def edit_insert(folder: Path) -> tuple[Manifest, int]:
    return manifest_of(folder, [("r1", "r0"), *PAIRS[:4], ("r0", "r1"), *PAIRS[4:]]), 2


def edit_remove(folder: Path) -> tuple[Manifest, int]:
    return manifest_of(folder, PAIRS[2:7]), 0


def edit_reverse(folder: Path) -> tuple[Manifest, int]:
    return manifest_of(folder, PAIRS[::-1]), 0


def edit_speaker(folder: Path) -> tuple[Manifest, int]:
    return manifest_of(folder, speaker="other"), 0


def edit_twice(folder: Path) -> tuple[Manifest, int]:
    return manifest_of(folder, [PAIRS[3], *PAIRS, PAIRS[3]]), 0


def edit_take(folder: Path) -> tuple[Manifest, int]:
    speak(folder / "t2.wav", 77)
    return manifest_of(folder), 2


def edit_name(folder: Path) -> tuple[Manifest, int]:
    (folder / "t2.wav").rename(folder / "renamed.wav")
    return manifest_of(folder, [(r, t.replace("t2", "renamed")) for r, t in PAIRS]), 0


@pytest.mark.parametrize(
    "edit", [edit_insert, edit_remove, edit_reverse, edit_speaker, edit_twice, edit_take, edit_name]
)
def test_what_was_edited_is_scored_anew_and_nothing_else(
    folder: Path, out: Path, edit: Callable[[Path], tuple[Manifest, int]]
) -> None:
    run(manifest_of(folder), out)
    manifest, n_anew = edit(folder)
    outcomes, batch = run(manifest, out)
    assert kinds(outcomes)["Scored"] == n_anew
    assert out.read_bytes() == fresh(manifest, out)
    assert batch.n_dropped == {"edit_remove": 3, "edit_take": 2}.get(edit.__name__, 0)
    assert out.with_name(out.name + ".old").exists() == (batch.n_dropped > 0)
    again, _ = run(manifest, out)
    assert kinds(again)["Scored"] == 0


def test_other_parameters_are_other_results(folder: Path, out: Path) -> None:
    run(manifest_of(folder), out)
    before = out.read_bytes()
    classic = CompareParams(recipe="classic")
    outcomes, batch = run(manifest_of(folder), out, params=classic)
    assert (kinds(outcomes), batch.n_dropped) == ({"Scored": 8}, 8)
    assert out.read_bytes() == fresh(manifest_of(folder), out, params=classic) != before
    assert out.with_name(out.name + ".old").read_bytes() == before


def test_another_score_model_is_another_result(folder: Path, out: Path) -> None:
    run(manifest_of(folder), out)
    shipped = load_model(Path(speechcmp.__file__).parent / "scoring" / "score_model.json")
    same = replace(shipped, fitted={"on": "another class", "made_at": "today"})  # which changes no score
    other = replace(shipped, error=ErrorBand((0.0,), (-1.0,), (1.0,)))
    for model, kind in ((same, "Known"), (other, "Scored"), (other, "Known"), (shipped, "Scored")):
        assert kinds(run(manifest_of(folder), out, params=CompareParams(model=model))[0]) == {kind: 8}


def test_another_version_is_another_result(folder: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(manifest_of(folder), out)
    monkeypatch.setattr(tasks, "_version", lambda: "99")
    assert kinds(run(manifest_of(folder), out)[0]) == {"Scored": 8}


def test_failed_rows_are_tried_again_and_take_their_place(folder: Path, out: Path) -> None:
    (folder / "t1.wav").rename(folder / "away.wav")
    manifest = manifest_of(folder)
    assert kinds(run(manifest, out)[0]) == {"Scored": 6, "Failure": 2}
    assert kinds(run(manifest, out)[0]) == {"Known": 6, "Failure": 2}
    (folder / "away.wav").rename(folder / "t1.wav")
    assert kinds(run(manifest, out)[0]) == {"Known": 6, "Scored": 2}
    assert out.read_bytes() == fresh(manifest, out)


def test_a_limit_removes_nothing(folder: Path, out: Path) -> None:
    manifest = manifest_of(folder)
    assert kinds(run(manifest, out, limit=3)[0]) == {"Scored": 3}
    assert kinds(run(manifest, out)[0]) == {"Known": 3, "Scored": 5}
    whole = out.read_bytes()
    assert kinds(run(manifest, out, limit=2)[0]) == {"Known": 2}
    assert out.read_bytes() == whole


def test_stopped_while_looking_at_what_is_there(folder: Path, out: Path) -> None:
    run(manifest_of(folder), out)
    whole = out.read_bytes()
    run(manifest_of(folder, PAIRS[::-1]), out, stop_after=1)
    assert out.read_bytes() == whole


def test_unordered_results_stay_as_they_came(folder: Path, out: Path) -> None:
    manifest = manifest_of(folder)
    run(manifest, out, ordered=False)
    unordered = out.read_bytes()
    assert unordered != fresh(manifest, out)
    assert kinds(run(manifest, out, ordered=False)[0]) == {"Known": 8}
    assert out.read_bytes() == unordered
    run(manifest, out)
    assert out.read_bytes() == fresh(manifest, out)


def test_processes_give_what_one_gives(folder: Path) -> None:
    manifest = manifest_of(folder)
    with Workers(2) as workers:
        many = records(list(Batch(manifest, None, params=PARAMS).run(workers)))
    one = records(run(manifest)[0])
    assert [(record["id"], record["key"]) for record in many] == [(r["id"], r["key"]) for r in one]
    for ours, theirs in zip(many, one, strict=True):
        # Here BLAS may use more threads, and sum in another order.
        assert ours["overall"].pop("interval") == pytest.approx(theirs["overall"].pop("interval"), rel=1e-4)
        assert ours["overall"].pop("verdict") == theirs["overall"].pop("verdict")
        assert ours["overall"] == pytest.approx(theirs["overall"], rel=1e-4)


def test_parquet(folder: Path) -> None:
    pytest.importorskip("pyarrow")
    out = folder / "results.parquet"
    first, _ = run(manifest_of(folder), out)
    speak(folder / "t2.wav", 77)
    again, _ = run(manifest_of(folder, PAIRS[::-1]), out)
    assert kinds(again) == {"Known": 6, "Scored": 2}
    assert kinds(first) == {"Scored": 8}
    from pyarrow import parquet

    table = parquet.read_table(out)
    assert table["take"].to_pylist() == [f"{t}.wav" for _, t in PAIRS[::-1]]
    assert table["id"].to_pylist() == [str(k + 1) for k in range(8)]


# --- summary


def test_mean_and_spread() -> None:
    values = np.random.default_rng(0).normal(50, 9, 1000)
    spread = RunningStats()
    for value in values:
        spread.add(float(value))
    assert spread.values()["mean"] == pytest.approx(values.mean(), abs=1e-5)
    assert spread.values()["spread"] == pytest.approx(values.std(ddof=1), abs=1e-5)


def result(take: int, distances: list[float | None], speaker: str = "s") -> dict[str, Any]:
    said = [distance for distance in distances if distance is not None]
    return {
        "reference": "r.wav",
        "take": str(take),
        "speaker": speaker,
        "overall": {"distance": float(np.mean(said)) if said else None, "score": 50.0 + take},
        "chunks": [{"index": k, "distance": distance} for k, distance in enumerate(distances)],
    }


def test_summary_says_who_and_what_everyone_gets_wrong() -> None:
    summary = Summary("speaker")
    summary.add(result(0, [0.1, 0.5, 0.2], "a"))
    summary.add(result(1, [0.2, 0.7, None], "b"))
    summary.add(result(2, [0.3, 0.6, 0.1], "b"))
    summary.add_failure("x.wav", "x.wav: silent (peak -inf dBFS); record again")
    summary.add_failure("y.wav", "y.wav: silent (peak -inf dBFS); record again")
    values = summary.values()
    assert (values["rows"], values["scored"], values["failed"]) == (5, 3, 2)
    assert values["failures"] == [{"reason": "silent", "rows": 2}]
    groups = values["by"]["groups"]
    assert [(group["value"], group["rows"], group["score"]["mean"]) for group in groups] == [
        ("a", 1, 50.0),
        ("b", 2, 51.5),
    ]
    assert groups[1]["score"]["spread"] == pytest.approx(np.std([51, 52], ddof=1), abs=1e-6)
    assert [(chunk["index"], chunk["missing"]) for chunk in values["worst_chunks"]] == [
        (2, 1),
        (1, 0),
        (0, 0),
    ]
    assert values["worst_chunks"][1]["distance"] == pytest.approx(0.6)
    assert values["score"]["quantiles"]["0.5"] == 51.0


def test_summary_of_a_million_has_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    from speechcmp.batch import summary as module

    for name in ("_MOST_GROUPS", "_MOST_CHUNKS", "_MOST_REASONS"):
        monkeypatch.setattr(module, name, 10)
    summary = Summary("take")
    for take in range(100):
        summary.add(result(take, [0.5]))
        summary.add({**result(take, [0.1]), "reference": f"r{take}.wav"})
        summary.add_failure("f", f"f: reason {take}")
    values = summary.values()
    assert len(values["by"]["groups"]) == 11
    assert sum(group["rows"] for group in values["by"]["groups"]) == 200
    assert values["worst_chunks"][0]["takes"] == 100
    assert len(values["failures"]) == 11
    assert reason_kind("a.wav", "a.wav: no such file; check the path") == "no such file"


# --- from Python


def test_pairs_of_a_program_give_what_a_manifest_gives(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    pairs = [(f"r{k % 2}.wav", folder / f"t{k}.wav") for k in range(4)]
    found = list(compare_pairs(pairs, n_jobs=1))
    assert [outcome.row.id for outcome in found] == ["1", "2", "3", "4"]
    for outcome, (reference, take) in zip(found, pairs, strict=True):
        assert isinstance(outcome, Scored)
        alone = compare(load_recording(reference, mono=False), load_recording(take, mono=False))
        assert outcome.record["overall"]["distance"] == pytest.approx(alone.distance, abs=1e-6)


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_pairs_are_resumed(folder: Path, tmp_path: Path, suffix: str) -> None:
    pairs = [
        {"reference": folder / "r0.wav", "take": folder / f"{name}.wav", "speaker": name, "id": name.upper()}
        for name in ("t0", "gone", "t1", "t2")
    ]
    out = tmp_path / f"r.{suffix}"
    for outcome in compare_pairs(pairs, out=out, n_jobs=1):
        if outcome.row.id == "T1":
            break
    again = list(compare_pairs(pairs, out=out, n_jobs=1, resume=True))
    assert [(type(outcome).__name__, outcome.row.id) for outcome in again] == [
        ("Known", "T0"),
        ("Known", "T1"),
        ("Failure", "GONE"),
        ("Scored", "T2"),
    ]
    written = [entry.record for entry in read_results(out)]
    assert [record and (record["id"], record["speaker"]) for record in written] == [
        ("T0", "t0"),
        ("T1", "t1"),
        ("T2", "t2"),
    ]
    (failure,) = (entry.record for entry in read_failures(failures_beside(out)))
    assert failure is not None
    assert failure["id"] == "GONE"


@pytest.mark.parametrize(
    ("pairs", "options", "message"),
    [
        ([], {}, "pairs: no rows"),
        ([("a.wav", "b.wav")], {"n_jobs": 0}, "n_jobs: 0 is too few"),
        ([("a.wav",)], {}, r"pairs: pair 1: is \('a.wav',\); give \(reference, take\)"),
        ([("a.wav", "b.wav"), ("a", "b", "c")], {}, "pairs: pair 2: is"),
        (["ab"], {}, "pairs: pair 1: is 'ab'"),
        ([None], {}, "pairs: pair 1: is None"),
        ("m.csv", {}, "is one path; open_manifest reads a manifest"),
        ([{"reference": "a.wav", "take": "b.wav", 3: 1}], {}, "pairs: pair 1: keys must be text"),
        (
            [{"reference": "a.wav", "take": "b.wav", "x": {1, 2}}],
            {},
            "pairs: pair 1: has a value that JSON has no word for",
        ),
        ([("a.wav", "b.wav")], {"resume": True}, "resume: needs the results"),
        ([{"reference": "a.wav"}], {}, "pairs: pair 1: no column 'take'"),
        ([("a.wav", "b.wav"), ("a.wav", "")], {}, "pairs: pair 2: take is ''"),
        ([{"reference": "a.wav", "take": "b.wav", "key": 1}], {}, "'key' has the name of a result's field"),
    ],
)
def test_pairs_that_cannot_be_are_named_at_once(pairs: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        compare_pairs(pairs, **options)


def test_what_is_no_number_is_carried_as_none(folder: Path, tmp_path: Path) -> None:
    pair = {"reference": folder / "r0.wav", "take": folder / "t0.wav", "age": math.nan}
    (found,) = compare_pairs([pair], out=tmp_path / "r.jsonl", n_jobs=1)
    assert isinstance(found, Scored)
    assert found.record["age"] is None


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_results_are_not_taken_for_failures(folder: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"r.{suffix}"
    pairs = [(folder / "r0.wav", folder / "t0.wav")]
    with pytest.raises(ParameterError, match="is the results file, too"):
        list(compare_pairs(pairs, out=out, failures=tmp_path / "." / out.name, n_jobs=1))
    assert not out.exists()
