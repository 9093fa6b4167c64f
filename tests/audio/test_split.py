"""Fixed thresholds equal pydub's to the sample; what holds for every split; warnings and wrong arguments."""

import math
from dataclasses import replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from oracle_chunks import PcmBlocks, pydub_chunks, random_case
from signals import sentences

from speechcmp.audio.recording import Recording, apply_gain, measure_level, normalize
from speechcmp.audio.split import Chunk, SplitParams, split_at_silence, split_recording
from speechcmp.errors import AudioError, ParameterError

SPANS = [(0.5, 2.0), (2.8, 4.2), (5.2, 5.9), (6.6, 9.0)]
RATE = 16000


def speech(**kwargs: Any) -> Recording:
    return Recording(sentences(SPANS, 10.0, **kwargs), RATE)


def edges_s(chunks: list[Chunk], rate: int = RATE) -> list[tuple[float, float]]:
    return [(chunk.start / rate, chunk.stop / rate) for chunk in chunks]


def ranges(chunks: list[Chunk]) -> list[tuple[int, int]]:
    return [(chunk.start, chunk.stop) for chunk in chunks]


# ------------------------------------------------------------------------------------------------- pydub
@pytest.mark.parametrize("block", range(8))
def test_fixed_threshold_equals_pydub(block: int) -> None:
    """On 400 random recordings.

    Behind the last sample pydub adds up to half a ms of zeros; we have no such samples. 32-bit constants
    are not drawn: there audioop's own sum is rounded, ours is exact.
    """
    n_chunks = 0
    for seed in range(50 * block, 50 * block + 50):
        case = random_case(seed)
        chunks = split_at_silence(
            case.source,
            min_silence_len_ms=case.min_silence_len_ms,
            silence_thresh_dbfs=case.threshold_dbfs,
            keep_silence_ms=case.keep_silence_ms,
            seek_step_ms=case.seek_step_ms,
        )
        width, raw = case.segment.frame_width, case.segment.raw_data
        got = [raw[chunk.start * width : chunk.stop * width] for chunk in chunks]
        for k, whole in enumerate(case.expected()):
            missing = len(whole) - len(got[k])
            assert whole == got[k] + bytes(missing), f"seed {seed} chunk {k}"
            assert missing == 0 or chunks[k].stop == case.source.n_frames, f"seed {seed} chunk {k}"
            assert missing <= width * (case.source.sample_rate / 2000 + 1), f"seed {seed} chunk {k}"
        assert len(got) == len(case.expected()), f"seed {seed}"
        n_chunks += len(got)
    assert n_chunks > 50


@pytest.mark.parametrize(
    ("minimum", "threshold", "keep", "step"), [(500, -40, 100, 1), (300, -45, 50, 10), (700, -35.5, 200, 7)]
)
@pytest.mark.parametrize("rate", [16000, 22050])
def test_equals_pydub_after_normalization(minimum: int, threshold: float, keep: int, step: int, rate: int) -> None:
    mono = sentences(SPANS, 10.0, rate, noise=1e-3)
    pcm = np.rint(np.stack([mono, 0.5 * mono], axis=1) * 32768).astype(np.int16)
    options = (minimum, threshold, keep, step)
    want = [len(raw) // 4 for raw in pydub_chunks(pcm, rate, options, target_dbfs=-20.0)]
    recording = normalize(Recording((pcm / 32768).astype(np.float32), rate))
    chunks = split_at_silence(
        recording,
        min_silence_len_ms=minimum,
        silence_thresh_dbfs=threshold,
        keep_silence_ms=keep,
        seek_step_ms=step,
    )
    assert [chunk.stop - chunk.start for chunk in chunks] == want
    assert len(want) > 1


def test_an_exact_rms_is_silent_and_one_more_is_not() -> None:
    source = PcmBlocks(np.full((1000, 1), 100, np.int16), 1000)
    at = {offset: 20 * math.log10((100 + offset) / 32768) for offset in (-0.5, 0.5)}
    assert not split_at_silence(source, silence_thresh_dbfs=at[0.5])
    assert ranges(split_at_silence(source, silence_thresh_dbfs=at[-0.5])) == [(0, 1000)]


def test_32_bit_squares_do_not_overflow() -> None:
    pcm = np.full((4000, 1), -(1 << 31), np.int32)
    pcm[1000:3000] = 1 << 16
    chunks = split_at_silence(PcmBlocks(pcm, 1000, 4), silence_thresh_dbfs=-60, keep_silence_ms=0)
    assert ranges(chunks) == [(0, 1000), (3000, 4000)]


# ------------------------------------------------------------------------------------------ every split
@settings(max_examples=40, deadline=None)
@given(
    gaps=st.lists(st.integers(0, 15), min_size=1, max_size=6),
    keep=st.one_of(st.integers(0, 2000), st.booleans()),
    threshold=st.sampled_from(["auto", -35.0, -50.0]),
    shortest=st.sampled_from([None, 300, 2000]),
    longest=st.sampled_from([None, 2000, 3500]),
)
def test_chunks_ascend_inside_the_recording(
    gaps: list[int], keep: int | bool, threshold: Any, shortest: int | None, longest: int | None
) -> None:
    spans, at = [], 0.0
    for gap in gaps:
        spans.append((at + gap / 10, at + gap / 10 + 0.8))
        at = spans[-1][1]
    recording = Recording(sentences(spans, at + 0.7), RATE)
    options: dict[str, Any] = {"silence_thresh_dbfs": threshold, "keep_silence_ms": keep}
    plain = split_at_silence(recording, **options)
    chunks = split_at_silence(recording, **options, min_chunk_ms=shortest, max_chunk_ms=longest)
    edges = [edge for chunk in chunks for edge in (chunk.start, chunk.stop)]
    assert edges == sorted(edges)
    assert all(chunk.start < chunk.stop <= recording.n_frames for chunk in chunks)
    assert [chunk.index for chunk in chunks] == list(range(len(chunks)))
    inside = np.zeros(recording.n_frames, np.int8)
    for chunk in chunks:
        inside[chunk.start : chunk.stop] += 1
    for chunk in plain:
        assert (inside[chunk.start : chunk.stop] == 1).all()


@pytest.mark.parametrize("threshold", ["auto", -45.0])
def test_identical_channels_equal_mono(threshold: Any) -> None:
    mono = speech()
    stereo = Recording(np.stack([mono.samples] * 2, axis=1), RATE)
    assert split_at_silence(stereo, silence_thresh_dbfs=threshold) == split_at_silence(
        mono, silence_thresh_dbfs=threshold
    )


@settings(max_examples=15, deadline=None)
@given(gain_db=st.floats(-6, 6), seed=st.integers(0, 100))
def test_gain_does_not_change_the_automatic_split(gain_db: float, seed: int) -> None:
    """One frame (10 ms) is allowed: PCM is rounded to whole numbers anew after the gain."""
    recording = apply_gain(speech(noise=3e-3, seed=seed), -6)
    louder = ranges(split_at_silence(apply_gain(recording, gain_db)))
    assert np.abs(np.subtract(louder, ranges(split_at_silence(recording)))).max() <= RATE // 100


def test_keep_silence() -> None:
    recording = speech()
    bare = edges_s(split_at_silence(recording, keep_silence_ms=0))
    kept = edges_s(split_at_silence(recording, keep_silence_ms=150))
    np.testing.assert_allclose(kept, np.add(bare, (-0.15, 0.15)), atol=1e-9)
    assert split_at_silence(recording, keep_silence_ms=False) == split_at_silence(recording, keep_silence_ms=0)
    whole = ranges(split_at_silence(recording, keep_silence_ms=True))
    assert whole[0][0] == 0
    assert whole[-1][1] == recording.n_frames
    assert all(one[1] == two[0] for one, two in pairwise(whole))


def test_short_chunks_join_their_nearer_neighbor() -> None:
    options: dict[str, Any] = {"keep_silence_ms": 0, "silence_thresh_dbfs": -50.0}
    plain = ranges(split_at_silence(speech(), **options))
    assert len(plain) == 4
    merged = ranges(split_at_silence(speech(), **options, min_chunk_ms=1000))  # 0.7 s after 1.0 s, before 0.7 s
    assert merged == [plain[0], plain[1], (plain[2][0], plain[3][1])]
    assert len(split_at_silence(speech(), **options, min_chunk_ms=60_000)) == 1


@pytest.mark.parametrize("threshold", ["auto", -50.0])
def test_long_chunks_are_cut_at_the_quietest_place(threshold: Any) -> None:
    recording = Recording(sentences([(0.0, 1.9), (2.1, 4.0)], 4.0), RATE)
    (whole,) = split_at_silence(recording, silence_thresh_dbfs=threshold)
    first, second = split_at_silence(recording, silence_thresh_dbfs=threshold, max_chunk_ms=3000)
    assert (first.start, second.stop) == (whole.start, whole.stop)
    assert first.stop == second.start
    assert 1.9 * RATE < first.stop < 2.1 * RATE
    pieces = split_at_silence(recording, silence_thresh_dbfs=threshold, max_chunk_ms=300)
    assert max(chunk.stop - chunk.start for chunk in pieces) <= 0.3 * RATE
    assert sum(chunk.stop - chunk.start for chunk in pieces) == whole.stop - whole.start


def test_nothing_in_nothing_out() -> None:
    empty = PcmBlocks(np.zeros((0, 1), np.int16), RATE)
    assert split_at_silence(empty) == []
    assert split_at_silence(empty, silence_thresh_dbfs=-40) == [Chunk(0, 0, 0)]  # pydub's answer


# ---------------------------------------------------------------------------------------------- warnings
def test_floor_above_the_threshold_is_warned_of() -> None:
    noisy = speech(noise=0.02)
    split = split_recording(noisy, SplitParams(silence_thresh_dbfs=-40, target_dbfs=None))
    assert len(split.chunks) == 1
    (warning,) = split.warnings
    assert warning.startswith("noise floor -34 dBFS is above the threshold -40 dBFS: no pause can be found;")
    assert warning.endswith("try --silence-thresh auto")
    assert split.noise_floor_dbfs == pytest.approx(-34, abs=1)
    assert split_recording(speech(), SplitParams(silence_thresh_dbfs=-40, target_dbfs=None)).warnings == ()


def test_auto_reports_a_threshold_that_works_as_a_number() -> None:
    recording = speech(noise=3e-3)
    auto = split_recording(recording, SplitParams(target_dbfs=None))
    assert -50.5 - 1 < auto.noise_floor_dbfs < auto.silence_thresh_dbfs < -40
    fixed = split_recording(recording, replace(auto.params, silence_thresh_dbfs=auto.silence_thresh_dbfs))
    assert len(fixed.chunks) == len(auto.chunks) == len(SPANS)
    assert auto.warnings == ()


def test_a_long_recording_in_one_chunk_is_warned_of() -> None:
    words = [(0.8 * k, 0.8 * k + 0.5) for k in range(41)]
    recording = Recording(sentences(words, 33.0), RATE)
    thresholds: tuple[float | Literal["auto"], ...] = ("auto", -45.0)
    for threshold in thresholds:
        params = SplitParams(700, threshold, target_dbfs=None)
        (warning,) = split_recording(recording, params).warnings
        assert warning.startswith("no pause of 700 ms found in 33 s: one chunk; try")
        assert split_recording(recording, replace(params, max_chunk_ms=5000)).warnings == ()


def test_silence_is_warned_of() -> None:
    click = np.zeros(RATE, np.float32)
    click[RATE // 2] = 1e-3
    thresholds: tuple[float | Literal["auto"], ...] = ("auto", -40.0)
    for threshold in thresholds:
        split = split_recording(Recording(click, RATE), SplitParams(silence_thresh_dbfs=threshold, target_dbfs=None))
        assert split.chunks == ()
        assert split.noise_floor_dbfs == -math.inf
        assert split.warnings[0].startswith("no speech found")
    assert split_at_silence(PcmBlocks(np.zeros((RATE, 1), np.int16), RATE)) == []


# ------------------------------------------------------------------------------------------------ errors
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_silence_len_ms": 0}, "min_silence_len_ms: 0 "),
        ({"min_silence_len_ms": -5}, "min_silence_len_ms: -5 "),
        ({"min_silence_len_ms": math.nan}, "min_silence_len_ms: nan "),
        ({"seek_step_ms": 0}, "seek_step_ms: 0 "),
        ({"seek_step_ms": 0.5}, "seek_step_ms: 0.5 "),
        ({"keep_silence_ms": -1}, "keep_silence_ms: -1 "),
        ({"min_chunk_ms": 0}, "min_chunk_ms: 0 "),
        ({"max_chunk_ms": -1}, "max_chunk_ms: -1 "),
        ({"min_chunk_ms": 900, "max_chunk_ms": 800}, "min_chunk_ms: 900 is above max_chunk_ms 800"),
        ({"silence_thresh_dbfs": "automatic"}, "silence_thresh_dbfs: 'automatic' .*'auto'"),
        ({"silence_thresh_dbfs": math.nan}, "silence_thresh_dbfs: nan "),
        ({"silence_thresh_dbfs": -math.inf}, "silence_thresh_dbfs: -inf "),
    ],
)
def test_wrong_arguments(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        split_at_silence(speech(), **options)


# ---------------------------------------------------------------------------------------------- one loudness
SPOKEN = Recording(sentences([(0.7, 2.1), (3.0, 4.4)], 5.2), 16_000, "spoken.wav")


@pytest.mark.parametrize("target_dbfs", [-20.0, -30.0])
def test_levels_are_before_and_after(target_dbfs: float) -> None:
    result = split_recording(SPOKEN, SplitParams(target_dbfs=target_dbfs))
    assert result.level == measure_level(SPOKEN)
    assert measure_level(result.source).dbfs == pytest.approx(target_dbfs, abs=0.02)
    assert result.noise_floor_dbfs == pytest.approx(
        split_recording(SPOKEN, SplitParams(target_dbfs=None)).noise_floor_dbfs, abs=1
    )
    assert len(result.chunks) == 2
    assert result.warnings == ()


def test_without_target_nothing_is_changed() -> None:
    assert split_recording(SPOKEN, SplitParams(target_dbfs=None)).source is SPOKEN


def test_clipping_is_told_when_it_can_be_heard() -> None:
    assert "samples are clipped at -3 dBFS" in split_recording(SPOKEN, SplitParams(target_dbfs=-3.0)).warnings[0]


def test_faintest_sound_has_no_level_and_is_not_amplified() -> None:
    faint = np.zeros(16_000, np.float32)
    faint[100] = 1 / 32_768
    assert split_recording(Recording(faint, 16_000), SplitParams()).source.samples.max() == np.float32(1 / 32_768)
    with pytest.raises(AudioError, match=r"none\.wav: silent"):
        split_recording(Recording(np.zeros(9, np.float32), 16_000, "none.wav"), SplitParams())
