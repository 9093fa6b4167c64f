"""Peaks of the spectrogram: the points of a recording that survive noise, gain and lossy coding.

The power spectrogram is treated as an image, of which the local maxima are kept [1]_. It is made block by
block, so that memory holds no more than the peaks however long the recording is, and in such a way that
cutting the recording into other blocks changes nothing.

.. [1] A. Wang, "An industrial-strength audio search algorithm", ISMIR 2003.
.. [2] dejavu, https://github.com/worldveil/dejavu, logic/fingerprint.py and config/settings.py.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import soxr
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from speechcmp.checks import check_fields
from speechcmp.errors import ParameterError

FloatArray = NDArray[np.floating[Any]]
Samples = FloatArray | Iterable[FloatArray]

_BLOCK_FRAMES = 192  # a block of spectrogram that stays in the second-level cache
_RESAMPLE_BLOCK = 1 << 16


@dataclass(frozen=True, slots=True)
class FingerprintParams:
    """What decides a recording's hashes; two fingerprints can be compared when all of these are equal.

    Attributes
    ----------
    name : str
        Name of the preset, stored beside the hashes.
    sample_rate : int or None
        Rate in Hz the recording is resampled to, or None to take it as it is.
    window, hop : int
        Length and step of the analysis window (Hann), in samples.
    neighborhood_bins, neighborhood_frames : int
        A peak is the maximum of the rectangle of this half-width and half-length, in bins and in frames.
    min_bin, max_bin : int
        Bins that may hold a peak: half-open range.
    floor_db, floor_reach_s : float
        A peak is at most `floor_db` dB weaker than the loudest bin within `floor_reach_s` seconds: relative,
        so that gain changes nothing; local, so that a loud passage silences no soft one further off.
    min_power_db : float
        Absolute floor of the power density: dB above 1 / Hz, with samples scaled to `full_scale`.
    plateaus : bool
        Whether every cell of a flat maximum is a peak, as in dejavu, or its first one alone.
    fan_out, query_fan_out : int
        Most targets of an anchor when storing and when asking. Asking with more finds the stored pairs again
        among the false peaks that noise adds.
    min_delta_frames, max_delta_frames, max_delta_bins : int
        The target zone: frames from anchor to target (closed range) and largest distance in bins.
    decay_db : float or None
        Targets are taken by power, of which each frame of distance costs `decay_db` dB: strong peaks
        outlive noise. None takes the next peaks in order of time and bin, and then those of them in the zone.
    query_shifts : int
        A query is analyzed this many times, each `hop / query_shifts` samples further on, because its frames
        fall anywhere between the stored ones.
    full_scale : float
        What a sample of 1.0 counts as: 32768 for those who work on 16-bit integers.
    dtype : str
        Floating-point type of the spectrogram: ``"float32"`` or ``"float64"``.

    Raises
    ------
    ParameterError
        When a number is out of its range.

    Examples
    --------
    >>> import speechcmp
    >>> dense = speechcmp.FingerprintParams("dense", fan_out=6, query_fan_out=8)
    >>> dense.hop_s(44_100)  # resampled to 16 kHz first
    0.016
    """

    name: str
    sample_rate: int | None = 16_000
    window: int = 1024
    hop: int = 256
    neighborhood_bins: int = 5
    neighborhood_frames: int = 12
    min_bin: int = 3
    max_bin: int = 512
    floor_db: float = 62.0
    floor_reach_s: float = 15.0
    min_power_db: float = -math.inf
    plateaus: bool = False
    fan_out: int = 3
    query_fan_out: int = 5
    min_delta_frames: int = 1
    max_delta_frames: int = 40
    max_delta_bins: int = 100
    decay_db: float | None = 0.2
    query_shifts: int = 3
    full_scale: float = 1.0
    dtype: str = "float32"

    def __post_init__(self) -> None:
        check_fields(self)
        if self.window < 2 or self.window % 2 or not 0 < self.hop <= self.window:
            raise ParameterError(
                f"window, hop: not an even window of at least its hop, given {self.window}, {self.hop}; "
                "use a power of two and a quarter of it"
            )
        if not 0 <= self.min_bin < self.max_bin <= self.window // 2 + 1:
            raise ParameterError(
                f"min_bin, max_bin: outside 0..{self.window // 2 + 1}, given {self.min_bin}, {self.max_bin}"
            )
        if not 0 <= self.min_delta_frames <= self.max_delta_frames:
            raise ParameterError(
                f"min_delta_frames, max_delta_frames: not an ascending range from 0, "
                f"given {self.min_delta_frames}, {self.max_delta_frames}"
            )
        positive = ("neighborhood_bins", "neighborhood_frames", "fan_out", "query_fan_out", "query_shifts")
        for field in positive:
            if getattr(self, field) < 1:
                raise ParameterError(f"{field}: below 1, given {getattr(self, field)}; use 1 or more")

    def hop_s(self, sample_rate: int) -> float:
        """Return the time from frame to frame.

        Parameters
        ----------
        sample_rate : int
            Hz of the recording; it counts where `self.sample_rate` is None.

        Returns
        -------
        float
            Seconds.
        """
        return self.hop / (self.sample_rate or sample_rate)


SPEECH = FingerprintParams("speech")

# dejavu's own settings with its former fan value 15, which its loop `range(1, 15)` makes 14 targets.
DEJAVU = FingerprintParams(
    "dejavu",
    sample_rate=None,
    window=4096,
    hop=2048,
    neighborhood_bins=10,
    neighborhood_frames=10,
    min_bin=0,
    max_bin=2049,
    floor_db=math.inf,
    min_power_db=10.0,
    plateaus=True,
    fan_out=14,
    query_fan_out=14,
    min_delta_frames=0,
    max_delta_frames=200,
    max_delta_bins=2049,
    decay_db=None,
    query_shifts=4,
    full_scale=32768.0,
    dtype="float64",
)

PRESETS = {params.name: params for params in (SPEECH, DEJAVU)}


class Peaks(NamedTuple):
    """Spectrogram peaks in order of frame, then bin: three arrays of shape (n_peaks,)."""

    frames: NDArray[np.int64]
    bins: NDArray[np.int64]
    powers: FloatArray


def decoded_blocks(
    samples: Samples, sample_rate: int, params: FingerprintParams, limit_s: float | None = None
) -> Iterator[NDArray[np.float32]]:
    """Check samples, cut them after `limit_s` seconds and bring them to the rate of the parameters.

    Raises
    ------
    ParameterError
        When the samples are not one-dimensional or not finite, or `sample_rate` or `limit_s` is not positive.
    """
    if sample_rate <= 0:
        raise ParameterError(f"sample_rate: not positive, given {sample_rate}; give it in Hz")
    if limit_s is not None and not limit_s > 0:
        raise ParameterError(f"limit_s: not positive, given {limit_s}; give seconds or None for all")
    n_left = math.inf if limit_s is None else round(limit_s * sample_rate)
    blocks = [samples] if isinstance(samples, np.ndarray) else samples
    return _resampled(_limited(blocks, n_left), sample_rate, params)


def find_peaks(blocks: Iterable[NDArray[np.float32]], sample_rate: int, params: FingerprintParams) -> tuple[Peaks, int]:
    """Find the peaks above the floors, and count the frames.

    Parameters
    ----------
    blocks
        Mono samples at the rate of the parameters, as `decoded_blocks` yields them.
    sample_rate
        Rate of the blocks in Hz.
    """
    reach, n_bins = params.neighborhood_frames, params.window // 2 + 1
    outside = np.zeros((reach, n_bins), params.dtype)
    image, first = outside, -reach
    loudest = [np.zeros(0, params.dtype)]
    found = [(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, params.dtype))]
    for power in chain(_power_blocks(blocks, sample_rate, params), [outside]):
        if power is not outside:
            loudest.append(power.max(axis=1))
        image = np.concatenate([image, power])
        if len(image) <= 2 * reach:
            continue
        rows, bins = _local_maxima(image, params)
        first += reach
        found.append((rows + first, bins, image[rows + reach, bins]))
        first += len(image) - 3 * reach
        image = image[-2 * reach :]
    peaks = Peaks(*(np.concatenate(column) for column in zip(*found, strict=True)))
    level = np.concatenate(loudest)
    return _above_floors(peaks, level, sample_rate, params), len(level)


def _above_floors(peaks: Peaks, level: FloatArray, sample_rate: int, params: FingerprintParams) -> Peaks:
    kept = peaks.powers > 10 ** (params.min_power_db / 10)
    if math.isfinite(params.floor_db):
        reach = round(params.floor_reach_s / params.hop_s(sample_rate))
        padding = np.zeros(reach, level.dtype)
        loudest = _running_maximum(np.concatenate([padding, level, padding]), reach)
        kept &= peaks.powers > loudest[peaks.frames] * 10 ** (-params.floor_db / 10)
    return Peaks(peaks.frames[kept], peaks.bins[kept], peaks.powers[kept])


def _limited(blocks: Iterable[FloatArray], n_left: float) -> Iterator[NDArray[np.float32]]:
    for block in blocks:
        array = np.asarray(block, np.float32)
        if array.ndim != 1:
            raise ParameterError(f"samples: not one channel, given a block of shape {array.shape}; mix to mono first")
        if not np.isfinite(array).all():
            raise ParameterError("samples: some are infinite or not a number; check the decoder")
        yield array[: int(min(n_left, len(array)))]
        n_left -= len(array)
        if n_left <= 0:
            return


def _resampled(
    blocks: Iterator[NDArray[np.float32]], sample_rate: int, params: FingerprintParams
) -> Iterator[NDArray[np.float32]]:
    if params.sample_rate in (None, sample_rate):
        yield from blocks
        return
    stream = soxr.ResampleStream(sample_rate, params.sample_rate, 1, dtype="float32")
    # Blocks of one size, so that the caller's cutting can't show in the resampler's rounding.
    for block in _rechunked(blocks, _RESAMPLE_BLOCK, _RESAMPLE_BLOCK):
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


def _rechunked(blocks: Iterable[NDArray[np.float32]], size: int, step: int) -> Iterator[NDArray[np.float32]]:
    """Cut a stream into pieces of `size` that start every `step` samples; the last one holds what is left."""
    pending: list[NDArray[np.float32]] = []
    n_pending = 0
    for block in blocks:
        pending.append(block)
        n_pending += len(block)
        if n_pending < size:
            continue
        joined = np.concatenate(pending)
        start = 0
        while n_pending - start >= size:
            yield joined[start : start + size]
            start += step
        pending, n_pending = [joined[start:]], n_pending - start
    if n_pending:
        yield np.concatenate(pending)


def _power_blocks(
    blocks: Iterable[NDArray[np.float32]], sample_rate: int, params: FingerprintParams
) -> Iterator[FloatArray]:
    """Yield the one-sided power density as `matplotlib.mlab.specgram` scales it, (frames, bins) a block."""
    window = np.hanning(params.window)
    # The factor 2 of a one-sided spectrum; the two bins that have no mirror image are halved below.
    window *= params.full_scale * math.sqrt(2 / (sample_rate * (window**2).sum()))
    window = window.astype(params.dtype)
    step = _BLOCK_FRAMES * params.hop
    for piece in _rechunked(blocks, step - params.hop + params.window, step):
        if len(piece) < params.window:
            return
        spectrum = np.fft.rfft(sliding_window_view(piece, params.window)[:: params.hop] * window)
        power = spectrum.real**2
        power += spectrum.imag**2
        power[:, [0, -1]] *= 0.5
        yield power


def _local_maxima(image: FloatArray, params: FingerprintParams) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find local maxima: rows, counted from the first that has a whole neighborhood, and bins."""
    reach, margin = params.neighborhood_frames, params.neighborhood_bins
    over_time = _running_maximum(image, reach)
    padded = np.zeros((len(over_time), image.shape[1] + 2 * margin), image.dtype)
    padded[:, margin:-margin] = over_time
    body = image[reach:-reach]
    peak = body == _running_maximum(padded.T, margin).T
    peak[:, : params.min_bin] = False
    peak[:, params.max_bin :] = False
    # Twice as fast as nonzero on the image itself.
    rows, bins = np.divmod(np.flatnonzero(peak), peak.shape[1])
    kept = body[rows, bins] > 0
    if not params.plateaus:
        kept &= image[rows + reach - 1, bins] < body[rows, bins]
        kept &= (bins == 0) | (body[rows, bins - 1] < body[rows, bins])
    return rows[kept], bins[kept]


def _running_maximum(values: FloatArray, reach: int) -> FloatArray:
    """Take the maximum from `reach` places before to `reach` after along the first axis, where all exist.

    Windows double in length until two of them, overlapping, cover the whole: log2(2 reach + 1) passes.
    """
    length = 2 * reach + 1
    covered = 1
    while 2 * covered <= length:
        values = np.maximum(values[:-covered], values[covered:])
        covered *= 2
    rest = length - covered
    return np.maximum(values[:-rest], values[rest:]) if rest else values
