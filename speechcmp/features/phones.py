"""Phonetic features: near for one sound by two voices, far for two sounds by one, whatever the language.

A small network of convolutions over the mel bands [1]_, trained to copy a speech recognizer's encoder and to bring
together voices that read one text. Data, licences, training and figures: ``phones.md`` beside the weights, and
benchmarks/phones.

References
----------
.. [1] Liu et al. (2022), A ConvNet for the 2020s, CVPR.
"""

from collections.abc import Mapping
from functools import cache
from importlib import resources

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from speechcmp.features.mfcc import Features

PHONE_STRIDE = 2  # frames of bands a frame of features

_LOUD_QUANTILE = 0.9
_FLOOR_DB, _SHIFT_DB, _SCALE_DB = -70.0, 35.0, 20.0
_EPSILON = np.float32(1e-5)
_BLOCK_FRAMES = 1024  # what stays in the cache, whatever the length of the recording

Weights = Mapping[str, NDArray[np.float32]]


def phonetic_features(bands: Features) -> Features:
    """Turn mel bands into phonetic features.

    Parameters
    ----------
    bands : float32, shape (n_frames, 40)
        dB, of `log_mel_bands` by `SPEECH_BANDS` at 16 kHz: a frame every 10 ms.

    Returns
    -------
    float32, shape (ceil(n_frames / 2), 64)
        Frame t is centered at ``t * 0.02`` seconds. Its angle tells: compare by cosine.
    """
    layers = _Layers(_weights())
    n_features, reach = -(-len(bands) // PHONE_STRIDE), layers.reach
    scaled = _scaled(bands)
    parts = []
    for start in range(0, n_features, _BLOCK_FRAMES):
        stop = min(start + _BLOCK_FRAMES, n_features)
        first, last = max(start - reach, 0), min(stop + reach, n_features)
        parts.append(layers.apply(scaled, first, last)[start - first : stop - first])
    return np.concatenate(parts)


def _scaled(bands: Features) -> Features:
    """Take the level of the loud frames off; nothing of a single band, for which words are too short."""
    powers = np.exp(bands * np.float32(np.log(10) / 10)).sum(axis=1, dtype=np.float64)
    loud_db = np.float32(np.quantile(10 * np.log10(powers), _LOUD_QUANTILE))
    scaled: Features = (np.maximum(bands - loud_db, np.float32(_FLOOR_DB)) + np.float32(_SHIFT_DB)) / np.float32(
        _SCALE_DB
    )
    return scaled


@cache
def _weights() -> Weights:
    with resources.files(__package__).joinpath("phones.npz").open("rb") as raw, np.load(raw) as file:
        return {name: file[name].astype(np.float32) for name in file.files}


class _Layers:
    """The network: a stem of 5 frames that takes every other one, blocks, and a last matrix.

    A block is a convolution a channel and a hidden layer, added to what came in. Names are those of
    benchmarks/phones/student.py.
    """

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._dilations: list[int] = weights["dilations"].astype(int).tolist()

    @property
    def reach(self) -> int:
        """Frames of features to either side that a frame depends on."""
        stem = len(self._weights["stem.w"])
        taps = len(self._weights["0.dw"])
        return 1 + stem // 2 + taps // 2 * sum(self._dilations)

    def apply(self, scaled: Features, start: int, stop: int) -> Features:
        """Return the features from `start` to `stop`; right from `reach` on where there is more before or after."""
        frames = self._stem(scaled, start, stop)
        for k, dilation in enumerate(self._dilations):
            frames += self._hidden(_normalized(self._convolved(frames, k, dilation)), k)
        features: Features = _normalized(frames) @ self._weights["out.w"] + self._weights["out.b"]
        return features

    def _stem(self, scaled: Features, start: int, stop: int) -> Features:
        kernel, n_bands, width = self._weights["stem.w"].shape
        around = np.arange(PHONE_STRIDE * start - kernel // 2, PHONE_STRIDE * (stop - 1) + kernel // 2 + 1)
        windows = sliding_window_view(scaled[np.clip(around, 0, len(scaled) - 1)], kernel, axis=0)[::PHONE_STRIDE]
        rows = windows.transpose(0, 2, 1).reshape(stop - start, kernel * n_bands)
        return np.asarray(rows @ self._weights["stem.w"].reshape(-1, width) + self._weights["stem.b"])

    def _convolved(self, frames: Features, k: int, dilation: int) -> Features:
        taps = self._weights[f"{k}.dw"]
        around = len(taps) // 2 * dilation
        padded = np.pad(frames, ((around, around), (0, 0)))
        convolved = padded[: len(frames)] * taps[0]
        for place, tap in enumerate(taps[1:], start=1):
            convolved += padded[place * dilation : place * dilation + len(frames)] * tap
        convolved += self._weights[f"{k}.dwb"]
        return np.asarray(convolved)

    def _hidden(self, frames: Features, k: int) -> Features:
        hidden = frames @ self._weights[f"{k}.w1"]
        hidden += self._weights[f"{k}.b1"]
        np.maximum(hidden, 0, out=hidden)
        return np.asarray(hidden @ self._weights[f"{k}.w2"] + self._weights[f"{k}.b2"])


def _normalized(frames: Features) -> Features:
    """Subtract each frame's mean and divide by its standard deviation."""
    frames = frames - frames.mean(axis=1, keepdims=True)
    frames /= np.sqrt(np.einsum("nd,nd->n", frames, frames) / np.float32(frames.shape[1]) + _EPSILON)[:, None]
    return frames
