"""Where the take says what a chunk of the reference says, whatever its pauses.

All chunks are warped into the take in one piece, with states that leave out a chunk or pass over speech of the
take, at a penalty (`speechcmp.dtw.segmental`). The rest of the take is searched for chunks out of order or said again.
Experiments, figures and what a confidence is worth: docs/algorithms/alignment.md.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from speechcmp.dtw.segmental import AlignParams, FrameRange, Mask, Placed, Problem, Speech, Track, best_place, warp
from speechcmp.errors import ParameterError
from speechcmp.runs import find_runs

__all__ = [
    "AlignParams",
    "Alignment",
    "ChunkMatch",
    "FrameRange",
    "Repeat",
    "Speech",
    "Status",
    "Track",
    "align_chunks",
    "align_speech",
]

Status = Literal["matched", "reordered", "missing"]

_LONG_CELLS = 4e7  # more are warped in windows around a coarser warping
_MAX_CELLS = 4e8  # of that one
_COARSE = 4
_SHORTEST = 0.4  # of a chunk's length: shorter stretches can't hold it
_SHORTEST_EXTRA = 25  # frames of speech
_MOVED = 0.08  # what each bin of a chunk must save to be found out of its order
_SAME_VOICE = 0.45  # what each bin must save, where a voice is compared with itself
_MARGIN = 10  # frames of silence kept around a span
_TRUST = (-0.25, 12.7)  # logistic in what a bin saves
_TRUST_MISSING = 0.7
_WORD = 150  # frames of a recording that may hold one word and nothing else


@dataclass(frozen=True, slots=True)
class ChunkMatch:
    """A chunk of the reference and its place in the take.

    Attributes
    ----------
    index : int
        Of the reference chunk.
    status : {"matched", "reordered", "missing"}
    take : FrameRange or None
        None if it is missing.
    confidence : float
        Share of such findings, 0 to 1, that were right on the readings it was fitted to.
    """

    index: int
    status: Status
    take: FrameRange | None
    confidence: float


@dataclass(frozen=True, slots=True)
class Repeat:
    """A stretch of the take that says once more what reference chunk `index` says."""

    index: int
    take: FrameRange


@dataclass(frozen=True, slots=True)
class Alignment:
    """Reference chunks on the take's time.

    Attributes
    ----------
    matches : tuple of ChunkMatch
        One for each reference chunk.
    extra : tuple of FrameRange
        Speech of the take that answers to nothing in the reference.
    repeated : tuple of Repeat
    """

    matches: tuple[ChunkMatch, ...]
    extra: tuple[FrameRange, ...]
    repeated: tuple[Repeat, ...]


def align_chunks(reference: Track, take: Track, *, params: AlignParams | None = None) -> Alignment:
    """Find each chunk of the reference in the take.

    Parameters
    ----------
    reference, take : Track
        Made by the same recipe.
    params : AlignParams, optional

    Returns
    -------
    Alignment

    Raises
    ------
    ParameterError
        The features differ in dimensions, or bins are too short.

    References
    ----------
    Ney (1984), IEEE Trans. ASSP 32(2), 263-271: one warping through a row of words. Here a word may be left
    out, and the take may say more than the words.
    """
    params = params or AlignParams()
    if params.bin_frames < 2:
        raise ParameterError(f"bin_frames: {params.bin_frames} is too few; give at least 2")
    return align_speech(Speech.of(reference, params), Speech.of(take, params), params=params)


def align_speech(reference: Speech, take: Speech, *, params: AlignParams) -> Alignment:
    """Align as `align_chunks` does, with what `Speech.of` made of both tracks."""
    n_dims, n_dims_take = reference.track.features.shape[1], take.track.features.shape[1]
    if n_dims != n_dims_take:
        raise ParameterError(f"features: {n_dims} dimensions in the reference, {n_dims_take} in the take")
    if not reference.track.chunks or not take.track.chunks:
        lost = tuple(ChunkMatch(k, "missing", None, 1.0) for k in range(len(reference.track.chunks)))
        return Alignment(lost, tuple(FrameRange(*chunk) for chunk in take.track.chunks), ())
    problem = Problem.build(reference, take, params)
    n, m = len(problem.reference.units), len(problem.take.units)
    windows = [(0, m)] * len(reference.track.chunks)
    if n * m > _LONG_CELLS:
        coarse = Problem.build(reference, take, params, scale=max(_COARSE, math.sqrt(n * m / _MAX_CELLS)))
        anywhere = [(0, len(coarse.take.units))] * len(windows)
        windows = problem.windows(coarse.ranges(warp(coarse, anywhere)))
    found = _name(problem, warp(problem, windows), take.track)
    if found.matches[0].status == "missing" and _is_word(reference.track) and _is_word(take.track):
        # Said well or badly, or another word: it is what there is to compare.
        return Alignment((ChunkMatch(0, "matched", FrameRange(*take.track.chunks[0]), 1 - _TRUST_MISSING),), (), ())
    return found


def _is_word(track: Track) -> bool:
    """Say whether one short chunk is all there is."""
    return len(track.chunks) == 1 and track.chunks[0][1] - track.chunks[0][0] <= _WORD


def _name(problem: Problem, placed: list[Placed | None], take: Track) -> Alignment:
    """Say what became of each chunk, and what the rest of the take is."""
    covered = np.zeros(len(problem.take.starts), bool)
    for place in placed:
        if place:
            covered[place.start : place.stop] = True
    moved: dict[int, Placed] = {}
    repeated = []
    for chunk, place in _candidates(problem, placed, covered):
        if covered[place.start : place.stop].any():
            continue
        covered[place.start : place.stop] = True
        if placed[chunk] is None and chunk not in moved:
            moved[chunk] = place
        else:
            repeated.append(Repeat(chunk, _frames(problem, place.start, place.stop)))
    matches = [_match(problem, chunk, place, moved.get(chunk)) for chunk, place in enumerate(placed)]
    extra = _extra(problem, covered, take)
    spans = [match.take for match in matches if match.take] + [again.take for again in repeated]
    whole = _whole_chunks(spans, extra, take, problem.speech)
    return Alignment(
        tuple(replace(match, take=match.take and whole[match.take]) for match in matches),
        extra,
        tuple(sorted((Repeat(again.index, whole[again.take]) for again in repeated), key=lambda r: r.take)),
    )


def _whole_chunks(
    spans: Sequence[FrameRange], extra: Sequence[FrameRange], take: Track, speech: Mask
) -> dict[FrameRange, FrameRange]:
    """Let a span end where its chunk of the take does, if nothing but silence lies between.

    Short silences inside the chunk, which were left out of the span, stay out.
    """
    whole = {}
    for span in spans:
        others = [other for other in (*spans, *extra) if other != span]
        start, stop = span
        for first, end in take.chunks:
            if start < first < stop and not speech[start:first].any():
                start = first
            elif _MARGIN // 2 < start - first < end - first and not speech[first:start].any():
                start = max([first, *(other.stop for other in others if other.stop <= start)])
            if start < end < stop and not speech[end:stop].any():
                stop = end
            elif _MARGIN // 2 < end - stop < end - first and not speech[stop:end].any():
                stop = min([end, *(other.start for other in others if other.start >= stop)])
        whole[span] = FrameRange(start, stop)
    return whole


def _match(problem: Problem, chunk: int, place: Placed | None, moved: Placed | None) -> ChunkMatch:
    found = place or moved
    if found is None:
        return ChunkMatch(chunk, "missing", None, _TRUST_MISSING)
    confidence = 1 / (1 + math.exp(-_TRUST[0] - _TRUST[1] * found.gain))
    span = _frames(problem, found.start, found.stop)
    return ChunkMatch(chunk, "matched" if place else "reordered", span, round(confidence, 3))


def _candidates(problem: Problem, placed: Sequence[Placed | None], covered: Mask) -> list[tuple[int, Placed]]:
    """Find each chunk in each stretch of the take that is not covered yet; the best come first.

    Whether a chunk is said again is judged by how the take said it before: in the same voice.
    """
    found: list[tuple[int, Placed]] = []
    if covered.all():
        return found
    for chunk, (lo, hi) in enumerate(problem.windows(problem.ranges(placed))):
        known = placed[chunk]
        rows = problem.take.units[known.start : known.stop] if known else problem.rows(chunk)
        for start, stop in find_runs(~covered[lo:hi]).tolist():
            if len(rows) and stop - start >= len(rows) * _SHORTEST:
                place = best_place(problem, rows, lo + start, lo + stop)
                if place.gain > (_SAME_VOICE if known else _MOVED):
                    found.append((chunk, place))
    return sorted(found, key=lambda item: -item[1].gain)


def _frames(problem: Problem, start: int, stop: int) -> FrameRange:
    """Turn bins into frames: from their first to their last speech, with a little of the silence around."""
    lo, hi = int(problem.take.starts[start]), int(problem.take.stops[stop - 1])
    inner = np.flatnonzero(problem.speech[lo:hi])
    if not len(inner):
        return FrameRange(lo, hi)
    first, last = lo + int(inner[0]), lo + int(inner[-1]) + 1
    before, after = (
        problem.speech[max(0, first - 2 * _MARGIN) : first][::-1],
        problem.speech[last : last + 2 * _MARGIN],
    )
    return FrameRange(first - _silent(before) // 2, last + _silent(after) // 2)


def _silent(speech: Mask) -> int:
    return int(speech.argmax()) if speech.any() else len(speech)


def _extra(problem: Problem, covered: Mask, take: Track) -> tuple[FrameRange, ...]:
    """Return what is left of each chunk of the take, if it is long enough to be a word."""
    found = []
    for start, stop in find_runs(~covered).tolist():
        lo, hi = int(problem.take.starts[start]), int(problem.take.stops[stop - 1])
        for chunk_start, chunk_stop in take.chunks:
            a, b = max(lo, chunk_start), min(hi, chunk_stop)
            inner = np.flatnonzero(problem.speech[a:b])
            if len(inner) >= _SHORTEST_EXTRA:
                found.append(FrameRange(a + int(inner[0]), a + int(inner[-1]) + 1))
    return tuple(found)
