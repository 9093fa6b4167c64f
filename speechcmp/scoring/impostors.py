"""Measures: how a stretch of the take differs from a chunk of the reference, whatever the voices.

A chunk is also held against impostors made of the same two stretches, their parts swapped or played backward: the
same speakers, microphone, length and sounds, another text. `Measures.relative` is the distance in units of theirs.
Experiments, figures and references ([1]_, [2]_): docs/algorithms/impostors.md.
"""

import functools
import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from speechcmp.audio.recording import Recording, mix_down, resample
from speechcmp.audio.vad import loud_frames
from speechcmp.dtw.kernel import unit_vectors
from speechcmp.dtw.warp import dtw_pair_distances
from speechcmp.errors import ParameterError
from speechcmp.features.mfcc import SPEECH_BANDS, Features, cosine_basis, log_mel_bands
from speechcmp.features.phones import PHONE_STRIDE, phonetic_features

SAMPLE_RATE = 16_000
HOP_S = 0.01
N_BANDS = SPEECH_BANDS.n_mels
LARGEST_MEASURE = 1e100  # farther ones would make scores of no number

_CLICK_FRAMES = 14  # shorter at an end, the reach included, is no word
_ALONE_FRAMES = 20  # to the next speech
_STEP_FRAMES = 3  # of 10 ms in one: as good as 2, at less than half the cost
_PHONE_STEP_FRAMES = 4  # as good as 2
_MOST_STEPS = 700  # longer chunks (20 s) are averaged more coarsely
_FEWEST_STEPS = 8
_WARPS = (0.0, -0.1, -0.05, 0.05, 0.1)  # of the mel axis
# sqrt(rho / (1 - rho)), rho the correlation of a coefficient over frames aligned between two speakers
# (`benchmarks/fit_score.py --weights`). Those found with one reference voice serve the other as well.
_WEIGHTS = np.array([1.7, 1.65, 1, 1.1, 0.85, 0.65, 0.55, 0.55, 0.6, 0.3, 0.3, 0.2, 0.35], np.float32)
_ROTATIONS = (0.2, 0.4, 0.6, 0.8)
_BACKWARD_ROTATIONS = (0.0, 0.25, 0.5, 0.75)
_ALL_WEIGHTS = np.tile(_WEIGHTS, len(_WARPS))
_N_IMPOSTORS = len(_ROTATIONS) + len(_BACKWARD_ROTATIONS)
_ALL_WARPS = np.array([(0, 1 + k) for k in range(len(_WARPS))])
_ALL_IMPOSTORS = np.array([pair for k in range(1, _N_IMPOSTORS + 1) for pair in ((k, 0), (0, k))])


@dataclass(frozen=True, slots=True)
class Measures:
    """How a stretch of the take differs from a chunk of the reference.

    Attributes
    ----------
    distance : float
        Of cepstra: as `dtw_distance`, cosine, over speech at 30 ms a frame, after normalization of the speakers.
    relative : float
        `distance` / its mean over impostors: 0 for a copy, about 1 for another text.
    phones : float
        As `dtw_distance`, cosine, of phonetic features (`speechcmp.features.phones`) over speech at 40 ms a frame.
    speech_s : float
        Seconds of speech, pauses left out: geometric mean of both sides.
    tempo : float
        Seconds of speech in the take / in the reference, pauses left out.
    pause : float
        Difference in seconds of pause / duration of the reference chunk, both from the first to the last speech.

    Raises
    ------
    ParameterError
        A measure is negative or not finite, or the tempo or the speech 0.

    Examples
    --------
    >>> import speechcmp
    >>> speechcmp.Measures(distance=0.2, relative=0.6, phones=0.2, speech_s=3.0, tempo=1.2)
    Measures(distance=0.2, relative=0.6, phones=0.2, speech_s=3.0, tempo=1.2, pause=0.0)
    """

    distance: float
    relative: float
    phones: float
    speech_s: float
    tempo: float = 1.0
    pause: float = 0.0

    def __post_init__(self) -> None:
        values = self.distance, self.relative, self.phones, self.speech_s, self.tempo, self.pause
        least = min(self.speech_s, self.tempo)
        if not all(0 <= value <= LARGEST_MEASURE for value in values) or least < 1 / LARGEST_MEASURE:
            raise ParameterError(
                f"measures must be finite and not negative, tempo and speech_s above 0, given {self}; measure again"
            )


class Stretch(NamedTuple):
    """What a chunk, or what the take says in its place, is measured by.

    Attributes
    ----------
    bands : float32, shape (n_frames, 40)
        dB, time first, 10 ms a frame: `log_mel_bands` by `SPEECH_BANDS`.
    phones : float32, shape (about n_frames / 2, 64)
        Of the same stretch, 20 ms a frame: `phonetic_features`.

    Examples
    --------
    >>> import numpy as np
    >>> import speechcmp
    >>> noise = speechcmp.Recording.from_array(np.random.default_rng(0).normal(0, 0.1, 16_000), 16_000)
    >>> whole = speechcmp.prepare(noise, speechcmp.CompareParams()).whole
    >>> whole.bands.shape, whole.phones.shape
    ((101, 40), (51, 64))
    """

    bands: Features
    phones: Features

    def cut(self, start: int, stop: int) -> "Stretch":
        """Cut a part out.

        Parameters
        ----------
        start, stop : int
            Frames of the bands.

        Returns
        -------
        Stretch
            These frames of the bands, and the features that lie among them.
        """
        return Stretch(self.bands[start:stop], self.phones[start // PHONE_STRIDE : -(-stop // PHONE_STRIDE)])


def measure_recording(recording: Recording) -> Stretch:
    """Work out what a whole recording is measured by, from which chunks are cut."""
    mono = resample(mix_down(recording), SAMPLE_RATE)
    (bands,) = log_mel_bands(mono.samples, SAMPLE_RATE, [SPEECH_BANDS])
    return Stretch(bands, phonetic_features(bands))


def measure_chunk(reference: Stretch, take: Stretch) -> Measures:
    """Hold a stretch of the take against a chunk of the reference.

    Raises
    ------
    ParameterError
        A side is empty or has not 40 bands.
    """
    for name, side in (("reference", reference), ("take", take)):
        shape = side.bands.shape
        if len(shape) != 2 or not min(shape[0], len(side.phones)) or shape[1] != N_BANDS:
            raise ParameterError(f"{name}: must be (n_frames, {N_BANDS}), n_frames > 0, given {shape}")
    (ours, our_pauses), (theirs, their_pauses) = _spoken(reference.bands), _spoken(take.bands)
    cepstra = _cepstra(reference.bands[ours], 1), _cepstra(take.bands[theirs], len(_WARPS))
    distance, relative = _among_impostors(*cepstra, _n_steps(len(ours), len(theirs), _STEP_FRAMES))
    n_steps = _n_steps(len(ours), len(theirs), _PHONE_STEP_FRAMES)
    features = [_phones_of(reference.phones, ours), _phones_of(take.phones, theirs)]
    units = _unit_steps(np.concatenate([_stretch(side[:, None], n_steps) for side in features]))
    phones = float(_distances(units, units, _ALL_WARPS[:1])[0])
    pause = abs(their_pauses - our_pauses) / (len(ours) + our_pauses)
    speech_s = HOP_S * math.sqrt(len(ours) * len(theirs))
    return Measures(distance, relative, phones, speech_s, len(theirs) / len(ours), pause)


def _n_steps(n_ours: int, n_theirs: int, step_frames: int) -> int:
    return min(max(round(math.sqrt(n_ours * n_theirs) / step_frames), _FEWEST_STEPS), _MOST_STEPS)


def _among_impostors(ours: NDArray[np.float32], theirs: NDArray[np.float32], n_steps: int) -> tuple[float, float]:
    """Return the least distance over the warps of `theirs`, and what it is of the mean over impostors.

    Sides are (n_frames, n_warps, n_dims), with one warp of `ours`.
    """
    units = _unit_steps(np.concatenate([_stretch(ours, n_steps), _stretch(theirs, n_steps)]))
    distances = _distances(units, units, _ALL_WARPS)
    best = int(distances.argmin())
    impostors = _impostor_frames(n_steps)
    chance = _distances(units[0, impostors], units[1 + best, impostors], _ALL_IMPOSTORS).mean()
    distance = float(distances[best])
    return distance, distance / float(chance) if chance else 1.0


def _unit_steps(steps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return (n, n_steps, n_dims) as unit vectors, filled up with zeros as the kernel wants them."""
    return unit_vectors(steps.reshape(-1, steps.shape[2])).reshape(*steps.shape[:2], -1)


def _phones_of(phones: Features, spoken: NDArray[np.int64]) -> Features:
    """Return the phonetic features of frames of speech, of 10 ms."""
    return phones[np.minimum(np.unique(spoken // PHONE_STRIDE), len(phones) - 1)]


def _spoken(bands: Features) -> tuple[NDArray[np.int64], int]:
    """Return the frames of speech, and how many others lie between the first and the last of them."""
    frames = np.flatnonzero(_is_speech(bands))
    gaps = np.flatnonzero(frames[1:] - frames[:-1] > _ALONE_FRAMES) + 1
    if len(gaps):
        frames = _without_clicks(np.split(frames, gaps))
    return frames, int(frames[-1]) - int(frames[0]) + 1 - len(frames)


def _is_speech(bands: Features) -> NDArray[np.bool_]:
    return loud_frames(np.exp(bands * np.float32(math.log(10) / 10)).sum(axis=1, dtype=np.float64))


def _without_clicks(runs: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Join stretches but for clicks at the ends, far from any word: one chunk may have them and another not."""
    while len(runs) > 1 and len(runs[0]) < _CLICK_FRAMES:
        del runs[0]
    while len(runs) > 1 and len(runs[-1]) < _CLICK_FRAMES:
        del runs[-1]
    return np.concatenate(runs)


def _cepstra(bands: Features, n_warps: int) -> NDArray[np.float32]:
    """Return cepstra, normalized over the stretch and weighted: (n_frames, n_warps, n_coefficients)."""
    n_coefficients = len(_WEIGHTS)
    cepstra = bands @ _warped_dct()[:, : n_warps * n_coefficients]
    cepstra -= cepstra.sum(axis=0) / np.float32(len(cepstra))
    spread = np.sqrt(np.einsum("nd,nd->d", cepstra, cepstra) / np.float32(len(cepstra)))
    cepstra *= _ALL_WEIGHTS[: n_warps * n_coefficients] / (spread + np.float32(1e-6))
    return cepstra.reshape(len(bands), n_warps, n_coefficients)


@functools.cache
def _warped_dct() -> NDArray[np.float32]:
    """Return the matrices that take bands to cepstra of vocal tracts longer or shorter [2]_, side by side."""
    matrices = []
    for warp in _WARPS:
        places = np.clip(np.arange(N_BANDS) * (1 + warp), 0, N_BANDS - 1)
        below = np.minimum(places.astype(int), N_BANDS - 2)
        to_warped = np.zeros((N_BANDS, N_BANDS))
        to_warped[below, np.arange(N_BANDS)] = 1 - (places - below)
        to_warped[below + 1, np.arange(N_BANDS)] = places - below
        matrices.append(to_warped @ cosine_basis(N_BANDS, len(_WEIGHTS)))
    return np.hstack(matrices).astype(np.float32)


def _stretch(frames: NDArray[np.float32], n_steps: int) -> NDArray[np.float32]:
    """Average over `n_steps` stretches of equal length, be that more or less than there are frames.

    `frames` is (n_frames, n_warps, n_coefficients); the averages are (n_warps, n_steps, n_coefficients).
    """
    n_frames = len(frames)
    sums = np.zeros((n_frames + 1, *frames.shape[1:]))
    np.cumsum(frames, axis=0, dtype=np.float64, out=sums[1:])
    edges = np.arange(n_steps + 1) * (n_frames / n_steps)
    whole = np.minimum(edges.astype(np.int64), n_frames - 1)
    until = sums[whole] + (edges - whole)[:, None, None] * frames[whole]
    means = (until[1:] - until[:-1]) * (n_steps / n_frames)
    return np.ascontiguousarray(means.swapaxes(0, 1), np.float32)


@functools.lru_cache(maxsize=_MOST_STEPS)
def _impostor_frames(n: int) -> NDArray[np.int64]:
    """Return the frames of a stretch in its own order, then in those of its impostors: (n_impostors + 1, n)."""
    shifts = [0, *(round(share * n) for share in (*_ROTATIONS, *_BACKWARD_ROTATIONS))]
    frames: NDArray[np.int64] = (np.arange(n) - np.array(shifts)[:, None]) % n
    frames[1 + len(_ROTATIONS) :] = n - 1 - frames[1 + len(_ROTATIONS) :]
    return frames


def _distances(ours: NDArray[np.float32], theirs: NDArray[np.float32], pairs: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return cosine distances of unit vectors."""
    return dtw_pair_distances(ours, theirs, pairs, metric="sqeuclidean", n_threads=1) / 2
