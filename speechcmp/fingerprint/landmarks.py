"""Landmark fingerprints: peaks paired and hashed (samples in, hashes out; no files, no store).

A recording is known by the constellation of its peaks [1]_. An *anchor* peak is paired with up to `fan_out`
*targets* that follow it, and each pair's (anchor bin, target bin, frames between) is hashed. Two recordings
of one sound share many hashes, all displaced by the same time.

.. [1] A. Wang, "An industrial-strength audio search algorithm", ISMIR 2003.
.. [2] dejavu, https://github.com/worldveil/dejavu, logic/fingerprint.py (the format of a hash).
.. [3] audfprint, https://github.com/dpwe/audfprint (more landmarks and several shifts on the query's side).
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from speechcmp.fingerprint.peaks import SPEECH, FingerprintParams, Peaks, Samples, decoded_blocks, find_peaks

HASH_BYTES = 10  # 20 hex digits of a SHA-1, as dejavu stores them
_PAIRING_BLOCK = 1 << 13  # anchors


class Landmark(NamedTuple):
    """One pair of peaks: its hash (10 bytes) and the frame of its anchor."""

    hash: bytes
    anchor_frame: int


@dataclass(frozen=True, slots=True)
class Landmarks:
    """A recording's landmarks in order of anchor frame.

    Attributes
    ----------
    hashes
        (n, 10) uint8, one row a landmark; a hash may occur again.
    anchor_frames
        (n,) uint32, the frame in which each anchor lies.
    n_frames
        Frames the recording has.
    """

    hashes: NDArray[np.uint8]
    anchor_frames: NDArray[np.uint32]
    n_frames: int

    def __len__(self) -> int:
        return len(self.anchor_frames)

    def __iter__(self) -> Iterator[Landmark]:
        for row, frame in zip(self.hashes, self.anchor_frames.tolist(), strict=True):
            yield Landmark(row.tobytes(), frame)


@dataclass(frozen=True, slots=True)
class QueryLandmarks:
    """A clip's landmarks: each distinct hash once, to ask a store for, and where the clip has it.

    Attributes
    ----------
    hashes
        (n_hashes, 10) uint8, distinct.
    hash_index
        (n,) int64, row of `hashes` of each landmark.
    anchor_frames
        (n,) float64, where its anchor lies in the clip, in frames; sub-hop shifts are fractions.
    n_frames
        Frames the clip has.
    """

    hashes: NDArray[np.uint8]
    hash_index: NDArray[np.int64]
    anchor_frames: NDArray[np.float64]
    n_frames: int


def landmarks(
    samples: Samples, sample_rate: int, *, params: FingerprintParams = SPEECH, limit_s: float | None = None
) -> Landmarks:
    """Find a recording's landmarks, for storing.

    Parameters
    ----------
    samples
        Mono samples in [-1, 1], shape (n,), or an iterable of such blocks when they should not all be in
        memory. However they are cut into blocks, the result is the same.
    sample_rate
        Rate of `samples` in Hz.
    limit_s
        Fingerprint the first `limit_s` seconds only.

    Returns
    -------
    Landmarks
        None at all (length 0) when the recording is shorter than a window or digitally silent.

    Raises
    ------
    ParameterError
        When the samples are not one-dimensional or not finite, or `sample_rate` or `limit_s` is not positive.
    """
    blocks = decoded_blocks(samples, sample_rate, params, limit_s)
    peaks, n_frames = find_peaks(blocks, params.sample_rate or sample_rate, params)
    keys, frames = _pair_keys(peaks, params.fan_out, params)
    distinct, inverse = np.unique(keys, return_inverse=True)
    return Landmarks(_digests(distinct, params)[inverse], frames.astype(np.uint32), n_frames)


def query_landmarks(samples: Samples, sample_rate: int, *, params: FingerprintParams = SPEECH) -> QueryLandmarks:
    """Find a clip's landmarks, for asking: more of them than are stored, at several sub-hop shifts.

    Parameters
    ----------
    samples, sample_rate
        As for `landmarks`.

    Raises
    ------
    ParameterError
        As from `landmarks`.
    """
    rate = params.sample_rate or sample_rate
    clip = np.concatenate([np.zeros(0, np.float32), *decoded_blocks(samples, sample_rate, params)])
    keys, frames, n_frames = [], [], []
    for shift in range(params.query_shifts):
        start = round(shift * params.hop / params.query_shifts)
        peaks, n = find_peaks([clip[start:]], rate, params)
        shift_keys, shift_frames = _pair_keys(peaks, params.query_fan_out, params)
        keys.append(shift_keys)
        frames.append(shift_frames + start / params.hop)
        n_frames.append(n)
    distinct, inverse = np.unique(np.concatenate(keys), return_inverse=True)
    return QueryLandmarks(_digests(distinct, params), inverse, np.concatenate(frames), max(n_frames))


def spectrogram_peaks(samples: Samples, sample_rate: int, *, params: FingerprintParams = SPEECH) -> Peaks:
    """Find the peaks landmarks are made of, for plotting; arguments and errors as for `landmarks`."""
    return find_peaks(decoded_blocks(samples, sample_rate, params), params.sample_rate or sample_rate, params)[0]


def _pair_keys(peaks: Peaks, fan_out: int, params: FingerprintParams) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Write each landmark as one integer (bins, frames between); return its anchor's frame too."""
    n_bins, n_deltas = params.window // 2 + 1, params.max_delta_frames + 1
    keys, frames = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for first in range(0, len(peaks.frames), _PAIRING_BLOCK):
        last = min(first + _PAIRING_BLOCK, len(peaks.frames))
        anchors, targets = _pairs(peaks, first, last, fan_out, params)
        delta = peaks.frames[targets] - peaks.frames[anchors]
        keys.append((peaks.bins[anchors] * n_bins + peaks.bins[targets]) * n_deltas + delta)
        frames.append(peaks.frames[anchors])
    return np.concatenate(keys), np.concatenate(frames)


def _pairs(
    peaks: Peaks, first: int, last: int, fan_out: int, params: FingerprintParams
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pair anchors `first` to `last` with their targets: indices of both, in order of anchor."""
    frames = peaks.frames[first:last]
    start = np.searchsorted(peaks.frames, frames + params.min_delta_frames)
    start = np.maximum(start, np.arange(first, last) + 1)
    stop = np.maximum(np.searchsorted(peaks.frames, frames + params.max_delta_frames, side="right"), start)
    if params.decay_db is None:
        stop = np.minimum(stop, start + fan_out)
    n_targets = stop - start
    anchors = np.repeat(np.arange(first, last), n_targets)
    targets = np.repeat(start - (np.cumsum(n_targets) - n_targets), n_targets) + np.arange(len(anchors))
    near = np.abs(peaks.bins[targets] - peaks.bins[anchors]) <= params.max_delta_bins
    anchors, targets = anchors[near], targets[near]
    if params.decay_db is None:
        return anchors, targets
    delta = peaks.frames[targets] - peaks.frames[anchors]
    strength = 10 * np.log10(peaks.powers[targets].astype(np.float64)) - params.decay_db * delta
    order = np.lexsort((-strength, anchors))
    anchors, targets = anchors[order], targets[order]
    # An anchor's pairs stand together now; the rank of one is its distance from the first of them.
    rank = np.arange(len(anchors)) - np.searchsorted(anchors, anchors)
    return anchors[rank < fan_out], targets[rank < fan_out]


def _digests(keys: NDArray[np.int64], params: FingerprintParams) -> NDArray[np.uint8]:
    """Hash each key: SHA-1 of "anchor bin|target bin|frames between", cut to `HASH_BYTES`; (n, 10)."""
    n_bins, n_deltas = params.window // 2 + 1, params.max_delta_frames + 1
    bins, delta = np.divmod(keys, n_deltas)
    anchor_bin, target_bin = np.divmod(bins, n_bins)
    sha1 = hashlib.sha1
    digests = [
        sha1(b"%d|%d|%d" % text, usedforsecurity=False).digest()[:HASH_BYTES]
        for text in zip(anchor_bin.tolist(), target_bin.tolist(), delta.tolist(), strict=True)
    ]
    return np.frombuffer(b"".join(digests), np.uint8).reshape(-1, HASH_BYTES)
