"""The automatic threshold on speech of known pauses, real and synthetic, in noise and in odd recordings."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, strategies as st
from numpy.typing import NDArray
from oracle_chunks import Known, boundary_score, moving_mean, pink
from signals import sentences

from speechcmp.audio import vad as activity
from speechcmp.audio.recording import Recording, normalize
from speechcmp.audio.split import split_at_silence, split_recording

RATE = 16000
SPANS = [(0.8, 2.0), (2.8, 4.2), (5.2, 5.8), (6.6, 9.0), (10.0, 12.4), (13.4, 15.0)]
DURATION_S = 16.0


def recording(samples: NDArray[np.floating], rate: int = RATE) -> Recording:
    return Recording(np.clip(samples, -1, 1).astype(np.float32), rate)


def found_s(source: Recording) -> NDArray[np.float64]:
    chunks = split_at_silence(source, keep_silence_ms=0)
    return np.array([(chunk.start, chunk.stop) for chunk in chunks]) / source.sample_rate


def assert_found(source: Recording, spans: list[tuple[float, float]] = SPANS) -> None:
    found = found_s(source)
    assert len(found) == len(spans), found
    assert np.abs(found - spans).max() <= 0.05


def speech(rate: int = RATE, noise: float = 3e-4) -> NDArray[np.float32]:
    return sentences(SPANS, DURATION_S, rate, noise=noise)


# --------------------------------------------------------------------------------------------- synthetic
@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000])
def test_any_rate(rate: int) -> None:
    assert_found(recording(speech(rate), rate))


def test_offset_hum_and_hiss_cost_nothing() -> None:
    time = np.arange(round(DURATION_S * RATE)) / RATE
    for mains_hz in (50, 60):
        hum = 0.05 * np.sin(2 * np.pi * mains_hz * time) + 0.01 * np.sin(6 * np.pi * mains_hz * time)
        assert_found(recording(speech() + hum + 0.1))
    assert_found(recording(speech() + 2e-3 * pink(len(time), 1)))


def test_digital_silence_between_sentences() -> None:
    assert_found(recording(speech(noise=0)))


def test_some_pauses_muted_and_some_not() -> None:
    samples = speech(noise=2e-3)
    for (_, start), (stop, _) in zip(SPANS[::2], SPANS[1::2], strict=True):
        samples[round(start * RATE) : round(stop * RATE)] = 0
    assert len(found_s(recording(samples))) == len(SPANS)


def test_clicks_are_no_words() -> None:
    samples = speech()
    for at in (0.3, 4.7, 9.5, 15.6):
        samples[round(at * RATE) : round(at * RATE) + 60] = 0.9
    assert_found(recording(samples))


def test_noise_may_drift() -> None:
    spans = [(4.0 * k + 1, 4.0 * k + 3) for k in range(15)]
    samples = sentences(spans, 61.0, noise=0.0)
    level_db = 4 * np.sin(np.linspace(0, 2 * np.pi, len(samples)))
    assert len(found_s(recording(samples + 3e-3 * 10 ** (level_db / 20) * pink(len(samples), 2)))) == len(spans)


def test_a_long_sentence_is_not_shredded() -> None:
    for noise in (0.0, 1e-4, 3e-3):
        assert_found(recording(sentences([(0.0, 14.0)], 14.0, noise=noise)), [(0.0, 14.0)])


def test_one_word_in_a_long_recording() -> None:
    for noise in (0.0, 1e-4, 2e-3):
        assert_found(recording(sentences([(30.0, 30.4)], 60.0, noise=noise)), [(30.0, 30.4)])


@pytest.mark.parametrize("kind", ["white", "pink", "offset", "hum"])
def test_no_speech_in_noise(kind: str) -> None:
    n = 20 * RATE
    samples = {
        "white": 0.01 * np.random.default_rng(1).standard_normal(n),
        "pink": 0.01 * pink(n, 3),
        "offset": np.full(n, 0.2),
        "hum": 0.05 * np.sin(2 * np.pi * 50 * np.arange(n) / RATE),
    }[kind]
    assert len(found_s(recording(samples))) == 0


def changing_noise(kind: str, seconds: float, rate: int) -> NDArray[np.float64]:
    """Noise whose level changes, and nothing else: as under a phone's gain control."""
    n = round(seconds * rate)
    time = np.arange(n) / rate
    gain_db = {
        "a step": np.where(time < seconds / 2, 0.0, 3.0),
        "louder at both ends": np.where((time < 0.2 * seconds) | (time > 0.8 * seconds), 3.0, 0.0),
        "drift": np.linspace(-3, 3, n),
        "gain control": 10 * np.sin(np.pi * time),
    }[kind]
    return 0.01 * np.asarray(pink(n, 3)) * 10 ** (gain_db / 20)


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
@pytest.mark.parametrize("kind", ["a step", "louder at both ends", "drift", "gain control"])
def test_noise_that_changes_its_level_is_no_speech(kind: str, rate: int) -> None:
    for seconds in (0.4, 1.0, 5.0, 20.0):
        found = split_recording(recording(changing_noise(kind, seconds, rate), rate))
        assert found.chunks == (), seconds
        assert found.warnings[0].startswith("no speech found: "), found.warnings


def test_noise_that_is_louder_at_both_ends_is_no_chunk() -> None:
    samples = speech()
    for edge in (slice(0, round(0.5 * RATE)), slice(round(15.4 * RATE), None)):
        samples[edge] *= 10 ** (3 / 20)
    assert_found(recording(samples))


def test_a_recording_without_pauses_is_one_chunk() -> None:
    whole = speech(noise=1e-5)
    for start_s, stop_s in ((0.81, 1.99), (5.21, 5.79), (10.3, 10.7), (13.6, 13.9)):
        samples = whole[round(start_s * RATE) : round(stop_s * RATE)]
        for pieces in (samples, 0.01 * samples, samples + 0.01 * samples.std() * pink(len(samples), 5)):
            (chunk,) = split_recording(recording(pieces)).chunks
            assert chunk.stop - chunk.start > 0.8 * len(samples)


def test_held_vowels_between_pauses_are_found() -> None:
    time = np.arange(round(1.2 * RATE)) / RATE
    vowel = sum(np.sin(2 * np.pi * 150 * k * time) / k for k in range(1, 20))
    silence = 1e-4 * np.random.default_rng(2).standard_normal(RATE)
    held = np.concatenate([silence, 0.1 * np.asarray(vowel), silence, 0.1 * np.asarray(vowel), silence])
    assert_found(recording(held), [(1.0, 2.2), (3.2, 4.4)])


def test_a_click_in_a_short_recording_is_no_speech() -> None:
    samples = 1e-4 * np.random.default_rng(4).standard_normal(RATE // 4)
    samples[1000:1020] = 0.5
    assert len(found_s(recording(samples))) == 0


def test_how_sure_it_is_that_there_is_speech_is_said(real_speech: Path) -> None:
    steady = split_recording(recording(0.01 * np.random.default_rng(1).standard_normal(RATE)))
    assert steady.warnings == ("no speech found: it is a steady sound; check the recording",)
    words = [soundfile.read(path) for path in sorted((real_speech / "words").glob("*.flac"))]
    doubts = sum(bool(split_recording(recording(trimmed(*word), word[1])).warnings) for word in words)
    assert 0 < doubts < 0.25 * len(words)


def trimmed(samples: NDArray[np.float64], rate: int) -> NDArray[np.float64]:
    """Cut a word as a course maker does: from its first to its last frame within 25 dB of the loudest."""
    hop = rate // 100
    levels = np.square(samples[: len(samples) // hop * hop].reshape(-1, hop)).mean(axis=1)
    loud = np.flatnonzero(levels > np.quantile(levels, 0.95) * 10**-2.5)
    return samples[loud[0] * hop : (loud[-1] + 1) * hop]


def test_a_fading_end_is_kept() -> None:
    """A vowel that dies away over 200 ms is heard until 22 dB below its start."""
    samples = speech(noise=1e-4)
    fade = round(0.2 * RATE)
    stop = round(SPANS[3][1] * RATE)
    tone = 0.05 * np.sin(2 * np.pi * 180 * np.arange(fade) / RATE) * 10 ** (-np.linspace(0, 30, fade) / 20)
    samples[stop : stop + fade] += tone.astype(np.float32)
    assert found_s(recording(samples))[3, 1] >= SPANS[3][1] + 22 / 30 * 0.2


def test_recordings_of_a_few_samples() -> None:
    for n in (1, 15, 159, 161, 1700):
        assert len(found_s(recording(0.3 * np.ones(n)))) <= 1
        tone = recording(0.3 * np.sin(np.arange(n)), 100)
        assert all(0 <= a < b <= n / 100 for a, b in found_s(tone))


def test_levels_are_pydubs() -> None:
    quarter = recording(np.concatenate([np.full(RATE, 0.25), np.full(RATE, 0.01)]))
    found = activity.find_speech(quarter, min_silence_len_ms=500)
    assert found.noise_floor_dbfs == pytest.approx(-40, abs=0.05)
    assert 10 * np.log10(found.powers[0]) == pytest.approx(20 * np.log10(0.25), abs=0.01)


@given(st.lists(st.floats(0, 1e6, width=32), min_size=1, max_size=30), st.integers(1, 12))
def test_moving_mean_equals_the_loop(values: list[float], width: int) -> None:
    """float32 out, float64 inside: 1e-6 relative, and the sums' rounding at 1e7."""
    got = activity._moving_mean(np.array(values), width)
    np.testing.assert_allclose(got, moving_mean(values, width), rtol=1e-6, atol=1e-7)


# -------------------------------------------------------------------------------------------------- real
@pytest.mark.parametrize(("snr_db", "least_f1"), [(None, 0.99), (30, 0.95), (20, 0.85), (15, 0.68), (10, 0.6)], ids=str)
def test_real_pauses(real_speech: Path, snr_db: float | None, least_f1: float) -> None:
    scores = []
    for truth in sorted((real_speech / "pauses").glob("*.json")):
        samples, rate = soundfile.read(truth.with_suffix(".flac"))
        if snr_db is not None:
            samples = samples + pink(len(samples), 11) * 10 ** ((-20 - snr_db) / 20)
        chunks = 1000 * found_s(normalize(recording(samples, rate)))
        duration_ms = 1000 * len(samples) / rate
        known = Known(**json.loads(truth.read_text()), duration_ms=duration_ms)
        scores.append(boundary_score([(a, b) for a, b in chunks.tolist()], known))
    f1, found = np.mean(scores, axis=0)
    assert f1 >= least_f1
    assert found >= 0.95


def test_real_words_stay_whole(real_speech: Path) -> None:
    """A digit in 2 s of digital silence comes back as one chunk, cut at most 50 ms short."""
    paths = sorted((real_speech / "words").glob("*_0.flac"))
    for path in paths:
        word, rate = soundfile.read(path)
        silence = np.zeros(rate)
        ((start, stop),) = found_s(recording(np.concatenate([silence, word, silence]), rate))
        loud = np.flatnonzero(np.abs(word) > 0.03 * np.abs(word).max()) / rate
        assert start <= 1 + loud[0] + 0.05, path.name
        assert stop >= 1 + loud[-1] - 0.05, path.name


def test_trimmed_words_and_syllables_are_speech(real_speech: Path) -> None:
    paths = [*(real_speech / "words").glob("*.flac"), *(real_speech / "tones").rglob("*.flac")]
    pieces = [(trimmed(samples, rate), rate) for samples, rate in map(soundfile.read, sorted(paths))]
    without = sum(not len(found_s(recording(*piece))) for piece in pieces)
    assert without <= 0.01 * len(pieces)
