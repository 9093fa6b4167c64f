"""The network: 40 mel bands to 64 features every 20 ms, by convolutions; in torch to train, in numpy to check.

A stem of 5 frames takes every other one; then blocks of a convolution per channel, a norm, and a hidden layer twice as
wide [1]_. `export` folds the scales and shifts of the norms into the matrices after them; norms remain, without either.

Arrays of the file, float16 but for the first, with D channels, B blocks and C features:

``dilations`` (B,) int8; ``stem.w`` (5, 40, D), ``stem.b`` (D,); of block i ``i.dw`` (7, D), ``i.dwb`` (D,),
``i.w1`` (D, 2 D), ``i.b1``, ``i.w2`` (2 D, D), ``i.b2``; ``out.w`` (D, C), ``out.b`` (C,).

References
----------
.. [1] Liu et al. (2022), A ConvNet for the 2020s, CVPR.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from corpus import Floats
from torch import Tensor, nn
from torch.nn import functional

N_BANDS = 40
HOP_S = 0.02
DILATIONS = (1, 2, 1, 3, 1)
_KERNEL = 7
_STEM = 5
_EPSILON = 1e-5
_REFERENCE_QUANTILE = 0.9
_FLOOR_DB = -70.0
_SHIFT_DB = 35.0
_SCALE_DB = 20.0


def normalize(bands: Floats) -> Floats:
    """Make bands in dB the network's input: the level of the stretch's loud frames is taken off, nothing a band."""
    powers = 10 * np.log10((10 ** (bands.astype(np.float64) / 10)).sum(axis=1))
    top = np.quantile(powers, _REFERENCE_QUANTILE)
    scaled: Floats = ((np.maximum(bands - top, _FLOOR_DB) + _SHIFT_DB) / _SCALE_DB).astype(np.float32)
    return scaled


class Block(nn.Module):
    """A convolution a channel, then a hidden layer, added to what came in."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.dilation = dilation
        self.depthwise = nn.Parameter(torch.randn(_KERNEL, width) / _KERNEL**0.5)
        self.bias = nn.Parameter(torch.zeros(width))
        self.norm = nn.LayerNorm(width, eps=_EPSILON)
        self.widen = nn.Linear(width, 2 * width)
        self.narrow = nn.Linear(2 * width, width)
        nn.init.zeros_(self.narrow.bias)
        with torch.no_grad():
            self.narrow.weight.mul_(0.3)

    def forward(self, frames: Tensor) -> Tensor:
        """Take and return (batch, n_frames, width)."""
        return frames + self.narrow(functional.relu(self.widen(self.norm(self.convolve(frames)))))

    def convolve(self, frames: Tensor) -> Tensor:
        around = _KERNEL // 2 * self.dilation
        weight = self.depthwise.T[:, None]
        channels = frames.transpose(1, 2)
        return functional.conv1d(
            channels, weight, self.bias, padding=around, dilation=self.dilation, groups=weight.shape[0]
        ).transpose(1, 2)


class Student(nn.Module):
    """Mel bands to features."""

    def __init__(self, width: int = 128, n_features: int = 64, dilations: Sequence[int] = DILATIONS) -> None:
        super().__init__()
        self.stem = nn.Linear(_STEM * N_BANDS, width)
        self.blocks = nn.ModuleList(Block(width, dilation) for dilation in dilations)
        self.norm = nn.LayerNorm(width, eps=_EPSILON)
        self.out = nn.Linear(width, n_features)

    def forward(self, bands: Tensor) -> Tensor:
        """Take (batch, n_frames, 40), return (batch, ceil(n_frames / 2), n_features)."""
        before = _STEM // 2
        edges = bands[:, :1].expand(-1, before, -1), bands[:, -1:].expand(-1, before + 1, -1)
        padded = torch.cat([edges[0], bands, edges[1]], dim=1)
        windows = padded.unfold(1, _STEM, 2)[:, : (bands.shape[1] + 1) // 2]  # (batch, n, 40, 5)
        frames: Tensor = self.stem(windows.transpose(2, 3).flatten(2))
        for block in self.blocks:
            frames = block(frames)
        features: Tensor = self.out(self.norm(frames))
        return features

    def hidden_matrices(self) -> list[nn.Parameter]:
        return [matrix for block in self.blocks for matrix in (block.widen.weight, block.narrow.weight)]

    def listen(self, bands: Floats) -> Floats:
        """Return the features of one stretch of bands in dB."""
        with torch.no_grad():
            features: Floats = self(torch.from_numpy(normalize(bands))[None])[0].numpy()
        return features

    def export(self, path: Path) -> None:
        """Write the arrays that the module's docstring lists."""
        arrays: dict[str, Floats] = {
            "stem.w": _array(self.stem.weight).T.reshape(_STEM, N_BANDS, -1),
            "stem.b": _array(self.stem.bias),
        }
        dilations = []
        for i, block in enumerate(self.blocks):
            scale, shift = _array(block.norm.weight), _array(block.norm.bias)
            widen = _array(block.widen.weight)
            dilations.append(block.dilation)
            arrays |= {
                f"{i}.dw": _array(block.depthwise),
                f"{i}.dwb": _array(block.bias),
                f"{i}.w1": scale[:, None] * widen.T,
                f"{i}.b1": shift @ widen.T + _array(block.widen.bias),
                f"{i}.w2": _array(block.narrow.weight).T,
                f"{i}.b2": _array(block.narrow.bias),
            }
        arrays["out.w"] = _array(self.norm.weight)[:, None] * _array(self.out.weight).T
        arrays["out.b"] = _array(self.norm.bias) @ _array(self.out.weight).T + _array(self.out.bias)
        halves = {name: array.astype(np.float16) for name, array in arrays.items()}
        unfinished = path.with_suffix(".part.npz")
        np.savez(unfinished, allow_pickle=False, dilations=np.array(dilations, np.int8), **halves)
        unfinished.replace(path)


def _array(parameter: Tensor) -> Floats:
    array: Floats = parameter.detach().double().numpy()
    return array


class NumpyStudent:
    """What `Student.export` wrote, without torch."""

    def __init__(self, path: Path) -> None:
        with np.load(path) as file:
            self._weights = {name: file[name].astype(np.float32) for name in file.files if name != "dilations"}
            self._dilations = file["dilations"].tolist()

    def listen(self, bands: Floats) -> Floats:
        """Return the features of one stretch of bands in dB."""
        weights = self._weights
        kernel, _, width = weights["stem.w"].shape
        n_frames = (len(bands) + 1) // 2
        padded = np.pad(normalize(bands), ((kernel // 2, kernel // 2 + 1), (0, 0)), mode="edge")
        windows = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=0)[::2][:n_frames]
        frames = windows.transpose(0, 2, 1).reshape(n_frames, -1) @ weights["stem.w"].reshape(-1, width)
        frames += weights["stem.b"]
        for i, dilation in enumerate(self._dilations):
            hidden = _standardize(self._convolve(frames, i, dilation)) @ weights[f"{i}.w1"] + weights[f"{i}.b1"]
            np.maximum(hidden, 0, out=hidden)
            frames += hidden @ weights[f"{i}.w2"] + weights[f"{i}.b2"]
        features: Floats = _standardize(frames) @ weights["out.w"] + weights["out.b"]
        return features

    def _convolve(self, frames: Floats, i: int, dilation: int) -> Floats:
        taps = self._weights[f"{i}.dw"]
        around = len(taps) // 2 * dilation
        padded = np.pad(frames, ((around, around), (0, 0)))
        convolved = np.tile(self._weights[f"{i}.dwb"], (len(frames), 1))
        for k, tap in enumerate(taps):
            convolved += padded[k * dilation : k * dilation + len(frames)] * tap
        return convolved


def _standardize(frames: Floats) -> Floats:
    centered = frames - frames.mean(axis=1, keepdims=True)
    standardized: Floats = centered / np.sqrt(np.square(centered).mean(axis=1, keepdims=True) + _EPSILON)
    return standardized
