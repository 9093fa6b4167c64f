"""Several references: what readings of a text get from one another, and where a take falls among them."""

from pathlib import Path

import numpy as np
import pytest
from signals import sentences

from speechcmp.audio.recording import Recording, load_recording
from speechcmp.comparison.compare import CompareParams, compare, prepare
from speechcmp.comparison.references import compare_among, place_in_spread, score_references
from speechcmp.comparison.result import Spread
from speechcmp.comparison.serialize import spread_values
from speechcmp.errors import ParameterError

SPANS_S = [(0.7, 2.1), (3.0, 4.4)]


def reading(seed: int, spans_s: list[tuple[float, float]] = SPANS_S, noise: float = 1e-4) -> Recording:
    return Recording(sentences(spans_s, 5.0, seed=seed, noise=noise), 16_000, f"reading {seed}")


def spread(take_scores: list[float], means: list[float]) -> Spread:
    n = len(means)
    scores = tuple(tuple(None if i == j else means[j] for j in range(n)) for i in range(n))
    return Spread(tuple(map(str, range(n))), tuple(take_scores), scores)


def test_scores_are_those_of_compare() -> None:
    references, take = [reading(1), reading(2, [(0.5, 1.9), (3.2, 4.6)])], reading(3, [(0.2, 1.6), (2.9, 4.3)])
    params = CompareParams(details="scores")
    got = place_in_spread(references, take, params=params)
    for reference, value in zip(references, got.take_scores, strict=True):
        alone = compare(reference, take, params=params).score
        assert alone
        assert value == pytest.approx(alone.value)
    there = compare(references[0], references[1], params=params).score
    assert there
    assert got.reference_scores[0][1] == pytest.approx(there.value)
    assert got.reference_scores[0][0] is got.reference_scores[1][1] is None
    assert got.references == ("reading 1", "reading 2")


def test_what_is_prepared_and_scored_once_gives_the_same() -> None:
    params = CompareParams()
    references, take = [prepare(reading(k), params) for k in (1, 2, 3)], prepare(reading(4), params)
    among = score_references(references, params=params)
    assert place_in_spread(references, take, params=params, among=among) == place_in_spread(
        [reading(k) for k in (1, 2, 3)], reading(4), params=params
    )
    with pytest.raises(ParameterError, match="among: holds 3 references, given 2"):
        place_in_spread(references[:2], take, params=params, among=among)


def test_a_take_that_lacks_half_is_below_all() -> None:
    got = place_in_spread([reading(k) for k in (1, 2, 3)], reading(4, SPANS_S[:1]))
    assert got.place == 0
    assert got.n_below == 0
    assert got.mean < min(got.reference_means) - 20


def test_places() -> None:
    means = [70.0, 80.0, 90.0]
    assert spread([85.0, 85.0, 85.0], means).reference_means == pytest.approx(means)
    assert spread([85.0, 88.0, 82.0], means).place == pytest.approx(2 / 3)
    assert spread([80.0] * 3, means).place == pytest.approx(0.5)
    assert spread([95.0] * 3, means).place == 1
    assert spread([95.0] * 3, means).n_below == 3


def test_a_standard_deviation_needs_five() -> None:
    assert spread([75.0] * 4, [70.0, 80.0, 80.0, 90.0]).z is None
    assert spread([75.0] * 5, [80.0] * 5).z is None
    means = [70.0, 75.0, 80.0, 85.0, 90.0]
    want = (60 - 80) / (np.std(means, ddof=1) * np.sqrt(1 + 1 / 5))
    assert spread([60.0] * 5, means).z == pytest.approx(want)


def test_one_more_reading_comes_last_once_in_n_plus_1() -> None:
    # Takes and references alike: scores fall with the distance of two points.
    rng = np.random.default_rng(0)
    n, n_last, n_far = 5, 0, 0
    for _ in range(600):
        points = rng.standard_normal((n + 1, 3))
        scores = 100 - 10 * np.linalg.norm(points[:, None] - points[None], axis=2)
        inside = tuple(tuple(None if i == j else scores[i, j] for j in range(n)) for i in range(n))
        one = Spread(("",) * n, tuple(scores[:n, n]), inside)
        n_last += one.place == 0
        n_far += one.z is not None and abs(one.z) > 2.5
    assert 0.12 < n_last / 600 < 0.24  # 1 / 6 = 0.167
    assert n_far / 600 < 0.12


def test_values_of_a_spread() -> None:
    got = spread_values(spread([85.0, 88.0, 82.0], [70.0, 80.0, 90.0]))
    assert got["n_references"] == 3
    assert got["take_mean"] == pytest.approx(85.0)
    assert got["reference_scores"][0] == [None, 80.0, 90.0]
    assert got["z"] is None


def test_one_reference_has_no_spread() -> None:
    with pytest.raises(ParameterError, match="1 reference: no spread"):
        score_references([reading(1)])


def test_real_references(real_speech: Path) -> None:
    name = "000010089"
    voices = [load_recording(real_speech / "references" / f"{name}_{voice}.flac") for voice in ("joe", "slt")]
    learner = load_recording(real_speech / "readings" / f"{name}.flac")
    got = place_in_spread(voices, learner)
    other = place_in_spread(voices, load_recording(real_speech / "readings" / "000010095.flac"))
    assert other.mean < 20 < got.mean
    assert other.place == 0


def test_a_reference_of_another_text_is_named(samples: Path) -> None:
    ours = load_recording(samples / "reference.flac")
    stranger = reading(5)
    result = compare_among([ours, stranger], load_recording(samples / "good-take.flac"))
    assert result.spread is not None
    assert result.spread.take_scores[0] == pytest.approx(result.score.value if result.score else None)
    assert any("reading 5: scores" in text and "is it the same text?" in text for text in result.warnings)


def test_one_reference_is_no_spread() -> None:
    with pytest.raises(ParameterError, match="1 reference: no spread"):
        compare_among([reading(1)], reading(2), among=((None,),))
