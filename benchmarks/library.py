"""Measure the fingerprint library on landmarks of real speech: extraction, ingest, size, look-up, false accepts.

    python benchmarks/library.py --data DIR [--rows 100000 1000000 10000000] [--stores sqlite mariadb]

DIR has readings/ and references/ (FLAC). `made_library` tells how they become a large library; an SQLite file
and a MariaDB of its own, both in a temporary folder, are filled with it. CPU time is that of client and server
together. Takes a quarter of an hour, and 2 GB of disk and memory.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from made_library import (
    RATE,
    Made,
    Samples,
    Speech,
    known_clips,
    make_recordings,
    read_speech,
    recurrence,
    unknown_clips,
    with_noise,
)
from mariadb_server import MariaDbServer

from speechcmp.audio.recording import Recording
from speechcmp.fingerprint.identify import identify
from speechcmp.fingerprint.landmarks import landmarks, query_landmarks
from speechcmp.fingerprint.peaks import SPEECH
from speechcmp.fingerprint.store.base import LibraryInfo, NewRecording, Preset, Store
from speechcmp.fingerprint.store.open import open_store

PRESET = Preset.of(SPEECH)
ROWS_A_BATCH = 250_000  # as `index` does
N_CLIPS = 100
N_UNKNOWN = 1_000
RIGHT_S = 0.1


class Asked(NamedTuple):
    """Medians over clips, in ms of wall time: the look-up alone, and all from samples to name. CPU ms: the mean."""

    find_ms: float
    whole_ms: float
    cpu_ms: float
    share_right: float


@dataclass(frozen=True, slots=True)
class Library:
    """What to store, clips of the first of it, and clips of what is not stored."""

    recordings: Sequence[NewRecording]
    clean: Sequence[tuple[Recording, float]]
    noisy: Sequence[tuple[Recording, float]]
    strangers: Sequence[Recording]

    def n_recordings(self, n_rows: int) -> int:
        ends = np.cumsum([len(recording.hashes) for recording in self.recordings])
        return int(np.searchsorted(ends, n_rows)) + 1


@dataclass(frozen=True, slots=True)
class Opened:
    """A store to measure, and the process ids that work for it."""

    name: str
    store: Store
    process_ids: Sequence[int]

    def cpu_s(self) -> float:
        ticks = 0
        for number in self.process_ids:
            fields = Path(f"/proc/{number}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


def make_library(speech: Speech, sizes: Sequence[int]) -> Library:
    """Make what the largest size needs; the known clips are of what the smallest holds."""
    rng = np.random.default_rng(0)
    strangers = list(unknown_clips(speech, N_UNKNOWN, rng))
    recordings, n_rows = [], 0
    first: list[Made] = []  # samples of all would fill the memory
    for made in make_recordings(speech, sizes[-1], rng):
        if n_rows < sizes[0]:
            first.append(made)
        recordings.append(made.recording)
        n_rows += len(made.recording.hashes)
    clean = list(known_clips(first, N_CLIPS, rng))
    noisy = [(with_noise(clip, rng), start_s) for clip, start_s in clean]
    return Library(recordings, clean, noisy, strangers)


def measure_extraction(samples: Samples) -> float:
    """Return seconds of audio fingerprinted per CPU second, median of five."""
    taken = []
    for _ in range(5):
        start = time.process_time()
        landmarks(samples, RATE)
        taken.append(time.process_time() - start)
    return len(samples) / RATE / statistics.median(taken)


def fill(opened: Opened, recordings: Sequence[NewRecording]) -> tuple[float, float]:
    """Add recordings; return rows per second of wall time, and of CPU time."""
    n_rows, waiting = 0, 0
    batch: list[NewRecording] = []
    start, cpu_s = time.perf_counter(), opened.cpu_s()
    for recording in recordings:
        batch.append(recording)
        waiting += len(recording.hashes)
        if waiting >= ROWS_A_BATCH or recording is recordings[-1]:
            opened.store.add_many(batch, PRESET)
            n_rows += waiting
            batch, waiting = [], 0
    return n_rows / (time.perf_counter() - start), n_rows / (opened.cpu_s() - cpu_s)


def ask(opened: Opened, clips: Sequence[tuple[Recording, float]], info: LibraryInfo) -> Asked:
    """Identify clips of known recordings."""
    found_in, whole_in, n_right = [], [], 0
    for clip, _ in clips:
        hashes = query_landmarks(clip.samples, RATE).hashes
        start = time.perf_counter()
        opened.store.find(hashes, PRESET)
        found_in.append(1000 * (time.perf_counter() - start))
    cpu_s = opened.cpu_s()
    for clip, start_s in clips:
        start = time.perf_counter()
        matches = identify(clip, opened.store, info=info).matches
        whole_in.append(1000 * (time.perf_counter() - start))
        best = matches[0][0] if matches else None
        n_right += best is not None and best.name == clip.name and abs(best.offset_s - start_s) < RIGHT_S
    cpu_ms = 1000 * (opened.cpu_s() - cpu_s) / len(clips)
    return Asked(statistics.median(found_in), statistics.median(whole_in), cpu_ms, n_right / len(clips))


def measure_store(opened: Opened, library: Library, sizes: Sequence[int]) -> None:
    """Fill a store to each size in turn and print a line of the table for each."""
    stops = [library.n_recordings(size) for size in sizes]
    opened.store.create()
    for begin, stop in pairwise([0, *stops]):
        a_second, a_cpu_second = fill(opened, library.recordings[begin:stop])
        opened.store.compact()
        info = opened.store.info()
        for clip in library.strangers[:N_CLIPS]:  # a server at work has its pages at hand
            identify(clip, opened.store, info=info)
        asked = [ask(opened, clips, info) for clips in (library.clean, library.noisy)]
        cells = " | ".join(f"{x.find_ms:.0f} / {x.whole_ms:.0f} / {x.cpu_ms:.0f} | {x.share_right:.2f}" for x in asked)
        size = info.n_bytes / info.n_hashes
        speed = f"{a_second:,.0f} / {a_cpu_second:,.0f}"
        print(f"| {opened.name} | {info.n_hashes:,} | {speed} | {size:.1f} | {cells} |", flush=True)
    n_false = sum(bool(identify(clip, opened.store, info=info).matches) for clip in library.strangers)
    n_strangers = len(library.strangers)
    print(f"{opened.name}: {n_false} of {n_strangers:,} clips of unknown recordings taken for known", flush=True)


@contextmanager
def opened_store(name: str, buffer_pool: str) -> Iterator[Opened]:
    """Open a new store in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        if name == "sqlite":
            with open_store(f"sqlite:///{folder}/library.db") as store:
                yield Opened("SQLite", store, [os.getpid()])
        else:
            with MariaDbServer(Path(folder), buffer_pool) as server, open_store(server.url) as store:
                yield Opened("MariaDB", store, [os.getpid(), server.process_id])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000, 10_000_000])
    parser.add_argument("--stores", nargs="+", choices=["sqlite", "mariadb"], default=["sqlite", "mariadb"])
    parser.add_argument("--buffer-pool", default="1G", help="innodb_buffer_pool_size of the MariaDB")
    arguments = parser.parse_args()
    sizes = sorted(arguments.rows)
    speech = read_speech(arguments.data)
    print(f"extraction: {measure_extraction(np.concatenate(speech.stored)):,.0f} x real time")
    library = make_library(speech, sizes)
    read = np.concatenate([landmarks(samples, RATE).hashes for samples in speech.stored])
    made = np.concatenate([recording.hashes for recording in library.recordings])
    hours = sum(recording.duration_s for recording in library.recordings) / 3600
    print(
        f"{len(library.recordings):,} recordings, {hours:.1f} h; among a million rows a hash recurs "
        f"{recurrence(made):.2f} times, in the speech they are made of {recurrence(read):.2f} times\n"
    )
    print("rows/s: wall / CPU; ms: look-up, wall / all from samples to name, wall / the same, CPU")
    print("| store | rows | rows/s | bytes a hash | clean: ms | found | 10 dB noise: ms | found |")
    print("|---|---|---|---|---|---|---|---|")
    for name in arguments.stores:
        with opened_store(name, arguments.buffer_pool) as opened:
            measure_store(opened, library, sizes)


if __name__ == "__main__":
    main()
