"""Measure `speechcmp batch`: speed beside scripts of librosa and two packages, memory, and what both come to.

    python benchmarks/batch.py --data DIR [--quick] [--only speed|memory]

DIR holds `words/*.flac`, and `readings/NAME.flac` with two references each, `references/NAME_*.flac`. Prints the
table of benchmarks/README.md. Needs `pip install '.[bench]'`; memory is read from /proc, so on Linux alone.
"""

import argparse
import csv
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import soundfile

HERE = Path(__file__).resolve().parent
SPEECHCMP = (sys.executable, "-m", "speechcmp", "batch")
PEER = (sys.executable, str(HERE / "peers.py"))
MANY = 10_000_000
LOOK_S = 0.25
FOLDER_FILES = 1000

Pair = tuple[Path, Path]


class Taken(NamedTuple):
    """What a command took: seconds on the clock and of CPU, all its processes together, and MB at most."""

    wall_s: float
    cpu_s: float
    peak_mb: float


class Work(NamedTuple):
    """A manifest, and how much is in it."""

    path: Path
    n_rows: int
    take_s: float


def measure(*command: object) -> Taken:
    environment = {**os.environ, **dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")}
    start = time.monotonic()
    process = subprocess.Popen([str(part) for part in command], stdout=subprocess.DEVNULL, env=environment)
    peak_kib = 0
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        peak_kib = max(peak_kib, sum(map(proportional_kib, family(process.pid))))
        time.sleep(LOOK_S)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return Taken(time.monotonic() - start, usage.ru_utime + usage.ru_stime, peak_kib / 1024)


def family(pid: int) -> list[int]:
    """Return a process and its descendants."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [pid, *itertools.chain.from_iterable(family(int(child)) for child in children)]


def proportional_kib(pid: int) -> int:
    """Return a process's memory, what it shares counted in part (PSS)."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def write_manifest(path: Path, pairs: Iterable[Pair]) -> Work:
    seconds: dict[Path, float] = {}
    n_rows, take_s = 0, 0.0
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["reference", "take"])
        for reference, take in pairs:
            rows.writerow([reference, take])
            whole = take.resolve()
            if whole not in seconds:
                seconds[whole] = soundfile.info(whole).duration
            n_rows += 1
            take_s += seconds[whole]
    return Work(path, n_rows, take_s)


def word_pairs(data: Path) -> list[Pair]:
    return list(itertools.combinations(sorted((data / "words").glob("*.flac")), 2))


def reading_pairs(data: Path) -> list[Pair]:
    references = sorted((data / "references").glob("*.flac"))
    return [(reference, data / "readings" / f"{reference.stem.rpartition('_')[0]}.flac") for reference in references]


def new_takes(data: Path, folder: Path, n_rows: int) -> Iterable[Pair]:
    """Yield rows of which every take is a file of its own."""
    words = sorted((data / "words").glob("*.flac"))
    for row in range(n_rows):
        take = folder / f"{row // FOLDER_FILES}" / f"{row}.flac"
        take.parent.mkdir(exist_ok=True)
        if not take.exists():
            take.symlink_to(words[row % len(words)].resolve())
        yield words[row * 7 % len(words)], take


def compare_speed(name: str, work: Work) -> None:
    """Print the lines of one manifest: ours on one core and two, with copies looked for, and the scripts."""
    print(f"\n{name}: {work.n_rows:,} rows, {work.take_s:,.0f} s of takes\n")
    print("| | rows/s | CPU, s | CPU of `batch` | takes, s per CPU s |\n|---|---|---|---|---|")
    ours = measure_batch(work, "--jobs", 1)
    lines = [
        ("`batch --jobs 1`", ours),
        ("`batch --jobs 2`", measure_batch(work, "--jobs", 2)),
        ("`batch --jobs 1 --flag-copies`", measure_batch(work, "--jobs", 1, "--flag-copies")),
        ("librosa (each file once) + fastdtw", measure(*PEER, "rows_with_fastdtw", work.path)),
        ("librosa (each file once) + dtaidistance", measure(*PEER, "rows_with_dtaidistance", work.path)),
    ]
    for title, taken in lines:
        share = f"{taken.cpu_s / ours.cpu_s:.2f} x"
        rate = f"{work.n_rows / taken.wall_s:,.0f} | {taken.cpu_s:,.1f}"
        print(f"| {title} | {rate} | {share} | {work.take_s / taken.cpu_s:,.0f} |", flush=True)


def measure_batch(work: Work, *options: object) -> Taken:
    out = work.path.with_suffix(".jsonl")
    out.unlink(missing_ok=True)
    return measure(*SPEECHCMP, work.path, "--out", out, *options)


def measure_memory(data: Path, folder: Path, sizes: list[int]) -> None:
    """Print memory by the number of rows, of a first run and of one that finds all done, and where it leads."""
    print("\nEvery take a file of its own, 2 workers:\n")
    print("| rows | rows/s | peak, MB | peak of `--resume`, MB | results, MB |\n|---|---|---|---|---|")
    seen: list[tuple[int, Taken, Taken]] = []
    out_mb = 0.0
    for n_rows in sizes:
        work = write_manifest(folder / f"{n_rows}.csv", new_takes(data, folder, n_rows))
        out = folder / f"{n_rows}.jsonl"
        first = measure(*SPEECHCMP, work.path, "--out", out, "--jobs", 2)
        again = measure(*SPEECHCMP, work.path, "--out", out, "--jobs", 2, "--resume")
        out_mb = out.stat().st_size / 1e6
        seen.append((n_rows, first, again))
        speed = f"{n_rows / first.wall_s:,.0f}"
        print(f"| {n_rows:,} | {speed} | {first.peak_mb:.0f} | {again.peak_mb:.0f} | {out_mb:,.1f} |", flush=True)
    (n_few, few, few_again), (n_rows, first, again) = seen[-2:]
    scale, step = MANY / n_rows, (MANY - n_rows) / (n_rows - n_few)
    memory = first.peak_mb + step * max(0.0, first.peak_mb - few.peak_mb)
    to_resume = again.peak_mb + step * max(0.0, again.peak_mb - few_again.peak_mb)
    print(
        f"\nGoing on like that, {MANY:,} rows take {scale * first.wall_s / 86_400:.1f} days and {memory:,.0f} MB of "
        f"memory, {scale * again.wall_s / 3600:.1f} hours and {to_resume:,.0f} MB to find them done, and "
        f"{scale * out_mb / 1000:,.1f} GB of results."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows")
    parser.add_argument("--only", choices=["speed", "memory"])
    arguments = parser.parse_args()
    share = 10 if arguments.quick else 1
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pairs = {"Words": word_pairs(arguments.data), "Readings": reading_pairs(arguments.data)}
        for title in pairs if arguments.only != "memory" else ():
            compare_speed(title, write_manifest(folder / f"{title}.csv", pairs[title][::share]))
        if arguments.only != "speed":
            measure_memory(arguments.data, folder, [1_000, 10_000 // share * 2, 100_000 // share])


if __name__ == "__main__":
    main()
