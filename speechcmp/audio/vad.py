"""Where a recording speaks and where it rests, judged by its own noise floor.

Frames of 10 ms are measured in up to 18 mel-spaced bands. The floor of each band is the power of the quiet
stretches around (10 s), so hum, hiss and slow drift cost nothing; a frame's activity is how far its bands
stand above their floors, in dB. The threshold lies just above the activity of the quiet stretches
themselves. Everything is relative to the recording: gain changes nothing.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from speechcmp.runs import find_runs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from speechcmp.audio.recording import PcmSource

Floats = NDArray[np.float32]
Spans = NDArray[np.int64]
T = TypeVar("T", bound=np.generic)

FRAMES_PER_S = 100
MIN_FRAME_LENGTH = 16
N_BANDS = 18
TOP_HZ = 7000.0
BLOCK = 10  # frames; the floor is kept per block of 100 ms
WINDOW = 200  # blocks; the floor may drift within 20 s
SMOOTHING = 5  # frames, over the powers and again over the activity
QUIET_SPAN = 4  # blocks that must be quiet on average to count as a quiet stretch
DEAD = 1e-8  # of the loudest power: digital silence
SENTENCE = 100  # frames; digital silence before and after so much is left aside, around a word it is the pause
AUDIBLE_DB = 50.0  # what lies further below the loudest speech is not missed
BLIP = 14  # frames after smoothing (60 ms before); shorter and alone is a click, no word
ALONE = 20  # frames
NOISE_MARGIN_DB = 0.05
HYSTERESIS_DB = 0.4  # speech must rise so much higher at least once
SHARP_DB = 10.0  # of activity: so loud an edge has been smeared outward by smoothing
QUIET_SHARE = 0.07  # of the recording is taken for a pause to learn from
SURE_RATIO = 0.15  # to the median activity; what is below it is a pause whatever the quietest is
NEARBY = 100  # blocks: pauses within 10 s tell the floor
QUIET_RATIO = 0.35  # to the median activity; what is above it is no pause
SOFT = 0.07  # of the median activity of speech: so soft an ending is not missed
MARGIN_DB = 5.0  # of a fixed threshold over the noise floor


@dataclass(frozen=True, slots=True)
class Activity:
    """Speech as found.

    Attributes
    ----------
    spans : int64, shape (k, 2)
        Half-open, in samples, ascending; pauses between them last at least the minimum.
    frame_length : int
        Samples a frame.
    powers : float32, shape (n_frames,)
        Mean square of each frame relative to full scale, over all channels.
    noise_floor_dbfs : float
        Level of the quietest twentieth of the recording (in 100 ms), as pydub counts levels.
    silence_thresh_dbfs : float
        The fixed threshold that comes nearest to what was done.
    """

    spans: Spans
    frame_length: int
    powers: Floats
    noise_floor_dbfs: float
    silence_thresh_dbfs: float


@dataclass(frozen=True, slots=True)
class FramePowers:
    """Powers of each frame: `bands` float32 (n_bands, n), `total` float32 (n,)."""

    bands: Floats
    total: Floats
    frame_length: int

    def blocks(self) -> Floats:
        """Mean power in each block, (n_bands, n_blocks)."""
        n_bands, n = self.bands.shape
        length = min(BLOCK, n)
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


def find_speech(source: "PcmSource", *, min_silence_len_ms: float) -> Activity:
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
    noise_floor_dbfs = noise_floor(relative, BLOCK)
    loudest_dbfs = _to_dbfs(_loudest(_blockwise(relative))) if len(relative) else -np.inf
    min_silence = min_silence_len_ms * source.sample_rate / (1000 * powers.frame_length)
    spans = _close_ends(_speech_frames(powers, min_silence), min_silence, len(relative))
    samples = spans * powers.frame_length
    samples[spans == len(relative)] = source.n_frames
    return Activity(
        spans=np.minimum(samples, source.n_frames),
        frame_length=powers.frame_length,
        powers=relative,
        noise_floor_dbfs=noise_floor_dbfs,
        silence_thresh_dbfs=max(noise_floor_dbfs + MARGIN_DB, loudest_dbfs - AUDIBLE_DB),
    )


def noise_floor(powers: NDArray[np.floating], n_per_block: int) -> float:
    """Level in dBFS that the quietest twentieth of the blocks stays below (-inf: digital silence)."""
    return _to_dbfs(float(np.quantile(_blockwise(powers, n_per_block), 0.05))) if len(powers) else -np.inf


# ----------------------------------------------------------------------------------------------- measure
def measure_powers(source: "PcmSource") -> FramePowers:
    """Measure every frame's power in mel-spaced bands; the last frame is filled up with zeros."""
    length = max(round(source.sample_rate / FRAMES_PER_S), MIN_FRAME_LENGTH)
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
    return FramePowers(bands, total, length)


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
    hz = all_hz[all_hz <= min(TOP_HZ, 0.45 * sample_rate)]
    if not len(hz):
        hz = np.array([sample_rate / 4])
    time = (np.arange(length) + 0.5) / length
    phase = 2 * np.pi / sample_rate * np.outer(np.arange(length), hz)
    waves = np.sin(np.pi * time)[:, None] * np.concatenate([np.cos(phase), np.sin(phase)], axis=1)
    cubics, _ = np.linalg.qr(time[:, None] ** np.arange(4))
    waves -= cubics @ (cubics.T @ waves)
    waves /= np.sqrt((waves**2).sum(axis=0))

    mel = 2595 * np.log10(1 + hz / 700)
    band = np.digitize(mel, np.linspace(mel[0] - 1, mel[-1] + 1, N_BANDS + 1)) - 1
    members = np.array([band == k for k in np.unique(band)], np.float32)
    pooling = np.tile(members / members.sum(axis=1, keepdims=True), 2)
    return waves.astype(np.float32), pooling.astype(np.float32)


# ------------------------------------------------------------------------------------------------- floor
def _learn_floor(levels_db: Floats, blocks: Floats) -> NoiseFloor:
    """Begin with a low quantile, then take the mean power of the stretches that hardly rise above it."""
    loudest = _loudest(blocks.mean(axis=0))
    per_band = np.array([_loudest(band) for band in blocks])
    least = np.maximum(per_band, loudest / 100)[:, None] * 10 ** (-AUDIBLE_DB / 10)
    alive = blocks.mean(axis=0) > loudest * DEAD  # digital silence says nothing of the noise elsewhere
    muted = alive.mean() < 0.97
    rarity = 0.3 if muted else 1.0  # where gaps are muted, less of what is left is noise
    floor = np.maximum(_initial_floor(blocks, alive, rarity), least)
    for _ in range(3):
        quiet = _quiet_blocks(_stretches(levels_db, floor), alive, QUIET_SHARE * rarity)
        if quiet is None:
            break
        floor = np.maximum(_mean_of_quiet(floor, blocks, quiet), least)
    stretches = _stretches(levels_db, floor)
    quiet = _quiet_blocks(stretches, alive, QUIET_SHARE * rarity)
    if quiet is not None and not (muted and _is_restless(levels_db, floor, quiet)):
        return NoiseFloor(_to_db(floor), quiet)
    if muted:
        return NoiseFloor(_to_db(np.broadcast_to(least, blocks.shape)), ~alive)
    return NoiseFloor(_to_db(floor), stretches <= np.quantile(stretches, 0.02))


def _initial_floor(blocks: Floats, alive: NDArray[np.bool_], rarity: float) -> NDArray[np.float64]:
    living = blocks[:, alive]
    whole = np.quantile(living, 0.1 * rarity, axis=1).astype(np.float64)[:, None]
    if living.shape[1] <= WINDOW:
        return np.repeat(whole, blocks.shape[1], axis=1)
    hop = WINDOW // 4
    views = np.lib.stride_tricks.sliding_window_view(living, WINDOW, axis=1)[:, ::hop]
    rank = round(0.08 * rarity * WINDOW)
    lowest = 1.15 * np.partition(views, rank, axis=2)[..., rank].astype(np.float64)  # 1.15: a quantile is low
    lowest = np.log(np.maximum(lowest, np.maximum(whole / 2, np.finfo(np.float32).tiny)))
    centers = np.arange(views.shape[1]) * hop + WINDOW / 2
    nearest = np.clip(np.cumsum(alive) - 1, 0, None)
    return np.exp([np.interp(nearest, centers, band) for band in lowest], dtype=np.float64)


def _stretches(levels_db: Floats, floor: NDArray[np.float64]) -> Floats:
    """Mean activity around each block."""
    return _moving_mean(_blockwise(_activity(levels_db, _to_db(floor))), QUIET_SPAN)


def _is_restless(levels_db: Floats, floor: NDArray[np.float64], quiet: NDArray[np.bool_]) -> bool:
    """Tell weak speech from noise: noise hardly moves once its floor is known."""
    activity = _activity(levels_db, _to_db(floor))
    return float(np.quantile(activity[_per_frame(quiet, len(activity))], 0.95)) > 1.1


def _quiet_blocks(stretches: Floats, alive: NDArray[np.bool_], share: float) -> NDArray[np.bool_] | None:
    """Mark the stretches about as quiet as the quietest `share`; None if those already sound like speech."""
    whole = _moving_mean(alive, QUIET_SPAN) > 0.99
    if not whole.any():
        return None
    quietest = float(np.quantile(stretches[whole], share))
    typical = float(np.median(stretches[whole]))
    ceiling = max(QUIET_RATIO * typical, 2.0)
    limit = min(max(quietest + 0.5, SURE_RATIO * typical), ceiling)
    return None if quietest > ceiling else whole & (stretches <= limit)


def _mean_of_quiet(floor: NDArray[np.float64], blocks: Floats, quiet: NDArray[np.bool_]) -> NDArray[np.float64]:
    ratio = np.where(quiet, blocks / floor, 0.0)
    overall = ratio.sum(axis=1, keepdims=True) / quiet.sum()
    if floor.shape[1] <= WINDOW:
        whole: NDArray[np.float64] = floor * overall
        return whole
    share = _moving_mean(quiet.astype(np.float64), NEARBY)
    nearby = np.array([_moving_mean(band, NEARBY) for band in ratio])
    # Far from any pause the rest of the file counts.
    drifting: NDArray[np.float64] = floor * (nearby + 0.01 * overall) / (share + 0.01)
    return drifting


# ---------------------------------------------------------------------------------------------- decision
def _speech_frames(powers: FramePowers, min_silence: float) -> Spans:
    """Decide on spans of frames, shape (k, 2), with pauses of at least `min_silence` frames between them."""
    if not powers.total.any():
        return np.zeros((0, 2), np.int64)
    alive = np.flatnonzero(powers.total > powers.total.max() * DEAD)
    first, n = int(alive[0]), int(alive[-1]) + 1 - int(alive[0])
    if n < SENTENCE:
        first, n = 0, len(powers.total)
    powers = FramePowers(powers.bands[:, first : first + n], powers.total[first : first + n], powers.frame_length)
    blocks = powers.blocks()
    smooth_db = np.array([_to_db(_moving_mean(band, SMOOTHING)) for band in powers.bands])
    floor = _learn_floor(smooth_db, blocks)
    activity = _activity(smooth_db, floor.levels_db)
    low = _threshold(activity, floor)
    spans = _drop_blips(_above(activity, low, low + HYSTERESIS_DB))
    spans = _join(spans, min_silence - 2 * SMOOTHING)
    sharp = _excess(_to_db(powers.bands), floor.levels_db)
    limit = float(np.quantile(floor.of_quiet(sharp), 0.9)) + 1.0
    sharpened = [_sharpen(span, activity, sharp, limit) for span in spans.tolist()]
    spans = np.array(sharpened, np.int64).reshape(-1, 2)
    spans[:, 1] = np.minimum(spans[:, 1] + 1, n)  # the softest end of a word is under the noise
    return _join(spans, min_silence) + first


def _threshold(activity: Floats, floor: NoiseFloor) -> float:
    """Choose the activity that ends a word: just over the noise, higher where speech is far louder."""
    noise = float(np.clip(np.quantile(floor.of_quiet(activity), 0.95) + NOISE_MARGIN_DB, 0.6, 3.5))
    speech = activity[activity > noise + HYSTERESIS_DB]
    return max(noise, SOFT * float(np.median(speech))) if len(speech) else noise


def _above(activity: Floats, low: float, high: float) -> Spans:
    """Find the runs above `low` that reach `high` somewhere."""
    spans = find_runs(activity > low)
    if not len(spans):
        return spans
    peaks = np.maximum.reduceat(np.append(activity, 0), spans.ravel())[::2]
    return spans[peaks > high]


def _drop_blips(spans: Spans) -> Spans:
    """Drop what is too short for a word and far from any: a click, a knock."""
    gaps = np.concatenate([[ALONE], spans[1:, 0] - spans[:-1, 1], [ALONE]])
    alone = np.minimum(gaps[:-1], gaps[1:]) >= ALONE
    words: Spans = spans[~(alone & (spans[:, 1] - spans[:, 0] < BLIP))]
    return words


def _join(spans: Spans, min_silence: float) -> Spans:
    if not len(spans):
        return spans
    breaks = spans[1:, 0] - spans[:-1, 1] >= min_silence
    return np.stack([spans[np.append(True, breaks), 0], spans[np.append(breaks, True), 1]], axis=1)


def _close_ends(spans: Spans, min_silence: float, n: int) -> Spans:
    if len(spans):
        spans[0, 0] = 0 if spans[0, 0] < min_silence else spans[0, 0]
        spans[-1, 1] = n if n - spans[-1, 1] < min_silence else spans[-1, 1]
    return spans


def _sharpen(span: list[int], activity: Floats, sharp: Floats, limit: float) -> tuple[int, int]:
    """Take back what smoothing added beside loud speech; a soft start or end keeps it."""
    start, stop = span
    reach = SMOOTHING - 1
    if activity[start : min(start + 12, stop)].max() > SHARP_DB:
        loud = np.flatnonzero(sharp[start : min(start + reach, stop - 1)] >= limit)
        start += int(loud[0]) if len(loud) else min(reach, stop - 1 - start)
    if activity[max(stop - 12, start) : stop].max() > SHARP_DB:
        loud = np.flatnonzero(sharp[max(stop - reach, start + 1) : stop][::-1] >= limit)
        stop -= int(loud[0]) if len(loud) else min(reach, stop - 1 - start)
    return start, stop


# ------------------------------------------------------------------------------------------------- small
def _activity(levels_db: Floats, floor_db: Floats) -> Floats:
    return _moving_mean(_excess(levels_db, floor_db), SMOOTHING)


def _excess(levels_db: Floats, floor_db: Floats) -> Floats:
    """Mean over the bands of the dB above the floor, bands below it counting as 0."""
    total = np.zeros(levels_db.shape[1], np.float32)
    for level, floor in zip(levels_db, floor_db, strict=True):
        total += np.maximum(level - _per_frame(floor, len(level)), 0)
    return total / np.float32(len(levels_db))


def _per_frame(per_block: NDArray[T], n: int) -> NDArray[T]:
    repeated = np.repeat(per_block, BLOCK)[:n]
    return np.concatenate([repeated, np.repeat(per_block[-1:], n - len(repeated))])


def _blockwise(values: NDArray[np.floating], n_per_block: int = BLOCK) -> Floats:
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
