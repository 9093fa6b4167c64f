"""Places in time: chunks found in retellings, pauses found under noise, ranges beside pydub's."""

import json
import tempfile
from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from figures import Benchmark, Figure, Floats, Indexes, Sampler
from numpy.typing import NDArray
from pydub import AudioSegment
from pydub.silence import detect_nonsilent

from speechcmp.audio.recording import Recording, load_recording
from speechcmp.audio.split import SplitParams, split_recording
from speechcmp.features.recipes import RECIPES

Span = tuple[float, float]
SNRS_DB = (None, 30, 20, 15, 10)
SPLITS = ((500, -40, 100, 1), (500, -40, 0, 1), (300, -45, 50, 10), (700, -35.5, 200, 7))


# ------------------------------------------------------------------------------------------------ retell
def trimmed(span: Span, path: Path) -> Span:
    """Cut the silence off a span (ms): frames of 10 ms below -45 dBFS."""
    samples = soundfile.read(path)[0]
    frames = samples[: len(samples) // 160 * 160].reshape(-1, 160)
    voiced = 10 * np.log10((frames**2).mean(axis=1) + 1e-12) > -45
    first, last = int(span[0] // 10), int(-(-span[1] // 10))
    inside = np.flatnonzero(voiced[first:last])
    return ((first + inside[0]) * 10.0, (first + inside[-1] + 1) * 10.0) if len(inside) else span


def overlap(a: Span, b: Span) -> float:
    """Return intersection over union."""
    inner = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    return inner / (a[1] - a[0] + b[1] - b[0] - inner)


def right_spans(chunk: Span, sentences: Iterable[dict[str, Any]], dropped: int) -> list[Span] | None:
    """Return the spans of the take that are right for a chunk; none when it was dropped; None when nobody can say."""

    def share(span: Span) -> float:
        return (min(chunk[1], span[1]) - max(chunk[0], span[0])) / (span[1] - span[0])

    shares = [(known, max(share(span) for span in known["reference_ms"])) for known in sentences]
    inside = [known for known, part in shares if part > 0.5]
    cut = any(0.05 < share(span) < 0.8 for known, _ in shares for span in known["reference_ms"])
    said = [known for known in inside if known["id"] != dropped]
    if not inside or cut or 0 < len(said) < len(inside):
        return None
    if not said:
        return []
    ends = [(known, first, last) for known in said[:1] for first in known["take_ms"] for last in said[-1]["take_ms"]]
    return [(a[0], b[1]) for _, a, b in ends if b[1] > a[0] and (len(said) > 1 or a == b)]


def retell(bench: Benchmark) -> list[Figure]:
    """Find chunks in a take that breaks elsewhere, drops and repeats sentences; the control goes by number."""
    figures = []
    for recipe in ("by index", *RECIPES):
        rows: list[tuple[str, str, float]] = []  # recording, kind, overlap (-1: called missing)
        for truth in sorted((bench.data / "retellings").glob("*.json")):
            known = json.loads(truth.read_text())
            reference, take = (truth.with_name(f"{truth.stem}-{side}.flac") for side in ("reference", "take"))
            if recipe == "by index":
                found = bench.compare("mfcc", reference, take, by="index")
            else:
                found = bench.compare(recipe, reference, take)
            for pair in found.pairs:
                chunk = trimmed((1000 * pair.reference.start_s, 1000 * pair.reference.end_s), reference)
                right = right_spans(chunk, known["sentences"], known["dropped"])
                if right is not None:
                    place = pair.take and trimmed((1000 * pair.take.start_s, 1000 * pair.take.end_s), take)
                    best = max((overlap(place, trimmed(span, take)) for span in right), default=0.0) if place else -1.0
                    rows.append((truth.stem, "said" if right else "dropped", best))
        stems, kinds, overlaps = (np.array(column) for column in zip(*rows, strict=True))
        sampler = Sampler(stems.tolist(), "recording", bench.n_samples)
        for name, kind, hit in (
            ("placed, IoU > 0.5", "said", overlaps > 0.5),
            ("placed, IoU > 0.8", "said", overlaps > 0.8),
            ("called missing, though said", "said", overlaps < 0),
            ("dropped sentences found", "dropped", overlaps < 0),
        ):
            label = f"{name} (of {(kinds == kind).sum()})"
            figures.append(sampler.figure("retell", recipe, label, _share(hit, kinds == kind)))
    bench.forget()
    return figures


def _share(hit: NDArray[np.bool_], of: NDArray[np.bool_]) -> Callable[[Indexes], float]:
    return lambda k: float(hit[k][of[k]].mean()) if of[k].any() else float("nan")


# ------------------------------------------------------------------------------------------------ noise
def noise(bench: Benchmark) -> list[Figure]:
    """Find pauses under pink noise with the automatic threshold: F1 of their edges (50 ms), share found."""
    truths = sorted((bench.data / "pauses").glob("*.json"))
    sampler = Sampler([truth.stem for truth in truths], "recording", bench.n_samples)
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        for snr_db in SNRS_DB:
            counts = np.array([pause_counts(truth, snr_db, Path(folder)) for truth in truths])
            level = "clean" if snr_db is None else f"{snr_db} dB"
            of: dict[str, Callable[[Indexes], float]] = {
                "F1": lambda k, c=counts: f1(*c[k, :3].sum(axis=0)),  # type: ignore[misc]
                "pauses found": lambda k, c=counts: float(c[k, 3].sum() / c[k, 4].sum()),  # type: ignore[misc]
            }
            figures += [sampler.figure("noise", level, name, figure) for name, figure in of.items()]
    return figures


def f1(n_hits: float, n_edges: float, n_false: float) -> float:
    precision, recall = n_hits / max(n_hits + n_false, 1), n_hits / n_edges
    return float(2 * precision * recall / max(precision + recall, 1e-9))


def pause_counts(truth: Path, snr_db: float | None, folder: Path) -> list[int]:
    """Count edges found, edges there are, false edges, pauses found, pauses there are."""
    known = json.loads(truth.read_text())
    samples, rate = soundfile.read(truth.with_suffix(".flac"))
    if snr_db is not None:
        samples = samples + pink(len(samples), rate) * 10 ** ((-20 - snr_db) / 20)
    path = folder / "noisy.wav"
    soundfile.write(path, np.clip(samples, -1, 1 - 2**-15), rate, subtype="PCM_16")
    chunks = split_recording(load_recording(path), SplitParams(keep_silence_ms=0)).chunks
    # From seconds as commands print them: an edge just 50 ms off is a miss for whoever reads those.
    spans = [(round(chunk.start / rate, 6) * 1000, round(chunk.stop / rate, 6) * 1000) for chunk in chunks]
    duration_ms = 1000 * len(samples) / rate
    pauses = [pause for pause in known["pauses_ms"] if pause[1] - pause[0] >= 550]
    tolerated = [pause for pause in known["pauses_ms"] if pause[1] - pause[0] < 550] + known["other_gaps_ms"]
    edges = sorted([a for a, _ in spans if a > 30] + [b for _, b in spans if b < duration_ms - 30])
    n_hits = 0
    for edge in (edge for pause in pauses for edge in pause):
        nearest = min(edges, key=lambda e: abs(e - edge), default=None)
        if nearest is not None and abs(nearest - edge) <= 50:
            edges.remove(nearest)
            n_hits += 1
    n_false = sum(not any(a - 60 <= edge <= b + 60 for a, b in tolerated) for edge in edges)
    speech = np.zeros(int(duration_ms) + 1, bool)
    for a, b in spans:
        speech[int(a) : int(b)] = True
    n_found = sum(bool(spans) and float((~speech[int(a) : int(b)]).mean()) > 0.5 for a, b in pauses)
    return [n_hits, 2 * len(pauses), n_false, n_found, len(pauses)]


def pink(n: int, rate: int) -> Floats:
    spectrum = np.fft.rfft(np.random.default_rng(11).standard_normal(n))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 20 * n / rate))
    wave = np.fft.irfft(spectrum, n)
    scaled: Floats = wave / np.sqrt((wave**2).mean())
    return scaled


# ------------------------------------------------------------------------------------------------ pieces
def pieces(bench: Benchmark) -> list[Figure]:
    """Count speech without a pause that is found to be speech, and noise that is not."""
    rng = np.random.default_rng(3)
    rows: list[tuple[str, str, bool]] = []
    for path in sorted((bench.data / "words").glob("*.flac")):
        samples, rate = soundfile.read(path)
        for below_db in (25, 15):
            piece = loud_part(samples, rate, below_db)
            rows.append((path.stem, f"words trimmed at -{below_db} dB", is_one_chunk(piece, rate)))
    for path in sorted((bench.data / "readings").glob("*.flac")):
        samples, rate = soundfile.read(path)
        for seconds in (0.25, 0.5, 1.0):
            n = round(seconds * rate)
            starts = rng.integers(0, max(len(samples) - n, 1), 20)
            louds = [start for start in starts if np.mean(samples[start : start + n] ** 2) > np.mean(samples**2) / 2]
            if louds:
                piece = samples[louds[0] : louds[0] + n]
                rows.append((path.stem, f"{seconds:g} s out of a reading", is_one_chunk(piece, rate)))
    for k in range(40):
        for seconds in (0.3, 1.0, 5.0):
            rate = 16_000
            n = round(seconds * rate)
            noise_of = pink(n, rate) if k % 2 else rng.standard_normal(n)
            gains_db = (np.zeros(n), np.where(np.arange(n) < n / 2, 0, 3), 10 * np.sin(np.arange(n) / rate * 3))
            for kind, gain_db in zip(
                ("steady", "3 dB louder from the middle", "gain control of 20 dB"), gains_db, strict=True
            ):
                samples = 0.02 * np.roll(noise_of, 100 * k) * 10 ** (gain_db / 20)
                rows.append((f"noise {k}", f"noise, {kind}: none", not is_one_chunk(samples, rate)))
    stems, kinds, right = (np.array(column) for column in zip(*rows, strict=True))
    sampler = Sampler(stems.tolist(), "recording", bench.n_samples)
    return [sampler.figure("pieces", "", kind, _share(right, kinds == kind)) for kind in dict.fromkeys(kinds.tolist())]


def loud_part(samples: Floats, rate: int, below_db: float) -> Floats:
    """Cut a word from its first to its last frame within `below_db` of the loudest, as course makers do."""
    hop = rate // 100
    levels = np.square(samples[: len(samples) // hop * hop].reshape(-1, hop)).mean(axis=1)
    loud = np.flatnonzero(levels > np.quantile(levels, 0.95) * 10 ** (-below_db / 10))
    return samples[loud[0] * hop : (loud[-1] + 1) * hop]


def is_one_chunk(samples: Floats, rate: int) -> bool:
    recording = Recording.from_array(np.clip(samples, -1, 1), rate)
    return len(split_recording(recording).chunks) == 1


# ------------------------------------------------------------------------------------------------ split
def split(bench: Benchmark) -> list[Figure]:
    """Count ranges for fixed thresholds that are not pydub's, after its usual normalization."""
    files = [
        *sorted((bench.data / "pauses").glob("*.flac")),
        *sorted((bench.data / "retellings").glob("*-take.flac"))[:2],
    ]
    different = []
    with tempfile.TemporaryDirectory() as folder:
        for number, file in enumerate(files):
            samples, rate = soundfile.read(file)
            if number % 2:  # stereo at another rate, as if it had been recorded so
                samples, rate = np.stack([samples, 0.5 * samples], axis=1), 22_050
            path = Path(folder) / "whole.wav"
            soundfile.write(path, samples[: rate * 40], rate, subtype="PCM_16")
            different += [pydub_ranges(path, *how) != our_ranges(path, *how) for how in SPLITS]
    return [Figure("split", "-", f"other ranges than pydub's (of {len(different)})", sum(different))]


def our_ranges(path: Path, minimum_ms: int, threshold_dbfs: float, keep_ms: int, step_ms: int) -> list[list[int]]:
    params = SplitParams(
        min_silence_len_ms=minimum_ms,
        silence_thresh_dbfs=threshold_dbfs,
        keep_silence_ms=keep_ms,
        seek_step_ms=step_ms,
    )
    recording = load_recording(path, mono=False)
    ms = recording.sample_rate / 1000
    return [[round(chunk.start / ms), round(chunk.stop / ms)] for chunk in split_recording(recording, params).chunks]


def pydub_ranges(path: Path, minimum_ms: int, threshold_dbfs: float, keep_ms: int, step_ms: int) -> list[list[int]]:
    whole = AudioSegment.from_wav(path)
    whole = whole.apply_gain(-20.0 - whole.dBFS)
    ranges = [[a - keep_ms, b + keep_ms] for a, b in detect_nonsilent(whole, minimum_ms, threshold_dbfs, step_ms)]
    for one, two in pairwise(ranges):
        if two[0] < one[1]:
            one[1] = two[0] = (one[1] + two[0]) // 2
    return [[max(a, 0), min(b, len(whole))] for a, b in ranges]
