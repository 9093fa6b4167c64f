"""Dynamic warping of a row of chunks into a take that may leave some out and say more: penalties, bins, sweeps.

Both sides lose their long pauses, and are averaged into bins whose lengths even out the tempo. Chunk by chunk
the cost of having said it is carried over the take's boundaries; between chunks, speech may be passed over and
chunks left out, at their penalty.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from speechcmp.dtw import _segmental_numpy
from speechcmp.dtw.kernel import import_native, wanted_kernel
from speechcmp.errors import ParameterError

Floats = NDArray[np.float32]
Penalties = NDArray[np.float64]
Boundaries = NDArray[np.int32]
Integers = NDArray[np.int64]
Mask = NDArray[np.bool_]

_KERNEL: Any = (import_native("_segmental") if wanted_kernel() != "numpy" else None) or _segmental_numpy
_BLOCK_ROWS = 64
_REACH_FRAMES = 3000  # of a window, to either side
_TEMPO_LIMIT = 4.0  # so that no bin is shorter than a frame
_PAUSE_REACH = 12  # frames to either side of a cut in which silence is counted
_PAUSE_FULL = 16  # frames of silence that make a pause


class FrameRange(NamedTuple):
    """A stretch of a recording, half-open, in frames."""

    start: int
    stop: int


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """What the alignment needs of a recording.

    Attributes
    ----------
    features : float32, shape (n_frames, n_dims)
        Of the whole recording, time first, 10 ms a frame, normalized; frames are compared by their angle.
    speech : bool, shape (n_frames,)
        Which frames are speech, within the chunks or not.
    chunks : sequence of (start, stop)
        Where it speaks, in frames: half-open, ascending, not overlapping.

    Raises
    ------
    ParameterError
        Shapes don't fit, or chunks are empty, out of order or beyond the recording.
    """

    features: NDArray[np.floating]
    speech: Mask
    chunks: Sequence[tuple[int, int]]

    def __post_init__(self) -> None:
        shapes = self.features.shape, self.speech.shape
        if len(shapes[0]) != 2 or shapes[1] != shapes[0][:1]:
            raise ParameterError(f"track: features and speech must be (n, n_dims) and (n,), given {shapes}")
        edges = [0, *(edge for chunk in self.chunks for edge in chunk), len(self.features)]
        if sorted(edges) != edges or any(start == stop for start, stop in self.chunks):
            raise ParameterError(f"chunks: not ascending from 0 to {edges[-1]}, given {list(self.chunks)[:9]}")


@dataclass(frozen=True, slots=True)
class AlignParams:
    """Penalties in units of local cost, 1 - cos of two frames; fitted as the module says.

    Attributes
    ----------
    bin_frames : int
        Frames averaged into a bin before warping, at least 2.
    pause_frames : int
        Longer pauses are cut down to this many frames.
    miss_bin, extra_bin : float
        For each bin of a reference chunk that is left out, and of take's speech that is passed over.
    extra_span : float
        For each stretch of the take that is passed over.
    detour : float
        For each step off the diagonal.
    no_pause : float
        For a chunk that begins or ends where the take does not pause.
    """

    bin_frames: int = 2
    pause_frames: int = 20
    miss_bin: float = 0.78
    extra_bin: float = 0.8
    extra_span: float = 10.0
    detour: float = 0.4
    no_pause: float = 20.0


@dataclass(frozen=True, slots=True, eq=False)
class Speech:
    """A track without its long pauses, worked out once for all that it is aligned with.

    Attributes
    ----------
    track : Track
    kept : int64, shape (n_kept,)
        Frames that are left.
    runs, lengths : int64, shape (n_runs,)
        Where in `kept` a stretch without a cut begins, and how long it is.
    speech : bool, shape (n_frames,)
        Which of all frames are speech.
    n_silent_before : int64, shape (n_frames + 1,)
        Frames before each one that are not.
    """

    track: Track
    kept: Integers
    runs: Integers
    lengths: Integers
    speech: Mask
    n_silent_before: Integers

    @classmethod
    def of(cls, track: Track, params: AlignParams) -> "Speech":
        inside = np.zeros(len(track.speech), bool)
        for start, stop in track.chunks:
            inside[start:stop] = True
        speech = inside & track.speech
        for start, stop in track.chunks:
            speech[start:stop] |= not speech[start:stop].any()  # softer than all others, and said all the same
        frames = np.arange(len(inside))
        latest = np.maximum.accumulate(np.where(speech, frames, -2 * len(inside)))
        coming = np.minimum.accumulate(np.where(speech, frames, 2 * len(inside))[::-1])[::-1]
        near = np.minimum(frames - latest, coming - frames) <= params.pause_frames // 2
        kept = np.flatnonzero(inside & near)
        runs = np.append(0, np.flatnonzero(np.diff(kept) > 1) + 1)
        return cls(track, kept, runs, np.diff(runs, append=len(kept)), speech, np.append(0, np.cumsum(~speech)))


class Bins(NamedTuple):
    """Frames averaged by some: unit vectors (n, n_dims), first frames and ends (n,), share of speech (n,)."""

    units: Floats
    starts: Integers
    stops: Integers
    speech: Penalties

    @classmethod
    def of(cls, side: Speech, size: float) -> "Bins":
        # No bin reaches across a pause that was cut down: its ends would lie in two sentences.
        n_bins = np.maximum(1, np.rint(side.lengths / size)).astype(np.int64)
        nth = np.arange(n_bins.sum()) - np.repeat(n_bins.cumsum() - n_bins, n_bins)
        edges = np.repeat(side.runs, n_bins) + nth * np.repeat(side.lengths, n_bins) // np.repeat(n_bins, n_bins)
        starts, stops = side.kept[edges], side.kept[np.append(edges[1:], len(side.kept)) - 1] + 1
        # All frames from a bin's start to its stop are kept: a bin has no cut inside.
        edges = np.column_stack([starts, stops]).ravel()[:-1]
        sums = np.add.reduceat(side.track.features[: stops[-1]], edges, axis=0)[::2]
        norms = np.sqrt(np.einsum("nd,nd->n", sums, sums))[:, None]
        units = (sums / np.where(norms > 0, norms, 1)).astype(np.float32, copy=False)
        n_silent = side.n_silent_before[stops] - side.n_silent_before[starts]
        return cls(units, starts, stops, 1 - n_silent / (stops - starts))


@dataclass(frozen=True, slots=True, eq=False)
class Problem:
    """A warping to be solved: bins of both sides, and the penalties in the units of these bins.

    `bounds` (n_chunks + 1,) are the chunks' bins. Cut j lies before bin j of the take: `passing` (m + 1,) is
    the penalty of having passed over all bins before it, `edges` (m + 1,) that of a chunk's beginning or end.
    """

    params: AlignParams
    speech: Mask
    reference: Bins
    take: Bins
    bounds: Integers
    passing: Penalties
    edges: Penalties
    span_penalty: float

    @classmethod
    def build(cls, reference: Speech, take: Speech, params: AlignParams, *, scale: float = 1.0) -> "Problem":
        tempo = float(np.clip(len(take.kept) / len(reference.kept), 1 / _TEMPO_LIMIT, _TEMPO_LIMIT))
        size = params.bin_frames * scale
        ours, theirs = Bins.of(reference, size / tempo**0.5), Bins.of(take, size * tempo**0.5)
        firsts = [start for start, _ in reference.track.chunks]
        bounds = np.append(np.searchsorted(ours.stops, firsts, side="right"), len(ours.stops))
        passing = np.append(0.0, np.cumsum(theirs.speech)) * params.extra_bin
        edges = _edge_penalties(take, theirs.starts, params) / scale
        return cls(params, take.speech, ours, theirs, bounds, passing, edges, params.extra_span / scale)

    def windows(self, expected: Sequence[FrameRange]) -> list[tuple[int, int]]:
        """Let every chunk lie near where it is expected; neither end of the window ever moves back."""
        lo = np.searchsorted(self.take.starts, [start - _REACH_FRAMES for start, _ in expected])
        hi = np.searchsorted(self.take.starts, [stop + _REACH_FRAMES for _, stop in expected])
        lo = np.minimum.accumulate(lo[::-1])[::-1]
        return list(zip(lo.tolist(), np.maximum.accumulate(hi).tolist(), strict=True))

    def ranges(self, placed: Sequence["Placed | None"]) -> list[FrameRange]:
        """Return where each chunk is, or, if it is nowhere, the gap in which it should be."""
        starts, stops = self.take.starts, self.take.stops
        befores, afters = [0], [int(stops[-1])]
        for place in placed:
            befores.append(int(stops[place.stop - 1]) if place else befores[-1])
        for place in reversed(placed):
            afters.append(int(starts[place.start]) if place else afters[-1])
        gaps = zip(placed, befores, afters[-2::-1], strict=False)
        edges = [(starts[p.start], stops[p.stop - 1]) if p else (before, after) for p, before, after in gaps]
        return [FrameRange(int(start), int(stop)) for start, stop in edges]

    def n_bins(self, chunk: int) -> int:
        return int(self.bounds[chunk + 1] - self.bounds[chunk])

    def rows(self, chunk: int) -> Floats:
        return self.reference.units[self.bounds[chunk] : self.bounds[chunk + 1]]

    def miss(self, chunk: int) -> float:
        """Return the penalty of leaving out a chunk."""
        return self.params.miss_bin * self.n_bins(chunk)


def _edge_penalties(take: Speech, boundaries: Integers, params: AlignParams) -> Penalties:
    lo = np.maximum(boundaries - _PAUSE_REACH, 0)
    hi = np.minimum(boundaries + _PAUSE_REACH, len(take.speech))
    n_silent = take.n_silent_before[hi] - take.n_silent_before[lo]
    penalties = np.zeros(len(boundaries) + 1)
    penalties[1:-1] = params.no_pause * (1 - np.minimum(1, n_silent[1:] / _PAUSE_FULL))
    return penalties


class Placed(NamedTuple):
    """A chunk's bins of the take, and what each of its own bins saves there against being left out."""

    start: int
    stop: int
    gain: float


def _sweep(problem: Problem, rows: Floats, lo: int, hi: int, entry: Penalties) -> tuple[Penalties, Boundaries]:
    """Warp bins of a chunk into the take's bins lo to hi, entered at any boundary at its penalty.

    Returns the penalty of having said it by each boundary, (hi - lo + 1,), and the boundaries at which it was entered.
    """
    columns = problem.take.units[lo:hi].T
    # A chunk without a bin of its own is nowhere.
    cost = entry[:-1].astype(np.float64) if len(rows) else np.full(hi - lo, np.inf)
    begin = np.arange(hi - lo, dtype=np.int32)
    for start in range(0, len(rows), _BLOCK_ROWS):
        local = rows[start : start + _BLOCK_ROWS] @ columns
        np.subtract(1, local, out=local)
        _KERNEL.sweep(local, problem.params.detour, start > 0, cost, begin)
    return np.append(np.inf, cost), np.append(np.int32(0), begin) + np.int32(lo)


class _Step(NamedTuple):
    """One chunk's decisions, at each boundary of its window.

    Whether it is `said` by then, the boundary where it `begin`s, what that `saved`, and the boundary from which on the
    take was passed over (`origin`: itself if it was not; its last entry is for boundaries beyond the window).
    """

    lo: int
    said: Mask
    begin: Boundaries
    saved: Floats
    origin: Boundaries


def warp(problem: Problem, windows: Sequence[tuple[int, int]]) -> list[Placed | None]:
    """Place all chunks in their order at the least penalty."""
    span_penalty = problem.span_penalty
    boundaries = np.arange(windows[0][0], windows[0][1] + 1)
    arrival = problem.passing[boundaries] + span_penalty * (boundaries > 0)
    steps = []
    for chunk, (lo, hi) in enumerate(windows):
        said_at, begin = _sweep(problem, problem.rows(chunk), lo, hi, arrival + problem.edges[lo : hi + 1])
        said_at = said_at + problem.edges[lo : hi + 1]
        passing = problem.passing[lo : hi + 1]
        unsaid_at = arrival + problem.miss(chunk)
        saved = problem.miss(chunk) + passing - passing[begin - lo] - (said_at - arrival[begin - lo])
        best = np.minimum(said_at, unsaid_at)
        cheapest = np.minimum.accumulate(best - passing)
        origin = np.maximum.accumulate(np.where(best - passing == cheapest, np.arange(len(best), dtype=np.int32), 0))
        passed_at = cheapest + passing + span_penalty
        own = np.where(passed_at < best, origin, np.arange(len(best)))
        origin = np.append(own, origin[-1]).astype(np.int32) + np.int32(lo)
        steps.append(_Step(lo, said_at < unsaid_at, begin, saved.astype(np.float32), origin))
        departure = np.minimum(best, passed_at)
        if chunk + 1 < len(windows):
            next_lo, next_hi = windows[chunk + 1]
            beyond = problem.passing[max(hi + 1, next_lo) : next_hi + 1] + cheapest[-1] + span_penalty
            arrival = np.concatenate([departure[next_lo - lo :], beyond])
    return _trace(problem, steps)


def _trace(problem: Problem, steps: Sequence[_Step]) -> list[Placed | None]:
    boundary = len(problem.take.starts)
    placed: list[Placed | None] = [None] * len(steps)
    for chunk in range(len(steps) - 1, -1, -1):
        lo, said, begin, saved, origin = steps[chunk]
        boundary = int(origin[min(boundary - lo, len(origin) - 1)])
        if said[boundary - lo]:
            placed[chunk] = Placed(
                int(begin[boundary - lo]), boundary, float(saved[boundary - lo]) / problem.n_bins(chunk)
            )
            boundary = int(begin[boundary - lo])
    return placed


def best_place(problem: Problem, rows: Floats, lo: int, hi: int) -> Placed:
    """Place bins of a chunk (n, n_dims) where they fit best within the take's bins lo to hi."""
    passing, edges = problem.passing[lo : hi + 1], problem.edges[lo : hi + 1]
    at, begin = _sweep(problem, rows, lo, hi, passing + edges)
    penalties = at + edges - passing
    stop = int(penalties.argmin())
    return Placed(int(begin[stop]), lo + stop, problem.params.miss_bin - float(penalties[stop]) / len(rows))
