"""Scores keep their promises: copies get 100, nothing that grows apart gains, other texts are refused."""

import csv
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from signals import syllables

from speechcmp.audio import Recording, load_recording
from speechcmp.calibration import fit_gate, fit_mapping, folds
from speechcmp.dtw import dtw_path
from speechcmp.errors import ParameterError
from speechcmp.features import Features
from speechcmp.measures import N_BANDS, Measures, measure_bands, measure_chunk
from speechcmp.mismatch import find_mismatches, local_costs
from speechcmp.score import MISSING, Curve, Gate, combine, load_model, score

SPEECH = Path(__file__).resolve().parents[2] / "shared" / "speech"
needs_speech = pytest.mark.skipif(not SPEECH.is_dir(), reason="needs the readings of shared/speech")

finite = st.floats(0, 1.5)
tempos = st.floats(0.2, 5)
any_measures = st.builds(Measures, finite, finite, tempos, finite)


def sentence(seed: int, duration_s: float = 2.0, gain: float = 1.0) -> Features:
    wave = gain * syllables(duration_s, 16_000, seed=seed)
    noise = gain * 1e-4 * np.random.default_rng(seed).standard_normal(len(wave))
    return measure_bands(Recording((wave + noise).astype(np.float32), 16_000))


# ------------------------------------------------------------------------------------------------- score


@given(any_measures)
def test_parts_add_up_to_what_is_lost(measures: Measures) -> None:
    got = score(measures)
    assert 0 <= got.value <= 100
    assert min(got.lost) >= 0
    assert math.isclose(100 - sum(got.lost), got.value, abs_tol=1e-9)
    assert 0 <= got.interval[0] <= got.value <= got.interval[1] <= 100


@given(any_measures, any_measures)
def test_no_measure_gains_by_growing(a: Measures, b: Measures) -> None:
    def ordered(x: float, y: float) -> tuple[float, float]:
        return min(x, y), max(x, y)

    distance, relative, pause = (
        ordered(*x) for x in ((a.distance, b.distance), (a.relative, b.relative), (a.pause, b.pause))
    )
    slow = ordered(abs(math.log(a.tempo)), abs(math.log(b.tempo)))
    near, far = (Measures(distance[k], relative[k], math.exp(slow[k]), pause[k]) for k in (0, 1))
    assert score(near).value >= score(far).value - 1e-9


@given(any_measures)
def test_faster_costs_as_much_as_slower(measures: Measures) -> None:
    mirrored = replace(measures, tempo=1 / measures.tempo)
    assert score(mirrored).value == pytest.approx(score(measures).value)


def test_each_measure_costs_points_under_its_own_name() -> None:
    perfect = Measures(0.0, 0.0)
    assert score(perfect).value > 99.9
    assert score(replace(perfect, tempo=3.0)).lost.timing > 10
    assert score(replace(perfect, pause=0.4)).lost.pauses > 1
    assert score(replace(perfect, relative=0.6)).lost.sound > 5
    assert score(Measures(0.4, 1.0)).lost.text > 50


@pytest.mark.parametrize(
    "values", [(-0.1, 0.5, 1, 0), (0.1, math.nan, 1, 0), (0.1, 0.5, 0, 0), (0.1, 0.5, 1, math.inf)]
)
def test_impossible_measures_are_refused(values: tuple[float, float, float, float]) -> None:
    with pytest.raises(ParameterError, match="finite"):
        Measures(*values)


# ----------------------------------------------------------------------------------------------- combine


@given(st.lists(st.tuples(any_measures, st.floats(0.2, 20)), min_size=1, max_size=5), finite, st.floats(0, 9))
def test_parts_of_a_recording_add_up(chunks: list[tuple[Measures, float]], pause_s: float, extra_s: float) -> None:
    scores, durations_s = [score(one) for one, _ in chunks], [seconds for _, seconds in chunks]
    got = combine(scores, durations_s, pauses_s=(0.5, pause_s), extra_s=extra_s)
    assert min(got.lost) >= 0
    assert math.isclose(100 - sum(got.lost), got.value, abs_tol=1e-9)
    assert got.value <= combine(scores, durations_s).value + 1e-9


def test_a_recording_of_one_chunk_scores_as_the_chunk() -> None:
    one = score(Measures(0.2, 0.6, 1.5, 0.1))
    assert combine([one], [2.0]).value == pytest.approx(one.value)
    assert combine([one], [2.0]).lost == pytest.approx(one.lost)


def test_a_missing_chunk_costs_its_share() -> None:
    copy = score(Measures(0.0, 0.0))
    got = combine([copy, MISSING], [3.0, 1.0])
    assert got.value == pytest.approx(75, abs=0.1)
    assert got.lost.completeness == pytest.approx(25)


def test_what_is_said_besides_costs_completeness_and_pauses_between_cost_pauses() -> None:
    copy = score(Measures(0.0, 0.0))
    assert combine([copy], [4.0], extra_s=1.0).lost.completeness == pytest.approx(12.5, abs=0.1)
    assert combine([copy], [4.0], pauses_s=(0.0, 1.0)).lost.pauses > 0.5


@pytest.mark.parametrize("durations_s", [[], [1.0, 2.0], [0.0]])
def test_combine_wants_a_duration_for_each_chunk(durations_s: list[float]) -> None:
    with pytest.raises(ParameterError, match="durations"):
        combine([MISSING] * min(1, len(durations_s)), durations_s)


# ---------------------------------------------------------------------------------------------- measures


@pytest.mark.parametrize("duration_s", [0.1, 0.7, 2.0, 25.0])
def test_a_copy_scores_100(duration_s: float) -> None:
    bands = sentence(1, duration_s)
    assert score(measure_chunk(bands, bands)).value >= 99


def test_gain_changes_nothing() -> None:
    bands = sentence(1)
    assert score(measure_chunk(bands, sentence(1, gain=0.25))).value >= 99


def spoken(text: int, speaker: int, n_sounds: int = 24) -> Features:
    """Make bands of random sounds; a speaker has a tempo, a spectral tilt and some hoarseness."""
    sounds, voice = np.random.default_rng([1, text]), np.random.default_rng([2, speaker])
    envelopes = sounds.standard_normal((n_sounds, 5)) @ np.cos(
        np.pi * np.outer(np.arange(1, 6), np.arange(N_BANDS) + 0.5) / N_BANDS
    )
    lengths = np.rint(sounds.uniform(8, 18, n_sounds) * voice.uniform(0.8, 1.6)).astype(int)
    bands = np.repeat(-20 + 5 * envelopes, lengths, axis=0) + voice.uniform(-6, 6) * np.linspace(-1, 1, N_BANDS)
    hoarse: Features = (bands + 2 * voice.standard_normal(bands.shape)).astype(np.float32)
    return hoarse


def test_the_gate_opens_for_the_text_and_closes_on_another() -> None:
    right = [measure_chunk(spoken(text, 0), spoken(text, 1 + text)) for text in range(8)]
    wrong = [measure_chunk(spoken(text + 50, 0), spoken(text, 1 + text)) for text in range(8)]
    assert min(score(one).value for one in right) > 50
    assert max(score(one).value for one in wrong) < 20


def test_tempo_and_pauses_are_measured_apart() -> None:
    bands = sentence(2)
    silence = np.full((100, N_BANDS), bands.min(), np.float32)
    paused = measure_chunk(bands, np.vstack([bands[:100], silence, bands[100:]]))
    assert paused.tempo == pytest.approx(1, abs=0.1)
    assert paused.pause == pytest.approx(0.5, abs=0.06)
    slow = measure_chunk(bands, np.repeat(bands, 2, axis=0))
    assert slow.tempo == pytest.approx(2, abs=0.1)
    assert slow.pause < 0.05
    assert slow.relative < 0.1


def test_silence_and_stubs_have_finite_measures() -> None:
    still = np.full((50, N_BANDS), -100, np.float32)
    for one, other in (
        (still, still),
        (still, sentence(1)),
        (sentence(1)[:1], sentence(2)),
        (still[:1], still[:1]),
    ):
        assert 0 <= score(measure_chunk(one, other)).value <= 100


@pytest.mark.parametrize("shape", [(0, N_BANDS), (10, 13), (10,)])
def test_bands_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ParameterError, match="take: must be"):
        measure_chunk(sentence(1), np.zeros(shape, np.float32))


# ------------------------------------------------------------------------------------------------- model


def test_a_model_survives_its_file(tmp_path: Path) -> None:
    path = tmp_path / "model.json"
    path.write_text(load_model().to_json(), encoding="utf-8")
    assert load_model(path) == load_model()


def test_the_shipped_model_says_where_it_comes_from() -> None:
    fitted = load_model().fitted
    assert {"on", "by", "n_readings", "n_speakers", "cross_validated"} <= set(fitted)
    value, low, high = fitted["cross_validated"]["score_pearson"]
    assert low < value < high


def broken(**changes: Any) -> str:
    data = json.loads(load_model().to_json())
    for key, value in changes.items():
        data.pop(key) if value is None else data.update({key: value})
    return json.dumps(data)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "no score model"),
        ("[]", "no score model"),
        (broken(schema="other/1"), "schema is not"),
        (broken(schema=None), "lacks 'schema'"),
        (broken(gate=None), "lacks 'gate'"),
        (broken(gate={"offset": 1.0, "distance": -1.0, "relative": 1.0}), "not negative"),
        (broken(gate={"offset": "1", "distance": 1.0, "relative": 1.0}), "no score model"),
        (broken(sound={"knots": [0.1], "slopes": [-2.0]}), "none negative"),
        (broken(timing={"knots": [0.1], "slopes": []}), "as many slopes"),
        (broken(pauses={"knots": ["a"], "slopes": [1.0]}), "no score model"),
        (broken(error=[1.0, 2.0]), "around 0"),
    ],
)
def test_files_that_are_no_model_are_refused(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "model.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ParameterError, match=reason) as caught:
        load_model(path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there_is_said() -> None:
    with pytest.raises(ParameterError, match="can't be read"):
        load_model(Path("nowhere.json"))


# ------------------------------------------------------------------------------------------------ worst


def noisy_copy(n: int, bad: list[tuple[int, int]]) -> tuple[Features, Features]:
    rng = np.random.default_rng(7)
    features = rng.standard_normal((n, 12)).astype(np.float32)
    other = features + 0.2 * rng.standard_normal((n, 12)).astype(np.float32)
    for start, stop in bad:
        other[start:stop] = rng.standard_normal((stop - start, 12))
    return features, other


def test_replaced_stretches_are_found_where_they_are() -> None:
    bad = [(100, 130), (250, 290), (400, 420), (520, 570)]
    reference, take = noisy_copy(700, bad)
    steps = np.repeat(np.arange(700)[:, None], 2, axis=1)
    costs = local_costs(reference, take, steps)
    found = find_mismatches(steps, costs, 0.01, chance_cost=1.0, offsets_s=(2.0, 5.0))
    # The three longest of the four; edges are blurred by half the smoothing.
    want = [(3.0, 3.3), (4.5, 4.9), (7.2, 7.7)]
    assert len(found) == 3
    for one, (start_s, end_s) in zip(found, want, strict=True):
        assert one.reference_s == pytest.approx((start_s, end_s), abs=0.07)
        assert np.subtract(one.take_s, one.reference_s) == pytest.approx([3.0, 3.0])
        assert one.distance > 0.5


def test_short_stretches_are_left_out_and_neighbors_are_one() -> None:
    reference, take = noisy_copy(400, [(50, 54), (200, 220), (224, 250)])
    steps = np.repeat(np.arange(400)[:, None], 2, axis=1)
    found = find_mismatches(steps, local_costs(reference, take, steps), 0.01, chance_cost=1.0)
    assert [one.reference_s for one in found] == [pytest.approx((2.0, 2.5), abs=0.07)]


def test_copies_have_no_mismatch() -> None:
    reference, take = noisy_copy(300, [])
    steps = np.repeat(np.arange(300)[:, None], 2, axis=1)
    assert find_mismatches(steps, local_costs(reference, take, steps), 0.01, chance_cost=1.0) == []
    assert find_mismatches(steps, np.zeros(300), 0.01, chance_cost=0.0) == []


def test_mismatches_are_told_in_the_time_of_either_side() -> None:
    reference, take = noisy_copy(300, [(150, 190)])
    slow = np.repeat(take, 2, axis=0)
    path = dtw_path(reference, slow, metric="cosine")
    costs = local_costs(reference, slow, path.steps)
    (found,) = find_mismatches(path.steps, costs, 0.01, chance_cost=1.0)
    assert found.reference_s == pytest.approx((1.5, 1.9), abs=0.1)
    assert found.take_s == pytest.approx((3.0, 3.8), abs=0.2)


@pytest.mark.parametrize("metric", ["l1", "l2", "sqeuclidean", "cosine"])
def test_local_costs_add_up_to_the_path(metric: str) -> None:
    reference, take = noisy_copy(80, [(20, 40)])
    take[5] = reference[9] = 0
    path = dtw_path(reference, take, metric=metric)
    costs = local_costs(reference, take, path.steps, metric=metric)
    # The kernel sums float32 costs.
    assert costs.sum() == pytest.approx(path.total_cost, rel=1e-5)


def test_steps_and_costs_must_fit() -> None:
    with pytest.raises(ParameterError, match="steps"):
        find_mismatches(np.zeros((3, 2), np.int64), np.zeros(4), 0.01, chance_cost=1.0)


# ------------------------------------------------------------------------------------------------ fitting


def rated_takes(n: int, rng: np.random.Generator) -> tuple[list[Measures], NDArray[np.float64], list[str]]:
    """Rate by a known law: 30 points a unit of timing above 0, 40 a unit of sound above 0.2."""
    takes = [
        Measures(0.1, float(relative), float(tempo), float(pause))
        for relative, tempo, pause in zip(
            rng.uniform(0.2, 0.6, n), np.exp(rng.uniform(0, 1, n)), rng.uniform(0, 0.5, n), strict=True
        )
    ]
    lost = [30 * math.log(one.tempo) + 40 * (one.relative - 0.2) + 6 * one.pause for one in takes]
    return takes, 100 - np.array(lost), [f"s{k % 12}" for k in range(n)]


def test_a_known_mapping_is_recovered() -> None:
    takes, ratings, speakers = rated_takes(150, np.random.default_rng(2))
    base = replace(
        load_model(),
        gate=Gate(50.0, 0.0, 0.0),
        sound=Curve((0.2,), (1.0,)),
        timing=Curve((0.0,), (1.0,)),
        pauses=Curve((0.0,), (1.0,)),
    )
    got = fit_mapping(takes, ratings, speakers, base)
    assert got.sound.slopes == pytest.approx((40,), abs=0.01)
    assert got.timing.slopes == pytest.approx((30,), abs=0.01)
    assert got.pauses.slopes == pytest.approx((6,), abs=0.01)
    assert got.fitted["pearson"] > 0.999
    assert got.fitted["n_speakers"] == 12


def test_cross_validation_does_not_believe_in_noise() -> None:
    rng = np.random.default_rng(3)
    takes, _, speakers = rated_takes(100, rng)
    got = fit_mapping(takes, rng.uniform(40, 100, 100), speakers)
    assert got.fitted["pearson"] < 0.3
    assert got.error[0] < -10
    assert got.error[1] > 10


@pytest.mark.parametrize(
    ("ratings", "speakers", "reason"),
    [
        ([50.0] * 9, ["a"] * 10, "10 measures, 9 ratings"),
        ([50.0, 60.0] * 5, ["a"] * 10, "at least 5 speakers"),
        ([50.0] * 10, list("abcdefghij"), "all alike"),
        ([50.0] * 9 + [101.0], list("abcdefghij"), "0..100"),
        ([50.0] * 9 + [math.nan], list("abcdefghij"), "0..100"),
    ],
)
def test_ratings_that_can_not_be_fitted_are_refused(ratings: list[float], speakers: list[str], reason: str) -> None:
    with pytest.raises(ParameterError, match=reason):
        fit_mapping([Measures(0.1, 0.4)] * 10, ratings, speakers)


def test_a_gate_lets_right_texts_through_and_refuses_wrong_ones() -> None:
    rng = np.random.default_rng(5)
    same = [Measures(0.2 + 0.03 * a, 0.55 + 0.06 * b) for a, b in rng.standard_normal((200, 2))]
    wrong = [Measures(0.34 + 0.03 * a, 0.9 + 0.06 * b) for a, b in rng.standard_normal((200, 2))]
    base = replace(load_model(), gate=Gate(0.0, 0.0, 0.0))
    got = fit_gate(same, wrong, base)
    values = np.array([[score(one, got).value for one in kind] for kind in (same, wrong)])
    assert 0.94 <= (values[1] < 20).mean() <= 0.98
    assert (values[0] > 60).mean() > 0.9
    assert got.gate.distance > 0
    assert got.gate.relative > 0
    with pytest.raises(ParameterError, match="at least 10"):
        fit_gate(same[:3], wrong, base)


@settings(max_examples=30)
@given(st.lists(st.sampled_from("abcdefghijkl"), min_size=1, max_size=60))
def test_folds_never_split_a_speaker(speakers: list[str]) -> None:
    masks = np.array(folds(speakers))
    assert (masks.sum(axis=0) == 1).all()
    for name in set(speakers):
        inside = masks[:, np.array(speakers) == name].any(axis=1)
        assert inside.sum() == 1


# --------------------------------------------------------------------------------------------- real speech


@needs_speech
def test_real_readings_follow_text_and_ratings() -> None:
    with (SPEECH / "readings.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))[::4]
    ids = [row["id"] for row in rows]
    takes = [measure_bands(load_recording(SPEECH / "readings" / f"{x}.flac")) for x in ids]
    ours = [measure_bands(load_recording(SPEECH / "references" / f"{x}_joe.flac")) for x in ids]
    right = np.array([score(measure_chunk(a, b)).value for a, b in zip(ours, takes, strict=True)])
    wrong = np.array([score(measure_chunk(a, b)).value for a, b in zip(ours[7:] + ours[:7], takes, strict=True)])
    assert (right[:, None] > wrong).mean() > 0.92
    ratings = [float(row["total"]) for row in rows]
    assert np.corrcoef(right, ratings)[0, 1] > 0.6
