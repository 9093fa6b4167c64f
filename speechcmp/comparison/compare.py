"""Reference and take to a `Comparison`: which chunk was said where, and how far apart they sound.

::

    Recording ─► prepare ─► Prepared (one loudness, chunks, features) ─┐
    Recording ─► prepare ─► Prepared ──────────────────────────────────┴─► compare_prepared ─► Comparison
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from speechcmp.audio.decode import AudioFile, read_once
from speechcmp.audio.recording import AnySource, Recording, to_mono, to_recording
from speechcmp.audio.split import Split, SplitParams, split_recording
from speechcmp.audio.vad import speech_frames
from speechcmp.comparison.align import Alignment, AlignParams, ChunkMatch, FrameRange, Speech, Track, align_speech
from speechcmp.comparison.mismatch import find_mismatches, local_costs
from speechcmp.comparison.result import ChunkPair, Comparison, Copy, DistanceMatrix, Side, Span
from speechcmp.dtw.warp import WarpingPath, dtw_distance, dtw_distances, dtw_path, fastdtw_distance
from speechcmp.errors import ParameterError
from speechcmp.features.mfcc import SPEECH_BANDS, Features, frame_levels, log_mel_bands
from speechcmp.features.phones import phonetic_features
from speechcmp.features.prosody import ProsodyTrace, compare_prosody, trace
from speechcmp.features.recipes import RECIPES, Recipe, extract_features, features_of_bands, find_recipe
from speechcmp.runs import widen
from speechcmp.scoring.impostors import HOP_S, Stretch, measure_chunk
from speechcmp.scoring.model import MISSING, Score, ScoreModel, combine, score

ALIGNMENT_RECIPE = RECIPES["mfcc"]  # what the penalties of the alignment were fitted with
_ALIGNMENT = AlignParams()
_MARGIN_FRAMES = 5  # soft beginnings and endings of speech


@dataclass(frozen=True, slots=True)
class CompareParams:
    """How two recordings are compared.

    Attributes
    ----------
    recipe : str or Recipe
        Features and frame distance: ``"phones"``, ``"mfcc"``, ``"classic"``, or one of your own.
    by : {"time", "index"}
        Which stretch of the take belongs to a chunk of the reference: the one in which the same is said,
        or the take's chunk of the same number.
    dtw : {"exact", "fastdtw"}
        Exact warping, or the fastdtw package's approximation.
    band : float or None
        Sakoe-Chiba band of the chunks' warping, a fraction of the longer side.
    split : SplitParams
        How both recordings are brought to one loudness and split.
    details : {"scores", "all", "pitch"}
        Distances and scores alone; with the worst stretches and prosody; and with pitch, which takes librosa
        and its seconds of start-up.
    model : ScoreModel or None
        How differences become points; the shipped one by default.

    Raises
    ------
    ParameterError
        A word is none of those listed, or `band` is not above 0 and at most 1.

    Examples
    --------
    >>> import speechcmp
    >>> params = speechcmp.CompareParams(recipe="classic", split=speechcmp.SplitParams(min_silence_len_ms=400))
    >>> params.by, params.details
    ('time', 'all')
    """

    recipe: str | Recipe = "phones"
    by: Literal["time", "index"] = "time"
    dtw: Literal["exact", "fastdtw"] = "exact"
    band: float | None = None
    split: SplitParams = field(default_factory=SplitParams)
    details: Literal["scores", "all", "pitch"] = "all"
    model: ScoreModel | None = None

    def __post_init__(self) -> None:
        choices = {"by": ("time", "index"), "dtw": ("exact", "fastdtw"), "details": ("scores", "all", "pitch")}
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ParameterError(f"{name}: {getattr(self, name)!r} is unknown; choose one of {', '.join(allowed)}")
        find_recipe(self.recipe)
        if self.band is not None and not 0 < self.band <= 1:
            raise ParameterError(f"band: {self.band} is out of range; give a fraction of the longer side, up to 1")


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A recording with all that a comparison needs of it, worked out once.

    Attributes
    ----------
    recording : Recording or AudioFile
        At one loudness.
    recipe : Recipe
        What features are extracted by.
    chunks : tuple of Span
        Ascending, never overlapping.
    speech : Speech
        For the alignment, whatever the recipe: frames of 10 ms, as `ALIGNMENT_RECIPE` has them.
    spoken : bool, shape (n_frames,)
        Speech and 50 ms around it: what takes part in a distance, if the recipe leaves pauses out.
    features : float32, shape (n_recipe_frames, n_dims), or None
        Of the whole recording; None if the recipe works on single chunks.
    whole : Stretch
        What scores are worked out from: mel bands and phonetic features of the whole recording.
    prosody : ProsodyTrace or None
        If details are asked for.
    warnings : tuple of str
        What splitting had to say, each with its remedy.

    Examples
    --------
    >>> import numpy as np
    >>> import speechcmp
    >>> words = np.random.default_rng(0).normal(0, 0.1, (3, 16_000)) * np.sin(np.arange(16_000) / 300) ** 2
    >>> said = np.pad(words, [(0, 0), (8000, 8000)])  # each word between half a second of silence
    >>> reference = speechcmp.Recording.from_array(said.ravel(), 16_000, name="reference")
    >>> take = speechcmp.Recording.from_array(said[:2].ravel(), 16_000, name="take")
    >>> params = speechcmp.CompareParams(details="scores")
    >>> speechcmp.prepare(reference, params)
    <Prepared 'reference', 6.00 s, by recipe 'phones': 3 chunks>
    """

    recording: AnySource
    recipe: Recipe
    chunks: tuple[Span, ...]
    speech: Speech
    spoken: NDArray[np.bool_]
    features: Features | None
    whole: Stretch
    prosody: ProsodyTrace | None
    warnings: tuple[str, ...]

    def __repr__(self) -> str:
        """Show the recording's name and length, the recipe and how many chunks there are, in one line."""
        recording = f"{self.recording.name!r}, {self.recording.duration_s:.2f} s"
        return f"<Prepared {recording}, by recipe {self.recipe.name!r}: {len(self.chunks)} chunks>"


def compare(
    reference: AnySource,
    take: AnySource,
    *,
    params: CompareParams | None = None,
    flag_copies: bool = False,
) -> Comparison:
    """Compare a take with its reference, chunk by chunk.

    Parameters
    ----------
    reference, take : Recording or AudioFile
        Any rates and channels; of a file that is opened only, a long one takes less memory.
    params : CompareParams, optional
        The defaults of `CompareParams` if not given.
    flag_copies : bool
        Look whether the take is a copy of the reference, and say so in `Comparison.copy` and a warning.

    Returns
    -------
    Comparison
        A recording in which no speech is found has no chunks, and a warning says so.

    Raises
    ------
    AudioError
        A recording is silent.
    ParameterError
        A recording has samples that are not finite, or is none.

    Examples
    --------
    >>> import numpy as np
    >>> import speechcmp
    >>> words = np.random.default_rng(0).normal(0, 0.1, (3, 16_000)) * np.sin(np.arange(16_000) / 300) ** 2
    >>> said = np.pad(words, [(0, 0), (8000, 8000)])  # each word between half a second of silence
    >>> reference = speechcmp.Recording.from_array(said.ravel(), 16_000, name="reference")
    >>> take = speechcmp.Recording.from_array(said[:2].ravel(), 16_000, name="take")
    >>> speechcmp.compare(reference, take)
    <Comparison of 'take' against 'reference': score 67, distance 0.000, 2 of 3 chunks found>
    """
    params = params or CompareParams()
    sides = prepare(reference, params), prepare(take, params)
    return compare_prepared(*sides, params=params, flag_copies=flag_copies)


def prepare(recording: AnySource, params: CompareParams) -> Prepared:
    """Bring a recording to one loudness, split it, and extract its features.

    Parameters
    ----------
    recording : Recording or AudioFile
        Any rate and channels.
    params : CompareParams
        Those it will be compared with.

    Returns
    -------
    Prepared
        To be used in any number of comparisons.

    Raises
    ------
    AudioError
        The recording is silent.
    ParameterError
        It has samples that are not finite, or is none.

    Examples
    --------
    >>> import numpy as np
    >>> import speechcmp
    >>> words = np.random.default_rng(0).normal(0, 0.1, (3, 16_000)) * np.sin(np.arange(16_000) / 300) ** 2
    >>> said = np.pad(words, [(0, 0), (8000, 8000)])  # each word between half a second of silence
    >>> reference = speechcmp.Recording.from_array(said.ravel(), 16_000, name="reference")
    >>> take = speechcmp.Recording.from_array(said[:2].ravel(), 16_000, name="take")
    >>> params = speechcmp.CompareParams(details="scores")
    >>> speechcmp.prepare(take, params)
    <Prepared 'take', 4.00 s, by recipe 'phones': 2 chunks>
    """
    recipe = find_recipe(params.recipe)
    if isinstance(recording, AudioFile):  # whose samples are checked as they are read
        recording = read_once(recording)
    else:
        _check_samples(recording)
    split: Split[Any] = split_recording(recording, params.split)
    rate = recording.sample_rate
    chunks = tuple(Span(chunk.start / rate, chunk.stop / rate) for chunk in split.chunks)
    mono = to_mono(split.source, ALIGNMENT_RECIPE.sample_rate)
    levels = frame_levels(mono.samples, ALIGNMENT_RECIPE.mfcc.hop_length)
    # One spectrum for both: the alignment shares the score's windows.
    ours, bands = log_mel_bands(mono.samples, mono.sample_rate, [ALIGNMENT_RECIPE.mfcc, SPEECH_BANDS])
    aligned = features_of_bands(ours, levels, ALIGNMENT_RECIPE)
    is_speech = speech_frames(levels)
    track = Track(aligned, is_speech, [_frames(chunk, HOP_S, len(aligned)) for chunk in chunks])
    phones = phonetic_features(bands)
    features: Features | None = aligned
    if recipe.phonetic:
        features = phones
    elif recipe != ALIGNMENT_RECIPE:
        features = None if recipe.per_chunk else extract_features(split.source, recipe)
    return Prepared(
        recording=split.source,
        recipe=recipe,
        chunks=chunks,
        speech=Speech.of(track, _ALIGNMENT),
        spoken=widen(is_speech, _MARGIN_FRAMES),
        features=features,
        whole=Stretch(bands, phones),
        prosody=None if params.details == "scores" else trace(mono, pitch=params.details == "pitch"),
        warnings=split.warnings,
    )


def _check_samples(recording: object) -> None:
    if not isinstance(recording, Recording):
        kind = type(recording).__name__
        raise ParameterError(f"{recording!s:.60}: must be a Recording, given {kind}; load_recording(path) reads one")
    if not np.isfinite(recording.samples.sum(dtype=np.float64)):
        raise ParameterError(f"{recording.name}: some samples are not finite (NaN or infinite); cut or mend them first")


def compare_prepared(
    reference: Prepared, take: Prepared, *, params: CompareParams, flag_copies: bool = False
) -> Comparison:
    """Compare as `compare` does, with what `prepare` made of both recordings.

    Parameters
    ----------
    reference, take : Prepared
        By the same parameters.
    params : CompareParams
        Those they were prepared with.
    flag_copies : bool
        As for `compare`.

    Returns
    -------
    Comparison
        As `compare` returns it.

    Raises
    ------
    ParameterError
        They were prepared by another recipe than that of `params`.

    Examples
    --------
    >>> import numpy as np
    >>> import speechcmp
    >>> words = np.random.default_rng(0).normal(0, 0.1, (3, 16_000)) * np.sin(np.arange(16_000) / 300) ** 2
    >>> said = np.pad(words, [(0, 0), (8000, 8000)])  # each word between half a second of silence
    >>> reference = speechcmp.Recording.from_array(said.ravel(), 16_000, name="reference")
    >>> take = speechcmp.Recording.from_array(said[:2].ravel(), 16_000, name="take")
    >>> params = speechcmp.CompareParams(details="scores")
    >>> known = speechcmp.prepare(reference, params)
    >>> takes = [speechcmp.prepare(one, params) for one in (reference, take)]
    >>> [round(speechcmp.compare_prepared(known, one, params=params).score.value) for one in takes]
    [100, 67]
    """
    _check_recipes(reference, take, params)
    if params.by == "index":
        alignment = _by_index(reference, take)
    else:
        alignment = _second_look(
            reference, take, align_speech(reference.speech, take.speech, params=_ALIGNMENT), params.model
        )
    located = [_locate(reference, take, match) for match in alignment.matches]
    pairs = tuple(_pairs(reference, take, located, params))
    matched = [pair for pair in pairs if pair.take is not None]
    extra = tuple(_span(found, take) for found in alignment.extra)
    repeated = tuple((found.index, _span(found.take, take)) for found in alignment.repeated)
    copy = _find_copy(reference, take) if flag_copies else None
    return Comparison(
        recipe=reference.recipe.name,
        reference=_side(reference),
        take=_side(take),
        pairs=pairs,
        extra=extra,
        repeated=repeated,
        distance=_weighted_distance(matched) if matched else _whole_distance(reference, take, params),
        tempo=_tempo([one for one in located if one.span]),
        score=_overall_score(pairs, [*extra, *(span for _, span in repeated)], params),
        warnings=(*_warnings(reference, take), *_copy_warnings(reference, take, copy)),
        copy=copy,
        calibration=params.model.name if params.model else None,
    )


def _second_look(reference: Prepared, take: Prepared, found: Alignment, model: ScoreModel | None) -> Alignment:
    """Match a chunk that the alignment calls missing with all that was said, unless that is of another text.

    So it is with a beginner, whose halting words cost the alignment more than leaving the chunk out.
    """
    (match, *others) = found.matches or (None,)
    if others or match is None or match.status != "missing" or not take.chunks:
        return found
    frames = take.speech.track.chunks
    said = FrameRange(frames[0][0], frames[-1][1])
    whole = Span(take.chunks[0].start_s, take.chunks[-1].end_s)
    if score(measure_chunk(_cut(reference, reference.chunks[0]), _cut(take, whole)), model).verdict == "other":
        return found
    return Alignment((replace(match, status="matched", take=said),), (), ())


def _check_recipes(reference: Prepared, take: Prepared, params: CompareParams) -> None:
    recipe = find_recipe(params.recipe)
    for side in (reference, take):
        if side.recipe != recipe:
            raise ParameterError(
                f"{side.recording.name}: was prepared by recipe {side.recipe.name}, and is compared by {recipe.name}; "
                "prepare both sides with the parameters they are compared with"
            )


def _find_copy(reference: Prepared, take: Prepared) -> Copy | None:
    from speechcmp.fingerprint.identify import find_copy  # noqa: PLC0415 - fingerprints only for who asks

    match = find_copy(reference.recording, take.recording)
    return Copy(match.offset_s, match.confidence) if match else None


def _copy_warnings(reference: Prepared, take: Prepared, copy: Copy | None) -> Iterator[str]:
    if copy is not None:
        start_s = round(copy.offset_s, 2) + 0.0  # no -0.00
        yield f"{take.recording.name}: is a copy of {reference.recording.name}, from {start_s:.2f} s on"


def _by_index(reference: Prepared, take: Prepared) -> Alignment:
    ours, theirs = reference.speech.track.chunks, [FrameRange(*chunk) for chunk in take.speech.track.chunks]
    matches = [
        ChunkMatch(k, "matched", theirs[k], 1.0) if k < len(theirs) else ChunkMatch(k, "missing", None, 1.0)
        for k in range(len(ours))
    ]
    return Alignment(tuple(matches), tuple(theirs[len(ours) :]), ())


def distance_matrix(reference: Recording, take: Recording, *, params: CompareParams | None = None) -> DistanceMatrix:
    """Measure every chunk of the reference against every chunk of the take.

    Parameters
    ----------
    reference, take : Recording
        Any rates and channels.
    params : CompareParams, optional
        The defaults of `CompareParams` if not given; `by`, `details` and `model` change nothing here.

    Returns
    -------
    DistanceMatrix
        A row a chunk of the reference, a column a chunk of the take.

    Raises
    ------
    AudioError, ParameterError
        As `compare`.

    Examples
    --------
    >>> import numpy as np
    >>> import speechcmp
    >>> words = np.random.default_rng(0).normal(0, 0.1, (3, 16_000)) * np.sin(np.arange(16_000) / 300) ** 2
    >>> said = np.pad(words, [(0, 0), (8000, 8000)])  # each word between half a second of silence
    >>> reference = speechcmp.Recording.from_array(said.ravel(), 16_000, name="reference")
    >>> take = speechcmp.Recording.from_array(said[:2].ravel(), 16_000, name="take")
    >>> speechcmp.distance_matrix(reference, take).distances.argmin(axis=0).tolist()
    [0, 1]
    """
    params = params or CompareParams()
    return matrix_prepared(prepare(reference, params), prepare(take, params), params=params)


def matrix_prepared(reference: Prepared, take: Prepared, *, params: CompareParams) -> DistanceMatrix:
    """Measure as `distance_matrix` does, with what `prepare` made of both recordings."""
    _check_recipes(reference, take, params)
    recipe = reference.recipe
    ours, theirs = ([_features_of(side, chunk)[0] for chunk in side.chunks] for side in (reference, take))
    if params.dtw == "exact":
        distances = dtw_distances(ours, theirs, metric=recipe.metric, band=params.band)
    else:
        distances = np.array([[_distance(a, b, recipe, params) for b in theirs] for a in ours])
    return DistanceMatrix(
        recipe.name,
        _side(reference),
        _side(take),
        reference.chunks,
        take.chunks,
        distances.reshape(len(ours), len(theirs)),
        _warnings(reference, take),
    )


class _Located(NamedTuple):
    """A chunk, where the take says it, and both from their first to their last speech."""

    match: ChunkMatch
    chunk: Span
    span: Span | None
    ours: Span
    theirs: Span | None


def _locate(reference: Prepared, take: Prepared, match: ChunkMatch) -> _Located:
    chunk = reference.chunks[match.index]
    span = _span(match.take, take) if match.take else None
    return _Located(match, chunk, span, _spoken(reference, chunk), _spoken(take, span) if span else None)


def _pairs(
    reference: Prepared, take: Prepared, located: Sequence[_Located], params: CompareParams
) -> Iterator[ChunkPair]:
    silent_since = (0.0, 0.0)
    for one in located:
        pause_s = max(0.0, one.ours.start_s - silent_since[0])
        if one.theirs is None:
            match = one.match
            missing = ChunkPair(match.index, "missing", one.chunk, None, match.confidence, score=MISSING)
            yield replace(missing, pause_before_s=(pause_s, None))
            silent_since = (one.ours.end_s, silent_since[1])
            continue
        pauses_s = (pause_s, max(0.0, one.theirs.start_s - silent_since[1]))
        yield _matched_pair(reference, take, one, pauses_s, params)
        silent_since = (one.ours.end_s, one.theirs.end_s)


def _matched_pair(
    reference: Prepared, take: Prepared, one: _Located, pauses_s: tuple[float, float], params: CompareParams
) -> ChunkPair:
    match, chunk, span = one.match, one.chunk, one.span
    assert span is not None  # noqa: S101 - it is matched
    recipe = reference.recipe
    ours, our_frames = _features_of(reference, chunk)
    theirs, their_frames = _features_of(take, span)
    measures = measure_chunk(_cut(reference, chunk), _cut(take, span))
    pair = ChunkPair(
        index=match.index,
        status="matched",
        reference=chunk,
        take=span,
        confidence=match.confidence,
        reordered=match.status == "reordered",
        tempo=_tempo([one]),
        pause_before_s=pauses_s,
        score=score(measures, params.model),
        measures=measures,
    )
    if params.details == "scores" or reference.prosody is None or take.prosody is None:
        return replace(pair, distance=_distance(ours, theirs, recipe, params))
    path = dtw_path(ours, theirs, metric=recipe.metric, band=params.band)
    distance = path.distance if params.dtw == "exact" else _distance(ours, theirs, recipe, params)
    costs, chance_cost = _step_costs(ours, theirs, path, recipe)
    steps = np.stack([our_frames[path.steps[:, 0]], their_frames[path.steps[:, 1]]], axis=1)
    prosody = compare_prosody(reference.prosody, take.prosody, (chunk, span), steps, hop_s=recipe.hop_s)
    starts_s = (chunk.start_s, span.start_s)
    worst = find_mismatches(steps, costs, recipe.hop_s, chance_cost=chance_cost, offsets_s=starts_s)
    return replace(pair, distance=distance, worst=tuple(worst), prosody=prosody)


def _step_costs(
    ours: Features, theirs: Features, path: WarpingPath, recipe: Recipe
) -> tuple[NDArray[np.float64], float]:
    """Return the cost of each step, and the mean cost of frames that have nothing to do with each other."""
    costs = local_costs(ours, theirs, path.steps, metric=recipe.metric)
    elsewhere = np.roll(theirs, len(theirs) // 2, axis=0)  # half the take away from where they belong
    return costs, float(local_costs(ours, elsewhere, path.steps, metric=recipe.metric).mean())


def _cut(side: Prepared, span: Span) -> Stretch:
    return side.whole.cut(*_frames(span, HOP_S, len(side.whole.bands)))


def _overall_score(pairs: Sequence[ChunkPair], extra: Sequence[Span], params: CompareParams) -> Score | None:
    """Score the recording; None where the reference has no chunk."""
    if not pairs:
        return None
    scores = [pair.score or MISSING for pair in pairs]
    pauses = [pair.pause_before_s for pair in pairs[1:] if pair.pause_before_s[1] is not None]
    return combine(
        scores,
        [pair.reference.duration_s for pair in pairs],
        pauses_s=(sum(ours for ours, _ in pauses), sum(theirs or 0.0 for _, theirs in pauses)),
        extra_s=sum(span.duration_s for span in extra),
        model=params.model,
    )


def _distance(a: Features, b: Features, recipe: Recipe, params: CompareParams) -> float:
    if params.dtw == "fastdtw":
        return fastdtw_distance(a, b, metric=recipe.metric)
    return dtw_distance(a, b, metric=recipe.metric, band=params.band)


def _features_of(side: Prepared, span: Span) -> tuple[Features, NDArray[np.int64]]:
    """Return the features of a stretch and which of its frames they are.

    The stretch is analyzed by itself, or cut out of the whole recording's features, with or without pauses.
    """
    recipe = side.recipe
    if side.features is None:
        features = extract_features(_part(side.recording, span), recipe)
        return features, np.arange(len(features))
    start, stop = _frames(span, recipe.hop_s, len(side.features))
    frames = np.arange(start, stop)
    if not recipe.pauses:
        at = np.minimum(np.rint(frames * (recipe.hop_s / HOP_S)).astype(np.int64), len(side.spoken) - 1)
        spoken = side.spoken[at]
        frames = frames[spoken] if spoken.any() else frames
    return side.features[frames], frames - start


def _part(source: AnySource, span: Span) -> Recording:
    start, stop = round(span.start_s * source.sample_rate), max(round(span.end_s * source.sample_rate), 1)
    if isinstance(source, AudioFile):
        return to_recording(source, start, stop)
    return replace(source, samples=source.samples[start:stop])


def _frames(span: Span, hop_s: float, n_frames: int) -> tuple[int, int]:
    """Return a stretch in frames: half-open, inside the recording, at least one."""
    start = min(round(span.start_s / hop_s), n_frames - 1)
    return start, min(max(round(span.end_s / hop_s), start + 1), n_frames)


def _span(frames: FrameRange, side: Prepared) -> Span:
    """Return a stretch of the alignment in seconds; where it is a chunk of that side, the chunk's own."""
    if frames in side.speech.track.chunks:
        return side.chunks[side.speech.track.chunks.index(frames)]
    return Span(frames.start * HOP_S, min(frames.stop * HOP_S, side.recording.duration_s))


def _whole_distance(reference: Prepared, take: Prepared, params: CompareParams) -> float:
    """Return the distance of two recordings of which no chunk is matched, all their speech against all."""
    ours, theirs = (_features_of(side, Span(0.0, side.recording.duration_s))[0] for side in (reference, take))
    return _distance(ours, theirs, reference.recipe, params)


def _weighted_distance(pairs: Sequence[ChunkPair]) -> float:
    weights = [pair.reference.duration_s + pair.take.duration_s for pair in pairs if pair.take]
    total = sum(weight * (pair.distance or 0.0) for weight, pair in zip(weights, pairs, strict=True))
    return total / sum(weights)


def _warnings(reference: Prepared, take: Prepared) -> tuple[str, ...]:
    return tuple(f"{side.recording.name}: {text}" for side in (reference, take) for text in side.warnings)


def _side(side: Prepared) -> Side:
    return Side(side.recording.name, side.recording.path, side.recording.duration_s)


def _spoken(side: Prepared, span: Span) -> Span:
    """Return a stretch from its first to its last speech: how much silence was kept around it does not count."""
    start, stop = _frames(span, HOP_S, len(side.spoken))
    spoken = np.flatnonzero(side.spoken[start:stop])
    if not len(spoken):
        return span
    return Span((start + int(spoken[0])) * HOP_S, (start + int(spoken[-1]) + 1) * HOP_S)


def _tempo(located: Sequence[_Located]) -> float | None:
    expected_s = sum(one.ours.duration_s for one in located)
    return sum(one.theirs.duration_s for one in located if one.theirs) / expected_s if expected_s else None
