"""Chunks are found where they were put: in made-up features with known truth, and in real retellings."""

import itertools
import json
import tracemalloc
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from numpy.typing import NDArray

from speechcmp.audio.recording import load_recording
from speechcmp.comparison import align, result
from speechcmp.comparison.align import Alignment, AlignParams, FrameRange, Track, align_chunks
from speechcmp.comparison.compare import CompareParams, compare_prepared, prepare
from speechcmp.dtw import segmental
from speechcmp.errors import ParameterError

N_DIMS = 12
Floats = NDArray[np.float64]
Span = tuple[int, int]
Parts = list[Floats | int]


def sentence(number: int, n_frames: int = 120, *, tempo: float = 1.0, accent: float = 0.0) -> Floats:
    """Make a smooth walk through feature space: the same words for the same number, at any tempo."""
    rng = np.random.default_rng(number)
    knots = np.arange(0, n_frames + 8, 8)
    places = rng.standard_normal((len(knots), N_DIMS))
    times = np.linspace(0, n_frames, round(n_frames * tempo))
    walk = np.stack([np.interp(times, knots, column) for column in places.T], axis=1)
    other = np.random.default_rng([number, 7]).standard_normal(walk.shape)
    return walk + accent * other


def track(parts: Iterable[Floats | int], *, min_pause: int = 50) -> tuple[Track, list[Span]]:
    """Put sentences and pauses (numbers of frames) together; return the track and the sentences' spans."""
    rng = np.random.default_rng(5)
    features, speech = [], []
    spans: list[Span] = []
    chunks: list[Span] = []
    position, pause = 0, min_pause
    for part in parts:
        if isinstance(part, int):
            features.append(0.1 * rng.standard_normal((part, N_DIMS)))
            speech.append(np.zeros(part, bool))
            position, pause = position + part, part
            continue
        features.append(part)
        speech.append(np.ones(len(part), bool))
        spans.append((position, position + len(part)))
        if chunks and pause < min_pause:
            chunks[-1] = (chunks[-1][0], spans[-1][1])
        else:
            chunks.append(spans[-1])
        position, pause = position + len(part), 0
    return Track(np.concatenate(features).astype(np.float32), np.concatenate(speech), chunks), spans


def said(numbers: Iterable[int], pause: int = 70, **how: Any) -> Parts:
    """Lay out sentences with equal pauses around them."""
    parts: Parts = [pause]
    for k in numbers:
        parts += [sentence(k, **how), pause]
    return parts


def overlap(a: Sequence[int], b: Sequence[int]) -> float:
    inner = max(0, min(a[1], b[1]) - max(a[0], b[0]))
    return inner / (a[1] - a[0] + b[1] - b[0] - inner)


def assert_placed(found: Alignment, spans: Sequence[Span | None], *, least: float = 0.85) -> None:
    """Every chunk lies on its span, or is missing where there is none."""
    assert [match.index for match in found.matches] == list(range(len(spans)))
    for match, span in zip(found.matches, spans, strict=True):
        if span is None:
            assert (match.status, match.take) == ("missing", None)
        else:
            assert match.take is not None, match
            start, stop = match.take
            assert max(overlap(match.take, span), overlap((start + 10, stop - 10), span)) >= least, (
                match,
                span,
            )


REFERENCE, REFERENCE_SPANS = track(said(range(6)))


def test_pauses_elsewhere_and_another_tempo() -> None:
    parts = said(range(6), pause=130, tempo=1.4, accent=0.3)
    take, spans = track(parts)
    found = align_chunks(REFERENCE, take)
    assert_placed(found, spans)
    assert {match.status for match in found.matches} == {"matched"}
    assert (found.extra, found.repeated) == ((), ())


@pytest.mark.parametrize("tempo", [0.5, 0.7, 2.0, 3.0])
def test_far_tempo(tempo: float) -> None:
    take, spans = track(said(range(6), tempo=tempo, accent=0.2))
    assert_placed(align_chunks(REFERENCE, take), spans)


def test_merged_chunks_are_told_apart() -> None:
    take, spans = track(said(range(6), pause=20))
    assert len(take.chunks) == 1
    assert_placed(align_chunks(REFERENCE, take), spans)


def test_without_any_pause_ends_are_found_all_the_same() -> None:
    take, spans = track([60, *(sentence(k, accent=0.2) for k in range(6)), 60])
    assert_placed(align_chunks(REFERENCE, take), spans, least=0.8)


def test_split_chunk_is_one_span() -> None:
    halves: Parts = [sentence(2)[:55], 90, sentence(2)[55:]]
    take, spans = track([*said([0, 1]), *halves, 70, *said([3, 4, 5])])
    assert len(take.chunks) == len(REFERENCE.chunks) + 1
    found = align_chunks(REFERENCE, take)
    assert_placed(found, [*spans[:2], (spans[2][0], spans[3][1]), *spans[4:]])
    assert found.extra == ()


@pytest.mark.parametrize("gone", [(0,), (3,), (5,), (1, 2), (0, 5)])
def test_dropped_chunks_are_missing(gone: tuple[int, ...]) -> None:
    left = [k for k in range(6) if k not in gone]
    take, spans = track(said(left, tempo=1.2, accent=0.3))
    places = dict(zip(left, spans, strict=True))
    found = align_chunks(REFERENCE, take)
    assert_placed(found, [places.get(k) for k in range(6)])
    assert (found.extra, found.repeated) == ((), ())


@pytest.mark.parametrize("at", [0, 3, 6])
def test_inserted_sentence_is_extra(at: int) -> None:
    order = [*range(at), 99, *range(at, 6)]
    take, spans = track(said(order, accent=0.2))
    found = align_chunks(REFERENCE, take)
    assert_placed(found, [*spans[:at], *spans[at + 1 :]])
    assert len(found.extra) == 1
    assert overlap(found.extra[0], spans[at]) > 0.9
    assert found.repeated == ()


def test_replaced_sentence_is_missing_and_extra() -> None:
    take, spans = track(said([0, 1, 77, 3, 4, 5], accent=0.2))
    found = align_chunks(REFERENCE, take)
    assert_placed(found, [*spans[:2], None, *spans[3:]])
    assert [overlap(span, spans[2]) > 0.9 for span in found.extra] == [True]


def test_repeated_sentence_is_said_to_be_one() -> None:
    take, spans = track(said([0, 1, 2, 2, 3, 4, 5], accent=0.2))
    found = align_chunks(REFERENCE, take)
    places = [match.take for match in found.matches]
    assert_placed(found, [*spans[:2], max(spans[2:4], key=lambda s: overlap(s, places[2] or s)), *spans[4:]])
    assert [repeat.index for repeat in found.repeated] == [2]
    both = sorted([places[2] or (0, 0), found.repeated[0].take])
    assert [overlap(a, b) > 0.85 for a, b in zip(both, spans[2:4], strict=True)] == [True, True]
    assert found.extra == ()


def test_swapped_sentences_are_reordered() -> None:
    take, spans = track(said([0, 1, 3, 2, 4, 5], accent=0.2))
    found = align_chunks(REFERENCE, take)
    assert_placed(found, [spans[k] for k in (0, 1, 3, 2, 4, 5)])
    statuses = [match.status for match in found.matches]
    assert statuses.count("reordered") == 1
    assert "reordered" in statuses[2:4]
    assert (found.extra, found.repeated) == ((), ())


def test_another_text_is_missing_throughout() -> None:
    take, _ = track(said(range(50, 56)))
    found = align_chunks(REFERENCE, take)
    assert [match.status for match in found.matches].count("missing") >= 5
    assert len(found.extra) >= 5


@pytest.mark.parametrize("n_frames", [20, 60, 140])
def test_a_word_is_compared_with_whatever_word_was_said(n_frames: int) -> None:
    reference, _ = track([10, sentence(1, n_frames), 10])
    for number in range(2, 8):
        take, (span,) = track([10, sentence(number, 70), 10])
        found = align_chunks(reference, take)
        (match,) = found.matches
        assert (match.status, found.extra) == ("matched", ())
        assert match.take is not None
        assert match.take.start <= span[0] + 10
        assert match.take.stop >= span[1] - 10


def test_confidence_falls_with_the_accent() -> None:
    means = []
    for accent in (0.0, 1.6, 2.4):
        found = align_chunks(REFERENCE, track(said(range(6), accent=accent))[0])
        assert all(0 <= match.confidence <= 1 for match in found.matches)
        means.append(np.mean([match.confidence for match in found.matches if match.take]))
    assert means[0] > means[1] > means[2] > 0


def test_no_speech_on_one_side() -> None:
    silent = Track(np.ones((90, N_DIMS), np.float32), np.zeros(90, bool), [])
    assert {match.status for match in align_chunks(REFERENCE, silent).matches} == {"missing"}
    assert align_chunks(silent, REFERENCE) == Alignment((), tuple(FrameRange(*c) for c in REFERENCE.chunks), ())


@pytest.mark.parametrize("n_frames", [1, 2, 3])
def test_tiny_recordings(n_frames: int) -> None:
    tiny = Track(
        np.ones((n_frames, N_DIMS), np.float32), np.zeros(n_frames, bool), [(k, k + 1) for k in range(n_frames)]
    )
    for reference, take in itertools.product((tiny, REFERENCE), repeat=2):
        assert len(align_chunks(reference, take).matches) == len(reference.chunks)


def test_coarse_to_fine_places_as_the_whole_does(monkeypatch: pytest.MonkeyPatch) -> None:
    order = [*range(9), *range(10, 30), 31, 32, 99, *range(33, 40)]
    reference, _ = track(said(range(40)))
    take, _ = track(said(order, tempo=1.3, accent=0.3))
    whole = align_chunks(reference, take)
    assert [match.index for match in whole.matches if match.status == "missing"] == [9, 30]
    monkeypatch.setattr(align, "_LONG_CELLS", 0)
    monkeypatch.setattr(segmental, "_REACH_FRAMES", 600)
    assert align_chunks(reference, take) == whole


def test_long_recordings_stay_in_memory() -> None:
    numbers = range(120)
    reference, _ = track(said(numbers, n_frames=150))
    left = [k for k in numbers if k % 20 != 7]
    take, spans = track(said(left, n_frames=150, tempo=0.9, accent=0.3))
    places = dict(zip(left, spans, strict=True))
    tracemalloc.start()
    try:
        found = align_chunks(reference, take)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert_placed(found, [places.get(k) for k in numbers])
    assert peak < 60e6  # all local costs at once would be 300e6


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(30, 200), min_size=1, max_size=5), st.integers(0, 1000))
def test_a_recording_lies_on_itself(lengths: list[int], seed: int) -> None:
    parts: Parts = [60]
    for k, length in enumerate(lengths):
        parts += [sentence(1000 * seed + k, length), 60]
    itself, spans = track(parts)
    found = align_chunks(itself, itself)
    assert_placed(found, spans, least=0.7)
    assert {match.status for match in found.matches} == {"matched"}
    assert all(match.confidence > 0.9 for match in found.matches)


takes = st.tuples(
    st.lists(st.integers(0, 9), min_size=1, max_size=8),
    st.integers(10, 150),
    st.sampled_from([0.7, 1.0, 1.5]),
    st.sampled_from([0.0, 0.4]),
)


@settings(max_examples=25, deadline=None)
@given(takes)
def test_spans_ascend_and_never_share_speech(made: tuple[list[int], int, float, float]) -> None:
    order, pause, tempo, accent = made
    take, _ = track(said(order, pause=pause, tempo=tempo, accent=accent))
    found = align_chunks(REFERENCE, take)
    matched = [match.take for match in found.matches if match.status == "matched" and match.take]
    assert matched == sorted(matched)
    moved = [match.take for match in found.matches if match.status == "reordered" and match.take]
    everything = sorted([*matched, *moved, *found.extra, *(repeat.take for repeat in found.repeated)])
    assert all(0 <= start < stop <= len(take.speech) for start, stop in everything)
    assert all(a.stop <= b.start for a, b in itertools.pairwise(everything))


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 400), st.sampled_from([0.8, 1.3]))
def test_shifting_the_take_shifts_the_spans(shift: int, tempo: float) -> None:
    parts = said([0, 1, 1, 3, 4, 60, 5], tempo=tempo, accent=0.3)
    here, _ = track(parts)
    there, _ = track([shift, *parts])
    there = Track(np.concatenate([there.features[:shift], here.features]), there.speech, there.chunks)
    before, after = align_chunks(REFERENCE, here), align_chunks(REFERENCE, there)
    moved = [match.take and FrameRange(match.take.start + shift, match.take.stop + shift) for match in before.matches]
    assert [match.take for match in after.matches] == moved
    assert [FrameRange(a + shift, b + shift) for a, b in before.extra] == list(after.extra)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": np.ones(9, np.float32)}, "n_dims"),
        ({"speech": np.zeros(8, bool)}, "speech"),
        ({"chunks": [(0, 5), (4, 8)]}, "ascending"),
        ({"chunks": [(3, 3)]}, "ascending"),
        ({"chunks": [(3, 10)]}, "ascending"),
    ],
)
def test_tracks_that_cannot_be(changes: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {
        "features": np.ones((9, 2), np.float32),
        "speech": np.zeros(9, bool),
        "chunks": [(0, 9)],
    }
    Track(**good)
    with pytest.raises(ParameterError, match=message):
        Track(**(good | changes))


def test_arguments_that_cannot_be() -> None:
    other = Track(np.ones((9, N_DIMS + 1), np.float32), np.zeros(9, bool), [(0, 9)])
    with pytest.raises(ParameterError, match="13 in the take"):
        align_chunks(REFERENCE, other)
    with pytest.raises(ParameterError, match="bin_frames: 1"):
        align_chunks(REFERENCE, REFERENCE, params=AlignParams(bin_frames=1))


# --------------------------------------------------------------------------------------------- real speech
def sentence_of(chunk: Span, sentences: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the one sentence that a reference chunk (ms) consists of, if there is one."""

    def share(span: list[float]) -> float:
        return (min(chunk[1], span[1]) - max(chunk[0], span[0])) / (span[1] - span[0])

    shares = [max(share(span) for span in known["reference_ms"]) for known in sentences]
    inside = [known for known, part in zip(sentences, shares, strict=True) if part > 0.8]
    return inside[0] if len(inside) == 1 and sum(part > 0.05 for part in shares) == 1 else None


def milliseconds(stretch: result.Span) -> Span:
    return round(1000 * stretch.start_s), round(1000 * stretch.end_s)


def test_real_retellings(real_speech: Path) -> None:
    params = CompareParams(details="scores")
    overlaps, lost, dropped = [], [], []
    for truth in sorted((real_speech / "retellings").glob("*.json")):
        known = json.loads(truth.read_text())
        files = (truth.with_name(f"{truth.stem}-{side}.flac") for side in ("reference", "take"))
        reference, take = (prepare(load_recording(file), params) for file in files)
        for pair in compare_prepared(reference, take, params=params).pairs:
            spoken = sentence_of(milliseconds(pair.reference), known["sentences"])
            if spoken is None:
                continue
            if not spoken["take_ms"]:
                dropped.append(pair.take is None)
                continue
            lost.append(pair.take is None)
            span = milliseconds(pair.take) if pair.take else (0, 1)
            overlaps.append(max(overlap(span, right) for right in spoken["take_ms"]))
    assert len(overlaps) > 50
    assert np.mean(np.array(overlaps) > 0.5) >= 0.92
    assert np.mean(np.array(overlaps) > 0.8) >= 0.75
    assert np.mean(lost) <= 0.03
    assert np.mean(dropped) >= 0.6
