"""Fitting: known laws are found again, noise is not believed in, and speakers are never tested on themselves."""

import csv
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from rated import rated_takes, right_or_wrong

from speechcmp.audio.recording import load_recording
from speechcmp.calibration.evaluate import bootstrap, correlation, separation
from speechcmp.calibration.fit import Examples, calibrate, fit_verifier, folds
from speechcmp.errors import ParameterError
from speechcmp.scoring.impostors import Measures, measure_chunk, measure_recording
from speechcmp.scoring.model import Curve, TakeMeasures, TextVerifier, load_model, score_take

LINEAR = replace(
    load_model(),
    verifier=TextVerifier(50.0, 0.0, 0.0, 0.0, 0.0, 0.0),
    sound=Curve((0.2,), (1.0,)),
    cepstra=Curve((), ()),
    timing=Curve((0.0,), (1.0,)),
    pauses=Curve((0.0,), (1.0,)),
)


# ---------------------------------------------------------------------------------------------- ratings


@pytest.mark.parametrize("n_chunks", [1, 3])
def test_a_known_mapping_is_recovered(n_chunks: int) -> None:
    rated = rated_takes(150, 2, n_chunks=n_chunks)
    model, fit, verifier = calibrate(rated, base=LINEAR, base_weight=0)
    assert model.sound.slopes == pytest.approx((40,), abs=0.01)
    assert model.timing.slopes == pytest.approx((30,), abs=0.01)
    assert model.pauses.slopes == pytest.approx((6,), abs=0.01)
    assert [score_take(take, model).value for take in rated.takes] == pytest.approx(list(rated.ratings), abs=0.02)
    assert fit
    assert fit.after.pearson.value > 0.999
    assert fit.after.mean_error.value < 0.02 < fit.before.mean_error.low
    assert fit.gain.value == pytest.approx(fit.before.mean_error.value - fit.after.mean_error.value)
    assert model.fitted["n_speakers"] == 12
    assert model.fitted["n_ratings"] == 150
    assert verifier is None
    assert model.verifier == LINEAR.verifier


def test_few_ratings_leave_the_model_near_what_it_was() -> None:
    def sound(n: int, base_weight: float) -> float:
        return calibrate(rated_takes(n, 2), base=LINEAR, base_weight=base_weight).model.sound.slopes[0]

    assert LINEAR.sound.slopes[0] < sound(20, 100) < sound(20, 20) < sound(200, 20) < sound(200, 0)


def test_what_verification_refuses_does_not_bend_the_slopes() -> None:
    base = replace(LINEAR, verifier=TextVerifier(20.0, 100.0, 0.0, 0.0, 0.0, 0.0))
    rated = rated_takes(60, 4)
    strangers = tuple(TakeMeasures.of_chunk(Measures(0.9, 0.3, 0.3, 2.0)) for _ in range(20))
    both = Examples(rated.takes + strangers, rated.speakers + ("s1",) * 20, rated.ratings + (5.0,) * 20)
    with_them, without = (calibrate(one, base=base, base_weight=0).model for one in (both, rated))
    assert with_them.sound.slopes == pytest.approx(without.sound.slopes, abs=0.2)


def test_cross_validation_does_not_believe_in_noise() -> None:
    rated = rated_takes(100, 3)
    noise = np.random.default_rng(3).uniform(40, 100, 100)
    model, fit, _ = calibrate(replace(rated, ratings=tuple(noise.tolist())))
    assert fit
    assert fit.after.pearson.value < 0.3
    low, high = model.error.around(70.0)
    assert low < 60
    assert high > 80


def test_speakers_are_not_tested_on_what_was_fitted_to_them() -> None:
    # Each speaker has a place of his own and a rating by no law: who has seen him knows the rating.
    rng = np.random.default_rng(8)
    places, ratings = rng.uniform(0, 1, (10, 3)), rng.uniform(20, 90, 10)
    order = [k for k in range(10) for _ in range(6)]
    takes = tuple(
        TakeMeasures.of_chunk(Measures(0.1, 0.3, places[k][0], 2.0, math.exp(places[k][1]), places[k][2] / 2))
        for k in order
    )
    knots = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    bendable = Curve(knots, (0.0,) * len(knots))
    base = replace(LINEAR, sound=bendable, timing=bendable, pauses=bendable)
    rated = Examples(takes, tuple(f"s{k}" for k in order), tuple(float(ratings[k]) for k in order))
    alone = replace(rated, speakers=tuple(map(str, range(60))))
    by_speaker, by_take = (calibrate(one, base=base, base_weight=0).ratings for one in (rated, alone))
    assert by_speaker
    assert by_take
    assert by_speaker.after.mean_error.value > by_take.after.mean_error.value + 3


def test_the_interval_holds_four_fifths_of_other_ratings() -> None:
    rng = np.random.default_rng(1)
    rated, others = rated_takes(400, 5), rated_takes(400, 6)
    blurred = replace(rated, ratings=tuple(np.clip(np.array(rated.ratings) + rng.normal(0, 8, 400), 0, 100).tolist()))
    model = calibrate(blurred).model
    felt = np.clip(np.array(others.ratings) + rng.normal(0, 8, 400), 0, 100)
    scores = [score_take(take, model) for take in others.takes]
    inside = np.mean([one.interval[0] <= x <= one.interval[1] for one, x in zip(scores, felt, strict=True)])
    assert 0.72 < inside < 0.88


def test_a_sterner_rater_of_real_readings_is_followed(real_speech: Path) -> None:
    with (real_speech / "readings.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))[1::5]
    takes = []
    for row in rows:
        paths = real_speech / "references" / f"{row['id']}_slt.flac", real_speech / "readings" / f"{row['id']}.flac"
        takes.append(TakeMeasures.of_chunk(measure_chunk(*(measure_recording(load_recording(path)) for path in paths))))
    ratings = tuple(float(row["total"]) ** 2 for row in rows)
    fit = calibrate(Examples(tuple(takes), tuple(row["speaker"] for row in rows), ratings)).ratings
    assert fit
    assert fit.after.mean_error.value < fit.before.mean_error.value - 1
    assert fit.after.pearson.low > 0.3


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"speakers": ("a",) * 60}, "1 speakers: too few"),
        ({"ratings": (50.0,) * 60}, "all alike"),
        ({"ratings": (50.0,) * 59}, "60 takes, 59 ratings"),
        ({"ratings": ()}, "nothing to fit"),
        ({"ratings": (*[50.0] * 59, 101.0)}, r"0\.\.100"),
        ({"ratings": (*[50.0] * 59, math.nan)}, r"0\.\.100"),
    ],
)
def test_ratings_that_can_not_be_fitted_are_refused(changes: dict[str, tuple[float, ...]], reason: str) -> None:
    with pytest.raises(ParameterError, match=reason):
        calibrate(replace(rated_takes(60, 1), **changes))  # type: ignore[arg-type]


def test_few_ratings_are_refused() -> None:
    assert calibrate(rated_takes(20, 1)).ratings
    with pytest.raises(ParameterError, match="19 rated takes: too few; rate at least 20"):
        calibrate(rated_takes(19, 1))
    with pytest.raises(ParameterError, match="base_weight -1"):
        calibrate(rated_takes(20, 1), base_weight=-1)


# ------------------------------------------------------------------------------------------------- verifier


@pytest.mark.parametrize("n_chunks", [1, 3])
def test_verification_lets_right_texts_through_and_refuses_wrong_ones(n_chunks: int) -> None:
    same, wrong = (right_or_wrong(200, 5, wrong=kind, n_chunks=n_chunks) for kind in (False, True))
    base = replace(load_model(), verifier=TextVerifier(0.0, 0.0, 0.0, 0.0, 0.0, 0.0))
    model, fit, verifier = calibrate(Examples(), good=same, wrong=wrong, base=base)
    right, refused = ([score_take(take, model).value for take in one.takes] for one in (same, wrong))
    assert 0.94 <= np.mean(np.less(refused, 20)) <= 0.98
    assert np.mean(np.greater(right, 60)) > 0.9
    assert min(model.verifier.distance, model.verifier.phones) > 0
    assert fit is None
    assert verifier
    assert verifier.before.wrong_below_20 < 0.1
    assert verifier.after.wrong_below_20 > 0.9
    assert model.fitted["n_wrong"] == 200


def test_how_strict_verification_is_can_be_chosen() -> None:
    same, wrong = (right_or_wrong(200, 6, wrong=kind).takes for kind in (False, True))
    for share in (0.5, 0.8, 0.99):
        model = fit_verifier(same, wrong, load_model(), refused_share=share)
        assert np.mean([score_take(take, model).value < 20 for take in wrong]) == pytest.approx(share, abs=0.06)
    with pytest.raises(ParameterError, match="refused_share 1"):
        calibrate(rated_takes(20, 1), refused_share=1)


def test_ratings_and_wrong_takes_are_fitted_together() -> None:
    rated = rated_takes(100, 7)
    wrong = right_or_wrong(60, 7, wrong=True)
    strict = replace(load_model(), verifier=TextVerifier(-5.0, 0.1, 0.1, 0.1, 0.0, 0.0))  # refuses everything
    _, fit, verifier = calibrate(rated, good=rated.only(np.ones(100, bool)), wrong=wrong, base=strict)
    assert fit
    assert verifier
    assert fit.before.mean_error.value > 40
    assert fit.after.mean_error.value < 8
    assert verifier.after.good_below_20 == 0
    assert verifier.after.wrong_below_20 > 0.85


def test_verification_needs_takes_in_which_something_was_found() -> None:
    same, wrong = (right_or_wrong(30, 5, wrong=kind) for kind in (False, True))
    nothing = TakeMeasures((None,), (1.0,))
    empty = replace(wrong, takes=wrong.takes[:9] + (nothing,) * 21)
    with pytest.raises(ParameterError, match="30 good and 9 wrong takes in which"):
        calibrate(Examples(), good=same, wrong=empty)
    some = replace(wrong, takes=wrong.takes[:10] + (nothing,) * 20)
    assert calibrate(Examples(), good=same, wrong=some).verifier


@pytest.mark.parametrize("kind", ["rated", "good", "wrong"])
def test_each_kind_must_be_by_several_speakers(kind: str) -> None:
    sets = [rated_takes(30, 1), right_or_wrong(30, 1, wrong=False), right_or_wrong(30, 1, wrong=True)]
    number = ["rated", "good", "wrong"].index(kind)
    sets[number] = replace(sets[number], speakers=("teacher",) * 30)
    with pytest.raises(ParameterError, match=f"{kind} takes: come from too few speakers"):
        calibrate(sets[0], good=sets[1], wrong=sets[2])


@settings(max_examples=30)
@given(st.lists(st.sampled_from("abcdefghijkl"), min_size=1, max_size=60))
def test_folds_never_split_a_speaker(speakers: list[str]) -> None:
    masks = np.array(folds(speakers))
    assert (masks.sum(axis=0) == 1).all()
    for name in set(speakers):
        inside = masks[:, np.array(speakers) == name].any(axis=1)
        assert inside.sum() == 1


# -------------------------------------------------------------------------------------------- agreement


def test_separation_counts_pairs_and_shares() -> None:
    good, wrong = np.array([10.0, 50.0, 60.0, 60.0]), np.array([5.0, 19.0, 60.0])
    got = separation(good, wrong)
    above = [(a > b) + 0.5 * (a == b) for a in good for b in wrong]
    assert got.auc == pytest.approx(np.mean(above))
    assert got.good_below_20 == 0.25
    assert got.wrong_below_20 == pytest.approx(2 / 3)


def test_intervals_count_speakers_not_takes() -> None:
    values = np.repeat(np.random.default_rng(0).normal(50, 10, 20), 50)
    speakers = [f"s{k // 50}" for k in range(1000)]
    figure = bootstrap(lambda k: float(values[k].mean()), speakers)
    assert figure.value == pytest.approx(values.mean())
    # Twenty speakers: standard error 10 / sqrt(20) = 2.2, not 10 / sqrt(1000) = 0.3.
    assert 5 < figure.high - figure.low < 13
    assert correlation(values, np.full(1000, 3.0)) == 0
