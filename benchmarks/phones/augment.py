"""Other recordings of the same speech, made of its mel bands: other voices, tempos, rooms, channels, noises, levels."""

import math
from dataclasses import dataclass

import numpy as np
from corpus import Floats
from numpy.typing import NDArray
from scipy.signal import lfilter
from student import N_BANDS

FRAME_S = 0.01
_RANGE_DB = 80.0  # of the product's bands
_PHONE_BANDS = (4, 27)  # about 300 to 3400 Hz
_TILT = np.linspace(-0.5, 0.5, N_BANDS, dtype=np.float32)


@dataclass(frozen=True)
class View:
    """A stretch of an utterance, changed.

    Attributes
    ----------
    bands : float32, shape (n_frames, 40)
        dB.
    places : float, shape (n_frames,)
        Which frame of the utterance each was; ascending; beyond its ends where the stretch is longer than it.
    """

    bands: Floats
    places: Floats


def smooth(length: int, knots: int, rng: np.random.Generator) -> Floats:
    """Draw a curve of unit variance at its knots."""
    curve: Floats = np.interp(np.arange(length), np.linspace(0, length - 1, knots), rng.standard_normal(knots))
    return curve.astype(np.float32)


def tempo(n_frames: int, rng: np.random.Generator) -> Floats:
    """Draw how far into an utterance the frames of a view are: faster or slower, and unevenly so."""
    rate = math.exp(rng.uniform(-0.25, 0.25))
    knots = max(2, n_frames // 30)
    steps = rate * np.exp(rng.uniform(0, 0.15) * smooth(n_frames, knots, rng))
    steps[0] = 0
    return np.cumsum(steps)


def look(bands: Floats, places: Floats, rng: np.random.Generator | None) -> View:
    """Cut the frames at `places` out of the bands of an utterance; changed, but for no `rng`."""
    inside = np.clip(places, 0, len(bands) - 1)
    below = np.minimum(inside.astype(int), max(len(bands) - 2, 0))
    share = (inside - below)[:, None].astype(np.float32)
    cut = bands[below] * (1 - share) + bands[np.minimum(below + 1, len(bands) - 1)] * share
    return View(cut if rng is None else change(cut.astype(np.float32), rng), places)


def change(bands: Floats, rng: np.random.Generator) -> Floats:
    """Change a stretch of bands as another voice, room, channel and machine might."""
    if rng.random() < 0.85:
        bands = warp(bands, rng)
    if rng.random() < 0.35:
        bands = reverberate(bands, rng)
    bands = bands + rng.uniform(0, 4) * smooth(N_BANDS, int(rng.integers(3, 7)), rng)
    bands = bands + np.float32(rng.uniform(-7, 7)) * _TILT
    if rng.random() < 0.5:
        bands = add_noise(bands, rng)
    if rng.random() < 0.3:
        bands = limit(bands, rng)
    if rng.random() < 0.4:
        bands = control_gain(bands, rng)
    if rng.random() < 0.25:
        bands = drop(bands, rng)
    changed: Floats = np.maximum(bands, bands.max() - _RANGE_DB).astype(np.float32)
    return changed


def warp(bands: Floats, rng: np.random.Generator) -> Floats:
    """Make the vocal tract longer or shorter."""
    places = np.arange(N_BANDS) * (1 + rng.uniform(-0.14, 0.14)) + rng.uniform(-0.4, 0.4)
    places = np.clip(places, 0, N_BANDS - 1)
    below = np.minimum(places.astype(int), N_BANDS - 2)
    share = (places - below).astype(np.float32)
    warped: Floats = bands[:, below] * (1 - share) + bands[:, below + 1] * share
    return warped


def reverberate(bands: Floats, rng: np.random.Generator) -> Floats:
    """Add the decaying sound of a room: 60 dB in 0.15 to 0.9 s, 12 dB weaker than the direct sound to as strong."""
    power = 10 ** (bands / 10)
    decay = 10 ** (-6 * FRAME_S / rng.uniform(0.15, 0.9))
    strength = 10 ** (-rng.uniform(0, 12) / 10) * (1 - decay)
    tail = lfilter([0, strength], [1, -decay], power, axis=0)
    return _decibels(power + tail)


def add_noise(bands: Floats, rng: np.random.Generator) -> Floats:
    """Add noise 0 to 40 dB below the loud frames, of some spectrum, and of a level that may change."""
    power = 10 ** (bands / 10)
    loud = 10 * math.log10(float(np.quantile(power.mean(axis=1), 0.8)) + 1e-12)
    spectrum = 4 * smooth(N_BANDS, 4, rng) + np.float32(rng.uniform(-12, 12)) * _TILT
    level = np.full(len(bands), loud - rng.uniform(0, 40), np.float32)
    if rng.random() < 0.5:
        level += rng.uniform(0, 6) * smooth(len(bands), max(2, len(bands) // 40), rng)
    noise = 10 ** ((level[:, None] + spectrum) / 10) * rng.gamma(3, 1 / 3, bands.shape)
    return _decibels(power + noise)


def limit(bands: Floats, rng: np.random.Generator) -> Floats:
    """Take the highest bands off, the lowest, or both as a telephone does."""
    limited = bands.copy()
    kind = rng.random()
    lowest = _PHONE_BANDS[0] if kind < 0.35 else int(rng.integers(1, 6)) if kind < 0.55 else 0
    highest = _PHONE_BANDS[1] if kind < 0.35 else int(rng.integers(22, 36)) if kind > 0.45 else N_BANDS
    limited[:, :lowest] -= np.float32(rng.uniform(8, 40))
    slope = np.minimum(1, np.arange(1, N_BANDS - highest + 1) / rng.uniform(1, 4)).astype(np.float32)
    limited[:, highest:] -= np.float32(rng.uniform(15, 70)) * slope
    return limited


def control_gain(bands: Floats, rng: np.random.Generator) -> Floats:
    """Change the level slowly, at random or against the level as automatic gain does."""
    if rng.random() < 0.5:
        curve = rng.uniform(2, 8) * smooth(len(bands), max(2, len(bands) // 60), rng)
        return bands + curve[:, None]
    level = bands.max(axis=1)
    level = np.maximum(level, level.max() - 40)
    kept = math.exp(-FRAME_S / rng.uniform(0.1, 1.0))
    slow, _ = lfilter([1 - kept], [1, -kept], level, zi=[kept * level.mean()])
    controlled: Floats = bands - np.float32(rng.uniform(0.3, 0.8)) * slow.astype(np.float32)[:, None]
    return controlled


def drop(bands: Floats, rng: np.random.Generator) -> Floats:
    """Lose a few frames or a few bands."""
    dropped = bands.copy()
    if rng.random() < 0.5:
        start, count = int(rng.integers(0, len(bands))), int(rng.integers(2, 8))
        dropped[start : start + count] = bands.min()
    else:
        start, count = int(rng.integers(0, N_BANDS)), int(rng.integers(2, 5))
        dropped[:, start : start + count] = bands.mean() - 10
    return dropped


def _decibels(power: NDArray[np.floating]) -> Floats:
    levels: Floats = (10 * np.log10(power + 1e-12)).astype(np.float32)
    return levels
