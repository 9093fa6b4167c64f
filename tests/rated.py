"""Takes of known measures, rated by a known law."""

import math

import numpy as np

from speechcmp.calibration.fit import Examples
from speechcmp.scoring.impostors import Measures
from speechcmp.scoring.model import TakeMeasures


def rated_takes(n: int, seed: int, *, n_chunks: int = 1, n_speakers: int = 12) -> Examples:
    """Rate by a law: of 100, 30 points a unit of timing, 40 a unit of sound above 0.2, 6 a unit of pauses.

    Several chunks: their mean by duration; pauses between them cost as those inside, a missing one its share.
    """
    rng = np.random.default_rng(seed)
    takes, ratings = [], []
    for number in range(n):
        chunks = [
            Measures(0.1, 0.3, rng.uniform(0.2, 0.6), 2.0, math.exp(rng.uniform(0, 1)), rng.uniform(0, 0.5))
            for _ in range(n_chunks)
        ]
        durations_s = rng.uniform(1, 5, n_chunks)
        kept = [100 - 30 * math.log(one.tempo) - 40 * (one.phones - 0.2) - 6 * one.pause for one in chunks]
        said: list[Measures | None] = list(chunks)
        if n_chunks > 1 and number % 4 == 0:
            said[0], kept[0] = None, 0.0
        total_s = float(durations_s.sum())
        pause_s = rng.uniform(0, 0.5) * total_s if n_chunks > 1 else 0.0
        share = 1 - (durations_s[0] / total_s if said[0] is None else 0)
        ratings.append(float(durations_s @ kept / total_s - 6 * share * pause_s / total_s))
        takes.append(TakeMeasures(tuple(said), tuple(durations_s.tolist()), (1.0, 1.0 + pause_s)))
    speakers = tuple(f"s{k % n_speakers}" for k in range(n))
    return Examples(tuple(takes), speakers, tuple(ratings))


def right_or_wrong(n: int, seed: int, *, wrong: bool, n_chunks: int = 1) -> Examples:
    """Make takes of the right text, or of a wrong one: farther off, whatever the speaker."""
    rng = np.random.default_rng([seed, wrong])
    middle = (0.34, 0.9, 0.4) if wrong else (0.2, 0.55, 0.2)
    takes = []
    for _ in range(n):
        offs = rng.standard_normal((n_chunks, 3))
        chunks = tuple(
            Measures(middle[0] + 0.03 * a, middle[1] + 0.06 * b, max(0.0, middle[2] + 0.04 * c), 2.0)
            for a, b, c in offs
        )
        takes.append(TakeMeasures(chunks, (2.0,) * n_chunks))
    return Examples(tuple(takes), tuple(f"s{k % 15}" for k in range(n)))
