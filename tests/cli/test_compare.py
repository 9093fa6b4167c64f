"""``speechcmp compare``."""

import io
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from commands import SPANS_S, Command
from signals import buzz, sentences

from speechcmp.audio.recording import load_recording, normalize
from speechcmp.dtw.warp import dtw_distance
from speechcmp.features.mfcc import Features, mfcc
from speechcmp.scoring.model import load_model


def test_json_is_the_contract(speechcmp: Command, reference: Path, take: Path) -> None:
    result = speechcmp("compare", reference, take, "--format", "json")
    assert (result.code, result.err) == (0, "")
    got = result.json
    assert got["schema"] == "speechcmp.compare/1"
    assert got["recipe"] == "phones"
    assert got["reference"] == {"path": str(reference), "duration_s": 7.5}
    assert got["take"] == {"path": str(take), "duration_s": 8.0}
    assert {"distance", "chunks", "missing", "extra", "tempo"} <= set(got["overall"])
    assert (got["overall"]["chunks"], got["overall"]["missing"], got["overall"]["extra"]) == (3, 0, 0)
    for chunk, (start_s, end_s), take_start_s in zip(got["chunks"], SPANS_S, (0.6, 3.6, 5.8), strict=True):
        assert chunk["status"] == "matched"
        assert chunk["reference"]["start_s"] == pytest.approx(start_s - 0.1, abs=0.05)
        assert chunk["reference"]["end_s"] == pytest.approx(end_s + 0.1, abs=0.05)
        assert chunk["take"]["start_s"] == pytest.approx(take_start_s, abs=0.2)
        assert chunk["tempo"] == pytest.approx(1.0, abs=0.15)
        assert 0 <= chunk["distance"] < 0.3
    pauses = [chunk["pause_before_s"] for chunk in got["chunks"]]
    assert pauses[1]["reference"] == pytest.approx(0.7, abs=0.1)
    assert pauses[1]["take"] == pytest.approx(1.4, abs=0.25)


@pytest.mark.parametrize("by", ["time", "index"])
@pytest.mark.parametrize("recipe", ["default", "mfcc", "classic"])
def test_a_recording_against_itself(speechcmp: Command, reference: Path, by: str, recipe: str) -> None:
    got = speechcmp("compare", reference, reference, "--by", by, "--recipe", recipe, "--format", "json").json
    assert got["overall"]["distance"] == pytest.approx(0, abs=1e-6)
    assert got["overall"]["tempo"] == pytest.approx(1.0)
    assert [chunk["take"] for chunk in got["chunks"]] == [chunk["reference"] for chunk in got["chunks"]]


def test_matrix_of_the_classic_recipe_is_what_its_parts_give(speechcmp: Command, reference: Path, take: Path) -> None:
    options = ("--by", "matrix", "--recipe", "classic", "--silence-thresh=-40", "--format", "json")
    got = speechcmp("compare", reference, take, *options).json
    features: list[list[Features]] = []
    for side, path in (("reference", reference), ("take", take)):
        recording = normalize(load_recording(path, mono=False))
        features.append([])
        for chunk in got[side]["chunks"]:
            start, stop = (round(chunk[key] * recording.sample_rate) for key in ("start_s", "end_s"))
            samples = recording.samples[start:stop]
            part = type(recording)(samples, recording.sample_rate)
            features[-1].append(mfcc(_at_22050(part), 22_050))
    want = [[dtw_distance(a, b) for b in features[1]] for a in features[0]]
    np.testing.assert_allclose(got["matrix"], want, rtol=1e-4)
    assert np.shape(got["matrix"]) == (3, 3)
    assert (np.argmin(got["matrix"], axis=1) == [0, 1, 2]).all()


def _at_22050(part: object) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    from speechcmp.audio.recording import Recording, mix_down, resample

    assert isinstance(part, Recording)
    return resample(mix_down(part), 22_050).samples


def test_by_index_leaves_over_what_has_no_partner(speechcmp: Command, reference: Path, tmp_path: Path) -> None:
    short = tmp_path / "short.wav"
    soundfile.write(short, sentences(SPANS_S[:2], 5.2), 16_000)
    got = speechcmp("compare", reference, short, "--by", "index", "--format", "json").json
    assert [chunk["status"] for chunk in got["chunks"]] == ["matched", "matched", "missing"]
    assert got["chunks"][2]["take"] is None
    assert got["chunks"][2]["distance"] is None
    assert got["overall"]["missing"] == 1
    other = speechcmp("compare", short, reference, "--by", "index", "--format", "json").json
    assert other["overall"]["extra"] == len(other["extra"]) == 1


def test_fastdtw_is_never_nearer_than_exact(speechcmp: Command, reference: Path, take: Path) -> None:
    exact, fast = (
        speechcmp("compare", reference, take, "--by", "matrix", "--dtw", dtw, "-f", "json").json["matrix"]
        for dtw in ("exact", "fastdtw")
    )
    assert (np.array(fast) >= np.array(exact) - 1e-5).all()


def test_several_takes(speechcmp: Command, reference: Path, take: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_bytes(b"RIFF")
    both = speechcmp("compare", reference, take, reference, "--format", "json")
    assert [item["take"]["path"] for item in both.json] == [str(take), str(reference)]
    some = speechcmp("compare", reference, take, tmp_path / "bad.wav", "--format", "jsonl")
    assert some.code == 3
    assert [line["take"]["path"] for line in some.lines] == [str(take)]
    assert some.err.startswith(f"speechcmp: {tmp_path / 'bad.wav'}: ")
    rows = speechcmp("compare", reference, take, reference, "--format", "csv").out.splitlines()
    assert len(rows) == 7
    assert rows[0].startswith("reference_path,take_path,index,status,")


def test_take_from_standard_input(
    speechcmp: Command, reference: Path, take: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(take.read_bytes())))
    got = speechcmp("compare", reference, "-", "--format", "json").json
    assert got["overall"] == speechcmp("compare", reference, take, "--format", "json").json["overall"]
    refused = speechcmp("compare", "-", "-")
    assert refused.code == 2
    assert "only once" in refused.err


def test_tables(speechcmp: Command, reference: Path, take: Path) -> None:
    lines = speechcmp("compare", reference, take).out.splitlines()
    assert lines[0] == f"{take} against {reference}"
    assert lines[1].split()[:4] == ["chunk", "reference", "take", "tempo"]
    assert any(line.startswith("overall: score ") for line in lines)
    matrix = speechcmp("compare", reference, take, "--by", "matrix").out.splitlines()
    assert matrix[1].split() == ["reference", "take", "0", "take", "1", "take", "2"]


def test_a_matrix_of_many_chunks_fits_the_width(speechcmp: Command, tmp_path: Path) -> None:
    path = tmp_path / "many.wav"
    spans_s = [(0.7 * k, 0.7 * k + 0.4) for k in range(1, 24)]
    soundfile.write(path, sentences(spans_s, 17.3, 8_000), 8_000)
    options = ("--by", "matrix", "--min-silence-len", 200)
    lines = speechcmp("compare", path.name, path.name, *options).out.splitlines()
    assert max(map(len, lines)) <= 100
    headers = [line.split()[2::2] for line in lines if line.startswith("reference  ")]
    assert len(headers) > 1
    assert [int(number) for header in headers for number in header] == list(range(23))
    rows = [line.split() for line in lines if line.split() and line.split()[0] == "5"]
    cells = [float(cell) for row in rows for cell in row[1:]]
    matrix = speechcmp("compare", path, path, *options, "--format", "json").json["matrix"]
    assert cells == pytest.approx(matrix[5], abs=6e-4)


def test_details_stand_under_their_table_and_takes_are_ranked(
    speechcmp: Command, reference: Path, take: Path, tmp_path: Path
) -> None:
    short = tmp_path / "short.wav"
    soundfile.write(short, sentences(SPANS_S[:2], 5.2), 16_000)
    names = [path.name for path in (short, take, reference)]
    lines = speechcmp("compare", reference.name, *names, "--verbose").out.splitlines()
    heads = [line for line in lines if line.endswith((" in detail", " against reference.wav"))]
    assert heads == [text for name in names for text in (f"{name} against reference.wav", f"{name} in detail")]
    ranking = [line.split() for line in lines[lines.index("all takes, the best first") + 1 :] if line]
    assert ranking[0] == ["rank", "take", "score", "distance", "missing", "tempo"]
    assert [int(row[0]) for row in ranking[1:]] == [1, 2, 3]
    scores = {row[1]: float(row[2]) for row in ranking[1:]}
    assert list(scores.values()) == sorted(scores.values(), reverse=True)
    assert (ranking[1][1], ranking[3][1]) == ("reference.wav", "short.wav")
    assert "best first" not in speechcmp("compare", reference, take).out


# -------------------------------------------------------------------------------- several references


@pytest.fixture
def others(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "refs" / f"{k}.wav" for k in range(2)]
    paths[0].parent.mkdir()
    for path, shift_s in zip(paths, (0.1, 0.3), strict=True):
        samples = sentences([(start + shift_s, end + shift_s) for start, end in SPANS_S], 7.8, seed=7)
        soundfile.write(path, samples, 16_000)
    return paths


def test_takes_are_placed_among_references(
    speechcmp: Command, reference: Path, take: Path, others: list[Path], tmp_path: Path
) -> None:
    short = tmp_path / "short.wav"
    soundfile.write(short, sentences(SPANS_S[:1], 2.5), 16_000)
    done = speechcmp("compare", reference, take, short, "--also-reference", others[0].parent, "--format", "json")
    assert (done.code, done.err) == (0, "")
    for got, name in zip(done.json, (take, short), strict=True):
        spread = got["spread"]
        assert spread["n_references"] == 3
        assert spread["references"] == [str(reference), *map(str, others)]
        assert spread["take_scores"][0] == pytest.approx(got["overall"]["score"], abs=1e-5)
        alone = speechcmp("compare", others[1], name, "--format", "json").json
        assert spread["take_scores"][2] == pytest.approx(alone["overall"]["score"], abs=1e-5)
        assert "spread" not in alone
        assert spread["take_mean"] == pytest.approx(np.mean(spread["take_scores"]), abs=1e-5)
        assert [row[k] for k, row in enumerate(spread["reference_scores"])] == [None] * 3
        assert spread["z"] is None
    assert done.json[1]["spread"]["place"] == 0
    options = ("--also-reference", others[0], "--also-reference", others[1])
    lines = speechcmp("compare", reference, short, *options).out.splitlines()
    (told,) = [line for line in lines if line.startswith("3 references score ")]
    assert told.endswith("farther off than any of them")
    assert lines.index(told) == next(k for k, line in enumerate(lines) if line.startswith("points lost")) + 1


def test_a_reference_of_another_text_is_told(
    speechcmp: Command, reference: Path, take: Path, others: list[Path], tmp_path: Path
) -> None:
    stranger = tmp_path / "stranger.wav"
    soundfile.write(stranger, buzz(4 * 16_000), 16_000)
    options = ("--also-reference", others[0], "--also-reference", others[1], "--also-reference", stranger)
    done = speechcmp("compare", reference, take, *options)
    assert done.code == 0
    assert f"{stranger}: scores " in done.err
    assert "is it the same text?" in done.err
    assert str(others[0]) not in done.err


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--also-reference", "reference.wav"], "--also-reference reference.wav: is a reference already"),
        (["--also-reference", "take.flac"], "take.flac: is a reference, too"),
        (["--also-reference", "refs/0.wav", "--by", "matrix"], "--by matrix: has one reference"),
        (["--also-reference", "-"], "standard input is for the reference or a take"),
        (["--also-reference", "refs/9.wav"], "refs/9.wav: no such file"),
    ],
)
def test_references_that_can_not_be(
    speechcmp: Command, reference: Path, take: Path, others: list[Path], extra: list[str], message: str
) -> None:
    assert reference.exists()
    assert others
    done = speechcmp("compare", "reference.wav", take.name, *extra)
    assert done.code in {1, 2}
    assert message in done.err
    assert (done.out, done.err.count("\n")) == ("", 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [(["--recipe", "clasic"], "'clasic' is unknown"), (["--band", "2"], "band"), (["--by", "luck"], "luck")],
)
def test_wrong_usage(speechcmp: Command, reference: Path, take: Path, options: list[str], message: str) -> None:
    result = speechcmp("compare", reference, take, *options)
    assert (result.code, result.out) == (2, "")
    assert message in result.err
    assert result.err.count("\n") == 1


def test_recordings_without_pauses_or_speech(speechcmp: Command, reference: Path, tmp_path: Path) -> None:
    noise = tmp_path / "noise.wav"
    soundfile.write(noise, 0.01 * np.random.default_rng(0).standard_normal(32_000), 16_000)
    soundfile.write(tmp_path / "click.wav", np.r_[1.0, np.zeros(50)], 16_000)
    soundfile.write(tmp_path / "one.wav", [0.5], 8_000)
    for path in (noise, tmp_path / "click.wav", tmp_path / "one.wav"):
        for pair in ((reference, path), (path, reference), (path, path)):
            result = speechcmp("compare", *pair, "--format", "json")
            assert result.code in {0, 1}, result.err
            assert "Error" not in result.err


def test_scores_and_what_they_are_made_of(speechcmp: Command, reference: Path, take: Path) -> None:
    same = speechcmp("compare", reference, reference, "--format", "json").json
    assert same["overall"]["score"] >= 99
    assert [chunk["score"] >= 99 for chunk in same["chunks"]] == [True] * 3
    got = speechcmp("compare", reference, take, "--format", "json").json
    assert 0 <= got["overall"]["score"] <= 100
    for part in (got["overall"], *got["chunks"]):
        assert part["score"] + sum(part["score_parts"]["lost"].values()) == pytest.approx(100, abs=1e-3)
        low, high = part["score_parts"]["interval"]
        assert low <= part["score"] <= high
    assert got["chunks"][0]["pitch"] is None
    assert got["chunks"][0]["prosody"]["reference"]["speech_rate"] > 0


def test_missing_chunks_cost_completeness(speechcmp: Command, reference: Path, tmp_path: Path) -> None:
    short = tmp_path / "short.wav"
    soundfile.write(short, sentences(SPANS_S[:2], 5.2), 16_000)
    got = speechcmp("compare", reference, short, "--by", "index", "--format", "json").json
    assert got["chunks"][2]["score"] == 0.0
    share = got["chunks"][2]["reference"]["end_s"] - got["chunks"][2]["reference"]["start_s"]
    whole = sum(c["reference"]["end_s"] - c["reference"]["start_s"] for c in got["chunks"])
    assert got["overall"]["score_parts"]["lost"]["completeness"] == pytest.approx(100 * share / whole, abs=0.1)


def test_fail_under(speechcmp: Command, reference: Path, take: Path) -> None:
    score = speechcmp("compare", reference, take, "--format", "json").json["overall"]["score"]
    assert speechcmp("compare", reference, take, "--fail-under", score - 1).code == 0
    assert speechcmp("compare", reference, take, reference, "--fail-under", min(99, score + 1)).code == 4
    assert speechcmp("compare", reference, take, "--fail-under", 50, "--by", "matrix").code == 2


def test_verbose_says_where_to_listen(speechcmp: Command, samples: Path, tmp_path: Path) -> None:
    changed = tmp_path / "changed.wav"
    reference = samples / "reference.flac"
    samples_of, rate = soundfile.read(reference)
    start, stop, other = round(1.0 * rate), round(1.5 * rate), round(9.2 * rate)
    samples_of[start:stop] = samples_of[other : other + stop - start]  # other words in the same voice
    soundfile.write(changed, samples_of, rate)
    chunks = speechcmp("compare", reference, changed, "-f", "json").json["chunks"]
    (chunk,) = [c for c in chunks if c["worst"]]
    assert chunk["index"] == 0
    assert all(0.85 <= one["take"]["start_s"] < one["take"]["end_s"] <= 1.65 for one in chunk["worst"])
    assert "least alike: reference " in speechcmp("compare", reference, changed, "--verbose").out


@pytest.mark.slow
def test_pitch_when_asked_for(speechcmp: Command, reference: Path) -> None:
    got = speechcmp("compare", reference, reference, "--pitch", "--format", "json").json
    pitch = got["chunks"][0]["pitch"]
    assert set(pitch) == {"correlation", "range_semitones", "range_ratio"}
    assert pitch["range_semitones"]["reference"] == pitch["range_semitones"]["take"]


def test_calibration_of_ones_own(speechcmp: Command, reference: Path, take: Path, tmp_path: Path) -> None:
    model = load_model()
    free = replace(model.sound, slopes=(0.0, 0.0))
    lenient = replace(model, sound=free, cepstra=free, verifier=replace(model.verifier, offset=1e6))
    path = tmp_path / "model.json"
    path.write_text(lenient.to_json())
    ours = speechcmp("compare", reference, take, "--calibration", path, "--format", "json").json
    assert ours["overall"]["score_parts"]["lost"]["sound"] == 0
    assert ours["calibration"] == str(path)
    assert "calibration" not in speechcmp("compare", reference, take, "--format", "json").json
    path.write_text("{}")
    refused = speechcmp("compare", reference, take, "--calibration", path)
    assert refused.code == 2
    assert f"{path}: no score model (lacks 'schema'); speechcmp calibrate" in refused.err
    missing = speechcmp("compare", reference, take, "--calibration", tmp_path / "none.json")
    assert missing.code == 2
    assert "none.json: can't be read (No such file" in missing.err
