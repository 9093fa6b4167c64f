"""Peaks, landmarks and dejavu's hashes by plain loops and scipy's spectrogram: slow, and easy to check."""

import hashlib
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage, signal

from speechcmp.fingerprint.peaks import FingerprintParams

Image = NDArray[np.float64]
Peak = tuple[int, int]  # frame, bin


def power_density(samples: NDArray[Any], rate: int, *, window: int, hop: int) -> Image:
    """Return the power density, (frames, bins), as matplotlib.mlab.specgram defines it."""
    _, _, power = signal.spectrogram(
        np.asarray(samples, np.float64),
        rate,
        np.hanning(window),
        nperseg=window,
        noverlap=window - hop,
        detrend=False,
        scaling="density",
        mode="psd",
    )
    return np.asarray(power.T, np.float64)


def local_maxima(image: Image, reach_frames: int, reach_bins: int) -> list[Peak]:
    """Return cells that nothing in their rectangle exceeds, in order of frame, then bin."""
    n_frames, n_bins = image.shape
    found = []
    for t in range(n_frames):
        for f in range(n_bins):
            around = image[max(0, t - reach_frames) : t + reach_frames + 1, max(0, f - reach_bins) : f + reach_bins + 1]
            if image[t, f] >= around.max():
                found.append((t, f))
    return found


def peaks_above_floor(image: Image, params: FingerprintParams, rate: int) -> list[Peak]:
    """Return the peaks that the floor local to each leaves; flat maxima are taken to be absent."""
    reach = round(params.floor_reach_s * rate / params.hop)
    kept = []
    for t, f in local_maxima(image, params.neighborhood_frames, params.neighborhood_bins):
        loudest = image[max(0, t - reach) : t + reach + 1].max()
        above = image[t, f] > loudest * 10 ** (-params.floor_db / 10)
        if params.min_bin <= f < params.max_bin and above:
            kept.append((t, f))
    return kept


def strongest_pairs(peaks: list[Peak], image: Image, params: FingerprintParams) -> list[tuple[int, int, int, int]]:
    """Return (anchor frame, anchor bin, target bin, frames between) of each anchor's best targets."""
    found = []
    for t1, f1 in peaks:
        targets = []
        for t2, f2 in peaks:
            in_time = params.min_delta_frames <= t2 - t1 <= params.max_delta_frames
            if in_time and abs(f2 - f1) <= params.max_delta_bins:
                assert params.decay_db is not None
                strength = 10 * math.log10(image[t2, f2]) - params.decay_db * (t2 - t1)
                targets.append((-strength, f2, t2 - t1))
        found += [(t1, f1, f2, delta) for _, f2, delta in sorted(targets)[: params.fan_out]]
    return found


def dejavu_hashes(samples: NDArray[np.int16], rate: int) -> list[tuple[str, int]]:
    """Return what dejavu's `fingerprint` gives for 16-bit samples, fan value 15, in its order."""
    power = power_density(samples, rate, window=4096, hop=2048).T
    image = np.zeros_like(power)
    for place in np.argwhere(power != 0):
        image[tuple(place)] = 10 * math.log10(power[tuple(place)])
    square = ndimage.iterate_structure(ndimage.generate_binary_structure(2, 2), 10)
    is_maximum = ndimage.maximum_filter(image, footprint=square) == image
    quiet = ndimage.binary_erosion(image == 0, structure=square, border_value=1)
    peaks = [(int(f), int(t)) for f, t in np.argwhere(is_maximum ^ quiet) if image[f, t] > 10]
    peaks.sort(key=lambda peak: peak[1])
    hashes = []
    for i in range(len(peaks)):
        for j in range(1, 15):
            if i + j < len(peaks):
                (f1, t1), (f2, t2) = peaks[i], peaks[i + j]
                if 0 <= t2 - t1 <= 200:
                    digest = hashlib.sha1(f"{f1}|{f2}|{t2 - t1}".encode(), usedforsecurity=False).hexdigest()
                    hashes.append((digest[:20], t1))
    return hashes
