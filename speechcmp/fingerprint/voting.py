"""From hits to matches: the offset histogram, and the chance that its tallest column is an accident.

A clip of a stored recording finds many of its hashes there, all displaced by one offset; one of something else
finds hashes too, scattered over recordings and offsets. Rare hashes weigh more, and the clip's own histogram says
how likely accidents are. The four steps, figures and references: docs/algorithms/voting.md.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from speechcmp.errors import ParameterError

IntArray = NDArray[np.integer[Any]]
FloatArray = NDArray[np.float64]

MIN_CONFIDENCE = 0.9999
MAX_RECORDINGS = 64  # matches looked at in one clip
MAX_PAIRS = 1 << 21  # hits times occurrences in the clip: a second's work
_PRIOR_RATIO = 0.03  # of windows with one more vote to those with one fewer, in speech: 0.01 to 0.03
_PRIOR_WINDOWS = 200
_FEW_WINDOWS = 8  # of one recording: two alignments, each with the windows around it
_RARE = 0.8  # least weight of an ordinary vote, in units of a hash that the library holds once
_SAME_FRAMES = 0.5  # between two sightings of one landmark at neighboring query shifts


class Hits(NamedTuple):
    """Stored landmarks that share a hash with the clip, in any order.

    Attributes
    ----------
    hash_index : integers, shape (n,)
        Row among the clip's distinct hashes.
    recording_ids : integers, shape (n,)
        Where it is stored.
    anchor_frames : integers, shape (n,)
        Frame of the stored anchor.
    """

    hash_index: IntArray
    recording_ids: IntArray
    anchor_frames: IntArray


@dataclass(frozen=True, slots=True)
class Match:
    """A stored recording that the clip is from.

    Attributes
    ----------
    recording_id : int
        As in the library.
    name : str
        Empty until a store, which knows it, fills it in.
    offset_s : float
        Where the clip starts in the recording, in seconds; negative when it starts before it.
    votes : int
        Distinct hashes of the clip that agree on the offset.
    confidence : float
        1 minus the chance that a clip of something else aligns as well with anything in the library.
    query_share : float
        `votes` as a share of the clip's distinct hashes.

    Examples
    --------
    >>> import numpy as np
    >>> import speechcmp
    >>> noise = np.random.default_rng(0).normal(0, 0.1, 64_000)
    >>> original, piece = (speechcmp.Recording.from_array(part, 16_000) for part in (noise, noise[16_000:48_000]))
    >>> match = speechcmp.find_copy(original, piece)
    >>> print(f"{match.offset_s:.2f}", match.confidence > 0.9999)
    1.00 True
    """

    recording_id: int
    name: str
    offset_s: float
    votes: int
    confidence: float
    query_share: float


class _Pairs(NamedTuple):
    """Each hit with each place where the clip has its hash; offset = stored frame - clip frame."""

    hit: NDArray[np.int64]
    recording_ids: IntArray
    stored_frames: IntArray
    clip_frames: FloatArray
    offsets: FloatArray
    weights: FloatArray

    def subset(self, chosen: IntArray | NDArray[np.bool_]) -> "_Pairs":
        return _Pairs._make(column[chosen] for column in self)


class _Windows(NamedTuple):
    """Windows of the offset histogram that hold votes: first column, anchors that vote, their weight."""

    column: NDArray[np.int64]
    n_anchors: NDArray[np.int64]
    weight: FloatArray


_Members = tuple[NDArray[np.int64], NDArray[np.int64]]


class _Background(NamedTuple):
    """What accidents look like for this clip in this library."""

    n_windows: int
    ratio: float


def vote(
    hits: Hits,
    hash_index: IntArray,
    anchor_frames: FloatArray,
    *,
    hop_s: float,
    library_frames: int,
    min_confidence: float = MIN_CONFIDENCE,
    every: bool = False,
) -> list[Match]:
    """Name the recordings that the clip is from, most votes first; none when all may be accident.

    Parameters
    ----------
    hits
        All that the library holds under the clip's hashes. Common ones weigh little, but are counted.
    hash_index, anchor_frames
        The clip's landmarks, shape (n,) each: row among its distinct hashes, frame of the anchor.
    hop_s
        Seconds between two frames.
    library_frames
        Frames of all stored recordings together.
    min_confidence
        Least confidence of a match, 0 to 1.
    every
        All alignments with a recording, save echoes of better ones, rather than the best alone.

    Raises
    ------
    ParameterError
        When columns differ in length, `hop_s` or `library_frames` is not positive, or `min_confidence` is
        outside 0 to 1.
    """
    _check(hits, hash_index, anchor_frames, hop_s, library_frames, min_confidence)
    if not len(hits.hash_index) or not len(hash_index):
        return []
    pairs = _pair_up(hits, hash_index, anchor_frames, library_frames)
    # Where a hum makes the mean low, a few rare accidents must not count for many votes.
    unit = max(float(pairs.weights.mean()) if len(pairs.hit) else 0.0, _RARE * math.log(library_frames), 1.0)
    recordings, background = _shortlist(pairs)
    n_hashes = int(hash_index.max()) + 1
    matches: list[Match] = []
    for recording_id, best in recordings.items():
        # Weights can only fall when the recording is looked at alone, so the rest is not worth a look.
        if 1 - accident_chance(best / unit, *background) < min_confidence:
            break
        own = pairs.subset(pairs.recording_ids == recording_id)
        for weight, agreed in _alignments(hits.hash_index, own, every=every):
            confidence = 1 - accident_chance(weight / unit, *background)
            if confidence < min_confidence:
                break
            votes = len(np.unique(hits.hash_index[agreed.hit]))
            offset_s = hop_s * _offset_frames(own, agreed)
            matches.append(Match(recording_id, "", offset_s, votes, confidence, votes / n_hashes))
    return sorted(matches, key=lambda match: (-match.votes, match.recording_id, match.offset_s))


def accident_chance(votes: float, n_windows: int, ratio: float) -> float:
    """Return the chance that a foreign clip fills any window with this many votes.

    Parameters
    ----------
    votes
        Weight of the window, in units of an ordinary vote.
    n_windows
        Columns of the offset histogram that hold a vote, over all recordings.
    ratio
        Windows with one more vote to windows with one fewer.

    Notes
    -----
    Measured with the `speech` preset on 5,800 clips of recordings not stored (0.5 to 10 s, clean, in white or
    pink noise and in babble) against libraries of 5 to 29,000 recordings. Of those against 29,000 (13 million
    hashes), 2 % were given an expectation below 0.1, 0.4 % below 0.03 and 0.07 % below 0.01: it errs on the
    safe side about five times. Of 5,280 other clips of them, none was below 1e-4, the default.
    """
    expected = math.log(n_windows) + math.log(ratio) * (votes - 1)
    return -math.expm1(-math.exp(min(expected, 50.0)))


def _check(
    hits: Hits,
    hash_index: IntArray,
    anchor_frames: FloatArray,
    hop_s: float,
    library_frames: int,
    min_confidence: float,
) -> None:
    if len({len(column) for column in hits}) != 1:
        lengths = [len(column) for column in hits]
        raise ParameterError(f"hits: columns of different lengths, given {lengths}; give each hit in all three")
    if len(hash_index) != len(anchor_frames):
        raise ParameterError(
            "hash_index, anchor_frames: different lengths, "
            f"given {len(hash_index)} and {len(anchor_frames)}; give one of each for a landmark"
        )
    if hop_s <= 0 or library_frames <= 0:
        raise ParameterError(
            f"hop_s, library_frames: not positive, given {hop_s} and {library_frames}; "
            "take them from the parameters and the store"
        )
    if not 0 <= min_confidence <= 1:
        raise ParameterError(f"min_confidence: outside 0 to 1, given {min_confidence}; 0.9999 is usual")


def _pair_up(hits: Hits, hash_index: IntArray, anchor_frames: FloatArray, library_frames: int) -> _Pairs:
    hashes, frames = _occurrences(hash_index, anchor_frames)
    n_hashes = max(int(hashes[-1]), int(hits.hash_index.max())) + 1
    n_hits = np.bincount(hits.hash_index, minlength=n_hashes)
    n_occurrences = np.bincount(hashes, minlength=n_hashes)
    hit = np.flatnonzero(_affordable(n_hits, n_occurrences)[hits.hash_index])
    n_pairs = n_occurrences[hits.hash_index[hit]]
    first = (np.cumsum(n_occurrences) - n_occurrences)[hits.hash_index[hit]]
    occurrence = np.repeat(first - (np.cumsum(n_pairs) - n_pairs), n_pairs) + np.arange(n_pairs.sum())
    hit = np.repeat(hit, n_pairs)
    stored, clip = hits.anchor_frames[hit].astype(np.int64), frames[occurrence]
    rarity = np.log(np.maximum(library_frames / np.maximum(n_hits, 1), 1.0))
    weights = rarity[hits.hash_index[hit]]
    return _Pairs(hit, hits.recording_ids[hit].astype(np.int64), stored, clip, stored - clip, weights)


def _occurrences(hash_index: IntArray, anchor_frames: FloatArray) -> tuple[IntArray, FloatArray]:
    """Sort the clip's landmarks by hash, and make one of those seen at neighboring shifts."""
    order = np.lexsort((anchor_frames, hash_index))
    hashes, frames = hash_index[order], anchor_frames[order]
    new = np.ones(len(hashes), bool)
    new[1:] = (hashes[1:] != hashes[:-1]) | (frames[1:] - frames[:-1] > _SAME_FRAMES)
    group = np.cumsum(new) - 1
    return hashes[new], np.bincount(group, weights=frames) / np.bincount(group)


def _affordable(n_hits: IntArray, n_occurrences: IntArray) -> NDArray[np.bool_]:
    """Tell which hashes to use: the rarest, up to `MAX_PAIRS`. The others say least and cost most."""
    order = np.argsort(n_hits, kind="stable")
    affordable = np.zeros(len(order), bool)
    affordable[order] = np.cumsum((n_hits * n_occurrences)[order]) <= MAX_PAIRS
    return affordable


def _shortlist(pairs: _Pairs) -> tuple[dict[int, float], _Background]:
    """Find the recordings with the heaviest windows and their weights, and what windows hold by accident."""
    if not len(pairs.hit):
        return {}, _Background(1, _PRIOR_RATIO)
    frame = np.floor(pairs.offsets).astype(np.int64)
    lowest = int(frame.min()) - 1
    span = int(frame.max()) - lowest + 2
    column = pairs.recording_ids * span + (frame - lowest)
    members, n_filled, n_windows = _crowded(column)
    windows = _windows(pairs, column, members)
    recordings: dict[int, float] = {}
    for index in np.argsort(-windows.weight, kind="stable"):
        recordings.setdefault(int(windows.column[index]) // span, float(windows.weight[index]))
        if len(recordings) == MAX_RECORDINGS:
            break
    ordinary = windows.n_anchors[~_striking(windows.column // span, windows.n_anchors, n_filled)]
    return recordings, _Background(n_filled, _ratio(ordinary, n_windows))


def _striking(recording_ids: IntArray, n_anchors: IntArray, n_filled: int) -> NDArray[np.bool_]:
    """Tell which windows look like truth, not accident: more votes than speech explains, in few places.

    A recording stored a hundred times would otherwise pass for what accidents look like. A texture that
    aligns with itself everywhere fills many windows of a recording, and so stays in the background.
    """
    unlikely = 1 + math.log(n_filled / (1 - MIN_CONFIDENCE)) / -math.log(_PRIOR_RATIO)
    striking = n_anchors >= unlikely
    _, inverse = np.unique(recording_ids, return_inverse=True)
    return striking & (np.bincount(inverse, weights=striking)[inverse] <= _FEW_WINDOWS)


def _ratio(n_anchors: IntArray, n_windows: int) -> float:
    """Measure the share of windows with one more vote, where it is largest."""
    n_at_least = [n_windows, *(int((n_anchors >= n).sum()) for n in (2, 3, 4))]
    return max(
        (more + _PRIOR_WINDOWS * _PRIOR_RATIO) / (fewer + _PRIOR_WINDOWS) for fewer, more in pairwise(n_at_least)
    )


def _crowded(column: NDArray[np.int64]) -> tuple[_Members, int, int]:
    """Find the pairs that are not alone in a window; count the columns and the windows that hold any.

    Columns are counted modulo a power of two: where two of them fall together, a few lonely pairs stay in.
    """
    size = 1 << max(16, len(column).bit_length() + 2)
    bucket = column & (size - 1)
    # More than two need not be told apart, and single bytes are quick to go through.
    histogram = np.minimum(np.bincount(bucket, minlength=size), 2).astype(np.uint8)
    window = histogram + np.roll(histogram, -1)
    crowded = window > 1
    members = (np.flatnonzero(crowded[bucket]), np.flatnonzero(crowded[bucket - 1]))
    return members, int(np.count_nonzero(histogram)), int(np.count_nonzero(window))


def _windows(pairs: _Pairs, column: NDArray[np.int64], members: _Members | None = None) -> _Windows:
    """Merge neighboring columns by twos, and weigh each anchor in them by its rarest hash.

    `members` are the pairs to count in the window that their column begins, and in the one that it ends.
    """
    begins, ends = members or (np.arange(len(column)), np.arange(len(column)))
    window = np.concatenate([column[begins], column[ends] - 1])
    chosen = np.concatenate([begins, ends])
    order = np.lexsort((pairs.stored_frames[chosen], window))
    window, chosen = window[order], chosen[order]
    anchor, weight = pairs.stored_frames[chosen], pairs.weights[chosen]
    new = np.ones(len(window), bool)
    new[1:] = (window[1:] != window[:-1]) | (anchor[1:] != anchor[:-1])
    heaviest = np.maximum.reduceat(weight, np.flatnonzero(new)) if len(weight) else weight
    first, index, n_anchors = np.unique(window[new], return_index=True, return_counts=True)
    total = np.add.reduceat(heaviest, index) if len(index) else heaviest
    return _Windows(first, n_anchors, total)


def _alignments(hit_hashes: IntArray, own: _Pairs, *, every: bool) -> Iterator[tuple[float, _Pairs]]:
    """Yield a recording's alignments, heaviest first: weight, and the pairs that agree on it."""
    own = own._replace(weights=_less_texture(hit_hashes, own))
    column = np.floor(own.offsets).astype(np.int64)
    windows = _windows(own, column)
    better: list[_Pairs] = []
    for index in np.argsort(-windows.weight, kind="stable"):
        first = windows.column[index]
        agreed = own.subset((column == first) | (column == first + 1))
        if any(_is_echo(agreed, other) for other in better):
            continue
        yield float(windows.weight[index]), agreed
        if not every:
            return
        better.append(agreed)


def _is_echo(pairs: _Pairs, better: _Pairs) -> bool:
    """Tell whether the same stretch of the clip is aligned with the same stretch of the recording again."""
    stored = np.isin(pairs.stored_frames, better.stored_frames)
    clip = np.isin(np.floor(pairs.clip_frames), np.floor(better.clip_frames))
    return bool(stored.mean() > 0.5 and clip.mean() > 0.5)


def _less_texture(hit_hashes: IntArray, own: _Pairs) -> FloatArray:
    """Weigh a hash less that fills a passage of the recording, as in a hum or a tone."""
    hit, index = np.unique(own.hit, return_index=True)
    order = np.lexsort((own.stored_frames[index], hit_hashes[hit]))
    hashes, frames = hit_hashes[hit][order], own.stored_frames[index][order]
    distinct, start, n = np.unique(hashes, return_index=True, return_counts=True)
    # Two occurrences are a repetition; more are a texture, with this chance of a hit at any of its frames.
    chance = np.maximum(n - 2, 0) / (frames[start + n - 1] - frames[start] + 1)
    of_pair = chance[np.searchsorted(distinct, hit_hashes[own.hit])]
    weights: FloatArray = -np.log(np.minimum(np.exp(-own.weights) + of_pair, 1.0))
    return weights


def _offset_frames(own: _Pairs, agreed: _Pairs) -> float:
    """Average the offset over an alignment's votes and those within a frame of them."""
    near = np.abs(own.offsets - agreed.offsets.mean()) <= 1
    return float(own.offsets[near].mean())
