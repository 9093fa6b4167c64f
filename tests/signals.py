"""Synthetic recordings: speech enough for spectra and pauses, and free of anybody's voice."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]


def buzz(n: int, rate: int = 16_000, *, pitch_hz: float = 120, seed: int = 0) -> Samples:
    """Make a voiced sound with moving loudness, and some noise in it."""
    rng = np.random.default_rng(seed)
    t = np.arange(n) / rate
    tones = sum(np.sin(2 * np.pi * pitch_hz * k * t + k) / k for k in range(1, int(min(30, rate / 2 / pitch_hz))))
    return (0.1 * tones * (1 + np.sin(7 * t)) + 0.01 * rng.standard_normal(n)).astype(np.float32)


def sentences(
    spans_s: list[tuple[float, float]],
    duration_s: float,
    rate: int = 16_000,
    *,
    noise: float = 1e-4,
    seed: int = 0,
) -> Samples:
    """Make syllables of changing vowels in each span (start, end), over faint noise."""
    rng = np.random.default_rng(seed)
    samples = noise * rng.standard_normal(round(duration_s * rate))
    for number, (start_s, end_s) in enumerate(spans_s):
        # The same seed for the same sentence, whatever comes before it in the recording.
        samples[round(start_s * rate) : round(end_s * rate)] += syllables(end_s - start_s, rate, seed=number)
    return samples[: round(duration_s * rate)].astype(np.float32)


def syllables(duration_s: float, rate: int, *, seed: int) -> NDArray[np.float64]:
    """Make a row of syllables: harmonics through two moving resonances, 5 a second."""
    rng = np.random.default_rng(seed)
    n = round(duration_s * rate)
    t = np.arange(n) / rate
    knots = np.arange(int(np.ceil(5 * duration_s)) + 2) / 5
    formants = [np.interp(t, knots, rng.uniform(low, high, len(knots))) for low, high in ((300, 800), (900, 2300))]
    harmonics = np.arange(1, int(min(40, rate / 2 / 110))) * 110.0
    weights = sum(1 / (1 + ((harmonics[:, None] - formant) / 120) ** 2) for formant in formants)
    wave: NDArray[np.float64] = (weights * np.sin(2 * np.pi * harmonics[:, None] * t)).sum(axis=0)
    return 0.05 * wave * (0.6 + 0.4 * np.sin(2 * np.pi * 5 * t) ** 2)


def pulse_edges(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return the half-open runs of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(a, b) for a, b in pairwise(edges.tolist())][::2]
