"""Recordings enough for a large library, made of real speech, and clips of them and of others.

Each utterance is taken at 15 speeds (as a tape would play it) four percent apart, forwards and backwards. That
moves its peaks by bins and frames, so that no version is a copy of another, while how often each hash recurs
stays what speech makes it: `recurrence` measures it. Ten utterances in random order are a recording.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from speechcmp.audio.recording import Recording
from speechcmp.fingerprint.landmarks import landmarks
from speechcmp.fingerprint.store.base import NewRecording

RATE = 16_000
SPEEDS = 1.04 ** np.arange(-7, 8)
UTTERANCES_A_RECORDING = 10
UNKNOWN_EVERY = 4  # one reading of so many is never stored, nor is its text in a synthetic voice
CLIP_S = 3
NOISE_DB = 10

Samples = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Speech:
    """Utterances to store, and others to make unknown clips of: samples at 16 kHz."""

    stored: Sequence[Samples]
    unknown: Sequence[Samples]


@dataclass(frozen=True, slots=True)
class Made:
    """A recording, and what the library takes of it."""

    samples: Samples
    recording: NewRecording


def read_speech(data: Path) -> Speech:
    """Read ``readings/ID.flac`` and ``references/ID_VOICE.flac``."""
    readings = sorted((data / "readings").glob("*.flac"))
    if not readings:
        raise SystemExit(f"{data}: no readings/*.flac; give --data a folder of speech")
    unknown = readings[::UNKNOWN_EVERY]
    held_out = {path.stem for path in unknown}
    references = sorted((data / "references").glob("*.flac"))
    stored = [path for path in readings if path not in unknown]
    stored += [path for path in references if path.stem.rpartition("_")[0] not in held_out]
    return Speech([_read(path) for path in stored], [_read(path) for path in unknown])


def _read(path: Path) -> Samples:
    samples, rate = soundfile.read(path, dtype="float32")
    return at_speed(samples, rate / RATE)


def at_speed(samples: Samples, speed: float) -> Samples:
    """Play samples faster (above 1) or slower, and so higher or lower."""
    if speed == 1:
        return samples
    return np.asarray(soxr.resample(samples, speed * RATE, RATE), np.float32)


def recurrence(hashes: NDArray[np.uint8]) -> float:
    """Return how often a stored hash is found elsewhere in a million others of the same kind."""
    counts = np.unique(hashes.view(f"V{hashes.shape[1]}"), return_counts=True)[1].astype(float)
    return float(1e6 * ((counts**2).sum() / len(hashes) - 1) / len(hashes))


def make_recordings(speech: Speech, n_rows: int, rng: np.random.Generator) -> Iterator[Made]:
    """Yield recordings until they have `n_rows` landmarks; no version of an utterance is used twice."""
    versions = list(product(range(len(speech.stored)), SPEEDS, (1, -1)))
    order = rng.permutation(len(versions))
    n_made = 0
    for number, first in enumerate(range(0, len(order), UTTERANCES_A_RECORDING)):
        if n_made >= n_rows:
            return
        chosen = [versions[place] for place in order[first : first + UTTERANCES_A_RECORDING]]
        samples = np.concatenate([at_speed(speech.stored[k], speed)[::step] for k, speed, step in chosen])
        made = Made(samples, _new_recording(f"recording {number}", samples))
        n_made += len(made.recording.hashes)
        yield made
    raise SystemExit(f"this speech is enough for {n_made:,} rows, not for {n_rows:,}; give less --rows")


def _new_recording(name: str, samples: Samples) -> NewRecording:
    found = landmarks(samples, RATE)
    content = hashlib.sha1(samples.tobytes(), usedforsecurity=False).digest()
    seconds = len(samples) / RATE
    return NewRecording(name, f"/{name}.wav", content, seconds, RATE, found.hashes, found.anchor_frames)


def known_clips(recordings: Sequence[Made], n: int, rng: np.random.Generator) -> Iterator[tuple[Recording, float]]:
    """Cut clips out of recordings: named like the recording, and the second where each starts."""
    for _ in range(n):
        made = recordings[int(rng.integers(len(recordings)))]
        start, samples = _spoken_piece(made.samples, rng)
        yield Recording(samples, RATE, made.recording.name), start / RATE


def unknown_clips(speech: Speech, n: int, rng: np.random.Generator) -> Iterator[Recording]:
    """Cut clips out of utterances that are not stored, at any speed; every other one is noisy."""
    long = [samples for samples in speech.unknown if len(samples) > 1.4 * CLIP_S * RATE]
    for number in range(n):
        samples = at_speed(long[int(rng.integers(len(long)))], rng.uniform(SPEEDS[0], SPEEDS[-1]))
        clip = Recording(_spoken_piece(samples, rng)[1], RATE, "unknown")
        yield with_noise(clip, rng) if number % 2 else clip


def _spoken_piece(samples: Samples, rng: np.random.Generator) -> tuple[int, Samples]:
    """Choose a piece with at least a quarter of the recording's power, as clips of speech have."""
    while True:
        start = int(rng.integers(len(samples) - CLIP_S * RATE + 1))
        piece = samples[start : start + CLIP_S * RATE]
        if (piece**2).mean() >= (samples**2).mean() / 4:
            return start, piece


def with_noise(clip: Recording, rng: np.random.Generator) -> Recording:
    """Lay white noise over a clip, 10 dB below it."""
    level = np.sqrt((clip.samples**2).mean()) * 10 ** (-NOISE_DB / 20)
    noise = rng.standard_normal(len(clip.samples)).astype(np.float32)
    return Recording(clip.samples + level * noise, RATE, clip.name)
