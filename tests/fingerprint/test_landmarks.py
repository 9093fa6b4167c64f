"""Peaks and landmarks equal plain loops, and dejavu's hashes; blocks and gain change nothing."""

import hashlib
from dataclasses import replace
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import soxr
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray
from oracle_fingerprint import (
    dejavu_hashes,
    local_maxima,
    peaks_above_floor,
    power_density,
    strongest_pairs,
)
from signals import syllables

from speechcmp.errors import ParameterError
from speechcmp.fingerprint.landmarks import Landmarks, landmarks, query_landmarks, spectrogram_peaks
from speechcmp.fingerprint.peaks import DEJAVU, PRESETS, SPEECH, FingerprintParams

RATE = 16_000
Samples = NDArray[np.float32]


@cache
def _speech(duration_s: float, seed: int, rate: int) -> Samples:
    rng = np.random.default_rng(seed)
    n = round(duration_s * rate)
    return (syllables(duration_s, rate, seed=seed)[:n] + 0.003 * rng.standard_normal(n)).astype(np.float32)


def speech(duration_s: float, *, seed: int = 0, rate: int = RATE) -> Samples:
    """Make syllables over noise, so that no two cells of the spectrogram are equal."""
    return _speech(duration_s, seed, rate).copy()


def rows(found: Landmarks) -> list[tuple[bytes, int]]:
    return [(landmark.hash, landmark.anchor_frame) for landmark in found]


def same(one: Landmarks, other: Landmarks) -> bool:
    return rows(one) == rows(other) and one.n_frames == other.n_frames


# Small enough for loops over every cell; float64, so that no comparison hangs on rounding.
SMALL = replace(
    SPEECH,
    window=128,
    hop=64,
    max_bin=64,
    max_delta_bins=20,
    floor_db=20.0,
    floor_reach_s=0.2,
    dtype="float64",
)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("reach", [(12, 5), (1, 1), (3, 8), (7, 2)])
def test_peaks_are_those_of_plain_loops(seed: int, reach: tuple[int, int]) -> None:
    params = replace(SMALL, neighborhood_frames=reach[0], neighborhood_bins=reach[1])
    samples = speech(1.0, seed=seed)
    samples[RATE // 2 :] *= 0.05
    image = power_density(samples, RATE, window=128, hop=64)
    wanted = peaks_above_floor(image, params, RATE)
    found = spectrogram_peaks(samples, RATE, params=params)
    assert list(zip(found.frames.tolist(), found.bins.tolist(), strict=True)) == wanted
    everywhere = local_maxima(image, *reach)
    assert 0 < len(wanted) < len([peak for peak in everywhere if 3 <= peak[1] < 64]), "the floor removes some"
    np.testing.assert_allclose(found.powers, [image[peak] for peak in wanted], rtol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_landmarks_are_those_of_plain_loops(seed: int) -> None:
    samples = speech(1.0, seed=seed)
    params = replace(SMALL, neighborhood_frames=3, neighborhood_bins=3)
    image = power_density(samples, RATE, window=128, hop=64)
    wanted = [
        (hashlib.sha1(f"{f1}|{f2}|{delta}".encode(), usedforsecurity=False).hexdigest()[:20], t1)
        for t1, f1, f2, delta in strongest_pairs(peaks_above_floor(image, params, RATE), image, params)
    ]
    found = [(landmark.hash.hex(), landmark.anchor_frame) for landmark in landmarks(samples, RATE, params=params)]
    assert len(wanted) > 100
    assert sorted(found) == sorted(wanted)


@pytest.mark.parametrize(("rate", "seed"), [(44_100, 0), (16_000, 1), (8_000, 2)])
def test_dejavu_hashes_equal_dejavus(rate: int, seed: int) -> None:
    integers = np.round(speech(5.0, seed=seed, rate=rate) * 20_000).astype(np.int16)
    integers[3 * rate : 7 * rate // 2] = 0
    found = landmarks(integers.astype(np.float32) / 32_768, rate, params=DEJAVU)
    wanted = dejavu_hashes(integers, rate)
    assert len(wanted) > 200
    assert [(landmark.hash.hex(), landmark.anchor_frame) for landmark in found] == wanted


@settings(max_examples=8, deadline=None)
@given(sizes=st.lists(st.integers(0, 70_000), min_size=1, max_size=12))
@pytest.mark.parametrize("params", [SPEECH, DEJAVU], ids=lambda params: params.name)
def test_blocks_change_nothing(params: FingerprintParams, sizes: list[int]) -> None:
    samples = speech(9.0)
    edges = np.minimum(np.cumsum([0, *sizes, len(samples)]), len(samples))
    blocks = (samples[a:b] for a, b in pairwise(edges))
    whole = landmarks(samples, RATE, params=params)
    assert len(whole) > 100
    assert same(landmarks(blocks, RATE, params=params), whole)


def test_blocks_change_nothing_when_resampled() -> None:
    samples = speech(9.0, rate=44_100)
    whole = landmarks(samples, 44_100)
    assert same(landmarks(np.array_split(samples, 37), 44_100), whole)
    itself = landmarks(soxr.resample(samples, 44_100, RATE), RATE)
    shared = set(rows(whole)) & set(rows(itself))
    assert len(shared) > 0.95 * len(itself), "the resampler's delay is compensated"


@pytest.mark.parametrize("gain_db", [-40.0, -12.0, -1.3, 12.0])
def test_gain_changes_nothing_but_rounding(gain_db: float) -> None:
    samples = speech(4.0)
    plain = set(rows(landmarks(samples, RATE)))
    other = set(rows(landmarks(samples * np.float32(10 ** (gain_db / 20)), RATE)))
    assert len(plain & other) > 0.99 * len(plain | other)


def test_gain_and_16_bits_change_little() -> None:
    samples = speech(4.0)
    plain = set(rows(landmarks(samples, RATE)))
    quiet = set(rows(landmarks(np.round(samples * 10 ** (-12 / 20) * 32_768) / 32_768, RATE)))
    assert len(plain & quiet) > 0.9 * len(plain)


def test_power_of_two_gain_changes_nothing_at_all() -> None:
    samples = speech(4.0)
    assert same(landmarks(samples / 4, RATE), landmarks(samples, RATE))


def test_a_loud_passage_silences_no_soft_one_far_off() -> None:
    soft = speech(3.0)
    loud = 3000 * speech(1.0, seed=1)
    gap = np.zeros(RATE * 20, np.float32)
    far = landmarks(np.concatenate([soft, gap, loud]), RATE)
    near = landmarks(np.concatenate([soft, loud]), RATE)
    alone = len(landmarks(soft, RATE))
    assert int((far.anchor_frames < 3 * RATE // 256).sum()) >= 0.95 * alone
    assert int((near.anchor_frames < 2.5 * RATE // 256).sum()) < 0.2 * alone


def test_limit_takes_the_head_only() -> None:
    samples = speech(5.0)
    assert same(landmarks(samples, RATE, limit_s=2.0), landmarks(samples[: 2 * RATE], RATE))

    def endless() -> Any:
        while True:
            yield samples

    assert same(landmarks(endless(), RATE, limit_s=12.0), landmarks(np.tile(samples, 3)[: 12 * RATE], RATE)), (
        "nothing is read beyond the limit"
    )


@pytest.mark.parametrize("params", PRESETS.values(), ids=lambda params: params.name)
@pytest.mark.parametrize("n", [0, 1, 1023, 3 * RATE], ids=lambda n: f"{n} samples")
def test_nothing_to_hear_gives_no_landmarks(params: FingerprintParams, n: int) -> None:
    silence = np.zeros(n, np.float32)
    assert len(landmarks(silence, RATE, params=params)) == 0
    assert landmarks([], RATE, params=params).hashes.shape == (0, 10)
    query = query_landmarks(silence, RATE, params=params)
    assert query.hashes.shape == (0, 10)
    assert len(query.hash_index) == len(query.anchor_frames) == 0


def test_a_lasting_tone_is_one_peak_in_a_neighborhood_not_one_a_frame() -> None:
    # 1000 Hz repeats exactly every 16 samples, so all frames are equal to the last bit.
    tone = np.tile(np.sin(2 * np.pi * np.arange(16) / 16).astype(np.float32), 3 * 1000)
    n_frames = landmarks(tone, RATE).n_frames
    tone_peaks = spectrogram_peaks(tone, RATE)
    assert n_frames > 180
    assert 1 <= int((tone_peaks.bins == 64).sum()) < n_frames / 10


def test_query_finds_a_clip_between_frames() -> None:
    samples = speech(4.0)
    stored = set(landmarks(samples, RATE))
    start = 100 * 256 + 128
    query = query_landmarks(samples[start : start + 2 * RATE], RATE)
    aligned = {
        (query.hashes[row].tobytes(), round(frame + start / 256))
        for row, frame in zip(query.hash_index, query.anchor_frames, strict=True)
    }
    one_shift = replace(SPEECH, query_shifts=1)
    lone = query_landmarks(samples[start : start + 2 * RATE], RATE, params=one_shift)
    lone_aligned = {
        (lone.hashes[row].tobytes(), round(frame + start / 256))
        for row, frame in zip(lone.hash_index, lone.anchor_frames, strict=True)
    }
    assert len(stored & aligned) > 1.3 * len(stored & lone_aligned)
    assert len(np.unique(query.hashes, axis=0)) == len(query.hashes), "each hash is asked for once"


@pytest.mark.parametrize(
    ("samples", "rate", "limit_s", "message"),
    [
        (np.zeros((10, 2), np.float32), RATE, None, "not one channel"),
        (np.full(3000, np.nan, np.float32), RATE, None, "not a number"),
        (np.zeros(10, np.float32), 0, None, "sample_rate"),
        (np.zeros(10, np.float32), RATE, 0.0, "limit_s"),
    ],
)
def test_wrong_input_is_said(samples: Samples, rate: int, limit_s: float | None, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        landmarks(samples, rate, limit_s=limit_s)


@pytest.mark.parametrize(
    "change",
    [
        {"window": 1023},
        {"hop": 0},
        {"hop": 2048},
        {"max_bin": 600},
        {"min_delta_frames": 50},
        {"fan_out": 0},
        {"query_shifts": 0},
        {"neighborhood_bins": 0},
    ],
    ids=str,
)
def test_wrong_parameters_are_said(change: dict[str, int]) -> None:
    with pytest.raises(ParameterError, match=next(iter(change))):
        replace(SPEECH, **change)  # type: ignore[arg-type]


def test_presets_go_by_their_names() -> None:
    assert {name: params.name for name, params in PRESETS.items()} == {"speech": "speech", "dejavu": "dejavu"}
