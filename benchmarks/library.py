"""Measure the fingerprint library: extraction, ingest, look-up and size as it grows.

    python benchmarks/library.py [--db mysql://root@127.0.0.1/bench] [--rows 100000 1000000 10000000]

Without --db a SQLite file in a temporary folder. The database must be empty: what is written stays there.
Hashes follow the frequencies of real speech: those of the samples under noise, each with its share.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from speechcmp.fingerprint import landmarks, query_landmarks
from speechcmp.peaks import SPEECH
from speechcmp.store import NewRecording, Preset, Store, open_store

SAMPLES = Path(__file__).resolve().parent.parent / "samples"
PRESET = Preset.of(SPEECH)
HASHES_A_RECORDING = 4_000
RECORDINGS_A_BATCH = 60
N_CLIPS = 50


def measure_extraction() -> float:
    """Return seconds of audio fingerprinted per CPU second."""
    samples, rate = soundfile.read(SAMPLES / "reference.flac", dtype="float32")
    hour = np.resize(samples, 600 * rate)
    start = time.process_time()
    landmarks(hour, rate)
    return 600 / (time.process_time() - start)


def recordings(n_rows: int, rng: np.random.Generator) -> Iterator[NewRecording]:
    """Make recordings whose hashes are drawn from a skewed distribution, as those of speech are."""
    for _ in range(n_rows // HASHES_A_RECORDING):
        keys = (rng.pareto(1.0, HASHES_A_RECORDING) * 1e6).astype(np.uint64) % np.uint64(10**12)
        hashes = np.zeros((HASHES_A_RECORDING, 10), np.uint8)
        hashes[:, :8] = (keys * np.uint64(0x9E3779B97F4A7C15)).view(np.uint8).reshape(-1, 8)
        offsets = np.sort(rng.integers(0, 1 << 12, HASHES_A_RECORDING)).astype(np.uint32)
        name = rng.bytes(20)
        yield NewRecording(name.hex(), name.hex(), name, 60.0, 16_000, hashes, offsets)


def fill(store: Store, n_rows: int, rng: np.random.Generator) -> float:
    """Add recordings and return rows per second of wall time."""
    n_added, taken_s = 0, 0.0
    waiting = list(recordings(n_rows, rng))
    for first in range(0, len(waiting), RECORDINGS_A_BATCH):
        batch = waiting[first : first + RECORDINGS_A_BATCH]
        start = time.perf_counter()
        store.add_many(batch, PRESET)
        taken_s += time.perf_counter() - start
        n_added += sum(len(recording.hashes) for recording in batch)
    return n_added / taken_s


def look_up(store: Store, queries: list[NDArray[np.uint8]]) -> float:
    """Return the median milliseconds of finding all hits of a clip."""
    taken = []
    for hashes in queries:
        start = time.perf_counter()
        store.find(hashes, PRESET)
        taken.append(1000 * (time.perf_counter() - start))
    return statistics.median(taken)


def clips(rng: np.random.Generator) -> list[NDArray[np.uint8]]:
    """Fingerprint clips of 3 s of the samples."""
    samples, rate = soundfile.read(SAMPLES / "good-take.flac", dtype="float32")
    starts = rng.integers(0, len(samples) - 3 * rate, N_CLIPS)
    return [query_landmarks(samples[a : a + 3 * rate], rate).hashes for a in starts]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--db")
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000, 10_000_000])
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    print(f"extraction: {measure_extraction():,.0f} x real time\n")
    print("| rows | ingest, rows/s | bytes a hash | 3 s clip, median ms |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder, open_store(arguments.db or f"sqlite:///{folder}/l.db") as store:
        store.create()
        n_rows = 0
        for target in sorted(arguments.rows):
            speed = fill(store, target - n_rows, rng)
            n_rows = target
            store.compact()
            info = store.info()
            size = info.n_bytes / info.n_hashes
            print(f"| {n_rows:,} | {speed:,.0f} | {size:.1f} | {look_up(store, clips(rng)):.0f} |", flush=True)


if __name__ == "__main__":
    main()
