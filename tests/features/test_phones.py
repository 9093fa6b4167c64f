"""The phonetic network equals its definition in plain loops, whatever the length; voices are nearer than words."""

from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from speechcmp.audio.recording import load_recording
from speechcmp.comparison.compare import CompareParams, compare
from speechcmp.dtw.warp import dtw_distance
from speechcmp.errors import ParameterError
from speechcmp.features.mfcc import SPEECH_BANDS, Features, MfccParams, log_mel_bands
from speechcmp.features.phones import phonetic_features
from speechcmp.features.recipes import Recipe, extract_features, find_recipe

Floats = NDArray[np.float64]


def bands(n_frames: int, seed: int = 0) -> Features:
    rng = np.random.default_rng(seed)
    walk = np.cumsum(rng.normal(0, 2, (n_frames, 40)), axis=0)
    return (walk - 0.02 * walk**2 / (1 + abs(walk)) - 40).astype(np.float32)


def standardized(frame: Floats) -> Floats:
    centered = frame - frame.mean()
    scaled: Floats = centered / np.sqrt((centered**2).mean() + 1e-5)
    return scaled


def by_loops(given: Features) -> Floats:
    """Do what benchmarks/phones/student.py defines, one frame at a time."""
    with resources.files("speechcmp.features").joinpath("phones.npz").open("rb") as raw, np.load(raw) as file:
        weights = {name: file[name].astype(np.float64) for name in file.files}
    levels = [10 * np.log10(sum(10 ** (x / 10) for x in frame)) for frame in given.astype(np.float64).tolist()]
    scaled = (np.maximum(given - np.quantile(levels, 0.9), -70) + 35) / 20
    n = (len(given) + 1) // 2
    frames = np.empty((n, weights["stem.b"].size))
    for t in range(n):
        total = weights["stem.b"].copy()
        for k in range(5):
            total += scaled[min(max(2 * t + k - 2, 0), len(given) - 1)] @ weights["stem.w"][k]
        frames[t] = total
    for i, dilation in enumerate(weights["dilations"].astype(int)):
        before = frames.copy()
        for t in range(n):
            total = weights[f"{i}.dwb"].copy()
            for k in range(7):
                place = t + (k - 3) * dilation
                if 0 <= place < n:
                    total += before[place] * weights[f"{i}.dw"][k]
            hidden = np.maximum(standardized(total) @ weights[f"{i}.w1"] + weights[f"{i}.b1"], 0)
            frames[t] = before[t] + hidden @ weights[f"{i}.w2"] + weights[f"{i}.b2"]
    return np.array([standardized(frame) @ weights["out.w"] + weights["out.b"] for frame in frames])


@pytest.mark.parametrize("n_frames", [1, 2, 3, 40, 41, 151])
def test_features_equal_the_definition(n_frames: int) -> None:
    given = bands(n_frames)
    got = phonetic_features(given)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, by_loops(given), atol=2e-4)


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    given = bands(900)
    whole = phonetic_features(given)
    for size in (64, 101, 450, 449):
        monkeypatch.setattr("speechcmp.features.phones._BLOCK_FRAMES", size)
        np.testing.assert_allclose(phonetic_features(given), whole, atol=1e-4)


def test_level_changes_nothing_and_silence_is_finite() -> None:
    given = bands(200)
    np.testing.assert_allclose(phonetic_features(given - 30), phonetic_features(given), atol=1e-4)
    assert np.isfinite(phonetic_features(np.full((50, 40), -100, np.float32))).all()


def test_the_recipe_is_the_network_over_the_bands(tmp_path: Path) -> None:
    samples = np.random.default_rng(1).normal(0, 0.1, 22_050).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", samples, 16_000)
    recording = load_recording(tmp_path / "a.wav")
    recipe = find_recipe("phones")
    (expected,) = log_mel_bands(recording.samples, 16_000, [SPEECH_BANDS])
    features = extract_features(recording, recipe)
    np.testing.assert_array_equal(features, phonetic_features(expected))
    assert recipe.hop_s == 0.02
    assert find_recipe("default") is recipe
    with pytest.raises(ParameterError, match="needs SPEECH_BANDS"):
        Recipe("own", 16_000, MfccParams(n_fft=512, hop_length=160), "cosine", phonetic=True)
    got = compare(recording, recording, params=CompareParams(details="scores"))
    assert got.recipe == "phones"


def test_a_word_is_nearer_by_another_voice_than_another_word(real_speech: Path) -> None:
    paths = sorted((real_speech / "words").glob("*_0.flac"))
    words = [extract_features(load_recording(path), find_recipe("phones")) for path in paths]
    names = [path.stem.split("_")[:2] for path in paths]
    distances = np.array([[dtw_distance(a, b, metric="cosine") for b in words] for a in words])
    errors = [
        distances[x, a] >= distances[x, b]
        for x, (word, speaker) in enumerate(names)
        for a, (same, other) in enumerate(names)
        if same == word and other != speaker
        for b, (wrong, voice) in enumerate(names)
        if voice == other and wrong != word
    ]
    assert np.mean(errors) < 0.08
