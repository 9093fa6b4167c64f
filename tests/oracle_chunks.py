"""What the splits are held against: pydub itself, a slow loop, and the known places of pauses."""

import math
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from speechcmp.audio.decode import Pcm

with warnings.catch_warnings():  # pydub 0.25.1 imports audioop, and its regular expressions are no raw strings
    warnings.simplefilter("ignore")
    from pydub import AudioSegment, silence

RATES = (100, 333, 1000, 8000, 11025, 12345, 16000, 22050, 44100, 48000)
_PYDUB_TYPES = {1: np.int8, 2: np.int16, 4: np.int32}


@dataclass(frozen=True)
class PcmBlocks:
    """A source in memory with blocks as short as one likes."""

    pcm: Pcm
    sample_rate: int
    sample_width: int = 2
    block_frames: int = 1 << 18
    name: str = "pcm"

    @property
    def n_frames(self) -> int:
        return len(self.pcm)

    @property
    def channels(self) -> int:
        return int(self.pcm.shape[1])

    def pcm_blocks(self) -> Iterator[Pcm]:
        for start in range(0, self.n_frames, self.block_frames):
            yield self.pcm[start : start + self.block_frames]


@dataclass(frozen=True)
class PydubCase:
    source: PcmBlocks
    segment: AudioSegment
    min_silence_len_ms: int
    threshold_dbfs: float
    keep_silence_ms: int | bool
    seek_step_ms: int

    def expected(self) -> list[bytes]:
        """Return the audio of pydub's chunks."""
        found = silence.split_on_silence(
            self.segment,
            self.min_silence_len_ms,
            self.threshold_dbfs,
            self.keep_silence_ms,
            self.seek_step_ms,
        )
        return [chunk.raw_data for chunk in found]


def pydub_chunks(pcm: Pcm, rate: int, options: tuple[int, float, int, int], target_dbfs: float) -> list[bytes]:
    """Normalize 16-bit PCM and split it, both with pydub; `options` in the order of `split_on_silence`."""
    segment = AudioSegment(pcm.tobytes(), sample_width=2, frame_rate=rate, channels=pcm.shape[1])
    segment = segment.apply_gain(target_dbfs - segment.dBFS)
    return [chunk.raw_data for chunk in silence.split_on_silence(segment, *options)]


def random_case(seed: int) -> PydubCase:
    """Draw a recording, loud and soft, and parameters; the threshold is often a window's very RMS."""
    rng = np.random.default_rng(seed)
    rate, width, channels = int(rng.choice(RATES)), int(rng.choice([1, 2, 4])), int(rng.integers(1, 4))
    n = max(int(rng.choice([0, 1, 3, 30, 200, 700, 1500]) * rate / 1000 + rng.integers(-3, 40)), 0)
    full_scale = 1 << (8 * width - 1)
    stretch = max(rate // 20, 1)
    envelope = np.repeat(10 ** rng.uniform(-4, 0, n // stretch + 1), stretch)[:n]
    if rng.random() < 0.3:
        envelope[: n // 3] = 0
    if rng.random() < 0.3:
        envelope[2 * n // 3 :] = 0
    scaled = np.rint(rng.uniform(-1, 1, (n, channels)) * envelope[:, None] * full_scale)
    clipped = np.clip(scaled, -full_scale, full_scale - 1)
    pcm: Pcm = clipped.astype(np.int32) if width == 4 else clipped.astype(np.int16)
    segment = AudioSegment(
        pcm.astype(_PYDUB_TYPES[width]).tobytes(), sample_width=width, frame_rate=rate, channels=channels
    )
    minimum = int(rng.choice([1, 5, 20, 50, 100, 333]))
    return PydubCase(
        source=PcmBlocks(pcm, rate, width, int(rng.choice([1, 7, 1000]) if n < 5000 else 5000)),
        segment=segment,
        min_silence_len_ms=minimum,
        threshold_dbfs=_threshold(rng, segment, minimum, full_scale),
        keep_silence_ms=(0, 1, 30, 100, True, False, 5000)[int(rng.integers(7))],
        seek_step_ms=int(rng.choice([1, 1, 2, 7, 10, 60])),
    )


def _threshold(rng: np.random.Generator, segment: AudioSegment, minimum_ms: int, full_scale: int) -> float:
    if len(segment) and rng.random() < 0.6:
        start = int(rng.integers(0, len(segment)))
        rms = segment[start : start + minimum_ms].rms
        if rms:
            return 20 * math.log10(rms / full_scale) + float(rng.choice([0, 0, 1e-9, -1e-9]))
    return float(rng.choice([-20, -40.5, -60, -3]))


def moving_mean(values: Sequence[float], width: int) -> list[float]:
    """Average over [i - width // 2, i - width // 2 + width), as far as there are values."""
    means = []
    for i in range(len(values)):
        near = [values[j] for j in range(i - width // 2, i - width // 2 + width) if 0 <= j < len(values)]
        means.append(sum(near) / len(near))
    return means


@dataclass(frozen=True)
class Known:
    """Where the pauses are, and gaps inside speech at which a cut is neither right nor wrong; ms."""

    pauses_ms: list[list[float]]
    other_gaps_ms: list[list[float]]
    duration_ms: float


def boundary_score(chunks_ms: list[tuple[float, float]], known: Known) -> tuple[float, float]:
    """Return the F1 of pause edges (within 50 ms) and the share of pauses found, pauses of 550 ms or more."""
    pauses = [p for p in known.pauses_ms if p[1] - p[0] >= 550]
    soft = [p for p in known.pauses_ms if p[1] - p[0] < 550] + known.other_gaps_ms
    left = sorted(x for chunk in chunks_ms for x in chunk if 30 < x < known.duration_ms - 30)
    hits = 0
    for edge in (x for p in pauses for x in p if 30 < x < known.duration_ms - 30):
        near = min(left, key=lambda x: abs(x - edge), default=math.inf)
        if abs(near - edge) <= 50:
            left.remove(near)
            hits += 1
    total = sum(30 < x < known.duration_ms - 30 for p in pauses for x in p)
    false = sum(not any(a - 60 <= x <= b + 60 for a, b in soft) for x in left)
    found = sum(_silent_share(chunks_ms, a, b) > 0.5 for a, b in pauses)
    return 2 * hits / max(hits + false + total, 1), found / max(len(pauses), 1)


def _silent_share(chunks_ms: list[tuple[float, float]], start: float, stop: float) -> float:
    covered = sum(max(0.0, min(b, stop) - max(a, start)) for a, b in chunks_ms)
    return 1 - covered / (stop - start)


def pink(n: int, seed: int, rate: int = 16000) -> NDArray[np.float64]:
    """Make 1/f noise of RMS 1, flat below 20 Hz."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(n))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 20 * n / rate))
    noise = np.fft.irfft(spectrum, n)
    scaled: NDArray[np.float64] = noise / np.sqrt((noise**2).mean())
    return scaled
