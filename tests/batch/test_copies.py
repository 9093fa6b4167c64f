"""Copies: found whatever was done to them, the later row named, and the same whoever looks and how often."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from signals import syllables

from speechcmp.batch import copies as module
from speechcmp.batch.copies import Copies, find_copies
from speechcmp.batch.manifest import Manifest, open_manifest
from speechcmp.batch.result_file import open_results
from speechcmp.batch.run import Batch
from speechcmp.batch.worker import Failure
from speechcmp.comparison.compare import CompareParams
from speechcmp.comparison.serialize import OVERALL_COLUMNS
from speechcmp.parallel.processes import Workers

RATE = 16_000
Samples = NDArray[np.float64]


@cache
def speak(seed: int, duration_s: float = 2.5) -> Samples:
    """Say something that no other seed says, at a pitch and in a noise of its own."""
    n = round(duration_s * RATE)
    higher = 1 + 0.07 * seed
    words = syllables(duration_s * higher, RATE, seed=seed)
    at_pitch: Samples = np.interp(np.arange(n) * higher, np.arange(len(words)), words)
    return at_pitch + 0.003 * np.random.default_rng(seed).standard_normal(n)


def softer(samples: Samples) -> Samples:
    return 0.2 * samples


def cut(samples: Samples) -> Samples:
    return samples[len(samples) // 3 + 77 :]


def noisy(samples: Samples) -> Samples:
    noise: Samples = np.random.default_rng(99).standard_normal(len(samples))
    mixed: Samples = samples + 0.1 * samples.std() * noise
    return mixed


CHANGES: dict[str, Callable[[Samples], Samples]] = {"softer": softer, "cut": cut, "noisy": noisy}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for seed, name in enumerate(["r0", "r1", "a", "b", "c"]):
        soundfile.write(tmp_path / f"{name}.wav", speak(seed), RATE)
    for name in ("a", "r0"):
        for kind, change in CHANGES.items():
            soundfile.write(tmp_path / f"{name}-{kind}.wav", change(speak({"a": 2, "r0": 0}[name])), RATE)
        soundfile.write(tmp_path / f"{name}-coded.mp3", speak({"a": 2, "r0": 0}[name]), RATE)
    (tmp_path / "twin.wav").write_bytes((tmp_path / "b.wav").read_bytes())
    return tmp_path


def manifest_of(folder: Path, takes: list[str], *, reference: str = "r0") -> Manifest:
    rows = [f"{take.split('.')[0]},{reference}.wav,{take if '.' in take else take + '.wav'}" for take in takes]
    (folder / "m.csv").write_text("\n".join(["id,reference,take", *rows]) + "\n")
    return open_manifest(folder / "m.csv")


def found_in(manifest: Manifest, n_jobs: int = 1) -> Copies:
    with Workers(n_jobs) as workers:
        return find_copies(manifest, workers)


TAKES = ["a", "b", "a-softer", "c", "a-cut", "twin", "b", "a-noisy", "a-coded.mp3", "twin", "gone", "a"]
ORIGINALS = {3: "a", 5: "a", 6: "b", 8: "a", 9: "a", 10: "b"}


def test_later_rows_are_copies_of_earlier_ones(folder: Path) -> None:
    copies = found_in(manifest_of(folder, TAKES))
    assert {number: copy["id"] for number, copy in sorted(copies.items())} == ORIGINALS
    for copy in copies.values():
        assert (copy["of"], copy["path"]) == ("take", f"{copy['id']}.wav")
        assert copy["confidence"] > 0.999999
    assert copies[5]["offset_s"] == pytest.approx((len(speak(2)) // 3 + 77) / RATE, abs=0.01)
    assert copies[6] == {"of": "take", "id": "b", "path": "b.wav", "offset_s": 0.0, "confidence": 1.0}
    assert copies[3]["offset_s"] == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize("kind", ["softer", "cut", "noisy", "coded"])
def test_the_reference_played_back(folder: Path, kind: str) -> None:
    name = f"r0-{kind}" + (".mp3" if kind == "coded" else "")
    copies = found_in(manifest_of(folder, ["a", "r0", name]))
    assert copies[2] == {"of": "reference", "id": None, "path": "r0.wav", "offset_s": 0.0, "confidence": 1.0}
    assert (set(copies), copies[3]["of"], copies[3]["path"]) == ({2, 3}, "reference", "r0.wav")
    assert copies[3]["offset_s"] == pytest.approx((len(speak(0)) // 3 + 77) / RATE if kind == "cut" else 0, abs=0.03)
    assert found_in(manifest_of(folder, ["a", "r0", name], reference="r1"))[3]["id"] == "r0", "then of another take"


def test_the_same_whoever_looks(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = manifest_of(folder, TAKES)
    alone = found_in(manifest)
    assert found_in(manifest, 2) == alone
    for n_rows in (1, 2, 5):
        monkeypatch.setattr(module, "_BLOCK_ROWS", n_rows)
        assert found_in(manifest) == alone, "in one block or across them"
    assert found_in(manifest.first(6)) == {number: copy for number, copy in alone.items() if number <= 6}


def test_more_copies_than_the_library_answers_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_A_KEY", 2)
    monkeypatch.setattr(module, "_BLOCK_ROWS", 1)
    for gain in range(8):
        soundfile.write(folder / f"gain{gain}.wav", (0.3 + gain / 20) * speak(2), RATE)
    copies = found_in(manifest_of(folder, ["a", *(f"gain{gain}" for gain in range(8))]))
    assert [copy["id"] for _, copy in sorted(copies.items())] == ["a"] * 8


def test_what_cannot_be_read_is_no_copy(folder: Path) -> None:
    (folder / "text.wav").write_text("no audio")
    (folder / "text2.wav").write_text("no audio")
    soundfile.write(folder / "silent.wav", np.zeros(RATE), RATE)
    soundfile.write(folder / "short.wav", speak(7, 0.05), RATE)
    soundfile.write(folder / "silent2.wav", np.zeros(2 * RATE), RATE)
    names = ["text", "text2", "silent", "silent2", "short", "a"]
    assert found_in(manifest_of(folder, names)) == found_in(manifest_of(folder, ["silent"])) == {}
    assert found_in(manifest_of(folder, ["a", "a-softer"], reference="gone"))[2]["id"] == "a"


def test_a_hum_is_no_copy_of_another(folder: Path) -> None:
    t = np.arange(20 * RATE) / RATE
    for name, pitch_hz in (("hum", 100.0), ("hum2", 100.01)):
        tones = np.sum([np.sin(2 * np.pi * k * pitch_hz * t + k * k) / k for k in range(1, 30)], axis=0)
        noise = 0.001 * np.random.default_rng(len(name)).standard_normal(len(t))
        soundfile.write(folder / f"{name}.wav", 0.1 * tones + noise, RATE)
    assert found_in(manifest_of(folder, ["hum", "a", "hum2"])) == {}
    assert found_in(manifest_of(folder, ["hum"], reference="hum2")) == {}


def test_reading_the_same_text_again_is_no_copy(real_speech: Path, tmp_path: Path) -> None:
    words = sorted((real_speech / "words").glob("[0-4]_*.flac"))
    voices = sorted((real_speech / "references").glob("*.flac"))[:20]
    lines = [f"{path},{path.parent / other.name}" for group in (words, voices) for path, other in _others(group)]
    (tmp_path / "m.csv").write_text("reference,take\n" + "\n".join(lines) + "\n")
    assert found_in(open_manifest(tmp_path / "m.csv")) == {}


def _others(group: list[Path]) -> list[tuple[Path, Path]]:
    """Pair each with the next one: the same word by the same speaker, mostly."""
    return list(zip(group, [*group[1:], group[0]], strict=True))


# --- in a batch


def run(manifest: Manifest, out: Path, *, n_jobs: int = 1, stop_after: int | None = None, **options: Any) -> list[Any]:
    copies = options.pop("copies", True)
    results = open_results(out, carried=(), overall=OVERALL_COLUMNS, copies=copies, resume=True)
    batch = Batch(manifest, results, params=CompareParams(details="scores"), copies=copies, **options)
    outcomes: list[Any] = []
    with Workers(n_jobs) as workers:
        stopped = lambda: stop_after is not None and len(outcomes) >= stop_after  # noqa: E731
        for outcome in batch.run(workers, stopped=stopped):
            outcomes.append(outcome)  # noqa: PERF402 - the condition looks at it
    results.close()
    return outcomes


def flags(out: Path) -> dict[str, Any]:
    results = open_results(out, carried=(), overall=OVERALL_COLUMNS, copies=True, resume=True)
    records = [results.read(found.position) for found in results.find_all()]
    results.close()
    return {record["id"]: record["copy"] and record["copy"]["id"] for record in records}


SUFFIXES = ["jsonl", "csv", "parquet"]


@pytest.fixture(params=SUFFIXES)
def out(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    if request.param == "parquet":
        pytest.importorskip("pyarrow")
    return tmp_path / f"r.{request.param}"


def test_resumed_with_another_manifest(folder: Path, out: Path) -> None:
    assert len(run(manifest_of(folder, ["b", "a-softer", "twin", "c"]), out)) == 4
    assert flags(out) == {"b": None, "a-softer": None, "twin": "b", "c": None}
    outcomes = run(manifest_of(folder, ["a", "twin", "a-softer", "b", "c"]), out)
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Known"] * 4 + ["Scored"]
    assert flags(out) == {"a": None, "twin": None, "a-softer": "a", "b": "twin", "c": None}


@pytest.mark.parametrize("suffix", ["jsonl", "csv"])
def test_the_same_lines_stopped_or_not(folder: Path, tmp_path: Path, suffix: str) -> None:
    manifest = manifest_of(folder, TAKES)
    whole, part = tmp_path / f"whole.{suffix}", tmp_path / f"part.{suffix}"
    outcomes = run(manifest, whole)
    assert [outcome.row.number for outcome in outcomes if isinstance(outcome, Failure)] == [11]
    run(manifest, part, stop_after=3, ordered=False)
    assert 0 < len(flags(part)) < 11
    run(manifest, part, n_jobs=1)
    assert part.read_bytes() == whole.read_bytes()
    unordered = tmp_path / f"unordered.{suffix}"
    run(manifest, unordered, ordered=False)
    assert sorted(unordered.read_bytes().splitlines()) == sorted(whole.read_bytes().splitlines())


def test_looking_for_copies_is_another_result(folder: Path, tmp_path: Path) -> None:
    manifest = manifest_of(folder, TAKES[:3])
    run(manifest, tmp_path / "r.jsonl", copies=False)
    assert '"copy"' not in (tmp_path / "r.jsonl").read_text()
    outcomes = run(manifest, tmp_path / "r.jsonl")
    assert [type(outcome).__name__ for outcome in outcomes] == ["Scored"] * 3
    assert flags(tmp_path / "r.jsonl") == {"a": None, "b": None, "a-softer": "a"}


def test_copies_beyond_a_limit_stay_known(folder: Path, out: Path) -> None:
    manifest = manifest_of(folder, ["a", "b", "a-softer", "twin"])
    run(manifest, out)
    run(manifest, out, limit=2)
    assert flags(out) == {"a": None, "b": None, "a-softer": "a", "twin": "b"}
