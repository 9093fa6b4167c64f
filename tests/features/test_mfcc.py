"""librosa is the oracle: every parameter that is offered gives its numbers."""

import warnings
from typing import Any

import librosa
import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from speechcmp.audio.recording import Recording, resample
from speechcmp.audio.vad import speech_frames
from speechcmp.errors import ParameterError
from speechcmp.features.mfcc import (
    MfccParams,
    deltas,
    frame_levels,
    mel_filters,
    mfcc,
    normalize_cepstra,
)
from speechcmp.features.recipes import RECIPES, extract_features, find_recipe

CASES: list[dict[str, Any]] = [
    {},
    {"n_mfcc": 13, "n_mels": 40, "n_fft": 512, "win_length": 400, "hop_length": 160},
    {"n_mfcc": 40, "n_mels": 40, "lifter": 22.0},
    {"fmin": 133.0, "fmax": 6855.0, "n_mels": 26, "n_mfcc": 26},
    {"center": False, "hop_length": 100, "n_fft": 1000, "win_length": 999},
]


def voice(rng: np.random.Generator, n: int, rate: int = 16_000) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Make a buzz with moving loudness and some noise: speech enough for a spectrum."""
    t = np.arange(n) / rate
    buzz = sum(np.sin(2 * np.pi * 120 * k * t + k) / k for k in range(1, 30))
    return (0.1 * buzz * (1 + np.sin(7 * t)) + 0.01 * rng.standard_normal(n)).astype(np.float32)


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 48_000])
@pytest.mark.parametrize("options", CASES)
def test_mfcc_equals_librosa(rate: int, options: dict[str, Any]) -> None:
    if options.get("fmax", 0) > rate / 2:
        pytest.skip("band above half the rate")
    samples = voice(np.random.default_rng(3), 2 * rate, rate)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # librosa: more bands than an 8 kHz spectrum can fill
        want = librosa.feature.mfcc(y=samples, sr=rate, **options).T
    got = mfcc(samples, rate, params=MfccParams(**options))
    assert got.dtype == np.float32
    # Coefficients near zero are differences of large ones: 1e-4 of their scale is float32's share.
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-4 * np.abs(want).max(axis=0).min())


@pytest.mark.parametrize("n", [1, 2, 511, 512, 513, 4097])
def test_mfcc_of_short_signals_equals_librosa(n: int) -> None:
    samples = voice(np.random.default_rng(n), n)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # librosa: n_fft is too large for this signal
        want = librosa.feature.mfcc(y=samples, sr=16_000).T
    np.testing.assert_allclose(mfcc(samples, 16_000), want, rtol=1e-4, atol=1e-3)


def test_long_signals_are_the_same_in_blocks() -> None:
    samples = voice(np.random.default_rng(0), 500_000)
    params = MfccParams(n_fft=512, hop_length=160, n_mels=40, n_mfcc=13)
    want = librosa.feature.mfcc(y=samples, sr=16_000, n_fft=512, hop_length=160, n_mels=40, n_mfcc=13).T
    np.testing.assert_allclose(mfcc(samples, 16_000, params=params), want, rtol=1e-4, atol=1e-3)


def test_pre_emphasis_equals_librosa() -> None:
    samples = voice(np.random.default_rng(5), 16_000)
    emphasized = librosa.effects.preemphasis(samples, coef=0.97, zi=[0.0])
    want = mfcc(emphasized, 16_000)
    np.testing.assert_allclose(mfcc(samples, 16_000, params=MfccParams(pre_emphasis=0.97)), want, atol=1e-3)


@pytest.mark.parametrize(("fmin", "fmax"), [(0.0, None), (50.0, 3_999.0), (900.0, 1_100.0)])
def test_mel_filters_equal_librosa(fmin: float, fmax: float | None) -> None:
    want = librosa.filters.mel(sr=8_000, n_fft=1024, n_mels=20, fmin=fmin, fmax=fmax).T
    np.testing.assert_allclose(mel_filters(8_000, 1024, 20, fmin, fmax), want, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("n_frames", [9, 10, 50])
def test_deltas_equal_librosa(n_frames: int) -> None:
    features = np.random.default_rng(1).standard_normal((n_frames, 5)).astype(np.float32)
    np.testing.assert_allclose(deltas(features), librosa.feature.delta(features.T).T, atol=1e-5)


@given(n_frames=st.integers(2, 30), slope=st.floats(-5, 5, width=32))
def test_deltas_of_a_line_are_its_slope(n_frames: int, slope: float) -> None:
    line = (slope * np.arange(n_frames, dtype=np.float32))[:, None]
    want = slope if n_frames > 2 else 0.0
    np.testing.assert_allclose(deltas(line), want, atol=1e-4)


@settings(deadline=None)
@given(gain=st.floats(0.05, 4.0), seed=st.integers(0, 100))
def test_cmn_takes_gain_away(gain: float, seed: int) -> None:
    samples = voice(np.random.default_rng(seed), 8_000)
    loud, soft = (normalize_cepstra(mfcc(x.astype(np.float32), 16_000)[:, 1:]) for x in (samples, gain * samples))
    np.testing.assert_allclose(loud, soft, atol=0.02)


def test_cmvn_has_unit_variance() -> None:
    features = np.random.default_rng(2).normal(3, 7, (100, 4)).astype(np.float32)
    features[:, 3] = 5
    got = normalize_cepstra(features, deviation_power=1.0)
    np.testing.assert_allclose(got.std(axis=0), [1, 1, 1, 0], atol=1e-4)


def test_classic_recipe_is_librosa_from_end_to_end() -> None:
    samples = np.round(voice(np.random.default_rng(4), 16_000) * 8_000) / 32_768
    recording = Recording(samples.astype(np.float32), 16_000)
    resampled = librosa.resample(recording.samples, orig_sr=16_000, target_sr=22_050)
    np.testing.assert_allclose(resample(recording, 22_050).samples, resampled, atol=1e-6)
    want = librosa.feature.mfcc(y=resampled, sr=22_050).T
    got = extract_features(recording, RECIPES["classic"])
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=2e-3)


def test_default_recipe_is_normalized_over_speech() -> None:
    rng = np.random.default_rng(5)
    speech = voice(rng, 16_000)
    short, long = (
        Recording(np.concatenate([speech, 1e-4 * rng.standard_normal(n).astype(np.float32)]), 16_000)
        for n in (8_000, 48_000)
    )
    one, two = (extract_features(recording, RECIPES["mfcc"])[5:90] for recording in (short, long))
    assert one.shape == (85, 24)
    # Were pauses counted in, the means would lie whole units apart.
    np.testing.assert_allclose(one, two, atol=0.5)


def test_levels_and_speech_frames() -> None:
    samples = np.zeros(16_000, np.float32)
    samples[4_800:9_600] = 0.5 * np.sin(np.arange(4_800) / 3)
    levels = frame_levels(samples, 160)
    assert levels.shape == (101,)
    assert levels[45] == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=0.1)
    assert levels[0] == pytest.approx(-100)
    np.testing.assert_array_equal(np.flatnonzero(speech_frames(levels)), np.arange(30, 61))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_mfcc": 0}, "positive"),
        ({"win_length": 4096}, "win_length"),
        ({"n_mfcc": 41, "n_mels": 40}, "n_mels 40"),
        ({"fmin": 5000.0, "fmax": 300.0}, "fmax"),
    ],
)
def test_impossible_parameters_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        MfccParams(**options)


def test_impossible_input_is_named() -> None:
    with pytest.raises(ParameterError, match=r"shape \(0,\)"):
        mfcc(np.zeros(0, np.float32), 16_000)
    with pytest.raises(ParameterError, match=r"shape \(5, 2\)"):
        mfcc(np.zeros((5, 2), np.float32), 16_000)
    with pytest.raises(ParameterError, match="8000"):
        mfcc(np.zeros(500, np.float32), 8_000, params=MfccParams(fmax=5_000.0))
    with pytest.raises(ParameterError, match="too few"):
        mfcc(np.zeros(500, np.float32), 8_000, params=MfccParams(center=False))
    with pytest.raises(ParameterError, match="phones, classic, mfcc"):
        find_recipe("clasic")
