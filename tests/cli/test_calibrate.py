"""``speechcmp calibrate``: from results and ratings to a model that `compare` and `batch` use."""

import csv
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from commands import Command
from rated import rated_takes, right_or_wrong
from signals import sentences, syllables

from speechcmp.calibration.fit import Examples
from speechcmp.calibration.ratings import all_takes, join, read_ratings, read_results
from speechcmp.scoring.model import load_model, score_take

SIZE = 40


def write_results(path: Path, examples: Examples, *, speakers: bool = True) -> Path:
    """Write examples as a batch would."""
    with path.open("w", encoding="utf-8") as file:
        for number, take in enumerate(examples.takes):
            chunks = [
                {
                    "reference": {"start_s": 0.0, "end_s": duration_s},
                    "pause_before_s": {"reference": 0.0, "take": 0.0},
                    "measures": one and asdict(one),
                }
                for one, duration_s in zip(take.chunks, take.durations_s, strict=True)
            ]
            row = {"id": f"r{number}", "take": f"{number}.wav"}
            if speakers:
                row["speaker"] = examples.speakers[number]
            line = {"schema": "speechcmp.batch/1", **row, "overall": {"extra_s": 0.0}, "chunks": chunks}
            file.write(json.dumps(line) + "\n")
    return path


def write_ratings(path: Path, examples: Examples, *, scale: float = 1.0, header: str = "id,rating") -> Path:
    lines = [f"r{number},{rating * scale:.4f}" for number, rating in enumerate(examples.ratings)]
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def rated() -> Examples:
    return rated_takes(SIZE, 1)


@pytest.fixture
def results(tmp_path: Path, rated: Examples) -> Path:
    return write_results(tmp_path / "results.jsonl", rated)


@pytest.fixture
def ratings(tmp_path: Path, rated: Examples) -> Path:
    return write_ratings(tmp_path / "ratings.csv", rated)


def test_a_model_is_written_and_says_where_it_comes_from(
    speechcmp: Command, results: Path, ratings: Path, tmp_path: Path
) -> None:
    out = tmp_path / "model.json"
    done = speechcmp("calibrate", results, ratings, "-o", out, "--format", "json")
    assert done.code == 0, done.err
    got = done.json
    assert got["schema"] == "speechcmp.calibrate/1"
    assert (got["results"], got["ratings"], got["wrong"], got["model"]) == (str(results), str(ratings), None, str(out))
    assert (got["unmatched"], got["unrated"], got["empty"]) == (0, 0, 0)
    fitted = load_model(out).fitted
    assert got["fitted"] == fitted
    assert fitted["on"] == "results results.jsonl, ratings ratings.csv"
    assert (fitted["rating_column"], fitted["scale"]) == ("rating", "0,100")
    assert fitted["by"].startswith("speechcmp ")
    assert fitted["made_at"].startswith("20")
    assert (fitted["n_ratings"], fitted["n_speakers"]) == (SIZE, 12)
    assert fitted["mean_error"][0] < fitted["before"]["mean_error"][0]
    assert "few" in done.err
    assert load_model(out).verifier == load_model().verifier
    assert load_model(out) != load_model()
    # Written where it should be, through a link, and over an earlier one.
    link = tmp_path / "link.json"
    link.symlink_to(out)
    out.write_text(out.read_text() + "\n")
    assert speechcmp("calibrate", results, ratings, "-o", link).code == 0
    assert link.is_symlink()
    assert load_model(out).fitted["n_ratings"] == SIZE


def test_another_scale_and_column_give_the_same_model(
    speechcmp: Command, results: Path, ratings: Path, rated: Examples, tmp_path: Path
) -> None:
    models = [tmp_path / "a.json", tmp_path / "b.json"]
    tenths = write_ratings(tmp_path / "tenths.csv", rated, scale=0.1, header="id,stars")
    assert speechcmp("calibrate", results, ratings, "-o", models[0]).code == 0
    options = ("--rating-column", "stars", "--scale", "0,10")
    assert speechcmp("calibrate", results, tenths, *options, "-o", models[1]).code == 0
    one, two = map(load_model, models)
    assert one.sound.slopes == pytest.approx(two.sound.slopes, abs=0.1)
    assert one.timing.slopes == pytest.approx(two.timing.slopes, abs=0.1)


def test_a_table_for_people(speechcmp: Command, results: Path, ratings: Path, tmp_path: Path) -> None:
    text = ratings.read_text().splitlines()
    ratings.write_text("\n".join([*text[:-3], "r37,", "nobody,50"]) + "\n")
    done = speechcmp("calibrate", results, ratings)
    assert done.code == 0
    counts = "1 ratings without a result, 1 rows without a rating, 3 results without one"
    assert done.out.splitlines()[0] == f"{SIZE - 3} rated takes by 12 speakers; {counts}"
    assert "correlation with the ratings" in done.out
    assert "the model is not written" in done.out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ratings.csv", "results.jsonl"]


def test_good_and_wrong_takes_fit_text_verification(speechcmp: Command, tmp_path: Path) -> None:
    good = write_results(tmp_path / "good.jsonl", right_or_wrong(60, 1, wrong=False))
    wrong = write_results(tmp_path / "wrong.jsonl", right_or_wrong(60, 1, wrong=True))
    out = tmp_path / "model.json"
    done = speechcmp("calibrate", good, "--wrong", wrong, "-o", out)
    assert (done.code, done.err) == (0, "")
    assert "60 takes of the right text, 60 of a wrong one" in done.out
    assert "wrong ones below 20, %" in done.out
    model = load_model(out)
    assert (model.sound, model.timing, model.error) == (load_model().sound, load_model().timing, load_model().error)
    assert model.verifier != load_model().verifier
    assert model.fitted["on"] == "results good.jsonl, wrong wrong.jsonl"
    strict = tmp_path / "strict.json"
    assert speechcmp("calibrate", good, "--wrong", wrong, "-o", strict, "--refuse", 50).code == 0
    assert load_model(strict).verifier.other < model.verifier.other


def test_ratings_and_wrong_takes_together(speechcmp: Command, results: Path, ratings: Path, tmp_path: Path) -> None:
    wrong = write_results(tmp_path / "wrong.jsonl", right_or_wrong(30, 1, wrong=True))
    got = speechcmp("calibrate", results, ratings, "--wrong", wrong, "--format", "json").json["fitted"]
    assert {"gain", "pearson", "gate", "gate_before"} <= set(got)
    assert (got["n_ratings"], got["n_good"], got["n_wrong"]) == (SIZE, SIZE, 30)


# ---------------------------------------------------------------------------------------------- doubts


def test_noise_is_not_called_better(speechcmp: Command, results: Path, tmp_path: Path, rated: Examples) -> None:
    noise = np.random.default_rng(0).permutation(rated.ratings)
    path = write_ratings(tmp_path / "noise.csv", Examples(rated.takes, rated.speakers, tuple(noise.tolist())))
    done = speechcmp("calibrate", results, path, "-o", tmp_path / "model.json")
    assert done.code == 0
    assert "may say nothing of the ratings" in done.err


def test_what_gains_nothing_is_not_called_better(
    speechcmp: Command, results: Path, tmp_path: Path, rated: Examples
) -> None:
    scores = tuple(score_take(take).value for take in rated.takes)
    path = write_ratings(tmp_path / "as-before.csv", Examples(rated.takes, rated.speakers, scores))
    done = speechcmp("calibrate", results, path, "-o", tmp_path / "model.json")
    assert done.code == 0
    assert "the model is no better than the shipped one: mean error 0." in done.err


def test_takes_without_speakers_are_told(speechcmp: Command, tmp_path: Path, rated: Examples, ratings: Path) -> None:
    results = write_results(tmp_path / "results.jsonl", rated, speakers=False)
    done = speechcmp("calibrate", results, ratings, "--format", "json")
    assert f"{SIZE} of {SIZE} takes name no speaker" in done.err
    assert done.json["fitted"]["n_speakers"] == SIZE


def test_a_forgotten_scale_is_told(speechcmp: Command, results: Path, tmp_path: Path, rated: Examples) -> None:
    done = speechcmp("calibrate", results, write_ratings(tmp_path / "tenths.csv", rated, scale=0.1))
    assert "--scale LOW,HIGH" in done.err


def test_text_verification_that_refuses_good_takes_is_told(speechcmp: Command, tmp_path: Path) -> None:
    strangers = right_or_wrong(60, 1, wrong=True)
    results = write_results(tmp_path / "results.jsonl", strangers)
    ratings = [60.0 + k % 30 for k in range(60)]
    path = write_ratings(tmp_path / "ratings.csv", Examples(strangers.takes, strangers.speakers, tuple(ratings)))
    done = speechcmp("calibrate", results, path)
    assert "60 of 60 takes rated 50 or more are taken for another text" in done.err
    near = write_results(tmp_path / "near.jsonl", right_or_wrong(60, 2, wrong=True))
    assert "of the right takes score below 20" in speechcmp("calibrate", results, "--wrong", near).err


# ----------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to fit to: give RATINGS, or --wrong"),
        (["ratings.csv", "-o", "results.jsonl"], "--out results.jsonl: is read from, too"),
        (["ratings.csv", "-o", "./ratings.csv"], "--out ratings.csv: is read from, too"),
        (["--wrong", "results.jsonl"], "two of them are one file"),
        (["ratings.csv", "--scale", "5"], "--scale: '5' is no scale"),
        (["ratings.csv", "--scale", "5,1"], "scale: 5 to 1 is no scale"),
        (["ratings.csv", "--scale", "0,50"], "not in 0 to 50; --scale LOW,HIGH"),
        (["ratings.csv", "--rating-column", "stars"], "needs columns id (or take) and stars, has id, rating"),
        (["ratings.csv", "--refuse", "100"], "--refuse: 100 is out of range"),
        (["nowhere.csv"], "nowhere.csv: can't be read"),
        (["few.csv"], "3 rated takes: too few; rate at least 20"),
        (
            ["ratings.csv", "-o", "nowhere/model.json"],
            "model.json: can't be written (No such file",
        ),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    speechcmp: Command, results: Path, ratings: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    (tmp_path / "few.csv").write_text("id,rating\nr1,50\nr2,60\nr3,70\n")
    before = results.read_bytes(), ratings.read_bytes()
    done = speechcmp("calibrate", results, *arguments)
    assert done.code in {1, 2}
    assert message in done.err
    assert (done.out, done.err.count("\n")) == ("", 1)
    assert (results.read_bytes(), ratings.read_bytes()) == before


def test_only_a_model_is_replaced(speechcmp: Command, results: Path, ratings: Path, tmp_path: Path) -> None:
    precious, link = tmp_path / "take.flac", tmp_path / "link.jsonl"
    precious.write_bytes(b"fLaC")
    link.hardlink_to(results)
    before = results.read_bytes()
    for out, reason in ((precious, "no score model"), (link, "is read from, too")):
        done = speechcmp("calibrate", results, ratings, "-o", out)
        assert (done.code, reason in done.err) == (2, True)
    assert (precious.read_bytes(), results.read_bytes()) == (b"fLaC", before)
    model, nowhere = tmp_path / "model.json", tmp_path / "nowhere.json"
    model.write_text('{"schema": "speechcmp.score-model/1"}')
    for _ in range(2):
        assert speechcmp("calibrate", results, ratings, "-o", model).code == 0
    nowhere.symlink_to("elsewhere.json")
    assert "is a link to nothing" in speechcmp("calibrate", results, ratings, "-o", nowhere).err
    assert not (tmp_path / "elsewhere.json").exists()
    assert not [path for path in tmp_path.iterdir() if path.suffix == ".part"]


def test_a_torn_line_and_utf_16_are_read(speechcmp: Command, results: Path, ratings: Path) -> None:
    want = speechcmp("calibrate", results, ratings, "--format", "json").json
    with results.open("ab") as file:
        file.write(b'{"schema": "speechcmp.ba')
    ratings.write_text(ratings.read_text(), encoding="utf-16")
    got = speechcmp("calibrate", results, ratings, "--format", "json").json
    assert all(got["fitted"][name] == want["fitted"][name] for name in ("n_ratings", "pearson", "mean_error"))


def test_ratings_name_the_speakers_of_all_sets(tmp_path: Path, rated: Examples) -> None:
    results = read_results(write_results(tmp_path / "r.jsonl", rated, speakers=False))
    table = tmp_path / "ratings.csv"
    rows = [
        f"{k}.wav,{rating},{name}" for k, (rating, name) in enumerate(zip(rated.ratings, rated.speakers, strict=True))
    ]
    table.write_text("take,rating,speaker\n" + "\n".join(rows) + "\n")
    joined = join(results, read_ratings(table))
    assert all_takes(results, joined.speakers).speakers == joined.examples.speakers == rated.speakers


def test_results_without_measures_are_named(speechcmp: Command, tmp_path: Path, ratings: Path) -> None:
    old = {"schema": "speechcmp.batch/1", "id": "1", "take": "a.wav", "overall": {"extra_s": 0.0}}
    path = tmp_path / "old.jsonl"
    path.write_text(json.dumps({**old, "chunks": [{"index": 0, "distance": 0.3, "score": 80.0}]}) + "\n")
    done = speechcmp("calibrate", path, ratings)
    assert done.code == 2
    assert "old.jsonl: line 1: chunks[0].measures: is not there; an earlier version wrote this" in done.err


# ------------------------------------------------------------------------------------------ the whole way


def make_class(folder: Path, n: int) -> list[dict[str, Any]]:
    """Record a reference and a class: the later the take, the more of it is something else."""
    rate, rows = 8_000, []
    original, other = (sentences([(0.4, 2.4)], 2.8, rate), syllables(1.5, rate, seed=99))
    soundfile.write(folder / "ref.wav", original, rate)
    for number in range(n):
        take, n_other = sentences([(0.4, 2.4)], 2.8, rate, seed=number), round(0.05 * number * rate)
        take[rate : rate + n_other] = other[:n_other]
        soundfile.write(folder / f"{number}.wav", take, rate)
        rated = {"speaker": f"s{number % 7}", "rating": 90 - 2 * number}
        rows.append({"reference": "ref.wav", "take": f"{number}.wav", **rated})
    return rows


def test_from_batch_to_compare(speechcmp: Command, tmp_path: Path) -> None:
    rows = make_class(tmp_path, 20)
    for name, columns in (("class.csv", ("reference", "take", "speaker")), ("ratings.csv", ("take", "rating"))):
        with (tmp_path / name).open("w", newline="") as file:
            writer = csv.DictWriter(file, columns, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
    for suffix in ("jsonl", "csv"):
        assert speechcmp("batch", "class.csv", "-o", f"results.{suffix}", "--jobs", 1).code == 0
    models = []
    for suffix in ("jsonl", "csv"):
        done = speechcmp("calibrate", f"results.{suffix}", "ratings.csv", "-o", "model.json", "--format", "json")
        assert done.code == 0, done.err
        models.append(load_model(tmp_path / "model.json"))
    assert models[0] == models[1]
    assert done.json["fitted"]["n_speakers"] == 7
    compared = speechcmp("compare", "ref.wav", "9.wav", "--calibration", "model.json", "--format", "json").json
    assert compared["calibration"] == "model.json"
    assert "; scored by model.json" in speechcmp("compare", "ref.wav", "9.wav", "--calibration", "model.json").out
    assert speechcmp("batch", "class.csv", "-o", "again.jsonl", "--calibration", "model.json", "--jobs", 1).code == 0
    again = [json.loads(line) for line in (tmp_path / "again.jsonl").read_text().splitlines()]
    assert again[9]["overall"]["score"] == pytest.approx(compared["overall"]["score"], abs=1e-4)
    first = json.loads((tmp_path / "results.jsonl").read_text().splitlines()[9])
    assert again[9]["overall"]["score"] != pytest.approx(first["overall"]["score"], abs=0.5)
    printed = speechcmp("compare", "ref.wav", *(f"{k}.wav" for k in range(20)), "--format", "json").out
    (tmp_path / "printed.json").write_text(printed)
    assert speechcmp("calibrate", "printed.json", "ratings.csv", "-o", "printed-model.json").code == 0
    assert load_model(tmp_path / "printed-model.json").timing == models[0].timing
