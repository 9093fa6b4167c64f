"""MFCC in numpy, equal to librosa's; levels, normalization and slopes.

librosa is the oracle in the tests; importing it costs seconds, which a command line can't afford.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from speechcmp.errors import ParameterError

Features = NDArray[np.float32]

_POWER_FLOOR = 1e-10  # librosa.power_to_db's amin
_DYNAMIC_RANGE_DB = 80.0  # and its top_db
_BLOCK_FRAMES = 2048  # spectra held at a time, whatever the length of the recording
_DELTA_WIDTH_FRAMES = 9


@dataclass(frozen=True, slots=True)
class MfccParams:
    """How MFCC are computed; the defaults are librosa's, and so are the names.

    Attributes
    ----------
    n_mfcc : int
        Coefficients, c0 included; at most `n_mels`.
    n_fft, hop_length : int
        Samples of an analysis window and of the step between two of them.
    win_length : int or None
        Samples under the Hann window, centered in `n_fft`; None: all of them.
    n_mels : int
        Slaney mel bands between `fmin` and `fmax`.
    fmin : float
        Hz.
    fmax : float or None
        Hz; None is half the sample rate.
    lifter : float
        Sinusoidal lifter; 0 for none.
    center : bool
        Frame t is centered at sample ``t * hop_length``; the ends are padded with zeros.
    pre_emphasis : float
        Coefficient of ``y[n] - coefficient * y[n - 1]`` before analysis; 0 for none.

    Raises
    ------
    ParameterError
        A count is not positive, a window or `n_mfcc` too large, a frequency or `lifter` negative, or `fmax` not
        above `fmin`.

    Examples
    --------
    >>> import speechcmp
    >>> speechcmp.MfccParams(n_mfcc=13, n_fft=512, hop_length=160).n_mels
    128
    """

    n_mfcc: int = 20
    n_fft: int = 2048
    hop_length: int = 512
    win_length: int | None = None
    n_mels: int = 128
    fmin: float = 0.0
    fmax: float | None = None
    lifter: float = 0.0
    center: bool = True
    pre_emphasis: float = 0.0

    def __post_init__(self) -> None:
        window = self.n_fft if self.win_length is None else self.win_length
        if min(self.n_mfcc, self.n_fft, self.hop_length, self.n_mels) < 1 or not 1 <= window <= self.n_fft:
            raise ParameterError(f"{self}: counts must be positive, and win_length at most n_fft")
        if self.n_mfcc > self.n_mels:
            raise ParameterError(f"n_mfcc: {self.n_mfcc} is more than n_mels {self.n_mels}; lower it")
        if self.fmin < 0 or (self.fmax is not None and self.fmax <= self.fmin) or self.lifter < 0:
            raise ParameterError(f"{self}: fmin and lifter can't be negative, fmax must be above fmin")


# Of 16 kHz: what scores and phonetic features are worked out from.
SPEECH_BANDS = MfccParams(n_fft=512, win_length=400, hop_length=160, n_mels=40)


def frame_levels(samples: NDArray[np.floating], hop_length: int) -> NDArray[np.float32]:
    """Measure the level around each frame: of `hop_length` samples on either side of its center.

    Parameters
    ----------
    samples : float, shape (n,)
        Mono, in [-1, 1].
    hop_length : int
        Samples from frame to frame, as in `MfccParams`.

    Returns
    -------
    float32, shape (1 + n // hop_length,)
        dBFS, at least -100: one a frame of `mfcc` with centering.
    """
    n_frames = 1 + len(samples) // hop_length
    padded = np.zeros((n_frames + 1) * hop_length, np.float32)
    padded[hop_length : hop_length + len(samples)] = samples
    halves = padded.reshape(-1, hop_length)
    squares = np.einsum("ij,ij->i", halves, halves)
    powers = (squares[:-1] + squares[1:]) / np.float32(2 * hop_length)
    levels: NDArray[np.float32] = 10 * np.log10(np.maximum(powers, np.float32(_POWER_FLOOR)))
    return levels


def mfcc(samples: NDArray[np.floating], sample_rate: int, *, params: MfccParams | None = None) -> Features:
    """Compute mel-frequency cepstral coefficients.

    Equals ``librosa.feature.mfcc(y=samples, sr=sample_rate, ...).T`` for the same parameters: Hann window,
    power spectrum, Slaney mel bands, dB with an 80 dB range, orthonormal DCT-II.

    Parameters
    ----------
    samples : float, shape (n,)
        Mono, in [-1, 1].
    sample_rate : int
        Hz.
    params : MfccParams, optional
        librosa's defaults if not given.

    Returns
    -------
    float32, shape (n_frames, n_mfcc)
        Time first.

    Raises
    ------
    ParameterError
        `samples` is not one-dimensional, is empty, or too short for a frame without centering; or fmax is
        above half the sample rate.

    References
    ----------
    Davis and Mermelstein (1980), IEEE Trans. ASSP 28(4), 357-366. Bands: Slaney (1998), Auditory Toolbox.

    Examples
    --------
    >>> import numpy as np
    >>> import speechcmp
    >>> tone = 0.1 * np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000)
    >>> speechcmp.mfcc(tone, 16_000, params=speechcmp.MfccParams(n_mfcc=13, n_fft=512, hop_length=160)).shape
    (101, 13)
    """
    params = params or MfccParams()
    (bands,) = log_mel_bands(samples, sample_rate, [params])
    cepstra: Features = bands @ cepstral_basis(params)
    return cepstra


def log_mel_bands(samples: NDArray[np.floating], sample_rate: int, banks: Sequence[MfccParams]) -> list[Features]:
    """Compute the levels of mel bands: `mfcc` before its cosine transform, with the same errors.

    Parameters
    ----------
    samples, sample_rate
        As for `mfcc`.
    banks : sequence of MfccParams
        Several banks over one spectrum: alike in all but `n_mels`, `fmin` and `fmax`.

    Returns
    -------
    list of float32, shape (n_frames, n_mels)
        dB, time first; what is 80 dB below the loudest is raised to that.
    """
    if samples.ndim != 1 or not samples.size:
        raise ParameterError(f"samples must be (n,) with n > 0, given shape {samples.shape}")
    filters = [mel_filters(sample_rate, bank.n_fft, bank.n_mels, bank.fmin, bank.fmax) for bank in banks]
    joined = np.hstack(filters)
    power = np.concatenate([block @ joined for block in _power_spectra(samples, banks[0])])
    edges = np.cumsum([bank.n_mels for bank in banks])[:-1]
    return [_to_decibels(part) for part in np.split(power, edges, axis=1)]


def _to_decibels(power: NDArray[np.float32]) -> Features:
    decibels: Features = 10 * np.log10(np.maximum(power, np.float32(_POWER_FLOOR)))
    np.maximum(decibels, decibels.max() - np.float32(_DYNAMIC_RANGE_DB), out=decibels)
    return decibels


def _power_spectra(samples: NDArray[np.floating], params: MfccParams) -> Iterator[NDArray[np.float32]]:
    """Yield blocks of power spectra, shape (n_frames, n_fft // 2 + 1)."""
    signal = np.asarray(samples, np.float32)
    if params.pre_emphasis:
        signal = np.concatenate([signal[:1], signal[1:] - np.float32(params.pre_emphasis) * signal[:-1]])
    if params.center:
        signal = np.pad(signal, params.n_fft // 2)
    if len(signal) < params.n_fft:
        raise ParameterError(f"samples: {len(signal)} are too few for a frame of {params.n_fft}; use center=True")
    window = _hann(params.n_fft, params.win_length or params.n_fft)
    frames = sliding_window_view(signal, params.n_fft)[:: params.hop_length]
    for start in range(0, len(frames), _BLOCK_FRAMES):
        spectrum = np.fft.rfft(frames[start : start + _BLOCK_FRAMES] * window)
        yield (spectrum.real**2 + spectrum.imag**2).astype(np.float32, copy=False)


@lru_cache(maxsize=16)
def _hann(n_fft: int, win_length: int) -> NDArray[np.float32]:
    window = np.zeros(n_fft, np.float32)
    start = (n_fft - win_length) // 2
    window[start : start + win_length] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(win_length) / win_length)
    return window


@lru_cache(maxsize=16)
def mel_filters(
    sample_rate: int, n_fft: int, n_mels: int, fmin: float = 0.0, fmax: float | None = None
) -> NDArray[np.float32]:
    """Build triangular mel bands of equal area: equals ``librosa.filters.mel(...).T``.

    Returns
    -------
    float32, shape (n_fft // 2 + 1, n_mels)

    Raises
    ------
    ParameterError
        `fmax` is above half the sample rate.
    """
    fmax = sample_rate / 2 if fmax is None else fmax
    if fmax > sample_rate / 2:
        raise ParameterError(f"fmax: {fmax} Hz is above half the sample rate {sample_rate} Hz; lower it")
    edges = _mel_to_hz(np.linspace(_hz_to_mel(fmin), _hz_to_mel(fmax), n_mels + 2))
    bins = np.fft.rfftfreq(n_fft, 1 / sample_rate)[:, None]
    rising = (bins - edges[:-2]) / np.diff(edges)[:-1]
    falling = (edges[2:] - bins) / np.diff(edges)[1:]
    triangles = np.maximum(0, np.minimum(rising, falling))
    filters: NDArray[np.float32] = (triangles * (2 / (edges[2:] - edges[:-2]))).astype(np.float32)
    return filters


# Slaney's scale: linear, 3 mels to 200 Hz, up to 1 kHz = 15 mel; 27 mels to a factor of 6.4 above.
_LOG_STEP = np.log(6.4) / 27


def _hz_to_mel(hz: float) -> float:
    return float(15 + np.log(hz / 1000) / _LOG_STEP) if hz >= 1000 else 3 * hz / 200


def _mel_to_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(mel >= 15, 1000 * np.exp(_LOG_STEP * (mel - 15)), mel * 200 / 3)


@lru_cache(maxsize=16)
def cosine_basis(n_mels: int, n_mfcc: int) -> NDArray[np.float64]:
    """Return the first columns of the orthonormal DCT-II, shape (n_mels, n_mfcc)."""
    angles = np.pi / n_mels * np.outer(np.arange(n_mels) + 0.5, np.arange(n_mfcc))
    basis: NDArray[np.float64] = np.sqrt(2 / n_mels) * np.cos(angles)
    basis[:, 0] /= np.sqrt(2)
    return basis


@lru_cache(maxsize=16)
def cepstral_basis(params: MfccParams) -> NDArray[np.float32]:
    basis = cosine_basis(params.n_mels, params.n_mfcc)
    if params.lifter:
        basis = basis * (1 + params.lifter / 2 * np.sin(np.pi * np.arange(1, params.n_mfcc + 1) / params.lifter))
    return basis.astype(np.float32)


def normalize_cepstra(
    features: Features, *, deviation_power: float = 0.0, frames: NDArray[np.bool_] | None = None
) -> Features:
    """Take speaker and channel out: subtract each coefficient's mean, divide by a power of its deviation.

    Parameters
    ----------
    features : float32, shape (n_frames, n_dims)
    deviation_power : float
        0 subtracts the mean alone (CMN), 1 divides by the standard deviation (CMVN), 0.4 by a part of it.
    frames : bool, shape (n_frames,), optional
        Over which mean and deviation are taken; all if none is True.

    References
    ----------
    Atal (1974), J. Acoust. Soc. Am. 55(6), 1304-1312; Viikki and Laurila (1998), Speech Comm. 25, 133-147.
    """
    chosen = features if frames is None or not frames.any() else features[frames]
    centered: Features = features - chosen.mean(axis=0, dtype=np.float64).astype(np.float32)
    if not deviation_power:
        return centered
    deviation = chosen.std(axis=0, dtype=np.float64).astype(np.float32)
    divisor = np.where(deviation > 0, deviation, np.float32(1)) ** np.float32(deviation_power)
    return (centered / divisor).astype(np.float32, copy=False)


def deltas(features: Features) -> Features:
    """Fit a line through 9 frames around each frame and return its slope: equals ``librosa.feature.delta``.

    Fewer than 9 frames are fitted with as many as there are; a single frame has no slope.
    """
    n_frames = len(features)
    reach = min(_DELTA_WIDTH_FRAMES, n_frames - (n_frames + 1) % 2) // 2
    if reach < 1:
        return np.zeros_like(features)
    weights = np.arange(-reach, reach + 1, dtype=np.float32)
    weights /= (weights**2).sum()
    inner = sliding_window_view(features, 2 * reach + 1, axis=0) @ weights
    return np.pad(inner, [(reach, n_frames - len(inner) - reach), (0, 0)], mode="edge")
