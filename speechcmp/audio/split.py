"""One loudness, then chunks: where a recording is cut at its pauses.

With a number as threshold the cuts are those of `pydub.silence.split_on_silence` (0.25.1) to the sample;
with ``"auto"`` they come from the recording's own noise floor (`speechcmp.audio.vad`).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, Literal

import numpy as np
from numpy.typing import NDArray

from speechcmp.audio.decode import AudioFile
from speechcmp.audio.recording import (
    Level,
    PcmSource,
    Recording,
    Source,
    apply_gain,
    count_clipped,
    measure_level,
    silent_error,
)
from speechcmp.audio.vad import RULE, FoundSpeech, find_speech, noise_floor
from speechcmp.errors import ParameterError

Range = tuple[int, int]
Integers = NDArray[np.int64]

LONG_S = 30.0  # a longer recording in one chunk deserves a word
CUT_OFF_SHARE = 1e-3  # of the speech; below that it is a click or two
AUDIBLE_CLIPPING = 1e-4  # of the samples; below that nobody hears it
_QUIET_S = 0.1  # a cut inside speech lies in the quietest stretch of this length
_CELL_MS = 10
_WINDOWS = 1 << 18
_LOW_BITS = 32
_LOW = (1 << _LOW_BITS) - 1


@dataclass(frozen=True, slots=True)
class SplitParams:
    """How a recording is brought to one loudness and cut at its pauses.

    Attributes
    ----------
    min_silence_len_ms : int
        Shorter pauses are not cut at.
    silence_thresh_dbfs : float or "auto"
        A window of `min_silence_len_ms` whose RMS is at or below this level is a pause; the ranges then equal
        those of `pydub.silence.split_on_silence`. ``"auto"`` judges by the recording's own noise floor.
    keep_silence_ms : int or bool
        How much of the pause a chunk keeps at either end; a shorter pause is shared. True keeps all.
    seek_step_ms : int
        How far pydub's window moves at a time; without meaning for ``"auto"``.
    min_chunk_ms : int or None
        Shorter chunks are merged with the nearer neighbor, the pause between them included.
    max_chunk_ms : int or None
        Longer chunks are cut at their quietest places; it wins over `min_chunk_ms`.
    target_dbfs : float or None
        Loudness to bring the recording to first, -100 to 0; None leaves it as it is.

    Raises
    ------
    ParameterError
        A length is not positive, `keep_silence_ms` is negative, `min_chunk_ms` exceeds `max_chunk_ms`, the
        threshold is neither a number nor ``"auto"``, or the target is out of range.

    Examples
    --------
    >>> import speechcmp
    >>> speechcmp.SplitParams(min_silence_len_ms=400, silence_thresh_dbfs=-40).target_dbfs
    -20.0
    """

    min_silence_len_ms: int = 500
    silence_thresh_dbfs: float | Literal["auto"] = "auto"
    keep_silence_ms: int | bool = 100
    seek_step_ms: int = 1
    min_chunk_ms: int | None = None
    max_chunk_ms: int | None = None
    target_dbfs: float | None = -20.0

    def __post_init__(self) -> None:
        if self.target_dbfs is not None and not -100 <= self.target_dbfs <= 0:
            raise ParameterError(f"target_dbfs: {self.target_dbfs} is not possible; give a level from -100 to 0")
        threshold = self.silence_thresh_dbfs
        if threshold != "auto" and (isinstance(threshold, str) or not math.isfinite(threshold)):
            raise ParameterError(
                f"silence_thresh_dbfs: {threshold!r} is no level; give 'auto' or dBFS, for example -40"
            )
        for name in ("min_silence_len_ms", "seek_step_ms", "min_chunk_ms", "max_chunk_ms"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= 1 and value == int(value)):
                raise ParameterError(f"{name}: {value} is not possible; give whole ms above 0, such as 500")
        if not (math.isfinite(self.keep_silence_ms) and self.keep_silence_ms >= 0):
            raise ParameterError(f"keep_silence_ms: {self.keep_silence_ms} is not possible; give 0 or more ms")
        if self.min_chunk_ms and self.max_chunk_ms and self.min_chunk_ms > self.max_chunk_ms:
            raise ParameterError(
                f"min_chunk_ms: {self.min_chunk_ms} is above max_chunk_ms {self.max_chunk_ms}; "
                "lower it or raise the other"
            )


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a recording.

    Attributes
    ----------
    index : int
        Counts from 0.
    start, stop : int
        Half-open, in samples at the recording's rate.

    Examples
    --------
    >>> import numpy as np
    >>> import speechcmp
    >>> noise = speechcmp.Recording.from_array(np.random.default_rng(0).normal(0, 0.1, 16_000), 16_000)
    >>> speechcmp.split_at_silence(noise, silence_thresh_dbfs=-40)
    [Chunk(index=0, start=0, stop=16000)]
    """

    index: int
    start: int
    stop: int


@dataclass(frozen=True, slots=True, eq=False)
class Split(Generic[Source]):
    """A recording at one loudness, and its chunks.

    Attributes
    ----------
    source : Recording or AudioFile
        With the gain applied.
    params : SplitParams
        How it was split.
    level : Level
        Before the gain.
    chunks : tuple of Chunk
        Ascending, never overlapping.
    noise_floor_dbfs : float
        What the quietest twentieth of the recording stays below, before the gain; -inf for digital silence.
    silence_thresh_dbfs : float
        After the gain: the threshold given, or the fixed threshold that comes nearest to ``"auto"``.
    warnings : tuple of str
        What the user should know, each with its remedy.

    Examples
    --------
    >>> import numpy as np
    >>> import speechcmp
    >>> words = np.random.default_rng(0).normal(0, 0.1, (3, 16_000)) * np.sin(np.arange(16_000) / 300) ** 2
    >>> said = np.pad(words, [(0, 0), (8000, 8000)])  # each word between half a second of silence
    >>> recording = speechcmp.Recording.from_array(said.ravel(), 16_000, name="words")
    >>> speechcmp.split_recording(recording)
    <Split of 'words': 3 chunks, level -27.2 dBFS, noise floor -inf dBFS>
    """

    source: Source
    params: SplitParams
    level: Level
    chunks: tuple[Chunk, ...]
    noise_floor_dbfs: float
    silence_thresh_dbfs: float
    warnings: tuple[str, ...]

    def __repr__(self) -> str:
        """Show the recording's name, how many chunks there are, its level and its noise floor, in one line."""
        levels = f"level {self.level.dbfs:.1f} dBFS, noise floor {self.noise_floor_dbfs:.1f} dBFS"
        return f"<Split of {self.source.name!r}: {len(self.chunks)} chunks, {levels}>"


def split_at_silence(
    source: PcmSource,
    *,
    min_silence_len_ms: int = 500,
    silence_thresh_dbfs: float | Literal["auto"] = "auto",
    keep_silence_ms: int | bool = 100,
    seek_step_ms: int = 1,
    min_chunk_ms: int | None = None,
    max_chunk_ms: int | None = None,
) -> list[Chunk]:
    """Cut a recording at its pauses, at the loudness it has: as `pydub.silence.split_on_silence`.

    Parameters
    ----------
    source : Recording or AudioFile
        Any rate, any number of channels; read once, in blocks.
    min_silence_len_ms, silence_thresh_dbfs, keep_silence_ms, seek_step_ms, min_chunk_ms, max_chunk_ms
        See `SplitParams`.

    Returns
    -------
    list of Chunk
        Ascending, never overlapping; empty where nothing is said.

    Raises
    ------
    ParameterError
        As `SplitParams`.
    AudioError
        The file is broken.

    References
    ----------
    pydub 0.25.1, ``pydub.silence``: with a number as threshold the chunks are those of `split_on_silence`.

    Examples
    --------
    >>> import numpy as np
    >>> import speechcmp
    >>> words = np.random.default_rng(0).normal(0, 0.1, (2, 16_000))
    >>> said = np.pad(words, [(0, 0), (8000, 8000)])  # each word between half a second of silence
    >>> recording = speechcmp.Recording.from_array(said.ravel(), 16_000)
    >>> speechcmp.split_at_silence(recording, silence_thresh_dbfs=-40)
    [Chunk(index=0, start=6480, stop=25504), Chunk(index=1, start=38496, stop=57504)]
    """
    params = SplitParams(
        min_silence_len_ms, silence_thresh_dbfs, keep_silence_ms, seek_step_ms, min_chunk_ms, max_chunk_ms, None
    )
    return list(_chunks(source, _find_speech(source, params), params))


def split_recording(source: Source, params: SplitParams | None = None) -> Split[Source]:
    """Bring a recording to one loudness and cut it at its pauses.

    Parameters
    ----------
    source : Recording or AudioFile
        Any rate, any number of channels; a file is read twice, in blocks.
    params : SplitParams, optional
        The defaults of `SplitParams` if not given.

    Returns
    -------
    Split
        With the recording at its new loudness, and its chunks.

    Raises
    ------
    AudioError
        The recording is silent, or the file is broken.

    Examples
    --------
    >>> import numpy as np
    >>> import speechcmp
    >>> words = np.random.default_rng(0).normal(0, 0.1, (2, 16_000)) * np.sin(np.arange(16_000) / 300) ** 2
    >>> said = np.pad(words, [(0, 0), (8000, 8000)])  # each word between half a second of silence
    >>> recording = speechcmp.Recording.from_array(said.ravel(), 16_000)
    >>> speechcmp.split_recording(recording, speechcmp.SplitParams(keep_silence_ms=0)).chunks
    (Chunk(index=0, start=8000, stop=24160), Chunk(index=1, start=40000, stop=56000))
    """
    chosen: SplitParams = params or SplitParams()
    level: Level = measure_level(source)
    if level.peak_dbfs == -math.inf:
        raise silent_error(source.name)
    # A recording of a few least bits has an RMS of 0: no gain brings that to a level.
    target_dbfs = level.dbfs if chosen.target_dbfs is None else chosen.target_dbfs
    gain_db: float = 0.0 if level.dbfs == -math.inf else target_dbfs - level.dbfs
    leveled: Source = apply_gain(source, gain_db) if gain_db else source
    found: FoundSpeech = _find_speech(leveled, chosen)
    chunks: tuple[Chunk, ...] = _chunks(leveled, found, chosen)
    warnings = (
        *loss_warning(source),
        *_split_warnings(leveled, found, chosen),
        *_cut_off_warning(source, level, chunks),
        *_clipping_warning(leveled, level.peak_dbfs + gain_db, chosen),
    )
    return Split(leveled, chosen, level, chunks, found.noise_floor_dbfs - gain_db, found.silence_thresh_dbfs, warnings)


def _find_speech(source: PcmSource, params: SplitParams) -> FoundSpeech:
    if params.silence_thresh_dbfs == "auto":
        return find_speech(source, min_silence_len_ms=params.min_silence_len_ms)
    return _find_below(source, params.min_silence_len_ms, float(params.silence_thresh_dbfs), params.seek_step_ms)


def _chunks(source: PcmSource, found: FoundSpeech, params: SplitParams) -> tuple[Chunk, ...]:
    per_ms, unit = source.sample_rate / 1000, found.unit_samples
    length = source.n_frames if unit == 1 else _length_ms(source)
    keep = length if params.keep_silence_ms is True else round(params.keep_silence_ms * per_ms / unit)
    kept = _keep_silence([(start, stop) for start, stop in found.ranges.tolist()], keep, length)
    cuts = [(int(a * unit), min(int(b * unit), source.n_frames)) for a, b in kept]
    if params.min_chunk_ms:
        cuts = _merge_short(cuts, params.min_chunk_ms * per_ms)
    if params.max_chunk_ms:
        cuts = _cut_long(cuts, found, source.sample_rate, params.min_chunk_ms or 0, params.max_chunk_ms)
    return tuple(Chunk(index, start, stop) for index, (start, stop) in enumerate(cuts))


# ----------------------------------------------------------------------------------------------- warnings
def loss_warning(source: Recording | AudioFile) -> Iterator[str]:
    """Yield what a damaged file no longer holds."""
    if source.lost_s:
        yield f"damaged: {max(source.lost_s, 0.1):.1f} s could not be decoded; copy or record it again"


def _split_warnings(source: PcmSource, found: FoundSpeech, params: SplitParams) -> Iterator[str]:
    """Yield what is odd about the chunks, with the remedy."""
    threshold = None if params.silence_thresh_dbfs == "auto" else float(params.silence_thresh_dbfs)
    fixed = f"the threshold {threshold:g} dBFS" if threshold is not None else ""
    change = found.spectral_change
    if not len(found.ranges):
        if fixed:
            yield f"no speech found: nothing is above {fixed}; try --silence-thresh auto"
        else:
            steady = change is not None and change < RULE.noise_change + RULE.short_change
            what = "it is a steady sound" if steady else "nothing stands out of the noise"
            yield f"no speech found: {what}; check the recording"
    elif change is not None and change < RULE.sure_change:
        yield "perhaps no speech: it hardly changes more than noise does; listen to it"
    if len(found.ranges) != 1:
        return
    start, stop = found.ranges[0].tolist()
    duration_s = (stop - start) * found.unit_samples / source.sample_rate
    whole = duration_s >= source.n_frames / source.sample_rate - 0.001
    if threshold is not None and whole and found.noise_floor_dbfs > threshold:
        above = f"noise floor {found.noise_floor_dbfs:.0f} dBFS is above {fixed}"
        yield f"{above}: no pause can be found; try --silence-thresh auto"
    elif duration_s > LONG_S and not params.max_chunk_ms:  # a long chunk is what that is there for
        found_none = f"no pause of {params.min_silence_len_ms} ms found in {duration_s:.0f} s: one chunk"
        yield f"{found_none}; try a smaller --min-silence-len, or --max-chunk"


def _cut_off_warning(source: Recording | AudioFile, level: Level, chunks: tuple[Chunk, ...]) -> Iterator[str]:
    n_spoken = sum(chunk.stop - chunk.start for chunk in chunks) * source.channels
    if n_spoken and level.n_cut_off > CUT_OFF_SHARE * n_spoken:
        share = min(100 * level.n_cut_off / n_spoken, 100)
        yield f"clipped: {share:.1f} % of the speech is cut off at full scale; record again with a lower gain"


def _clipping_warning(leveled: Recording | AudioFile, peak_dbfs: float, params: SplitParams) -> Iterator[str]:
    if peak_dbfs <= 0:
        return
    n_clipped = count_clipped(leveled) if isinstance(leveled, AudioFile) else leveled.n_clipped
    if n_clipped > AUDIBLE_CLIPPING * leveled.n_frames * leveled.channels:
        yield f"{n_clipped:,} samples are clipped at {params.target_dbfs:g} dBFS; try a lower --target-dbfs"


# -------------------------------------------------------------------------------------------------- find
def _find_below(source: PcmSource, min_silence_len_ms: int, threshold: float, seek_step_ms: int) -> FoundSpeech:
    """Do what `pydub.silence.detect_nonsilent` does, by one sum of squares a millisecond."""
    length_ms = _length_ms(source)
    sums = _SquareSums.of(source, length_ms)
    cells = np.unique(np.append(np.arange(0, length_ms, _CELL_MS), length_ms))
    powers = sums.powers(cells)
    silent = _silent_windows(sums, min_silence_len_ms, threshold, seek_step_ms)
    ranges = _between(_silent_ranges(silent, min_silence_len_ms, seek_step_ms), length_ms)
    per_ms = source.sample_rate / 1000
    floor_dbfs = noise_floor(powers, 100 // _CELL_MS)
    return FoundSpeech(
        np.array(ranges, np.int64).reshape(-1, 2), per_ms, powers, per_ms * _CELL_MS, floor_dbfs, threshold
    )


def _length_ms(source: PcmSource) -> int:
    return round(1000 * (float(source.n_frames) / source.sample_rate))  # half to even, as pydub's len()


@dataclass(frozen=True, slots=True)
class _SquareSums:
    """Exact sums of squares before each millisecond: high * 2^32 + low; `high` is empty up to 16 bits."""

    edges: Integers  # in frames
    high: Integers
    low: Integers
    channels: int
    full_scale: int

    @classmethod
    def of(cls, source: PcmSource, length_ms: int) -> "_SquareSums":
        edges = (np.arange(length_ms + 1) * (source.sample_rate / 1000.0)).astype(np.int64)
        wide = source.sample_width == 4
        low = np.zeros_like(edges)
        high = np.zeros_like(edges) if wide else edges[:0]
        position = high_before = low_before = 0
        for block in source.pcm_blocks():
            squares = block.reshape(-1).astype(np.int64)
            squares *= squares
            first, last = np.searchsorted(edges, [position, position + len(block)], side="right")
            ends = (edges[first:last] - position) * source.channels - 1
            if wide:
                upper = squares >> _LOW_BITS
                squares &= _LOW
                high_before = _accumulate(upper, ends, high[first:last], high_before)
            low_before = _accumulate(squares, ends, low[first:last], low_before)
            position += len(block)
        beyond = edges > position  # len() was rounded up: pydub fills with zeros
        low[beyond] = low_before
        high[beyond[: len(high)]] = high_before
        return cls(edges, high, low, source.channels, 1 << (8 * source.sample_width - 1))

    def between(self, starts: Integers, stops: Integers) -> tuple[Integers, Integers, Integers]:
        """Return the number of values between edges, and high and low (below 2^32) of their squares' sum."""
        low = self.low[stops] - self.low[starts]
        high = low >> _LOW_BITS
        low &= _LOW
        if len(self.high):
            high += self.high[stops] - self.high[starts]
        return (self.edges[stops] - self.edges[starts]) * self.channels, high, low

    def powers(self, cells: Integers) -> NDArray[np.float64]:
        """Return the mean squares relative to full scale between successive cells (in ms)."""
        counts, high, low = self.between(cells[:-1], cells[1:])
        means: NDArray[np.float64] = (high * 2.0**_LOW_BITS + low) / np.maximum(counts, 1)
        return means / float(self.full_scale) ** 2


def _accumulate(squares: Integers, ends: Integers, sums: Integers, before: int) -> int:
    """Write the running sum at `ends` to `sums`; return the sum of all."""
    if not len(squares):
        return before
    np.cumsum(squares, out=squares)
    np.add(squares[ends], before, out=sums)
    return before + int(squares[-1])


def _silent_windows(sums: _SquareSums, min_silence_len_ms: int, threshold: float, seek_step_ms: int) -> Integers:
    """Return the starts in ms of the windows whose RMS, cut to a whole number, is not above the threshold."""
    last = len(sums.edges) - 1 - min_silence_len_ms
    if last < 0:
        return np.zeros(0, np.int64)
    amplitude = 10 ** (min(threshold, 20.0) / 20) * sums.full_scale
    limit = (min(math.floor(amplitude), sums.full_scale) + 1) ** 2
    found = []
    for first in range(0, last + 1, _WINDOWS * seek_step_ms):  # a long recording has millions of windows
        starts = np.arange(first, min(first + _WINDOWS * seek_step_ms, last + 1), seek_step_ms)
        found.append(starts[_is_below(sums, starts, min_silence_len_ms, limit)])
    if last % seek_step_ms:  # pydub always tests the last window
        starts = np.array([last])
        found.append(starts[_is_below(sums, starts, min_silence_len_ms, limit)])
    return np.concatenate(found)


def _is_below(sums: _SquareSums, starts: Integers, length_ms: int, limit: int) -> NDArray[np.bool_]:
    """Compare without rounding: floor(sqrt(sum / n)) <= t  <=>  sum < n * (floor(t) + 1)^2 = n * limit."""
    counts, high, low = sums.between(starts, starts + length_ms)
    below: NDArray[np.bool_] = counts == 0
    for n in range(max(int(counts.min()), sums.channels), int(counts.max()) + 1, sums.channels):
        limit_high, limit_low = divmod(n * limit, 1 << _LOW_BITS)
        below |= (counts == n) & ((high < limit_high) | ((high == limit_high) & (low < limit_low)))
    return below


def _silent_ranges(starts: Integers, min_silence_len_ms: int, seek_step_ms: int) -> list[Range]:
    """Join windows that follow one another at the step, or overlap."""
    if not len(starts):
        return []
    ahead = np.diff(starts)
    breaks = (ahead != seek_step_ms) & (ahead > min_silence_len_ms)
    first = starts[np.append(True, breaks)]
    last = starts[np.append(breaks, True)] + min_silence_len_ms
    return list(zip(first.tolist(), last.tolist(), strict=True))


def _between(silences: list[Range], length: int) -> list[Range]:
    if silences == [(0, length)]:
        return []
    edges = [0, *(edge for silence in silences for edge in silence), length]
    ranges = list(zip(edges[::2], edges[1::2], strict=True))
    if silences and silences[0][0] == 0:
        ranges.pop(0)
    if silences and silences[-1][1] == length:
        ranges.pop()
    return ranges


# ------------------------------------------------------------------------------------------------- shape
def _keep_silence(ranges: list[Range], keep: int, length: int) -> list[Range]:
    """Widen each range by `keep`; where two would overlap they meet in the middle."""
    starts = [start - keep for start, _ in ranges]
    stops = [stop + keep for _, stop in ranges]
    for k in range(1, len(ranges)):
        if starts[k] < stops[k - 1]:
            starts[k] = stops[k - 1] = (stops[k - 1] + starts[k]) // 2
    return [(max(a, 0), min(b, length)) for a, b in zip(starts, stops, strict=True)]


def _merge_short(cuts: list[Range], shortest: float) -> list[Range]:
    """Merge with the nearer neighbor, the shortest chunk first, until none is too short or one is left."""
    cuts = list(cuts)
    while len(cuts) > 1:
        k = min(range(len(cuts)), key=lambda i: cuts[i][1] - cuts[i][0])
        if cuts[k][1] - cuts[k][0] >= shortest:
            break
        before = cuts[k][0] - cuts[k - 1][1] if k else math.inf
        after = cuts[k + 1][0] - cuts[k][1] if k + 1 < len(cuts) else math.inf
        first = k - 1 if before <= after else k
        cuts[first : first + 2] = [(cuts[first][0], cuts[first + 1][1])]
    return cuts


def _cut_long(
    cuts: list[Range], found: FoundSpeech, sample_rate: int, min_chunk_ms: int, max_chunk_ms: int
) -> list[Range]:
    longest = max(int(max_chunk_ms * sample_rate / 1000), 1)
    shortest = int(min_chunk_ms * sample_rate / 1000)
    width = max(round(_QUIET_S * sample_rate / found.cell_samples), 1)
    sums = np.concatenate([[0.0], np.cumsum(found.powers, dtype=np.float64)])
    smooth = sums[width:] - sums[:-width] if len(sums) > width else np.zeros(0)
    pieces: list[Range] = []
    waiting = cuts[::-1]
    while waiting:
        start, stop = waiting.pop()
        length = stop - start
        if length <= longest:
            pieces.append((start, stop))
            continue
        margin = min(max(shortest, length // 4), length // 2)
        inside = np.ceil(np.array([start + margin, stop - margin]) / found.cell_samples - width / 2).astype(int)
        view = smooth[max(inside[0], 0) : max(inside[1], 0)]
        middle = (start + stop) // 2
        cut = int((max(inside[0], 0) + view.argmin() + width / 2) * found.cell_samples) if len(view) else middle
        cut = min(max(cut, start + margin, start + 1), stop - max(margin, 1))
        waiting += [(cut, stop), (start, cut)]
    return pieces
