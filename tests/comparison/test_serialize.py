"""Plain values of a comparison: they are JSON, and a score can be worked out again from them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from signals import sentences

from speechcmp.audio.recording import Recording, load_recording
from speechcmp.comparison.compare import CompareParams, compare
from speechcmp.comparison.result import Comparison
from speechcmp.comparison.serialize import brief_values, take_measures, to_dict
from speechcmp.errors import ParameterError
from speechcmp.scoring.model import Curve, load_model, score_take

SPANS_S = [(0.7, 2.1), (3.0, 4.4), (5.4, 6.6)]


def recording(spans_s: list[tuple[float, float]], duration_s: float, seed: int = 0) -> Recording:
    return Recording(sentences(spans_s, duration_s, seed=seed), 16_000, "synthetic")


def shortened() -> Comparison:
    """Compare with a take that lacks the last chunk and pauses longer."""
    params = CompareParams(by="index", details="scores")
    return compare(recording(SPANS_S, 7.5), recording([(0.5, 1.9), (4.6, 6.0)], 6.5, 3), params=params)


def prolonged() -> Comparison:
    """Compare with a take that has a chunk more."""
    params = CompareParams(by="index", details="scores")
    return compare(recording(SPANS_S[:2], 5.0), recording(SPANS_S, 7.5, 4), params=params)


@pytest.mark.parametrize("make", [shortened, prolonged])
@pytest.mark.parametrize("values_of", [brief_values, to_dict])
def test_a_line_gives_its_score_again(make: Any, values_of: Any) -> None:
    result = make()
    values = json.loads(json.dumps(values_of(result), allow_nan=False))
    take = take_measures(values)
    assert score_take(take).value == pytest.approx(values["overall"]["score"], abs=0.005)
    assert score_take(take).lost == pytest.approx(result.score.lost, abs=0.005)


def test_another_model_rescores_a_line_as_the_recordings() -> None:
    other = replace(load_model(), sound=Curve((0.1,), (80.0,)), pauses=Curve((0.0,), (30.0,)))
    sides = recording(SPANS_S, 7.5), recording([(0.5, 1.9), (3.6, 5.0), (5.5, 6.7)], 7.5, 3)
    by_default = compare(*sides, params=CompareParams(details="scores"))
    by_other = compare(*sides, params=CompareParams(details="scores", model=other))
    assert by_other.score
    again = score_take(take_measures(brief_values(by_default)), other)
    assert again.value == pytest.approx(by_other.score.value, abs=0.005)


@pytest.mark.parametrize("name", ["good-take", "poor-take"])
def test_samples_give_their_scores_again(samples: Path, name: str) -> None:
    reference, take = (load_recording(samples / f"{x}.flac") for x in ("reference", name))
    result = compare(reference, take, params=CompareParams(details="scores"))
    assert result.score
    assert score_take(take_measures(brief_values(result))).value == pytest.approx(result.score.value, abs=0.005)


def changed(change: Any) -> dict[str, Any]:
    values = brief_values(shortened())
    change(values)
    return values


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda v: v["chunks"][1].pop("measures"), r"chunks\[1\]\.measures: is not there; an earlier version"),
        (lambda v: v["chunks"][1]["measures"].pop("tempo"), r"chunks\[1\]\.measures\.tempo: is not there"),
        (lambda v: v["chunks"][0]["measures"].update(distance="near"), r"measures\.distance: is 'near', no number"),
        (lambda v: v["chunks"][0]["measures"].update(distance=-1), "not negative"),
        (lambda v: v["chunks"][0]["reference"].update(end_s=None), r"chunks\[0\]\.end_s: is None"),
        (lambda v: v["chunks"][0]["reference"].update(end_s=0.0), "durations"),
        (lambda v: v["chunks"][1].update(pause_before_s=3), r"pause_before_s\.reference: is not there"),
        (lambda v: v["overall"].pop("extra_s"), r"overall\.extra_s: is not there"),
        (lambda v: v.pop("overall"), "overall: is not there"),
        (lambda v: v.update(chunks=[]), "chunks: there are none"),
    ],
)
def test_values_that_lack_something_are_refused(change: Any, reason: str) -> None:
    with pytest.raises(ParameterError, match=reason):
        take_measures(changed(change))


def test_what_is_compared_must_be_recordings_of_numbers() -> None:
    reference = recording(SPANS_S, 7.5)
    with pytest.raises(ParameterError, match=r"reference: 'ref\.wav' is of type str; give a Recording of load_rec"):
        compare("ref.wav", reference)  # type: ignore[arg-type]
    for bad in (np.nan, np.inf):
        samples = reference.samples.copy()
        samples[123] = bad
        with pytest.raises(ParameterError, match="broken: some samples are not finite"):
            compare(reference, Recording(samples, 16_000, "broken"))
