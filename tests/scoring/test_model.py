"""Scores keep their promises: nothing that grows apart gains, parts add up, and models survive their files."""

import json
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from speechcmp.errors import ParameterError
from speechcmp.scoring.impostors import Measures
from speechcmp.scoring.model import MISSING, Curve, ErrorBand, TakeMeasures, combine, load_model, score, score_take

finite = st.floats(0, 1.5)
tempos = st.floats(0.2, 5)
any_measures = st.builds(Measures, finite, finite, finite, tempos, tempos, finite)


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

    distance, relative, phones, pause = (
        ordered(getattr(a, name), getattr(b, name)) for name in ("distance", "relative", "phones", "pause")
    )
    # Of the tempo only the points: a far slower reader is a beginner, whose text is verified with more patience.
    tempo = math.exp(abs(math.log(a.tempo)))
    near, far = (Measures(distance[k], relative[k], phones[k], a.speech_s, tempo, pause[k]) for k in (0, 1))
    assert score(near).value >= score(far).value - 1e-9
    assert score(near).same_text >= score(far).same_text
    slow = replace(near, tempo=tempo * (1 + abs(b.phones)))
    assert score(near).lost.timing <= score(slow).lost.timing + 1e-9


@given(any_measures)
def test_faster_costs_as_much_as_slower(measures: Measures) -> None:
    mirrored = replace(measures, tempo=1 / measures.tempo)
    assert score(mirrored).value == pytest.approx(score(measures).value)


def test_each_measure_costs_points_under_its_own_name() -> None:
    perfect = Measures(0.0, 0.0, 0.0, 3.0)
    assert score(perfect).value > 99.9
    assert score(replace(perfect, tempo=3.0)).lost.timing > 4
    paused = replace(load_model(), pauses=Curve((0.0,), (10.0,)))
    assert score(replace(perfect, pause=0.4), paused).lost.pauses == pytest.approx(4)
    assert score(replace(perfect, phones=0.2)).lost.sound > 5
    assert score(Measures(0.4, 1.0, 0.45, 3.0)).lost.text > 20


@pytest.mark.parametrize(
    "values",
    [
        ((), ()),
        ((None,), (0.0,)),
        ((None,), (math.nan,)),
        ((None,), (1.0,), (-1.0, 0.0)),
        ((None,), (1.0,), (0.0, 0.0), math.inf),
    ],
)
def test_impossible_takes_are_refused(values: tuple[Any, ...]) -> None:
    with pytest.raises(ParameterError, match="give"):
        TakeMeasures(*values)


@pytest.mark.parametrize("durations_s", [[], [1.0, 2.0], [0.0]])
def test_combine_wants_a_duration_for_each_chunk(durations_s: list[float]) -> None:
    with pytest.raises(ParameterError, match="durations"):
        combine([MISSING] * min(1, len(durations_s)), durations_s)


# ----------------------------------------------------------------------------------------------- model


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


GATE = {
    "offset": 1.0,
    "distance": 1.0,
    "relative": 1.0,
    "phones": 1.0,
    "tempo": 1.0,
    "speech": 1.0,
    "other": 0.0,
    "same": 0.0,
}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "no score model"),
        ("[]", "no score model"),
        ("[" * 50_000, "no score model"),
        (broken(schema="other/1"), "schema is not"),
        (broken(schema=None), "lacks 'schema'"),
        (broken(gate=None), "lacks 'gate'"),
        (broken(gate=GATE | {"offset": 1.0, "distance": -1.0}), "not negative"),
        (broken(gate=GATE | {"offset": "1", "distance": 1.0}), "no score model"),
        (broken(sound={"knots": [0.1], "slopes": [-2.0]}), "none negative"),
        (broken(timing={"knots": [0.1], "slopes": []}), "as many slopes"),
        (broken(pauses={"knots": ["a"], "slopes": [1.0]}), "no score model"),
        (broken(gate=GATE | {"other": 1.0}), "other 1 is above same 0"),
        (broken(error={"scores": [0.0], "low": [1.0], "high": [2.0]}), "low errors up to 0"),
        (broken(error={"scores": [9.0, 0.0], "low": [0.0, 0.0], "high": [1.0, 1.0]}), "ascending"),
        (broken(error={"scores": [0.0, 9.0], "low": [0.0], "high": [2.0]}), "ascending"),
        (broken(error={"scores": [0.0, 10**400], "low": [0.0, 0.0], "high": [1.0, 1.0]}), "ascending"),
        (broken(error=[-1.0, 1.0]), "error is of type list, not dict"),
        (broken(error=None), "lacks 'error'"),
        (broken(gate=[]), "gate is of type list, not dict"),
        (broken(gate={"offset": 1.0}), "lacks 'distance'"),
        (broken(gate=GATE | {"offset": 1e300, "distance": 1.0}), "no number above 1e"),
        (broken(sound={"knots": [True], "slopes": [1.0]}), "knots has .*, no number"),
        (broken(sound={"knots": [10**400], "slopes": [1.0]}), "none negative or above"),
        (broken(sound={"knots": [0.1], "slopes": [1e300]}), "above 1e"),
        (broken(sound="knots"), "sound is of type str, not dict"),
        (broken(fitted=1).replace('"fitted": 1', '"fitted": {"x": NaN}'), "NaN is no number of JSON's"),
        (broken(fitted=1).replace('"fitted": 1', '"fitted": {"x": 1e999}'), "1e999 is no number of JSON's"),
        (broken(fitted=1).replace('"fitted": 1', f'"fitted": {"[" * 40}{"]" * 40}'), "more than 32 deep"),
        (broken(fitted=1).replace('"fitted": 1', f'"fitted": {"9" * 5000}'), "thousands of digits"),
        (broken(fitted="x" * (1 << 20)), "is larger than 1024 KiB"),
    ],
)
def test_files_that_are_no_model_are_refused(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "model.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ParameterError, match=reason) as caught:
        load_model(path)
    assert str(path) in str(caught.value)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_is_no_file_is_no_model(tmp_path: Path, kind: str) -> None:
    path = Path("/dev/zero") if kind == "device" else tmp_path / "x"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    with pytest.raises(ParameterError, match=r"can't be read \(is a .*\); speechcmp calibrate -o makes one"):
        load_model(path)


def test_a_mark_of_the_encoding_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "model.json").write_text(load_model().to_json(), encoding="utf-8-sig")
    assert load_model(str(tmp_path / "model.json")) == load_model()


def test_extreme_numbers_make_no_score_of_no_number() -> None:
    steep = Curve((0.0,), (1e6,))
    model = replace(load_model(), sound=steep, timing=steep, pauses=steep, extra=steep)
    for measures in (Measures(1e100, 1e100, 1e100, 1e100, 1e100, 1e100), Measures(0.0, 0.0, 0.0, 1e-99, 1e-99, 0.0)):
        take = TakeMeasures((measures, None), (1e100, 1e-100), (0.0, 1e100), 1e100)
        assert 0 <= score_take(take, model).value <= 100


def test_a_file_that_is_not_there_is_said() -> None:
    with pytest.raises(ParameterError, match=r"nowhere\.json: can't be read \(No such file.*speechcmp calibrate"):
        load_model(Path("nowhere.json"))


def test_another_text_scores_below_20_and_nobody_else() -> None:
    verifier = load_model().verifier
    for logit, verdict in (
        (verifier.other - 1e-6, "other"),
        (verifier.other + 1e-6, "unsure"),
        (verifier.same + 1e-6, "same"),
    ):
        assert verifier.verdict(logit) == verdict
        near = Measures(0.0, 1.0, 0.0, speech_s=2.0)
        one = score(replace(near, phones=(verifier.logit(near) - logit - 1e-9) / verifier.phones))
        assert one.verdict == verdict
        assert (one.value < 20) == (verdict == "other")


def test_the_verdict_of_a_take_is_that_of_most_of_what_was_found() -> None:
    same, other = score(Measures(0.0, 0.1, 0.0, 2.0)), score(Measures(1.0, 1.0, 1.0, 2.0))
    assert combine([same, other], [2.0, 1.0]).verdict == "same"
    assert combine([same, other], [1.0, 2.0]).verdict == "other"
    assert combine([same, other], [1.0, 1.0]).verdict == "unsure"
    assert combine([same, MISSING], [1.0, 9.0]).verdict == "same"
    assert combine([MISSING, MISSING], [1.0, 9.0]).verdict is None


def test_errors_are_interpolated_between_scores() -> None:
    band = ErrorBand((20.0, 40.0), (-10.0, -20.0), (30.0, 0.0))
    assert band.around(10.0) == (0.0, 40.0)
    assert band.around(30.0) == (15.0, 45.0)
    assert band.around(90.0) == (70.0, 90.0)
