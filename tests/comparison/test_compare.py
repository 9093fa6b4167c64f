"""Comparisons of recordings of known truth, and what must hold for any."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from signals import sentences

from speechcmp.audio.recording import Recording, load_recording
from speechcmp.audio.split import SplitParams
from speechcmp.comparison.compare import CompareParams, compare, compare_prepared, distance_matrix, prepare
from speechcmp.errors import AudioError, ParameterError
from speechcmp.features.mfcc import MfccParams
from speechcmp.features.recipes import RECIPES, Recipe

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


COARSE = Recipe(
    "coarse",
    16_000,
    MfccParams(n_mfcc=12, n_fft=1024, win_length=800, hop_length=320, n_mels=26),
    "cosine",
    deviation_power=0.4,
    pauses=False,
)


@pytest.mark.parametrize("recipe", [COARSE, replace(COARSE, sample_rate=8000, pauses=True, metric="l2")])
def test_a_recipe_with_longer_frames_finds_the_same(recipe: Recipe) -> None:
    reference, take = recording(SPANS_S, 7.5), recording([(0.6, 2.0), (4.6, 6.0), (6.8, 8.0)], 9.0, seed=3)
    usual, found = (compare(reference, take, params=CompareParams(recipe=x)) for x in ("default", recipe))
    assert found.recipe == "coarse"
    assert found.score == usual.score
    assert [(pair.reference, pair.take, pair.pause_before_s) for pair in found.pairs] == [
        (pair.reference, pair.take, pair.pause_before_s) for pair in usual.pairs
    ]
    itself = compare(reference, reference, params=CompareParams(recipe=recipe))
    assert all(pair.distance == pytest.approx(0, abs=1e-6) for pair in itself.pairs)
    assert all(pair.distance and pair.distance > 1e-3 for pair in found.pairs)
    within = [span for pair in found.pairs for place in pair.worst for span in (place.reference_s, place.take_s)]
    assert all(0 <= start_s < end_s <= 9.0 for start_s, end_s in within)
    prosody = [(one.prosody, other.prosody) for one, other in zip(found.pairs, usual.pairs, strict=True)]
    assert all(a and b and a.tempo == pytest.approx(b.tempo, rel=0.1) for a, b in prosody)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"metric": "l3"}, "metric: 'l3' is unknown"),
        ({"mfcc": MfccParams(center=False)}, "must be centered"),
        ({"mfcc": MfccParams(hop_length=2048)}, "128 ms from frame to frame; give 1 to 100 ms"),
    ],
)
def test_recipes_that_cannot_be_compared_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        replace(COARSE, **changes)


def test_both_sides_have_one_recipe() -> None:
    params, other = CompareParams(), CompareParams(recipe=COARSE)
    one, two = prepare(recording(SPANS_S, 7.5), params), prepare(recording(SPANS_S, 7.5), other)
    for sides, chosen in (((one, two), params), ((one, one), other)):
        with pytest.raises(ParameterError, match="prepare both sides"):
            compare_prepared(*sides, params=chosen)


def test_copies_are_told_where_they_are_looked_for(samples: Path) -> None:
    reference = recording(SPANS_S, 7.5)
    piece = replace(reference, samples=reference.samples[16_000:], name="piece")
    assert compare(reference, piece).copy is None
    found = compare(reference, piece, flag_copies=True)
    assert found.copy is not None
    assert found.copy.offset_s == pytest.approx(1.0, abs=0.02)
    assert found.warnings == ("piece: is a copy of synthetic, from 1.00 s on",)
    ours, theirs = (load_recording(samples / name) for name in ("reference.flac", "good-take.flac"))
    assert compare(ours, theirs, flag_copies=True).copy is None


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
