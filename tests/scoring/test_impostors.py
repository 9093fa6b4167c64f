"""Measures: nothing for copies, much for another text, tempo and pauses apart, and always finite."""

import csv
from pathlib import Path

import numpy as np
import pytest
from signals import syllables

from speechcmp.audio.recording import Recording, load_recording
from speechcmp.errors import ParameterError
from speechcmp.features.mfcc import Features
from speechcmp.features.phones import phonetic_features
from speechcmp.scoring.impostors import N_BANDS, Stretch, measure_chunk, measure_recording
from speechcmp.scoring.model import score


def sentence(seed: int, duration_s: float = 2.0, gain: float = 1.0) -> Stretch:
    wave = gain * syllables(duration_s, 16_000, seed=seed)
    noise = gain * 1e-4 * np.random.default_rng(seed).standard_normal(len(wave))
    return measure_recording(Recording((wave + noise).astype(np.float32), 16_000))


@pytest.mark.parametrize("duration_s", [0.1, 0.7, 2.0, 25.0])
def test_a_copy_scores_100(duration_s: float) -> None:
    whole = sentence(1, duration_s)
    assert score(measure_chunk(whole, whole)).value >= 99


def test_gain_changes_nothing() -> None:
    assert score(measure_chunk(sentence(1), sentence(1, gain=0.25))).value >= 99


def of_bands(bands: Features) -> Stretch:
    return Stretch(bands, phonetic_features(bands))


def spoken(text: int, speaker: int, n_sounds: int = 24) -> Stretch:
    """Make bands of random sounds; a speaker has a tempo, a spectral tilt and some hoarseness."""
    sounds, voice = np.random.default_rng([1, text]), np.random.default_rng([2, speaker])
    envelopes = sounds.standard_normal((n_sounds, 5)) @ np.cos(
        np.pi * np.outer(np.arange(1, 6), np.arange(N_BANDS) + 0.5) / N_BANDS
    )
    lengths = np.rint(sounds.uniform(8, 18, n_sounds) * voice.uniform(0.8, 1.6)).astype(int)
    bands = np.repeat(-20 + 5 * envelopes, lengths, axis=0) + voice.uniform(-6, 6) * np.linspace(-1, 1, N_BANDS)
    return of_bands((bands + 2 * voice.standard_normal(bands.shape)).astype(np.float32))


def test_verification_passes_the_text_and_refuses_another() -> None:
    right = [measure_chunk(spoken(text, 0), spoken(text, 1 + text)) for text in range(8)]
    wrong = [measure_chunk(spoken(text + 50, 0), spoken(text, 1 + text)) for text in range(8)]
    assert min(score(one).value for one in right) > 50
    assert max(score(one).value for one in wrong) < 20


def test_tempo_and_pauses_are_measured_apart() -> None:
    whole = sentence(2)
    bands = whole.bands
    silence = np.full((100, N_BANDS), bands.min(), np.float32)
    paused = measure_chunk(whole, of_bands(np.vstack([bands[:100], silence, bands[100:]])))
    assert paused.tempo == pytest.approx(1, abs=0.1)
    assert paused.pause == pytest.approx(0.5, abs=0.06)
    slow = measure_chunk(whole, of_bands(np.repeat(bands, 2, axis=0)))
    assert slow.tempo == pytest.approx(2, abs=0.1)
    assert slow.pause < 0.05
    assert slow.relative < 0.1


def test_silence_and_stubs_have_finite_measures() -> None:
    still = of_bands(np.full((50, N_BANDS), -100, np.float32))
    for one, other in (
        (still, still),
        (still, sentence(1)),
        (sentence(1).cut(0, 1), sentence(2)),
        (still.cut(0, 1), still.cut(49, 50)),
    ):
        assert 0 <= score(measure_chunk(one, other)).value <= 100


@pytest.mark.parametrize("shape", [(0, N_BANDS), (10, 13), (10,)])
def test_bands_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ParameterError, match="take: must be"):
        measure_chunk(sentence(1), Stretch(np.zeros(shape, np.float32), sentence(1).phones))


def test_real_readings_follow_text_and_ratings(real_speech: Path) -> None:
    with (real_speech / "readings.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))[::4]
    ids = [row["id"] for row in rows]
    takes = [measure_recording(load_recording(real_speech / "readings" / f"{x}.flac")) for x in ids]
    ours = [measure_recording(load_recording(real_speech / "references" / f"{x}_joe.flac")) for x in ids]
    right = np.array([score(measure_chunk(a, b)).value for a, b in zip(ours, takes, strict=True)])
    wrong = np.array([score(measure_chunk(a, b)).value for a, b in zip(ours[7:] + ours[:7], takes, strict=True)])
    assert (right[:, None] > wrong).mean() > 0.92
    ratings = [float(row["total"]) for row in rows]
    assert np.corrcoef(right, ratings)[0, 1] > 0.6
