"""Prosody on synthetic voices of known rhythm and melody; Praat and real readings as oracles."""

import csv
import dataclasses
import json
import math
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray
from signals import sentences

from speechcmp.audio.recording import Recording, load_recording
from speechcmp.dtw.warp import dtw_path
from speechcmp.errors import ParameterError
from speechcmp.features import prosody as prosody_module
from speechcmp.features.prosody import (
    FMAX_HZ,
    FMIN_HZ,
    HOP_S,
    Delivery,
    PitchContour,
    Prosody,
    ProsodyTrace,
    _paired_frames,
    compare_prosody,
    pitch_contour,
    trace,
)
from speechcmp.features.recipes import RECIPES, extract_features

RATE = 16_000
Array = NDArray[np.floating]
RISING_AND_FALLING = 4.0  # semitones of the melody's sine


def seconds(duration_s: float) -> Array:
    return np.arange(round(duration_s * RATE)) / RATE


def voice(hz: Array, loudness: Array | float = 1.0) -> Array:
    """Make a buzz whose pitch and loudness follow what is given, sample by sample."""
    phase = 2 * np.pi * np.cumsum(hz) / RATE
    tones = [np.sin(k * phase + k) / k for k in range(1, 13)]
    samples: Array = 0.1 * loudness * np.sum(tones, axis=0)
    return samples


def melody(time: Array, height_hz: float = 120.0, depth: float = RISING_AND_FALLING) -> Array:
    hz: Array = height_hz * 2 ** (depth / 12 * np.sin(2 * np.pi * 0.7 * time))
    return hz


def pulses(time: Array, per_s: float) -> Array:
    """Return one syllable's rise and fall after the other, 20 dB deep."""
    loudness: Array = 0.1 + 0.9 * np.sin(np.pi * per_s * time) ** 2
    return loudness


def recording(samples: NDArray[np.floating], *, noise: float = 1e-4) -> Recording:
    hiss = noise * np.random.default_rng(1).standard_normal(len(samples))
    return Recording((samples + hiss).astype(np.float32), RATE)


def after_silence(samples: Array) -> Recording:
    """Let the recording's own noise be heard first, as in any recording of somebody speaking."""
    return recording(np.concatenate([np.zeros(RATE), samples]))


def spoken_at(spans_s: list[tuple[float, float]], duration_s: float) -> Array:
    time = seconds(duration_s)
    mask = np.zeros(len(time))
    for start_s, end_s in spans_s:
        mask[round(start_s * RATE) : round(end_s * RATE)] = 1
    return voice(np.full(len(time), 130.0), mask)


def straight(n_reference: int, n_take: int) -> NDArray[np.int64]:
    """Return the path of an even tempo."""
    longer = max(n_reference, n_take)
    return np.stack([np.arange(longer) * n // longer for n in (n_reference, n_take)], axis=1)


def compare_whole(reference: ProsodyTrace, take: ProsodyTrace) -> Prosody:
    lengths = len(reference.level_db), len(take.level_db)
    spans_s = (0.0, lengths[0] * HOP_S), (0.0, lengths[1] * HOP_S)
    return compare_prosody(reference, take, spans_s, straight(*lengths))


def deliver(source: Recording | ProsodyTrace, start_s: float = 0.0, end_s: float = 1e4) -> Delivery:
    whole = trace(source) if isinstance(source, Recording) else source
    span_s = start_s, min(end_s, len(whole.level_db) * HOP_S)
    steps = straight(*[round((span_s[1] - span_s[0]) / HOP_S)] * 2)
    return compare_prosody(whole, whole, (span_s, span_s), steps).reference


def numbers(value: Any) -> Iterator[float]:
    """Yield every number in nested dataclasses, tuples and dicts."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = dataclasses.asdict(value)
    for item in value.values() if isinstance(value, dict) else value:
        if isinstance(item, (dict, tuple)):
            yield from numbers(item)
        elif item is not None:
            yield item


# ----------------------------------------------------------------------------------------- syllables, rate
@pytest.mark.parametrize("per_s", [2, 3, 4, 5, 6, 7, 8])
def test_rate_of_known_syllables(per_s: int) -> None:
    time = seconds(6.0)
    said = deliver(recording(voice(melody(time), pulses(time, per_s))))
    assert said.speech_rate == pytest.approx(per_s, rel=0.03)
    assert said.articulation_rate == said.speech_rate


def test_nuclei_are_where_the_syllables_peak() -> None:
    time = seconds(5.0)
    nuclei = trace(recording(voice(melody(time), pulses(time, 4)))).nuclei
    assert np.abs(nuclei * HOP_S - (np.arange(20) + 0.5) / 4).max() <= 0.03


def test_a_voice_cut_off_at_its_loudest_still_counts() -> None:
    time = seconds(1.0)
    assert len(trace(recording(voice(melody(time), 0.1 + time))).nuclei) == 1


def test_pulses_of_noise_are_no_syllables() -> None:
    time = seconds(5.0)
    hiss = 0.1 * np.random.default_rng(0).standard_normal(len(time))
    said = deliver(recording(hiss * pulses(time, 4)))
    assert said.speech_s == pytest.approx(5.0, abs=0.1)
    assert said.speech_rate == pytest.approx(0, abs=0.5)


def test_shallow_ripples_are_no_syllables() -> None:
    time = seconds(5.0)
    ripples = 10 ** (0.5 * np.sin(2 * np.pi * 6 * time) / 20)  # 1 dB from top to bottom
    assert len(trace(recording(voice(np.full(len(time), 125.0), ripples))).nuclei) <= 1


def test_pauses_slow_the_speech_but_not_the_articulation() -> None:
    time = seconds(6.0)
    said = (time < 2) | (time >= 4)
    delivery = deliver(recording(voice(melody(time), pulses(time, 5) * said)))
    assert delivery.speech_rate == pytest.approx(20 / 6, rel=0.05)
    assert delivery.articulation_rate == pytest.approx(5, rel=0.05)


# ------------------------------------------------------------------------------------------------- pauses
SPANS_S = [(0.5, 1.5), (1.62, 2.4), (2.7, 3.5), (4.5, 5.5)]  # gaps of 0.12, 0.3 and 1 s


@pytest.mark.parametrize("noise", [0.0, 1e-4, 5e-3, 1.5e-2])
def test_pauses_at_known_places(noise: float) -> None:
    delivery = deliver(recording(spoken_at(SPANS_S, 6.0), noise=noise))
    assert np.abs(np.array(delivery.pauses) - [(2.4, 2.7), (3.5, 4.5)]).max() <= 0.03
    assert delivery.pauses_s == pytest.approx(1.3, abs=0.07)  # windows of 30 ms smear every edge
    assert delivery.speech_s == pytest.approx(5.0, abs=0.04)
    assert delivery.pause_before_s is None


def test_a_click_does_not_end_a_pause() -> None:
    samples = spoken_at(SPANS_S, 6.0)
    samples[4 * RATE : 4 * RATE + 80] = 0.5
    assert len(deliver(recording(samples)).pauses) == 2


def test_a_faint_sound_does_not_end_a_pause() -> None:
    breath = 10 ** (-30 / 20) * spoken_at([(3.6, 4.4)], 6.0)
    assert len(deliver(recording(spoken_at(SPANS_S, 6.0) + breath)).pauses) == 2


def test_the_pause_before_a_chunk_starts_at_the_last_word() -> None:
    whole = trace(recording(spoken_at(SPANS_S, 6.0)))
    last = deliver(whole, 4.4, 5.6)
    assert last.pause_before_s == pytest.approx(1.0, abs=0.04)
    assert last.pauses == ()
    assert deliver(whole, 0.4, 1.6).pause_before_s is None
    assert deliver(whole, 2.6, 5.6).pauses[0] == pytest.approx((3.5, 4.5), abs=0.03)


def test_what_was_said_over_a_minute_ago_tells_no_pause() -> None:
    spans_s = [(0.0, 1.0), (70.0, 71.0), (71.5, 72.0)]
    said = deliver(trace(recording(spoken_at(spans_s, 73.0))), 69.5, 72.5)
    assert said.pause_before_s is None
    assert said.speech_s == pytest.approx(2.0, abs=0.04)
    assert np.abs(np.array(said.pauses) - [(71.0, 71.5)]).max() <= 0.03


def test_a_chunk_of_silence_has_no_delivery() -> None:
    samples = spoken_at([(0.5, 1.5)], 4.0)
    assert deliver(recording(samples, noise=0.0), 2.5, 3.5) == Delivery(0.0, None, None, (), None, None, None)


# -------------------------------------------------------------------------------------------------- level
def test_levels_are_relative_decibels_every_10_ms() -> None:
    time = seconds(2.0)
    tone = np.sin(2 * np.pi * 200 * time) * np.where(time < 1, 0.5, 0.05)
    level_db = trace(Recording(tone.astype(np.float32), RATE)).level_db
    assert len(level_db) == len(extract_features(Recording(tone.astype(np.float32), RATE), RECIPES["mfcc"]))
    assert level_db.max() == 0
    assert np.abs(level_db[5:95]).max() < 0.05
    assert np.abs(level_db[105:195] + 20).max() < 0.05
    assert np.diff(level_db)[98:102].min() < -4  # the step is where it is


def test_a_frame_is_centered_on_its_time() -> None:
    samples = np.zeros(2 * RATE, np.float32)
    samples[100 * 160] = 0.5
    level_db = trace(Recording(samples, RATE)).level_db
    assert np.flatnonzero(level_db > -40).tolist() == [99, 100, 101]


def test_level_range_of_known_depth() -> None:
    time = seconds(4.0)
    ramp_db = -20 * time / 4
    delivery = deliver(after_silence(voice(np.full(len(time), 125.0), 10 ** (ramp_db / 20))))
    assert delivery.level_range_db == pytest.approx(16, abs=0.3)  # 80 % of 20 dB


def test_gain_and_offset_change_nothing() -> None:
    spans_s = [(0.3, 1.8), (2.3, 4.0)]
    samples = sentences(spans_s, 4.5).astype(np.float64)
    plain, other = (deliver(Recording(x.astype(np.float32), RATE)) for x in (samples, samples / 4 + 0.1))
    assert len(plain.pauses) == 1
    assert list(numbers(other)) == pytest.approx(list(numbers(plain)), rel=1e-3)


def test_any_rate_and_channels() -> None:
    samples = sentences([(0.3, 1.8), (2.3, 4.0)], 4.5, 44_100)
    stereo = np.stack([samples, samples], axis=1)
    delivery = deliver(Recording(stereo, 44_100))
    assert np.abs(np.array(delivery.pauses) - [(1.8, 2.3)]).max() <= 0.03


def test_loudness_follows_or_goes_against() -> None:
    time = seconds(4.0)
    rise = 0.15 + 0.85 * np.sin(np.pi * 0.6 * time) ** 2
    sides = [trace(after_silence(voice(np.full(len(time), 125.0), x))) for x in (rise, rise**0.5, 0.15 / rise)]
    alike, against = (compare_whole(sides[0], take).loudness_correlation for take in sides[1:])
    assert alike == pytest.approx(1, abs=0.01)
    assert against == pytest.approx(-1, abs=0.05)


def test_what_the_take_leaves_out_counts_against_its_loudness() -> None:
    time = seconds(4.0)
    loudness = pulses(time, 3)
    sides = [trace(after_silence(voice(melody(time), x))) for x in (loudness, loudness * (time < 2))]
    correlation = compare_whole(*sides).loudness_correlation
    assert correlation is not None
    assert correlation < 0.8


def test_a_steady_loudness_correlates_with_nothing() -> None:
    steady = handmade(np.zeros(100))
    assert compare_whole(steady, steady).loudness_correlation is None


# -------------------------------------------------------------------------------------------------- tempo
def stretched(factor: float, pause_s: float = 0.0) -> Recording:
    """Say four seconds `factor` times as slowly, with a pause after half of it."""
    time = seconds(4 * factor) / factor
    rng = np.random.default_rng(0)
    knots = np.arange(40) / 5
    vowels = [np.interp(time, knots, rng.uniform(*hz, 40)) for hz in ((300, 800), (900, 2300))]
    tones = np.arange(1, 35) * 110.0
    phases = 2 * np.pi * tones[:, None] * seconds(4 * factor)
    weights = sum(1 / (1 + ((tones[:, None] - vowel) / 120) ** 2) for vowel in vowels)
    wave = 0.05 * (weights * np.sin(phases)).sum(axis=0) * pulses(time, 5)
    lead, middle = np.zeros(RATE // 5), len(wave) // 2
    quiet = np.zeros(round(pause_s * RATE))
    return recording(np.concatenate([lead, wave[:middle], quiet, wave[middle:], lead]))


def compare_by_dtw(reference: Recording, take: Recording) -> Prosody:
    ours, theirs = (extract_features(side, RECIPES["mfcc"]) for side in (reference, take))
    steps = dtw_path(ours, theirs, metric="cosine").steps
    spans_s = (0.0, reference.duration_s), (0.0, take.duration_s)
    return compare_prosody(trace(reference), trace(take), spans_s, steps)


@pytest.mark.parametrize("factor", [0.7, 1.0, 1.25, 1.6])
def test_tempo_of_a_stretched_copy(factor: float) -> None:
    prosody = compare_by_dtw(stretched(1.0), stretched(factor))
    assert prosody.tempo == pytest.approx(factor, rel=0.02)
    assert prosody.local_tempo == pytest.approx(factor, rel=0.06)


def test_a_pause_slows_the_tempo_but_not_the_local_one() -> None:
    prosody = compare_by_dtw(stretched(1.0), stretched(1.2, pause_s=1.0))
    assert prosody.tempo == pytest.approx((4.8 + 1.0) / 4, rel=0.02)
    assert prosody.local_tempo == pytest.approx(1.2, rel=0.06)
    assert (len(prosody.reference.pauses), len(prosody.take.pauses)) == (0, 1)


def test_a_longer_lead_in_does_not_change_the_tempo() -> None:
    take = stretched(1.2)
    later = Recording(np.concatenate([take.samples[:1600].repeat(10), take.samples]), RATE)
    assert compare_by_dtw(stretched(1.0), later).tempo == pytest.approx(1.2, rel=0.03)


def test_tempo_is_that_of_what_both_say() -> None:
    # Where only the reference speaks, the path is steep.
    reference, take = (trace(recording(spoken_at([(0.2, end_s)], 5.0))) for end_s in (3.0, 2.0))
    steep = np.arange(200)
    take_frames = np.concatenate([np.arange(200), 200 + steep])
    steps = np.stack([np.concatenate([np.arange(200), 200 + steep // 2]), take_frames], axis=1)
    prosody = compare_prosody(reference, take, ((0, 3), (0, 4)), steps)
    assert prosody.tempo == pytest.approx(1, abs=0.02)


def test_windows_with_a_pause_tell_no_local_tempo() -> None:
    words = np.arange(8 * 85)
    steps = np.stack([words // 85 * 55 + np.minimum(words % 85, 54), words], axis=1)
    reference, take = handmade(np.full(8 * 55, 120.0)), handmade(np.full(8 * 85, 120.0))
    take.level_db[words % 85 >= 55] = -60
    prosody = compare_prosody(reference, take, ((0, 8 * 0.55), (0, 8 * 0.85)), steps)
    assert prosody.local_tempo == pytest.approx(1, abs=0.01)
    assert prosody.tempo == pytest.approx(1.5, abs=0.05)


def test_steps_are_frames_of_their_hop() -> None:
    # The voice ends after 0.8 s on both sides; only after that the path is steep.
    whole = trace(recording(spoken_at([(0.2, 1.8)], 5.0)))
    take_frames = np.concatenate([np.arange(32), 32 + np.arange(88)])
    reference_frames = np.concatenate([np.arange(32), 32 + np.arange(88) * 48 // 88])
    steps = np.stack([reference_frames, take_frames], axis=1)
    prosody = compare_prosody(whole, whole, ((1.0, 3.0), (1.0, 4.0)), steps, hop_s=0.025)
    assert prosody.tempo == pytest.approx(1, abs=0.03)


def test_a_frame_meets_the_middle_of_where_the_path_rests() -> None:
    steps = np.array([(0, 0), (1, 1), (1, 2), (1, 3), (2, 4), (3, 4)])
    reference_frames, take_frames = _paired_frames(steps, 1.0)
    assert reference_frames.tolist() == [0, 1, 2, 3]
    assert take_frames.tolist() == [0, 2, 4, 4]


def test_steps_of_another_hop_mean_the_same() -> None:
    time = seconds(5.0)
    whole = trace(recording(voice(melody(time), pulses(time, 4))))
    spans_s = (1.0, 3.0), (1.0, 4.0)
    fine = compare_prosody(whole, whole, spans_s, straight(200, 300))
    coarse = compare_prosody(whole, whole, spans_s, straight(80, 120), hop_s=0.025)
    assert fine.tempo == pytest.approx(1.5, rel=0.01)
    assert coarse.tempo == pytest.approx(1.5, rel=0.01)
    assert coarse.local_tempo == pytest.approx(1.5, rel=0.02)


# --------------------------------------------------------------------------------- pitch, without a tracker
def contour_hz(height_hz: float = 120.0, depth: float = RISING_AND_FALLING, n: int = 400) -> Array:
    hz = melody(np.arange(n) * HOP_S, height_hz, depth)
    hz[100:130] = hz[250:290] = np.nan
    return hz


def handmade(hz: Array) -> ProsodyTrace:
    """Make the trace of a steadily loud voice with the pitch given; NaN and 0 Hz are unvoiced."""
    steady = np.zeros(len(hz), np.float32)
    return ProsodyTrace(steady, -80.0, np.arange(0, len(hz), 20), pitch_contour(np.where(hz > 0, hz, np.nan)))


def pitch_of(reference: Array, take: Array) -> Any:
    return compare_whole(handmade(reference), handmade(take)).pitch


def test_contour_in_semitones_re_the_median() -> None:
    contour = pitch_contour(np.repeat([100.0, np.nan, 100 * 2 ** (4 / 12), 120.0], 5))
    assert contour.voiced.tolist() == [True] * 5 + [False] * 5 + [True] * 10
    assert contour.median_hz == pytest.approx(120)
    below = 12 * math.log2(100 / 120)
    assert contour.semitones[::5].tolist() == pytest.approx([below, 0, below + 4, 0], abs=1e-5)


def test_an_octave_higher_is_the_same_contour() -> None:
    low, high = pitch_contour(contour_hz(110)), pitch_contour(contour_hz(220))
    np.testing.assert_allclose(low.semitones, high.semitones, atol=1e-5)
    assert high.median_hz == pytest.approx(2 * (low.median_hz or 0))


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_octave_errors_do_no_harm(factor: float) -> None:
    truth = contour_hz()
    wrong = truth.copy()
    for start in range(5, 400, 40):
        wrong[start : start + 8] *= factor
    cleaned, expected = pitch_contour(wrong), pitch_contour(truth)
    assert np.array_equal(cleaned.voiced, expected.voiced)
    np.testing.assert_allclose(cleaned.semitones, expected.semitones, atol=1e-4)


def test_a_word_far_outside_the_speakers_range_is_not_believed() -> None:
    hz = contour_hz()
    hz[:100] = np.nan
    hz[50:60] = 450.0
    assert not pitch_contour(hz).voiced[50:60].any()
    assert pitch_contour(hz).voiced.sum() == np.isfinite(hz).sum() - 10


def test_no_voice_no_pitch() -> None:
    hz = np.full(50, np.nan)
    hz[:9] = 120.0
    contour = pitch_contour(hz)
    assert contour.median_hz is None
    assert not contour.voiced.any()
    assert not contour.semitones.any()
    match = pitch_of(contour_hz(n=400), np.full(400, np.nan))
    assert (match.correlation, match.range_ratio, match.range_semitones[1]) == (None, None, None)
    assert match.range_semitones[0] > 1


def test_monotone_speech_has_a_small_range() -> None:
    match = pitch_of(contour_hz(depth=4.0), contour_hz(200.0, depth=1.0))
    assert match.correlation == pytest.approx(1, abs=1e-4)
    assert match.range_ratio == pytest.approx(0.25, rel=1e-3)
    voiced = melody(np.arange(400) * HOP_S)[np.isfinite(contour_hz())]
    low, high = np.quantile(12 * np.log2(voiced), [0.1, 0.9])
    assert match.range_semitones[0] == pytest.approx(high - low, abs=1e-3)


def test_a_melody_upside_down() -> None:
    assert pitch_of(contour_hz(depth=3.0), contour_hz(depth=-3.0)).correlation == pytest.approx(-1, abs=1e-3)


def test_a_flat_reference_has_no_ratio_and_no_correlation() -> None:
    match = pitch_of(np.full(200, 120.0), contour_hz(n=400))
    assert (match.correlation, match.range_ratio) == (None, None)
    assert match.range_semitones[0] == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize(("n_common", "measurable"), [(9, False), (10, True)])
def test_ten_frames_make_a_correlation(n_common: int, measurable: bool) -> None:
    reference, take = melody(np.arange(60) * HOP_S), melody(np.arange(60) * HOP_S)
    reference[30:], take[: 30 - n_common] = 0, 0
    assert (pitch_of(reference, take).correlation is not None) is measurable


def test_pitch_in_what_does_not_sound_is_not_believed() -> None:
    hz = contour_hz()
    hz[300:400] = 120 * 2 ** (np.arange(100) % 7 / 12)
    quiet = np.zeros(400, np.float32)
    quiet[300:400] = -60
    noisy = dataclasses.replace(handmade(hz), level_db=quiet)
    match = compare_whole(handmade(contour_hz()), noisy).pitch
    assert match is not None
    assert match.correlation == pytest.approx(1, abs=1e-4)


def test_pitch_is_none_unless_both_have_it() -> None:
    with_pitch = handmade(contour_hz())
    without = dataclasses.replace(with_pitch, pitch=None)
    assert compare_whole(with_pitch, without).pitch is None
    assert compare_whole(without, without).reference.pitch_range_semitones is None
    assert compare_whole(with_pitch, with_pitch).pitch is not None


# ---------------------------------------------------------------------------------- nothing odd comes out
@settings(max_examples=60, deadline=None)
@given(
    lengths=st.tuples(st.integers(1, 30_000), st.integers(1, 30_000)),
    kinds=st.tuples(*[st.sampled_from(["zeros", "noise", "voice", "click", "constant"])] * 2),
)
def test_every_number_is_finite(lengths: tuple[int, int], kinds: tuple[str, str]) -> None:
    makers: dict[str, Callable[[int], Array]] = {
        "zeros": np.zeros,
        "noise": lambda n: 0.1 * np.random.default_rng(n).standard_normal(n),
        "voice": lambda n: voice(melody(np.arange(n) / RATE)),
        "click": lambda n: np.eye(1, n, n // 2)[0],
        "constant": lambda n: np.full(n, 0.25),
    }
    sides = [Recording(makers[kind](n).astype(np.float32), RATE) for kind, n in zip(kinds, lengths, strict=True)]
    prosody = compare_whole(trace(sides[0]), trace(sides[1]))
    assert all(math.isfinite(number) for number in numbers(prosody))
    json.dumps(dataclasses.asdict(prosody), allow_nan=False)


@pytest.mark.parametrize(
    "steps",
    [
        np.zeros((0, 2), int),
        np.zeros((3, 3), int),
        np.zeros(4, int),
        np.array([[1, 1], [0, 2]]),
        np.array([[-1, 0], [0, 1]]),
    ],
)
def test_what_is_no_path_is_refused(steps: NDArray[np.int64]) -> None:
    whole = handmade(contour_hz())
    with pytest.raises(ParameterError, match="steps"):
        compare_prosody(whole, whole, ((0, 1), (0, 1)), steps)


@pytest.mark.parametrize("span_s", [(1.0, 1.0), (2.0, 1.0), (-0.5, 1.0), (0.0, math.nan)])
def test_what_is_no_span_is_refused(span_s: tuple[float, float]) -> None:
    whole = handmade(contour_hz())
    for spans_s in ((span_s, (0.0, 1.0)), ((0.0, 1.0), span_s)):
        with pytest.raises(ParameterError, match="spans_s"):
            compare_prosody(whole, whole, spans_s, straight(100, 100))


def test_librosa_is_loaded_only_for_pitch() -> None:
    code = (
        "import sys, numpy as np; from speechcmp.audio import recording; from speechcmp.features import prosody\n"
        "prosody.trace(recording.Recording(np.ones(16000, np.float32), 16000))\n"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "speechcmp.features.prosody" in loaded
    assert not loaded & {"librosa", "numba", "scipy", "scipy.signal"}


# ----------------------------------------------------------------------------------- pitch by pYIN, and Praat
def tracked(samples: NDArray[np.floating]) -> PitchContour:
    contour = trace(recording(samples), pitch=True).pitch
    assert contour is not None
    return contour


@pytest.mark.slow
@pytest.mark.parametrize("height_hz", [90.0, 120.0, 180.0, 320.0])
def test_pitch_of_a_known_melody(height_hz: float) -> None:
    time = seconds(3.0)
    contour = tracked(voice(melody(time, height_hz)))
    hz = melody(np.arange(len(contour.voiced)) * HOP_S, height_hz)
    assert contour.voiced[5:-5].mean() > 0.97
    off = contour.semitones + 12 * np.log2((contour.median_hz or 0) / hz)
    assert np.quantile(np.abs(off[contour.voiced]), 0.99) < 0.3


@pytest.mark.slow
def test_speakers_an_octave_apart_say_the_same_melody() -> None:
    time = seconds(3.0)
    sides = [trace(recording(voice(melody(time, hz))), pitch=True) for hz in (100.0, 200.0)]
    match = compare_whole(*sides).pitch
    assert match is not None
    assert match.correlation == pytest.approx(1, abs=0.01)
    assert match.range_ratio == pytest.approx(1, abs=0.1)


@pytest.mark.slow
def test_pitch_of_a_long_recording_has_no_seams() -> None:
    time = seconds(62.0)
    contour = tracked(voice(melody(time)))
    assert len(contour.semitones) == 6201
    truth = melody(np.arange(6201) * HOP_S)
    off = contour.semitones + 12 * np.log2((contour.median_hz or 0) / truth)
    for seam in (3000, 6000):
        assert contour.voiced[seam - 20 : seam + 20].all()
        assert np.abs(off[seam - 20 : seam + 20]).max() < 0.4


@pytest.mark.slow
def test_blocks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = sentences([(0.3, 1.8), (2.3, 4.0)], 4.5)
    whole = tracked(samples)
    monkeypatch.setattr(prosody_module, "_PYIN_BLOCK", 60)
    parts = tracked(samples)
    assert (whole.voiced == parts.voiced).all()
    assert np.abs(whole.semitones - parts.semitones).max() < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("hum_hz", [40.0, 50.0])
def test_hum_is_no_voice(hum_hz: float) -> None:
    hum = tracked(0.1 * np.sin(2 * np.pi * hum_hz * seconds(2.0)))
    assert hum.voiced.mean() < 0.05


@pytest.mark.slow
@pytest.mark.parametrize("n", [1, 100, 700, 16_000])
def test_silence_and_noise_have_no_pitch(n: int) -> None:
    silent = trace(Recording(np.zeros(n, np.float32), RATE), pitch=True).pitch
    hiss = tracked(0.1 * np.random.default_rng(0).standard_normal(n))
    assert silent is not None
    assert silent.median_hz is None
    assert hiss.voiced.mean() < 0.2


def praat_hz(samples: NDArray[np.floating], n_frames: int) -> Array:
    """Return Praat's pitch at the trace's frames, NaN where it hears no voice."""
    parselmouth = pytest.importorskip("parselmouth")
    sound = parselmouth.Sound(samples.astype(np.float64), RATE)
    pitch = sound.to_pitch_ac(HOP_S, FMIN_HZ, pitch_ceiling=FMAX_HZ)
    return np.array([pitch.get_value_at_time(frame * HOP_S) for frame in range(n_frames)])


def assert_agrees_with_praat(samples: NDArray[np.floating], *, within: float, voicing: float) -> None:
    contour = tracked(samples)
    praat = praat_hz(samples, len(contour.voiced))
    both = contour.voiced & np.isfinite(praat)
    assert both.sum() > 100
    off = np.abs(contour.semitones[both] + 12 * np.log2((contour.median_hz or 0) / praat[both]))
    assert np.median(off) < within
    assert (off > 1).mean() < 0.03
    assert (contour.voiced == np.isfinite(praat)).mean() > voicing


@pytest.mark.slow
def test_pitch_as_praat_hears_it_in_synthetic_speech() -> None:
    samples = sentences([(0.3, 1.8), (2.3, 4.0)], 4.5)
    assert_agrees_with_praat(samples, within=0.1, voicing=0.95)
    time = seconds(4.0)
    assert_agrees_with_praat(voice(melody(time), pulses(time, 4)), within=0.1, voicing=0.95)


@pytest.mark.slow
def test_pitch_as_praat_hears_it_in_readings(real_speech: Path) -> None:
    paths = sorted((real_speech / "readings").glob("*.flac"))[10::50]
    samples = np.concatenate([load_recording(path, sample_rate=RATE).samples for path in paths])
    assert_agrees_with_praat(samples, within=0.15, voicing=0.85)


# ------------------------------------------------------------------------------------------- real readings
def count_vowels(text: str) -> int:
    words = [re.sub(r"(?<=[^aeiou])e$", "", word) or word for word in text.lower().split()]
    return sum(max(1, len(re.findall("[aeiouy]+", word))) for word in words)


def nuclei_counted(path: Path) -> tuple[float, float]:
    said = deliver(load_recording(path))
    assert said.speech_rate is not None
    return said.speech_rate * said.speech_s, said.speech_rate


@pytest.mark.parametrize(
    ("pattern", "typical"),
    [
        ("readings/{}.flac", (2, 4)),
        ("references/{}_joe.flac", (3.5, 6)),
        ("references/{}_slt.flac", (3.5, 6)),
    ],
)
def test_syllables_of_readings_follow_the_text(real_speech: Path, pattern: str, typical: tuple[float, float]) -> None:
    with (real_speech / "readings.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))[::8]
    expected = np.array([count_vowels(row["text"]) for row in rows])
    counts, rates = np.array([nuclei_counted(real_speech / pattern.format(row["id"])) for row in rows]).T
    assert np.corrcoef(counts, expected)[0, 1] > 0.6
    assert counts.sum() == pytest.approx(expected.sum(), rel=0.3)
    assert typical[0] < np.median(rates) < typical[1]
    assert rates.max() < 8


def test_pauses_of_real_speech(real_speech: Path) -> None:
    n_found = n_all = 0
    for path in sorted((real_speech / "pauses").glob("*.json")):
        truth = np.array(json.loads(path.read_text(encoding="utf-8"))["pauses_ms"]) / 1000
        whole = trace(load_recording(path.with_suffix(".flac")))
        inside = truth[(truth[:, 0] > 0.5) & (truth[:, 1] < len(whole.level_db) * HOP_S - 0.5)]
        found = np.array(deliver(whole).pauses)
        common = np.minimum(found[:, 1], inside[:, 1:]) - np.maximum(found[:, 0], inside[:, :1])
        union = np.maximum(found[:, 1], inside[:, 1:]) - np.minimum(found[:, 0], inside[:, :1])
        n_found += int(((common / union).max(axis=1) > 0.7).sum())
        n_all += len(inside)
    assert n_all > 20
    assert n_found / n_all >= 0.9
