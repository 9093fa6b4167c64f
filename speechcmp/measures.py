"""Measures: how a stretch of the take differs from a chunk of the reference, whatever the voices.

::

    Recording ─► measure_bands ─► (frames of a chunk, frames of its place in the take) ─► measure_chunk ─► Measures

A distance says little by itself: some voices are far from each other whatever they say. So the chunk is also
held against impostors [1]_ made of the same two stretches: their parts swapped, or played backward. Same
speakers, microphone, length and sounds, another text. `Measures.relative` is the distance in units of theirs.

Right against wrong texts of the same duration, area under the curve over 400 readings, reference voice joe
(slt); each line adds to those above:

=========================================================  ===========  =====================
..                                                         distance     in units of impostors
=========================================================  ===========  =====================
12 coefficients, mean-normalized, cosine                   .71 (.79)    .79 (.85)
13, variance-normalized                                    .70 (.78)    .79 (.83)
weighted by how well they agree between speakers           .83 (.85)    .87 (.87)
both sides stretched to one length, 30 ms a frame          .91 (.91)    .90 (.89)
best of 5 vocal tract lengths [2]_                         .93 (.92)    .91 (.89)
pauses (25 dB below the loud frames) left out              .97 (.97)    .96 (.97)
=========================================================  ===========  =====================

Tried before the last line, without gain for the gate: slopes of the coefficients, context of 3 to 13 frames
(canonical correlation), L1 and Euclidean cost, bands, quantiles of the local cost, straightness of the path.

References
----------
.. [1] Auckenthaler, Carey and Lloyd-Thomas, "Score normalization for text-independent speaker verification
   systems", Digital Signal Processing 10, 2000.
.. [2] Lee and Rose, "A frequency warping approach to speaker normalization", IEEE Transactions on Speech and
   Audio Processing 6(1), 1998.
"""

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from speechcmp.audio import Recording, mix_down, resample
from speechcmp.dtw import dtw_pair_distances
from speechcmp.errors import ParameterError
from speechcmp.features import Features, MfccParams, mfcc

SAMPLE_RATE = 16_000
HOP_S = 0.01
N_BANDS = 40
_BANDS = MfccParams(n_mfcc=N_BANDS, n_fft=512, win_length=400, hop_length=160, n_mels=N_BANDS)

_SPEECH_DB = 25.0  # below the loud frames (95th percentile); what is softer is a pause
_REACH_FRAMES = 4  # the soft beginnings and endings of speech, to either side
_STEP_FRAMES = 3  # of 10 ms in one: as good as 2, at less than half the cost
_MOST_STEPS = 700  # longer chunks (20 s) are averaged more coarsely
_FEWEST_STEPS = 8
_WARPS = (0.0, -0.1, -0.05, 0.05, 0.1)  # of the mel axis
# sqrt(rho / (1 - rho)), rho the correlation of a coefficient over frames aligned between two speakers
# (`benchmarks/fit_score.py --weights`). Those found with one reference voice serve the other as well.
_WEIGHTS = np.array([1.7, 1.65, 1, 1.1, 0.85, 0.65, 0.55, 0.55, 0.6, 0.3, 0.3, 0.2, 0.35], np.float32)
_ROTATIONS = (0.2, 0.4, 0.6, 0.8)
_BACKWARD_ROTATIONS = (0.0, 0.25, 0.5, 0.75)


@dataclass(frozen=True, slots=True)
class Measures:
    """How a stretch of the take differs from a chunk of the reference.

    Attributes
    ----------
    distance : float
        As `dtw_distance`, cosine, over speech at 30 ms a frame, after normalization of the speakers.
    relative : float
        `distance` / its mean over impostors: 0 for a copy, about 1 for another text.
    tempo : float
        Seconds of speech in the take / in the reference, pauses left out.
    pause : float
        Difference in seconds of pause / duration of the reference chunk.
    """

    distance: float
    relative: float
    tempo: float = 1.0
    pause: float = 0.0

    def __post_init__(self) -> None:
        values = self.distance, self.relative, self.tempo, self.pause
        if not all(math.isfinite(value) and value >= 0 for value in values) or self.tempo == 0:
            raise ParameterError(f"measures must be finite and not negative, tempo above 0, given {self}")


def measure_bands(recording: Recording) -> Features:
    """Measure the mel bands of a whole recording, from which chunks are cut.

    Returns
    -------
    float32, shape (n_frames, 40)
        dB, time first; frame t is centered at ``t * HOP_S`` seconds.
    """
    mono = resample(mix_down(recording), SAMPLE_RATE)
    # The transform is orthonormal: its transpose takes the bands back.
    bands: Features = mfcc(mono.samples, SAMPLE_RATE, params=_BANDS) @ _dct().T
    return bands


def measure_chunk(reference: Features, take: Features) -> Measures:
    """Hold a stretch of the take against a chunk of the reference.

    Parameters
    ----------
    reference, take : float32, shape (n_frames, 40)
        Stretches of what `measure_bands` returns.

    Raises
    ------
    ParameterError
        A side is empty or has not 40 bands.
    """
    for name, bands in (("reference", reference), ("take", take)):
        if bands.ndim != 2 or not len(bands) or bands.shape[1] != N_BANDS:
            raise ParameterError(f"{name}: must be (n_frames, {N_BANDS}), n_frames > 0, given {bands.shape}")
    ours, theirs = reference[_speech(reference)], take[_speech(take)]
    n_steps = round(math.sqrt(len(ours) * len(theirs)) / _STEP_FRAMES)
    n_steps = min(max(n_steps, _FEWEST_STEPS), _MOST_STEPS)
    one = _stretch(_cepstra(ours, 0.0), n_steps)
    others = [_stretch(_cepstra(theirs, warp), n_steps) for warp in _WARPS]
    distances = _distances([one], others, [(0, k) for k in range(len(others))])
    best = int(distances.argmin())
    ours_all, theirs_all = [one, *_impostors(one)], [others[best], *_impostors(others[best])]
    pairs = [pair for k in range(1, len(ours_all)) for pair in ((k, 0), (0, k))]
    chance = float(_distances(ours_all, theirs_all, pairs).mean())
    distance = float(distances[best])
    pause = abs((len(take) - len(theirs)) - (len(reference) - len(ours))) / len(reference)
    return Measures(distance, distance / chance if chance else 1.0, len(theirs) / len(ours), pause)


def _speech(bands: Features) -> NDArray[np.bool_]:
    powers = (10 ** (bands.astype(np.float64) / 10)).sum(axis=1)
    loud = powers > np.quantile(powers, 0.95) * 10 ** (-_SPEECH_DB / 10)
    near = np.convolve(loud, np.ones(2 * _REACH_FRAMES + 1))[_REACH_FRAMES : _REACH_FRAMES + len(loud)]
    speech: NDArray[np.bool_] = near > 0.5
    return speech


def _cepstra(bands: Features, warp: float) -> Features:
    """Return cepstra, normalized over the stretch and weighted, of a vocal tract longer or shorter [2]_."""
    places = np.clip(np.arange(N_BANDS) * (1 + warp), 0, N_BANDS - 1)
    below = np.minimum(places.astype(int), N_BANDS - 2)
    share = (places - below).astype(np.float32)
    warped = bands[:, below] * (1 - share) + bands[:, below + 1] * share
    cepstra = warped @ _dct()[:, : len(_WEIGHTS)]
    centered = cepstra - cepstra.mean(axis=0)
    weighted: Features = centered / (centered.std(axis=0) + np.float32(1e-6)) * _WEIGHTS
    return weighted


@functools.cache
def _dct() -> NDArray[np.float32]:
    """Orthonormal DCT-II, as `mfcc` uses it, shape (40, 40)."""
    order = np.arange(N_BANDS)
    basis = np.cos(np.pi * np.outer(order + 0.5, order) / N_BANDS) * np.sqrt(2 / N_BANDS)
    basis[:, 0] /= np.sqrt(2)
    dct: NDArray[np.float32] = basis.astype(np.float32)
    return dct


def _stretch(frames: Features, n_steps: int) -> Features:
    """Average over `n_steps` stretches of equal length, be that more or less than there are frames."""
    sums = np.vstack([np.zeros_like(frames[:1], np.float64), frames.cumsum(axis=0, dtype=np.float64)])
    edges = np.linspace(0, len(frames), n_steps + 1)
    whole = np.minimum(edges.astype(int), len(frames) - 1)
    until = sums[whole] + (edges - whole)[:, None] * frames[whole]
    means: Features = (np.diff(until, axis=0) * (n_steps / len(frames))).astype(np.float32)
    return means


def _impostors(frames: Features) -> list[Features]:
    n, backward = len(frames), frames[::-1]
    swapped = [np.roll(frames, round(share * n), axis=0) for share in _ROTATIONS]
    return swapped + [np.roll(backward, round(share * n), axis=0) for share in _BACKWARD_ROTATIONS]


def _distances(ours: list[Features], theirs: list[Features], pairs: list[tuple[int, int]]) -> NDArray[np.float64]:
    return dtw_pair_distances(ours, theirs, pairs, metric="cosine", n_threads=1)
