"""Reference and take to a `Comparison`: which chunk was said where, and how far apart they sound.

::

    Recording ─► prepare ─► Prepared (one loudness, chunks, features) ─┐
    Recording ─► prepare ─► Prepared ──────────────────────────────────┴─► compare_prepared ─► Comparison
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from speechcmp.align import Alignment, ChunkMatch, FrameRange, Track, align_chunks
from speechcmp.audio import Recording, mix_down, resample
from speechcmp.dtw import dtw_distance, dtw_distances
from speechcmp.errors import ParameterError
from speechcmp.fast_dtw import fastdtw_distance
from speechcmp.features import RECIPES, Features, Recipe, extract_features, find_recipe, frame_levels
from speechcmp.segment import SplitParams, segment

Status = Literal["matched", "missing"]


class Span(NamedTuple):
    """A stretch of a recording; seconds from its start."""

    start_s: float
    end_s: float

    @property
    def duration_s(self) -> float:
        return self.end_s - self.start_s


@dataclass(frozen=True, slots=True)
class CompareParams:
    """How two recordings are compared.

    Attributes
    ----------
    recipe : str
        Features and frame distance, see `speechcmp.features.RECIPES`.
    by : {"time", "index"}
        Which stretch of the take belongs to a chunk of the reference: the one in which the same is said,
        or the take's chunk of the same number.
    dtw : {"exact", "fastdtw"}
        Exact warping, or the fastdtw package's approximation.
    band : float or None
        Sakoe-Chiba band of the chunks' warping, a fraction of the longer side.
    split : SplitParams
        How both recordings are brought to one loudness and split.
    """

    recipe: str = "default"
    by: Literal["time", "index"] = "time"
    dtw: Literal["exact", "fastdtw"] = "exact"
    band: float | None = None
    split: SplitParams = field(default_factory=SplitParams)


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A recording with all that a comparison needs of it, worked out once.

    Attributes
    ----------
    recording : Recording
        At one loudness.
    chunks : tuple of Span
    track : Track
        Features of the whole recording, by the recipe that aligns and, unless it works on single chunks,
        compares; the level of each frame; the chunks in frames.
    warnings : tuple of str
    """

    recording: Recording
    chunks: tuple[Span, ...]
    track: Track
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChunkPair:
    """A chunk of the reference and what answers to it in the take.

    Attributes
    ----------
    index : int
        Of the reference chunk.
    status : {"matched", "missing"}
    reference : Span
    take : Span or None
        None if the take does not say it.
    confidence : float
        That the status is right, 0 to 1; see `speechcmp.align`.
    reordered : bool
        The take says it out of its order.
    distance : float or None
        Warping path's cost / (frames of the reference chunk + frames of the take's span).
    tempo : float or None
        Duration in the take / duration in the reference: above 1 is slower.
    pause_before_s : tuple of (float, float or None)
        Seconds of silence before it, in the reference and in the take.
    """

    index: int
    status: Status
    reference: Span
    take: Span | None
    confidence: float
    reordered: bool = False
    distance: float | None = None
    tempo: float | None = None
    pause_before_s: tuple[float, float | None] = (0.0, None)


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two recordings compared."""

    name: str
    path: Path | None
    duration_s: float


class Copy(NamedTuple):
    """The take is the reference itself, or a piece of it, played back.

    `offset_s`: where the take starts in the reference; `confidence`: 0 to 1.
    """

    offset_s: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """A take held against a reference.

    Attributes
    ----------
    recipe : str
    reference, take : Side
    pairs : tuple of ChunkPair
        One for each chunk of the reference.
    extra : tuple of Span
        What the take says beyond the reference.
    repeated : tuple of (int, Span)
        What the take says once more, and which chunk of the reference that is.
    distance : float or None
        Mean of the matched chunks' distances, weighted by their frames; None if none is matched.
    tempo : float or None
        Time the take needs for the matched chunks / time the reference needs.
    warnings : tuple of str
    copy : Copy or None
        Set where copies are looked for, and the take is one.
    """

    recipe: str
    reference: Side
    take: Side
    pairs: tuple[ChunkPair, ...]
    extra: tuple[Span, ...]
    repeated: tuple[tuple[int, Span], ...]
    distance: float | None
    tempo: float | None
    warnings: tuple[str, ...] = ()
    copy: Copy | None = None

    @property
    def n_missing(self) -> int:
        return sum(pair.status == "missing" for pair in self.pairs)


@dataclass(frozen=True, slots=True, eq=False)
class DistanceMatrix:
    """Every chunk of the reference against every chunk of the take.

    Attributes
    ----------
    recipe : str
    reference, take : Side
    reference_chunks, take_chunks : tuple of Span
    distances : float64, shape (n_reference_chunks, n_take_chunks)
    warnings : tuple of str
    """

    recipe: str
    reference: Side
    take: Side
    reference_chunks: tuple[Span, ...]
    take_chunks: tuple[Span, ...]
    distances: NDArray[np.float64]
    warnings: tuple[str, ...] = ()


def compare(reference: Recording, take: Recording, *, params: CompareParams | None = None) -> Comparison:
    """Compare a take with its reference, chunk by chunk.

    Parameters
    ----------
    reference, take : Recording
        Any rates and channels.
    params : CompareParams, optional

    Returns
    -------
    Comparison

    Raises
    ------
    AudioError
        A recording is silent, or has no speech that stands out from its noise.
    ParameterError
        A parameter is out of range.
    """
    params = params or CompareParams()
    return compare_prepared(prepare(reference, params), prepare(take, params), params=params)


def prepare(recording: Recording, params: CompareParams) -> Prepared:
    """Bring a recording to one loudness, split it, and extract its features; see `Prepared`."""
    find_recipe(params.recipe)
    split = segment(recording, params.split)
    rate = recording.sample_rate
    chunks = tuple(Span(chunk.start / rate, chunk.stop / rate) for chunk in split.chunks)
    recipe = _whole_recipe(params)
    mono = resample(mix_down(split.source), recipe.sample_rate)
    features = extract_features(mono, recipe)
    levels = frame_levels(mono.samples, recipe.mfcc.hop_length)
    track = Track(features, levels, [_frames(chunk, recipe, len(features)) for chunk in chunks])
    return Prepared(split.source, chunks, track, split.warnings)


def _whole_recipe(params: CompareParams) -> Recipe:
    recipe = find_recipe(params.recipe)
    return RECIPES["default"] if recipe.per_chunk else recipe


def compare_prepared(reference: Prepared, take: Prepared, *, params: CompareParams) -> Comparison:
    """Compare as `compare` does, with what `prepare` made of both recordings with the same `params`."""
    recipe = _whole_recipe(params)
    alignment = (
        _by_index(reference, take) if params.by == "index" else align_chunks(reference.track, take.track)
    )
    pairs = tuple(_pairs(reference, take, alignment, params))
    matched = [pair for pair in pairs if pair.take is not None]
    return Comparison(
        recipe=params.recipe,
        reference=_side(reference),
        take=_side(take),
        pairs=pairs,
        extra=tuple(_span(found, recipe, take) for found in alignment.extra),
        repeated=tuple((found.index, _span(found.take, recipe, take)) for found in alignment.repeated),
        distance=_weighted_distance(matched),
        tempo=_tempo([pair.reference for pair in matched], [pair.take for pair in matched if pair.take]),
        warnings=_warnings(reference, take),
    )


def _by_index(reference: Prepared, take: Prepared) -> Alignment:
    ours, theirs = reference.track.chunks, [FrameRange(*chunk) for chunk in take.track.chunks]
    matches = [
        ChunkMatch(k, "matched", theirs[k], 1.0) if k < len(theirs) else ChunkMatch(k, "missing", None, 1.0)
        for k in range(len(ours))
    ]
    return Alignment(tuple(matches), tuple(theirs[len(ours) :]), ())


def distance_matrix(
    reference: Recording, take: Recording, *, params: CompareParams | None = None
) -> DistanceMatrix:
    """Measure every chunk of the reference against every chunk of the take; see `DistanceMatrix`.

    Raises
    ------
    AudioError, ParameterError
        As `compare`.
    """
    params = params or CompareParams()
    return matrix_prepared(prepare(reference, params), prepare(take, params), params=params)


def matrix_prepared(reference: Prepared, take: Prepared, *, params: CompareParams) -> DistanceMatrix:
    """Measure as `distance_matrix` does, with what `prepare` made of both recordings."""
    recipe = find_recipe(params.recipe)
    ours, theirs = (
        [_features_of(side, chunk, recipe) for chunk in side.chunks] for side in (reference, take)
    )
    if params.dtw == "exact":
        distances = dtw_distances(ours, theirs, metric=recipe.metric, band=params.band)
    else:
        distances = np.array([[_distance(a, b, recipe, params) for b in theirs] for a in ours])
    return DistanceMatrix(
        params.recipe,
        _side(reference),
        _side(take),
        reference.chunks,
        take.chunks,
        distances.reshape(len(ours), len(theirs)),
        _warnings(reference, take),
    )


def _pairs(
    reference: Prepared, take: Prepared, alignment: Alignment, params: CompareParams
) -> Iterator[ChunkPair]:
    recipe = find_recipe(params.recipe)
    silent_since = (0.0, 0.0)
    for match, chunk in zip(alignment.matches, reference.chunks, strict=True):
        pause_s = max(0.0, chunk.start_s - silent_since[0])
        if match.take is None:
            yield ChunkPair(
                match.index, "missing", chunk, None, match.confidence, pause_before_s=(pause_s, None)
            )
            silent_since = (chunk.end_s, silent_since[1])
            continue
        span = _span(match.take, _whole_recipe(params), take)
        distance = _distance(
            _features_of(reference, chunk, recipe), _features_of(take, span, recipe), recipe, params
        )
        yield ChunkPair(
            index=match.index,
            status="matched",
            reference=chunk,
            take=span,
            confidence=match.confidence,
            reordered=match.status == "reordered",
            distance=distance,
            tempo=_tempo([chunk], [span]),
            pause_before_s=(pause_s, max(0.0, span.start_s - silent_since[1])),
        )
        silent_since = (chunk.end_s, span.end_s)


def _distance(a: Features, b: Features, recipe: Recipe, params: CompareParams) -> float:
    if params.dtw == "fastdtw":
        return fastdtw_distance(a, b, metric=recipe.metric)
    return dtw_distance(a, b, metric=recipe.metric, band=params.band)


def _features_of(side: Prepared, span: Span, recipe: Recipe) -> Features:
    """Return the features of a stretch: analyzed by itself, or cut out of the whole recording's."""
    if recipe.per_chunk:
        rate = side.recording.sample_rate
        samples = side.recording.samples[round(span.start_s * rate) : max(round(span.end_s * rate), 1)]
        return extract_features(replace(side.recording, samples=samples), recipe)
    start, stop = _frames(span, recipe, len(side.track.features))
    return side.track.features[start:stop]


def _frames(span: Span, recipe: Recipe, n_frames: int) -> tuple[int, int]:
    """Return a stretch in frames: half-open, inside the recording, at least one."""
    start = min(round(span.start_s / recipe.hop_s), n_frames - 1)
    return start, min(max(round(span.end_s / recipe.hop_s), start + 1), n_frames)


def _span(frames: FrameRange, recipe: Recipe, side: Prepared) -> Span:
    """Return a stretch in seconds; where it is a chunk of that side, the chunk's own."""
    if frames in side.track.chunks:
        return side.chunks[side.track.chunks.index(frames)]
    return Span(frames.start * recipe.hop_s, min(frames.stop * recipe.hop_s, side.recording.duration_s))


def _weighted_distance(pairs: Sequence[ChunkPair]) -> float | None:
    weights = [pair.reference.duration_s + pair.take.duration_s for pair in pairs if pair.take]
    total = sum(weight * (pair.distance or 0.0) for weight, pair in zip(weights, pairs, strict=True))
    return total / sum(weights) if pairs else None


def _warnings(reference: Prepared, take: Prepared) -> tuple[str, ...]:
    return tuple(f"{side.recording.name}: {text}" for side in (reference, take) for text in side.warnings)


def _side(side: Prepared) -> Side:
    return Side(side.recording.name, side.recording.path, side.recording.duration_s)


def _tempo(reference: Sequence[Span], take: Sequence[Span]) -> float | None:
    expected_s = sum(span.duration_s for span in reference)
    return sum(span.duration_s for span in take) / expected_s if expected_s else None
