"""What is speech: named rules, each for its purpose, all of them relative to the recording they judge.

- `find_speech` finds the stretches between pauses, by the noise floor of the recording itself: where `split` cuts.
- `speech_frames` tells speech from quiet by levels alone: over what features are normalized, what is aligned, and
  what takes part in a distance.
- `loud_frames` keeps what is near the loudest: what the score is worked out from, whatever lies around it.
- `audible_frames` follows Praat's script for syllable nuclei: what speech rates and pauses are counted by.

For `find_speech`, frames of 10 ms are measured in up to 18 mel-spaced bands. The floor of each band is the power of
the quiet stretches around (10 s), so hum, hiss and slow drift cost nothing; a frame's activity is how far its bands
stand above their floors, in dB. The threshold lies just above the activity of the quiet stretches themselves.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from speechcmp.runs import find_runs, join_runs, long_runs, widen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from speechcmp.audio.recording import PcmSource

Floats = NDArray[np.float32]
Ranges = NDArray[np.int64]
Mask = NDArray[np.bool_]
T = TypeVar("T", bound=np.generic)


# ------------------------------------------------------------------------------------------ rules by level
@dataclass(frozen=True, slots=True)
class LevelRule:
    """Thresholds of `speech_frames`, in dB.

    `above_quiet_db`: over the quiet frames (5th percentile). `below_loud_db`: under the loud ones (95th), what is
    softer is no speech. `pause_db`: two such levels so far apart are speech and pause. `dynamic_range_db`: under the
    loudest frame, what is softer is digital silence.
    """

    above_quiet_db: float = 6.0
    below_loud_db: float = 35.0
    pause_db: float = 20.0
    dynamic_range_db: float = 80.0


@dataclass(frozen=True, slots=True)
class LoudRule:
    """Thresholds of `loud_frames`; the level was chosen by the separation of right from wrong texts.

    `below_loud_db`: under the loud frames (95th percentile), what is softer is a pause. `reach_frames`: the soft
    beginnings and endings of speech, to either side.
    """

    below_loud_db: float = 25.0
    reach_frames: int = 4


@dataclass(frozen=True, slots=True)
class AudibleRule:
    """Thresholds of `audible_frames`; the first is that of De Jong and Wempe (2009).

    `below_loud_db`: under the loud frames (95th percentile). `above_floor_db`: over the noise floor, where that is
    higher; but `least_db` under the loud frames at least, and never `range_db` under the loudest frame of the
    recording (0 dB), where nothing is heard. `blip_frames`: what sounds for less, a click, does not end a pause.
    """

    below_loud_db: float = 25.0
    above_floor_db: float = 6.0
    least_db: float = 15.0
    range_db: float = 50.0
    blip_frames: int = 5


LEVEL_RULE, LOUD_RULE, AUDIBLE_RULE = LevelRule(), LoudRule(), AudibleRule()


def speech_frames(level_db: NDArray[np.floating]) -> Mask:
    """Tell frames of speech from quiet ones, within a recording; see `LevelRule`.

    Parameters
    ----------
    level_db : float, shape (n_frames,)
        Level of each frame, relative to anything.

    Returns
    -------
    bool, shape (n_frames,)
        Digital silence takes no part in the percentiles, unless there is no other.
    """
    rule = LEVEL_RULE
    quiet, loud = np.percentile(level_db, [5, 95])
    alive = level_db[level_db >= level_db.max() - rule.dynamic_range_db]
    if np.ptp(np.percentile(alive, [5, 95])) > rule.pause_db:
        quiet, loud = np.percentile(alive, [5, 95])
    threshold = max(quiet + min(rule.above_quiet_db, (loud - quiet) / 2), loud - rule.below_loud_db)
    speech: Mask = level_db > threshold
    return speech


def loud_frames(powers: NDArray[np.float64]) -> Mask:
    """Tell the frames that are near the loudest, and those around them; see `LoudRule`.

    Parameters
    ----------
    powers : float64, shape (n_frames,)
        Of a stretch of speech.
    """
    loud = powers > _quantile(powers, 0.95) * 10 ** (-LOUD_RULE.below_loud_db / 10)
    return widen(loud, LOUD_RULE.reach_frames)


def audible_frames(level_db: Floats, chunk: Floats, noise_floor_db: float) -> tuple[Mask, float]:
    """Tell the frames in which a chunk, and what comes before it, sounds; see `AudibleRule`.

    Parameters
    ----------
    level_db : float32, shape (n_frames,)
        Relative to the loudest frame of the recording.
    chunk : float32, shape (n_chunk_frames,)
        Those of these levels that are the chunk's own.
    noise_floor_db : float
        Of the recording.

    Returns
    -------
    bool, shape (n_frames,), and float
        And the threshold in dB.
    """
    rule = AUDIBLE_RULE
    loud_db = float(np.quantile(chunk, 0.95))
    noise_db = min(noise_floor_db + rule.above_floor_db, loud_db - rule.least_db)
    threshold_db = max(loud_db - rule.below_loud_db, noise_db, -rule.range_db)
    return long_runs(level_db > threshold_db, rule.blip_frames), threshold_db


def _quantile(values: NDArray[np.float64], share: float) -> float:
    """Equals `np.quantile`, which takes longer than all the rest for a word."""
    ordered = np.sort(values)
    position = share * (len(values) - 1)
    below = int(position)
    above = min(below + 1, len(values) - 1)
    return float(ordered[below] + (position - below) * (ordered[above] - ordered[below]))


# ------------------------------------------------------------------------------- speech by the noise floor
@dataclass(frozen=True, slots=True)
class PauseRule:
    """What `find_speech` measures and decides by; `benchmarks/spans.py` scores its pauses, clean and in noise.

    Attributes
    ----------
    frames_per_s, min_frame_length : int
        Frames of 10 ms, but of at least so many samples.
    n_bands, top_hz : int, float
        Mel-spaced bands up to this frequency.
    block_frames, window_blocks, nearby_blocks : int
        The floor is kept per block of 100 ms; it may drift within 20 s, and is told by the pauses within 10 s.
    smoothing_frames : int
        Over the powers, and again over the activity.
    quiet_blocks : int
        Must be quiet on average to count as a quiet stretch.
    quiet_share, sure_ratio, quiet_ratio : float
        So much of the recording is taken for a pause to learn from; activity below `sure_ratio` of the median is a
        pause whatever the quietest is, and above `quiet_ratio` of it is none.
    dead : float
        Of the loudest power: digital silence.
    living_share, muted_rarity : float
        Where less of a recording is alive, its gaps are muted, and so much less of what is left is noise.
    restless_db : float
        Noise moves by less once its floor is known; what moves more is weak speech.
    sentence_frames : int
        Digital silence before and after so much is left aside; around a word it is the pause.
    audible_db : float
        What lies further below the loudest speech is not missed.
    noise_margin_db, least_db, most_db : float
        Speech ends so far over the noise's activity (95th percentile), within these limits.
    hysteresis_db : float
        Speech must rise so much higher at least once.
    soft : float
        Of the median activity of speech: so soft an ending is not missed.
    blip_frames, alone_frames : int
        What is shorter (60 ms before smoothing) and so far from any word is a click.
    sharp_db, sharp_frames : float, int
        An edge so loud within so many frames has been smeared outward by smoothing.
    margin_db : float
        Of a fixed threshold over the noise floor.
    weak_db : float
        What stands out by less may be noise that has grown louder; a held vowel, as steady, stands out by more.
    speech_change, sure_change, noise_change, short_change : float
        How much more the spectrum changes than in steady noise, see `_spectral_change`: in a recording without pauses
        that may be speech, and in one that is (the pauses of phone recordings, with their breaths, reach it in 7 of 100
        cases); less in a stretch that is noise, where up to so much more in one of a second or less.
    least_frames : int
        What is shorter is no word.
    """

    frames_per_s: int = 100
    min_frame_length: int = 16
    n_bands: int = 18
    top_hz: float = 7000.0
    block_frames: int = 10
    window_blocks: int = 200
    nearby_blocks: int = 100
    smoothing_frames: int = 5
    quiet_blocks: int = 4
    quiet_share: float = 0.07
    sure_ratio: float = 0.15
    quiet_ratio: float = 0.35
    dead: float = 1e-8
    living_share: float = 0.97
    muted_rarity: float = 0.3
    restless_db: float = 1.1
    sentence_frames: int = 100
    audible_db: float = 50.0
    noise_margin_db: float = 0.05
    least_db: float = 0.6
    most_db: float = 3.5
    hysteresis_db: float = 0.4
    soft: float = 0.07
    blip_frames: int = 14
    alone_frames: int = 20
    sharp_db: float = 10.0
    sharp_frames: int = 12
    margin_db: float = 5.0
    weak_db: float = 18.0
    speech_change: float = 1.15
    sure_change: float = 1.8
    noise_change: float = 1.04
    short_change: float = 0.04
    least_frames: int = 8


RULE = PauseRule()
_MOST_CHANGES = 500  # frames of a long stretch tell as much as all


@dataclass(frozen=True, slots=True)
class FoundSpeech:
    """Speech as found, by the noise floor here or by a fixed threshold (`speechcmp.audio.split`).

    Attributes
    ----------
    ranges : int64, shape (k, 2)
        Half-open, ascending, in units of `unit_samples`; pauses between them last at least the minimum.
    unit_samples : float
    powers : float, shape (n_cells,)
        Mean squares relative to full scale, over all channels, of cells of `cell_samples`.
    cell_samples : float
    noise_floor_dbfs : float
        Level of the quietest twentieth of the recording (in 100 ms), as pydub counts levels.
    silence_thresh_dbfs : float
        The threshold given, or the fixed threshold that comes nearest to what was done.
    spectral_change : float or None
        Where nothing stands out of the noise: how much more the spectrum changes than in steady noise (1), and whether
        there is a range depends on that alone.
    """

    ranges: Ranges
    unit_samples: float
    powers: NDArray[np.floating]
    cell_samples: float
    noise_floor_dbfs: float
    silence_thresh_dbfs: float
    spectral_change: float | None = None


@dataclass(frozen=True, slots=True)
class FramePowers:
    """Powers of each frame: `bands` float32 (n_bands, n), `total` float32 (n,)."""

    bands: Floats
    total: Floats
    frame_length: int
    sample_rate: int

    def blocks(self) -> Floats:
        """Mean power in each block, (n_bands, n_blocks)."""
        n_bands, n = self.bands.shape
        length = min(RULE.block_frames, n)
        means: Floats = self.bands[:, : n - n % length].reshape(n_bands, -1, length).mean(axis=2)
        return means


@dataclass(frozen=True, slots=True)
class NoiseFloor:
    """`levels_db` float32 (n_bands, n_blocks); `quiet` marks the blocks it was learned from."""

    levels_db: Floats
    quiet: NDArray[np.bool_]

    def of_quiet(self, activity: Floats) -> Floats:
        """Select the frames of quiet blocks."""
        return activity[_per_frame(self.quiet, len(activity))]


def find_speech(source: "PcmSource", *, min_silence_len_ms: float) -> FoundSpeech:
    """Find the stretches of speech between pauses of at least `min_silence_len_ms`.

    Parameters
    ----------
    source : Recording or AudioFile
        Read once, in blocks.
    min_silence_len_ms : float
        Shorter pauses are part of the speech around them, also at the ends of the recording.
    """
    powers = measure_powers(source)
    relative = powers.total / (powers.frame_length * source.channels * 4.0 ** (8 * source.sample_width - 1))
    noise_floor_dbfs = noise_floor(relative, RULE.block_frames)
    loudest_dbfs = _to_dbfs(_loudest(_blockwise(relative))) if len(relative) else -np.inf
    min_silence = min_silence_len_ms * source.sample_rate / (1000 * powers.frame_length)
    found, change = _speech_frames(powers, min_silence)
    spans = _close_ends(found, min_silence, len(relative))
    samples = spans * powers.frame_length
    samples[spans == len(relative)] = source.n_frames
    return FoundSpeech(
        ranges=np.minimum(samples, source.n_frames),
        unit_samples=1.0,
        powers=relative,
        cell_samples=float(powers.frame_length),
        noise_floor_dbfs=noise_floor_dbfs,
        silence_thresh_dbfs=max(noise_floor_dbfs + RULE.margin_db, loudest_dbfs - RULE.audible_db),
        spectral_change=change,
    )


def noise_floor(powers: NDArray[np.floating], n_per_block: int) -> float:
    """Level in dBFS that the quietest twentieth of the blocks stays below (-inf: digital silence)."""
    return _to_dbfs(float(np.quantile(_blockwise(powers, n_per_block), 0.05))) if len(powers) else -np.inf


# ----------------------------------------------------------------------------------------------- measure
def measure_powers(source: "PcmSource") -> FramePowers:
    """Measure every frame's power in mel-spaced bands; the last frame is filled up with zeros."""
    length = max(round(source.sample_rate / RULE.frames_per_s), RULE.min_frame_length)
    basis, pooling = _basis(source.sample_rate, length)
    n = -(-source.n_frames // length)
    bands = np.zeros((len(pooling), n), np.float32)
    total = np.zeros(n, np.float32)
    position = 0
    for pcm in _whole_frames(source, length):
        here = slice(position, position + len(pcm) // length)
        for channel in range(source.channels):
            frames = pcm[:, channel].astype(np.float32).reshape(-1, length)
            total[here] += np.einsum("ij,ij->i", frames, frames)
            waves = frames @ basis
            np.square(waves, out=waves)
            bands[:, here] += pooling @ waves.T
        position = here.stop
    return FramePowers(bands, total, length, source.sample_rate)


def _whole_frames(source: "PcmSource", length: int) -> "Iterator[NDArray[np.integer]]":
    rest: NDArray[np.integer] | None = None
    for block in source.pcm_blocks():
        joined = block if rest is None else np.concatenate([rest, block])
        n_whole = len(joined) // length * length
        rest = joined[n_whole:]
        if n_whole:
            yield joined[:n_whole]
    if rest is not None and len(rest):
        yield np.concatenate([rest, np.zeros((length - len(rest), source.channels), rest.dtype)])


@lru_cache(maxsize=8)
def _basis(sample_rate: int, length: int) -> tuple[Floats, Floats]:
    """Cosines and sines under half a sine arch, and the matrix that pools their squares into bands.

    The waves are made orthogonal to cubics: an offset, a slope and mains hum leave no trace in them.
    """
    steps = ((200, 1000, 100), (1000, 2000, 125), (2000, 4000, 200), (4000, 7001, 300))
    all_hz = np.concatenate([np.arange(*step, dtype=np.float64) for step in steps])
    hz = all_hz[all_hz <= min(RULE.top_hz, 0.45 * sample_rate)]
    if not len(hz):
        hz = np.array([sample_rate / 4])
    time = (np.arange(length) + 0.5) / length
    phase = 2 * np.pi / sample_rate * np.outer(np.arange(length), hz)
    waves = np.sin(np.pi * time)[:, None] * np.concatenate([np.cos(phase), np.sin(phase)], axis=1)
    cubics, _ = np.linalg.qr(time[:, None] ** np.arange(4))
    waves -= cubics @ (cubics.T @ waves)
    waves /= np.sqrt((waves**2).sum(axis=0))

    mel = 2595 * np.log10(1 + hz / 700)
    band = np.digitize(mel, np.linspace(mel[0] - 1, mel[-1] + 1, RULE.n_bands + 1)) - 1
    members = np.array([band == k for k in np.unique(band)], np.float32)
    pooling = np.tile(members / members.sum(axis=1, keepdims=True), 2)
    return waves.astype(np.float32), pooling.astype(np.float32)


# ------------------------------------------------------------------------------------------------- floor
def _learn_floor(levels_db: Floats, blocks: Floats) -> NoiseFloor:
    """Begin with a low quantile, then take the mean power of the stretches that hardly rise above it."""
    loudest = _loudest(blocks.mean(axis=0))
    per_band = np.array([_loudest(band) for band in blocks])
    least = np.maximum(per_band, loudest / 100)[:, None] * 10 ** (-RULE.audible_db / 10)
    alive = blocks.mean(axis=0) > loudest * RULE.dead  # digital silence says nothing of the noise elsewhere
    if not alive.any():  # no power in any band: a few least bits, or what is above and below all bands
        alive[:] = True
    muted = alive.mean() < RULE.living_share
    rarity = RULE.muted_rarity if muted else 1.0  # where gaps are muted, less of what is left is noise
    floor = np.maximum(_initial_floor(blocks, alive, rarity), least)
    for _ in range(3):
        quiet = _quiet_blocks(_stretches(levels_db, floor), alive, RULE.quiet_share * rarity)
        if quiet is None:
            break
        floor = np.maximum(_mean_of_quiet(floor, blocks, quiet), least)
    stretches = _stretches(levels_db, floor)
    quiet = _quiet_blocks(stretches, alive, RULE.quiet_share * rarity)
    if quiet is not None and not (muted and _is_restless(levels_db, floor, quiet)):
        return NoiseFloor(_to_db(floor), quiet)
    if muted:
        return NoiseFloor(_to_db(np.broadcast_to(least, blocks.shape)), ~alive)
    return NoiseFloor(_to_db(floor), stretches <= np.quantile(stretches, 0.02))


def _initial_floor(blocks: Floats, alive: NDArray[np.bool_], rarity: float) -> NDArray[np.float64]:
    living = blocks[:, alive]
    whole = np.quantile(living, 0.1 * rarity, axis=1).astype(np.float64)[:, None]
    if living.shape[1] <= RULE.window_blocks:
        return np.repeat(whole, blocks.shape[1], axis=1)
    hop = RULE.window_blocks // 4
    views = np.lib.stride_tricks.sliding_window_view(living, RULE.window_blocks, axis=1)[:, ::hop]
    rank = round(0.08 * rarity * RULE.window_blocks)
    lowest = 1.15 * np.partition(views, rank, axis=2)[..., rank].astype(np.float64)  # 1.15: a quantile is low
    lowest = np.log(np.maximum(lowest, np.maximum(whole / 2, np.finfo(np.float32).tiny)))
    centers = np.arange(views.shape[1]) * hop + RULE.window_blocks / 2
    nearest = np.clip(np.cumsum(alive) - 1, 0, None)
    return np.exp([np.interp(nearest, centers, band) for band in lowest], dtype=np.float64)


def _stretches(levels_db: Floats, floor: NDArray[np.float64]) -> Floats:
    """Mean activity around each block."""
    return _moving_mean(_blockwise(_activity(levels_db, _to_db(floor))), RULE.quiet_blocks)


def _is_restless(levels_db: Floats, floor: NDArray[np.float64], quiet: NDArray[np.bool_]) -> bool:
    """Tell weak speech from noise: noise hardly moves once its floor is known."""
    activity = _activity(levels_db, _to_db(floor))
    return float(np.quantile(activity[_per_frame(quiet, len(activity))], 0.95)) > RULE.restless_db


def _quiet_blocks(stretches: Floats, alive: NDArray[np.bool_], share: float) -> NDArray[np.bool_] | None:
    """Mark the stretches about as quiet as the quietest `share`; None if those already sound like speech."""
    whole = _moving_mean(alive, RULE.quiet_blocks) > 0.99
    if not whole.any():
        return None
    quietest = float(np.quantile(stretches[whole], share))
    typical = float(np.median(stretches[whole]))
    ceiling = max(RULE.quiet_ratio * typical, 2.0)
    limit = min(max(quietest + 0.5, RULE.sure_ratio * typical), ceiling)
    return None if quietest > ceiling else whole & (stretches <= limit)


def _mean_of_quiet(floor: NDArray[np.float64], blocks: Floats, quiet: NDArray[np.bool_]) -> NDArray[np.float64]:
    ratio = np.where(quiet, blocks / floor, 0.0)
    overall = ratio.sum(axis=1, keepdims=True) / quiet.sum()
    if floor.shape[1] <= RULE.window_blocks:
        whole: NDArray[np.float64] = floor * overall
        return whole
    share = _moving_mean(quiet.astype(np.float64), RULE.nearby_blocks)
    nearby = np.array([_moving_mean(band, RULE.nearby_blocks) for band in ratio])
    # Far from any pause the rest of the file counts.
    drifting: NDArray[np.float64] = floor * (nearby + 0.01 * overall) / (share + 0.01)
    return drifting


# ---------------------------------------------------------------------------------------------- decision
def _speech_frames(powers: FramePowers, min_silence: float) -> tuple[Ranges, float | None]:
    """Decide on spans of frames, shape (k, 2), with pauses of at least `min_silence` frames between them.

    The second value is `FoundSpeech.spectral_change`.
    """
    if not powers.total.any():
        return np.zeros((0, 2), np.int64), None
    alive = np.flatnonzero(powers.total > powers.total.max() * RULE.dead)
    first, n = int(alive[0]), int(alive[-1]) + 1 - int(alive[0])
    if n < RULE.sentence_frames:
        first, n = 0, len(powers.total)
    powers = FramePowers(
        powers.bands[:, first : first + n], powers.total[first : first + n], powers.frame_length, powers.sample_rate
    )
    blocks = powers.blocks()
    smooth_db = np.array([_to_db(_moving_mean(band, RULE.smoothing_frames)) for band in powers.bands])
    floor = _learn_floor(smooth_db, blocks)
    activity = _activity(smooth_db, floor.levels_db)
    low = _threshold(activity, floor)
    spans = _drop_blips(_above(activity, low, low + RULE.hysteresis_db))
    spans = join_runs(spans, min_silence - 2 * RULE.smoothing_frames)
    sharp = _excess(_to_db(powers.bands), floor.levels_db)
    limit = float(np.quantile(floor.of_quiet(sharp), 0.9)) + 1.0
    sharpened = [_sharpen(span, activity, sharp, limit) for span in spans.tolist()]
    spans = np.array(sharpened, np.int64).reshape(-1, 2)
    spans[:, 1] = np.minimum(spans[:, 1] + 1, n)  # the softest end of a word is under the noise
    spans = join_runs(spans, min_silence)
    steady_db = _steady_noise_db(powers.sample_rate, powers.frame_length)
    noise = [_is_noise(smooth_db[:, a:b], activity[a:b], steady_db) for a, b in spans.tolist()]
    spans = spans[~np.array(noise, np.bool_)]
    if len(spans):
        return spans + first, None
    spans, change = _without_pauses(powers.total, smooth_db, steady_db)
    return spans + first, change


def _is_noise(levels_db: Floats, activity: Floats, steady_db: Floats) -> bool:
    """Tell noise that has grown louder from speech."""
    if float(np.median(activity)) > RULE.weak_db:
        return False
    seconds = levels_db.shape[1] / RULE.frames_per_s
    limit = RULE.noise_change + RULE.short_change / max(1.0, seconds) ** 0.5
    return bool(_spectral_change(levels_db, steady_db) < limit)


def _without_pauses(powers: Floats, levels_db: Floats, steady_db: Floats) -> tuple[Ranges, float | None]:
    """Take a recording in which nothing stands out for one stretch of speech, if its spectrum changes as speech does.

    So it is in a word cut out of a sentence, whose quietest sounds were taken for the noise.
    """
    loud = np.flatnonzero(powers > _loudest(powers) * 10 ** (-LEVEL_RULE.below_loud_db / 10))
    if min(len(loud), (powers > powers.max() * 10 ** (-RULE.audible_db / 10)).sum()) < RULE.least_frames:  # a click
        return np.zeros((0, 2), np.int64), None
    start, stop = int(loud[0]), int(loud[-1]) + 1
    change = _spectral_change(levels_db[:, start:stop], steady_db)
    spans = [[start, stop]] if change >= RULE.speech_change else []
    return np.array(spans, np.int64).reshape(-1, 2), change


def _spectral_change(levels_db: Floats, steady_db: Floats) -> float:
    """Say how much more the shape of the spectrum changes than in steady noise, where it is 1; in speech it is 2 to 6.

    Changes of level alone, such as a phone's gain makes, count for nothing.

    Parameters
    ----------
    levels_db : float32, shape (n_bands, n_frames)
        Smoothed.
    steady_db : float32, shape (n_bands,)
        Of `_steady_noise_db`.
    """
    levels_db = levels_db[:, :: 1 + levels_db.shape[1] // _MOST_CHANGES]
    floor_db = levels_db.max() - RULE.audible_db
    heard = levels_db.max(axis=1) > floor_db + LEVEL_RULE.above_quiet_db
    shape = np.maximum(levels_db[heard], floor_db)
    shape -= shape.mean(axis=0)
    return float(np.median(shape.std(axis=1) / steady_db[heard]))


@lru_cache(maxsize=8)
def _steady_noise_db(sample_rate: int, length: int) -> Floats:
    """Return the standard deviation over time of the smoothed level of each band, in steady noise."""
    waves, pooling = _basis(sample_rate, length)
    spread = []
    for band in pooling:
        members = waves[:, band > 0].astype(np.float64)
        overlap = members.T @ members
        # As many independent squares as have its mean and variance, of Gaussian samples.
        freedom = RULE.smoothing_frames * np.trace(overlap) ** 2 / (overlap**2).sum() / 2
        spread.append(1 / freedom + 1 / (2 * freedom**2) + 1 / (6 * freedom**3))  # variance of a logarithm: trigamma
    deviation: Floats = (10 / np.log(10) * np.sqrt(spread)).astype(np.float32)
    return deviation


def _threshold(activity: Floats, floor: NoiseFloor) -> float:
    """Choose the activity that ends a word: just over the noise, higher where speech is far louder."""
    noise = float(
        np.clip(np.quantile(floor.of_quiet(activity), 0.95) + RULE.noise_margin_db, RULE.least_db, RULE.most_db)
    )
    speech = activity[activity > noise + RULE.hysteresis_db]
    return max(noise, RULE.soft * float(np.median(speech))) if len(speech) else noise


def _above(activity: Floats, low: float, high: float) -> Ranges:
    """Find the runs above `low` that reach `high` somewhere."""
    spans = find_runs(activity > low)
    if not len(spans):
        return spans
    peaks = np.maximum.reduceat(np.append(activity, 0), spans.ravel())[::2]
    return spans[peaks > high]


def _drop_blips(spans: Ranges) -> Ranges:
    """Drop what is too short for a word and far from any: a click, a knock."""
    gaps = np.concatenate([[RULE.alone_frames], spans[1:, 0] - spans[:-1, 1], [RULE.alone_frames]])
    alone = np.minimum(gaps[:-1], gaps[1:]) >= RULE.alone_frames
    words: Ranges = spans[~(alone & (spans[:, 1] - spans[:, 0] < RULE.blip_frames))]
    return words


def _close_ends(spans: Ranges, min_silence: float, n: int) -> Ranges:
    if len(spans):
        spans[0, 0] = 0 if spans[0, 0] < min_silence else spans[0, 0]
        spans[-1, 1] = n if n - spans[-1, 1] < min_silence else spans[-1, 1]
    return spans


def _sharpen(span: list[int], activity: Floats, sharp: Floats, limit: float) -> tuple[int, int]:
    """Take back what smoothing added beside loud speech; a soft start or end keeps it."""
    start, stop = span
    reach = RULE.smoothing_frames - 1
    if activity[start : min(start + RULE.sharp_frames, stop)].max() > RULE.sharp_db:
        loud = np.flatnonzero(sharp[start : min(start + reach, stop - 1)] >= limit)
        start += int(loud[0]) if len(loud) else min(reach, stop - 1 - start)
    if activity[max(stop - RULE.sharp_frames, start) : stop].max() > RULE.sharp_db:
        loud = np.flatnonzero(sharp[max(stop - reach, start + 1) : stop][::-1] >= limit)
        stop -= int(loud[0]) if len(loud) else min(reach, stop - 1 - start)
    return start, stop


# ------------------------------------------------------------------------------------------------- small
def _activity(levels_db: Floats, floor_db: Floats) -> Floats:
    return _moving_mean(_excess(levels_db, floor_db), RULE.smoothing_frames)


def _excess(levels_db: Floats, floor_db: Floats) -> Floats:
    """Mean over the bands of the dB above the floor, bands below it counting as 0."""
    total = np.zeros(levels_db.shape[1], np.float32)
    for level, floor in zip(levels_db, floor_db, strict=True):
        total += np.maximum(level - _per_frame(floor, len(level)), 0)
    return total / np.float32(len(levels_db))


def _per_frame(per_block: NDArray[T], n: int) -> NDArray[T]:
    repeated = np.repeat(per_block, RULE.block_frames)[:n]
    return np.concatenate([repeated, np.repeat(per_block[-1:], n - len(repeated))])


def _blockwise(values: NDArray[np.floating], n_per_block: int = RULE.block_frames) -> Floats:
    length = min(n_per_block, len(values))
    means: Floats = values[: len(values) - len(values) % length].reshape(-1, length).mean(axis=1)
    return means


def _moving_mean(values: NDArray[np.generic], width: int) -> Floats:
    """Centered mean; at the ends over what there is."""
    n, before = len(values), width // 2
    sums = np.zeros(n + width)  # `before` zeros, the n + 1 running sums, and the last one repeated
    np.cumsum(values, dtype=np.float64, out=sums[before + 1 : before + 1 + n])
    sums[before + 1 + n :] = sums[before + n]
    means = (sums[width:] - sums[:-width]) / width
    ends = np.r_[: min(width, n), max(n - width, 0) : n]
    present = np.minimum(ends - before + width, n) - np.maximum(ends - before, 0)
    means[ends] = (sums[ends + width] - sums[ends]) / present
    return means.astype(np.float32)


def _loudest(blocks: NDArray[np.floating]) -> float:
    """Third loudest block: a click or two don't count."""
    k = min(3, len(blocks))
    return float(np.partition(blocks, -k)[-k])


def _to_db(powers: NDArray[np.floating]) -> Floats:
    safe = np.maximum(powers, np.finfo(np.float32).tiny, dtype=np.float32)
    decibels: Floats = np.log(safe) * np.float32(10 / np.log(10))
    return decibels


def _to_dbfs(power: float) -> float:
    return 10 * float(np.log10(power)) if power > 0 else -np.inf
