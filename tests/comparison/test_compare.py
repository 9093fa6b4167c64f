"""Comparisons of recordings of known truth, and what must hold for any."""

from dataclasses import replace

import numpy as np
import pytest
from signals import sentences

from speechcmp.audio.recording import Recording
from speechcmp.audio.split import SplitParams
from speechcmp.comparison.compare import CompareParams, compare, compare_prepared, distance_matrix, prepare
from speechcmp.errors import AudioError, ParameterError
from speechcmp.features.recipes import RECIPES

SPANS_S = [(0.7, 2.1), (3.0, 4.4), (5.4, 6.6)]


def recording(spans_s: list[tuple[float, float]], duration_s: float, rate: int = 16_000, seed: int = 0) -> Recording:
    return Recording(sentences(spans_s, duration_s, rate, seed=seed), rate, "synthetic")


def test_pauses_elsewhere_do_not_matter() -> None:
    take = recording([(0.6, 2.0), (4.6, 6.0), (6.8, 8.0)], 9.0, seed=3)
    comparison = compare(recording(SPANS_S, 7.5), take)
    assert [pair.status for pair in comparison.pairs] == ["matched"] * 3
    starts_s = [pair.take.start_s for pair in comparison.pairs if pair.take]
    np.testing.assert_allclose(starts_s, [0.5, 4.5, 6.7], atol=0.1)
    assert comparison.tempo == pytest.approx(1.0, abs=0.08)
    assert comparison.pairs[1].pause_before_s[1] == pytest.approx(2.4, abs=0.2)


def test_overall_distance_is_the_mean_by_duration() -> None:
    comparison = compare(recording(SPANS_S, 7.5), recording(SPANS_S, 7.5, seed=9))
    weights = [pair.reference.duration_s + pair.take.duration_s for pair in comparison.pairs if pair.take]
    distances = [pair.distance for pair in comparison.pairs if pair.distance is not None]
    assert comparison.distance == pytest.approx(np.average(distances, weights=weights))


@pytest.mark.parametrize("recipe", RECIPES)
def test_prepared_recordings_give_the_same(recipe: str) -> None:
    params = CompareParams(recipe=recipe)
    reference, take = recording(SPANS_S, 7.5), recording([(0.5, 1.9), (2.6, 4.0)], 4.6)
    once = prepare(reference, params)
    assert compare_prepared(once, prepare(take, params), params=params) == compare(reference, take, params=params)


@pytest.mark.parametrize("gain", [0.1, 0.5, 2.0])
def test_loudness_does_not_matter(gain: float) -> None:
    take = recording([(0.5, 1.9), (2.6, 4.0), (4.8, 6.0)], 6.6)
    other = replace(take, samples=(take.samples * np.float32(gain)).astype(np.float32))
    one, two = (compare(recording(SPANS_S, 7.5), x) for x in (take, other))
    assert one.distance == pytest.approx(two.distance, abs=2e-3)
    assert [pair.take for pair in one.pairs] == [pair.take for pair in two.pairs]


def test_matrix_holds_the_distances_by_index() -> None:
    params = CompareParams(by="index", recipe="classic")
    reference, take = recording(SPANS_S, 7.5), recording(SPANS_S, 7.5, seed=4)
    matrix = distance_matrix(reference, take, params=params)
    by_index = [pair.distance for pair in compare(reference, take, params=params).pairs]
    np.testing.assert_allclose(np.diag(matrix.distances), np.array(by_index, float), rtol=1e-6)
    assert matrix.distances.shape == (3, 3)


def test_fixed_threshold_and_no_normalization_are_passed_on() -> None:
    split = SplitParams(silence_thresh_dbfs=-90.0, target_dbfs=None)
    one_chunk = compare(recording(SPANS_S, 7.5), recording(SPANS_S, 7.5), params=CompareParams(split=split))
    assert len(one_chunk.pairs) == 1
    assert any("noise floor" in warning for warning in one_chunk.warnings)


def test_silence_is_named() -> None:
    silent = Recording(np.zeros(16_000, np.float32), 16_000, "quiet.wav")
    with pytest.raises(AudioError, match=r"quiet\.wav: silent"):
        compare(recording(SPANS_S, 7.5), silent)


def test_impossible_parameters_are_named() -> None:
    reference = recording(SPANS_S, 7.5)
    with pytest.raises(ParameterError, match="'clasic' is unknown"):
        compare(reference, reference, params=CompareParams(recipe="clasic"))
    with pytest.raises(ParameterError, match="target_dbfs: 3"):
        SplitParams(target_dbfs=3)
