"""A clip is found where it was cut, a stranger is not, and confidence means what it says."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray
from signals import syllables

from speechcmp.errors import ParameterError
from speechcmp.fingerprint.landmarks import Landmarks, landmarks, query_landmarks
from speechcmp.fingerprint.peaks import SPEECH
from speechcmp.fingerprint.voting import MIN_CONFIDENCE, Hits, Match, accident_chance, vote

RATE = 16_000
HOP_S = SPEECH.hop_s(RATE)
Samples = NDArray[np.float32]


@cache
def reading(seed: int, duration_s: float = 6.0) -> Samples:
    """Make syllables whose pitch glides as a voice's does: a monotone one is alike everywhere."""
    rng = np.random.default_rng([seed, 1])
    n = round(duration_s * RATE)
    knots = np.linspace(0, n, 1 + round(4 * duration_s))
    pace = np.interp(np.arange(n), knots, rng.uniform(0.7, 1.6, len(knots)))
    place = np.cumsum(pace)
    monotone = syllables(place[-1] / RATE + 0.1, RATE, seed=seed)
    glide = np.interp(place, np.arange(len(monotone)), monotone)
    return (glide + 0.001 * rng.standard_normal(n)).astype(np.float32)


class Library:
    """Stored landmarks in a dictionary: the least a store can be. Recordings are numbered from 0."""

    def __init__(self, recordings: Sequence[Samples]) -> None:
        self.rows: dict[bytes, list[tuple[int, int]]] = {}
        self.n_frames = 0
        for number, samples in enumerate(recordings):
            self._add(number, landmarks(samples, RATE))

    def _add(self, number: int, found: Landmarks) -> None:
        self.n_frames += found.n_frames
        for landmark in found:
            self.rows.setdefault(landmark.hash, []).append((number, landmark.anchor_frame))

    def identify(self, clip: Samples, *, every: bool = False, min_confidence: float = MIN_CONFIDENCE) -> list[Match]:
        query = query_landmarks(clip, RATE)
        found = [(index, *row) for index, one in enumerate(query.hashes) for row in self.rows.get(one.tobytes(), [])]
        hits = Hits(*np.array(found, np.int64).reshape(-1, 3).T)
        return vote(
            hits,
            query.hash_index,
            query.anchor_frames,
            hop_s=HOP_S,
            library_frames=self.n_frames,
            every=every,
            min_confidence=min_confidence,
        )


@pytest.fixture(scope="module")
def library() -> Library:
    return Library([reading(seed) for seed in range(12)])


def noisy(samples: Samples, snr_db: float, *, seed: int = 0) -> Samples:
    rng = np.random.default_rng([seed, 2])
    rms = np.sqrt((samples**2).mean())
    noise = rms * 10 ** (-snr_db / 20) * rng.standard_normal(len(samples))
    return np.asarray(samples + noise, np.float32)


@pytest.mark.parametrize("start", [0, 16_000, 30_011, 64_000 - 77])
@pytest.mark.parametrize("snr_db", [60.0, 10.0])
def test_a_clip_is_found_where_it_was_cut(library: Library, start: int, snr_db: float) -> None:
    matches = library.identify(noisy(reading(3)[start : start + 2 * RATE], snr_db))
    assert [match.recording_id for match in matches] == [3]
    assert abs(matches[0].offset_s - start / RATE) < 0.006
    assert matches[0].confidence > MIN_CONFIDENCE
    assert 0 < matches[0].query_share <= 1


def test_offset_is_negative_when_the_clip_starts_before_the_recording(library: Library) -> None:
    before = 0.001 * np.random.default_rng([0, 4]).standard_normal(RATE).astype(np.float32)
    matches = library.identify(np.concatenate([before, reading(5)]))
    assert matches[0].recording_id == 5
    assert abs(matches[0].offset_s + 1.0) < 0.006


def _strangers() -> dict[str, Samples]:
    rng = np.random.default_rng([0, 3])
    t = np.arange(4 * RATE) / RATE
    hum = sum(np.sin(2 * np.pi * 50 * k * t) / k for k in range(1, 12))
    return {
        "speech": reading(99),
        "speech in noise": noisy(reading(98), 0.0),
        "white noise": rng.standard_normal(4 * RATE).astype(np.float32),
        "hum": (0.1 * hum + 1e-4 * rng.standard_normal(len(t))).astype(np.float32),
        "silence": np.zeros(4 * RATE, np.float32),
        "too short": np.ones(10, np.float32),
    }


@pytest.mark.parametrize("name", _strangers())
def test_a_stranger_matches_nothing(library: Library, name: str) -> None:
    assert library.identify(_strangers()[name]) == []


@pytest.mark.parametrize("name", ["speech", "white noise", "hum"])
def test_a_stranger_matches_nothing_in_a_library_of_one(name: str) -> None:
    alone = Library([reading(0)])
    assert alone.identify(_strangers()[name]) == []
    assert [match.recording_id for match in alone.identify(reading(0)[RATE : 3 * RATE])] == [0]


def test_a_shared_hum_is_no_shared_recording() -> None:
    t = np.arange(6 * RATE) / RATE
    hum = 0.05 * sum(np.sin(2 * np.pi * 50 * k * t) / k for k in range(1, 12))
    humming = Library([(reading(seed) + np.roll(hum, 117 * seed)).astype(np.float32) for seed in range(12)])
    assert humming.identify((reading(99) + hum).astype(np.float32)[: 3 * RATE]) == []
    found = humming.identify((reading(4) + np.roll(hum, 117 * 4)).astype(np.float32)[RATE : 3 * RATE])
    assert [match.recording_id for match in found] == [4]


def test_duplicates_do_not_cancel_one_another() -> None:
    copies = [
        reading(3),
        *[reading(seed) for seed in range(4, 10)],
        noisy(reading(3), 30.0),
        0.3 * reading(3),
    ]
    matches = Library(copies).identify(reading(3)[RATE : 3 * RATE])
    assert sorted(match.recording_id for match in matches) == [0, 7, 8]
    assert all(abs(match.offset_s - 1.0) < 0.006 for match in matches)


def test_a_library_of_copies_finds_them_all() -> None:
    copies = Library([reading(3)] * 60)
    matches = copies.identify(noisy(reading(3)[RATE : 3 * RATE], 5.0))
    assert sorted(match.recording_id for match in matches) == list(range(60))
    assert copies.identify(reading(98)) == []


def test_every_occurrence_in_one_recording() -> None:
    jingle = reading(20, 2.0)
    program = np.concatenate([jingle, reading(21), jingle, reading(22), jingle])
    library = Library([program, reading(23)])
    matches = library.identify(jingle, every=True)
    assert sorted(round(match.offset_s, 1) for match in matches) == [0.0, 8.0, 16.0]
    assert len(library.identify(jingle)) == 1, "the best alone unless every one is asked for"


def test_several_recordings_in_one_long_clip(library: Library) -> None:
    clip = np.concatenate([reading(2)[RATE : 4 * RATE], reading(50), reading(7)[: 3 * RATE]])
    found = {match.recording_id: match.offset_s for match in library.identify(clip, every=True)}
    assert sorted(found) == [2, 7]
    assert found[2] == pytest.approx(1.0, abs=0.006)
    assert found[7] == pytest.approx(-9.0, abs=0.006)


@given(
    votes=st.floats(1, 60),
    more=st.floats(0.01, 10),
    n_windows=st.integers(1, 10**8),
    ratio=st.floats(1e-3, 0.5),
)
def test_chance_falls_with_votes_and_rises_with_windows(
    votes: float, more: float, n_windows: int, ratio: float
) -> None:
    chance = accident_chance(votes, n_windows, ratio)
    assert 0 <= chance <= 1
    assert accident_chance(votes + more, n_windows, ratio) <= chance
    assert accident_chance(votes, 2 * n_windows, ratio) >= chance
    expected = n_windows * ratio ** (votes - 1)
    assert chance == pytest.approx(1 - np.exp(-expected), rel=1e-6, abs=1e-15)


def planted(n_aligned: int, *, n_hashes: int = 400, seed: int = 0) -> list[Match]:
    """Vote on random hits in 100 recordings of 1,000 frames, and on some planted in one of them."""
    rng = np.random.default_rng(seed)
    frames = np.sort(rng.integers(0, 60, n_hashes)).astype(np.float64)
    chance = rng.integers(0, n_hashes, 2 * n_hashes)
    truth = rng.permutation(n_hashes)[:n_aligned]
    hits = Hits(
        np.concatenate([chance, truth]),
        np.concatenate([rng.integers(0, 100, len(chance)), np.full(n_aligned, 42)]),
        np.concatenate([rng.integers(0, 1000, len(chance)), frames[truth].astype(np.int64) + 500]),
    )
    return vote(hits, np.arange(n_hashes), frames, hop_s=0.016, library_frames=100_000, min_confidence=0.0)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), n=st.integers(3, 60), more=st.integers(5, 60))
def test_confidence_rises_with_votes(seed: int, n: int, more: int) -> None:
    fewer, plenty = (
        {match.recording_id: match for match in planted(count, seed=seed)}.get(42) for count in (n, n + more)
    )
    assert plenty is not None
    assert plenty.offset_s == pytest.approx(8.0, abs=0.016)
    assert fewer is None or fewer.votes < plenty.votes
    assert fewer is None or fewer.confidence <= plenty.confidence + 1e-9


def test_random_hits_are_no_match_and_planted_ones_are() -> None:
    confident = [seed for seed in range(100) if any(m.confidence >= MIN_CONFIDENCE for m in planted(0, seed=seed))]
    assert confident == []
    assert all(planted(30, seed=seed)[0].recording_id == 42 for seed in range(20))
    assert all(planted(30, seed=seed)[0].confidence > MIN_CONFIDENCE for seed in range(20))


def test_a_hash_found_everywhere_costs_no_more_than_it_says() -> None:
    rng = np.random.default_rng(0)
    n_common, n_places = 200_000, 500
    hits = Hits(
        np.concatenate([np.zeros(n_common, np.int64), np.arange(1, 41)]),
        np.concatenate([rng.integers(1, 1000, n_common), np.full(40, 7)]),
        np.concatenate([rng.integers(0, 5000, n_common), 300 + np.arange(40)]),
    )
    hash_index = np.concatenate([np.zeros(n_places, np.int64), np.arange(1, 41)])
    frames = np.concatenate([np.arange(n_places), np.arange(40)]).astype(np.float64)
    matches = vote(hits, hash_index, frames, hop_s=0.016, library_frames=5_000_000)
    assert [match.recording_id for match in matches] == [7]
    assert matches[0].offset_s == pytest.approx(300 * 0.016)


def test_no_hits_no_match() -> None:
    nothing = np.zeros(0, np.int64)
    empty = Hits(nothing, nothing, nothing)
    assert vote(empty, np.arange(3), np.zeros(3), hop_s=0.016, library_frames=10) == []
    assert vote(empty, nothing, np.zeros(0), hop_s=0.016, library_frames=10) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hop_s": 0.0}, "hop_s"),
        ({"library_frames": 0}, "library_frames"),
        ({"min_confidence": 1.5}, "min_confidence"),
        ({"anchor_frames": np.zeros(2)}, "different lengths"),
        ({"hits": Hits(np.zeros(2, np.int64), np.zeros(1, np.int64), np.zeros(2, np.int64))}, "hits"),
    ],
    ids=str,
)
def test_wrong_input_is_said(change: dict[str, object], message: str) -> None:
    one = np.zeros(1, np.int64)
    given = {
        "hits": Hits(one, one, one),
        "hash_index": one,
        "anchor_frames": np.zeros(1),
        "hop_s": 0.016,
        "library_frames": 10,
    } | change
    with pytest.raises(ParameterError, match=message):
        vote(**given)  # type: ignore[arg-type]


def test_real_clips_are_found_and_strangers_are_not(real_speech: Path) -> None:
    files = sorted((real_speech / "readings").glob("*.flac"))[:60]
    recordings = [soundfile.read(path, dtype="float32")[0] for path in files]
    library = Library(recordings[:30])
    rng = np.random.default_rng(3)
    found = 0
    for number, samples in enumerate(recordings):
        start = int(rng.integers(0, len(samples) - 2 * RATE))
        matches = library.identify(noisy(samples[start : start + 2 * RATE], 10.0, seed=number))
        if number >= 30:
            assert matches == []
        else:
            found += any(m.recording_id == number and abs(m.offset_s - start / RATE) < 0.02 for m in matches)
    assert found >= 27
