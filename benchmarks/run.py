"""Measure speechcmp beside its peers, in one run, and print the table of benchmarks/README.md.

    python benchmarks/run.py [--rounds 5] [--seconds 600]

CPU time (user + system, children included), medians; one thread each. Needs `pip install '.[bench]'`.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[variable] = "1"

import numpy as np
import soundfile

HERE = Path(__file__).resolve().parent
SAMPLES = HERE.parent / "samples"
PEER = (sys.executable, str(HERE / "peers.py"))
SPEECHCMP = (sys.executable, "-m", "speechcmp")
FIXED = ("--silence-thresh=-40", "--dry-run", "--format", "json")


class Row(NamedTuple):
    """One line of the table: seconds of CPU, and whose."""

    work: str
    ours: str
    peer: str
    ratio: str


def cpu_of_command(*command: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def memory_of_command(*command: str) -> float:
    """Return the peak resident memory of a command in MB."""
    code = (
        "import resource, subprocess, sys;"
        "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    told = subprocess.run([sys.executable, "-c", code, *command], check=True, capture_output=True, text=True)
    return int(told.stdout) / (1 << 20 if sys.platform == "darwin" else 1024)


def cpu_of_call(call: Callable[[], object], *, at_least_s: float = 0.05) -> float:
    """Return the CPU seconds of one call, from as many as take a measurable time."""
    n_calls, start = 0, time.process_time()
    while time.process_time() - start < at_least_s:
        call()
        n_calls += 1
    return (time.process_time() - start) / n_calls


def side_by_side(rounds: int, *measures: Callable[[], float]) -> list[float]:
    """Take turns, so that a busy machine is busy for everybody; return the medians."""
    taken = [[measure() for measure in measures] for _ in range(rounds)]
    return [statistics.median(column) for column in zip(*taken, strict=True)]


def in_ms(seconds: float) -> str:
    return f"{1000 * seconds:,.0f} ms" if seconds < 10 else f"{seconds:,.1f} s"


def row(work: str, ours: float, peer: float, name: str) -> Row:
    return Row(work, in_ms(ours), f"{in_ms(peer)} ({name})", f"{peer / ours:.0f} x")


def long_recording(path: Path, seconds: int) -> Path:
    samples, rate = soundfile.read(SAMPLES / "reference.flac", dtype="int16")
    soundfile.write(path, np.resize(samples, seconds * rate), rate)
    return path


def measure_commands(folder: Path, rounds: int, seconds: int) -> list[Row]:
    pair = (str(SAMPLES / "reference.flac"), str(SAMPLES / "good-take.flac"))
    minutes = str(long_recording(folder / "minutes.wav", seconds))
    hour = str(long_recording(folder / "hour.wav", 3600))
    (start,) = side_by_side(rounds, lambda: cpu_of_command(*SPEECHCMP, "--help"))
    ours, scripts = side_by_side(
        rounds,
        lambda: cpu_of_command(*SPEECHCMP, "compare", *pair),
        lambda: cpu_of_command(*PEER, "compare_with_scripts", *pair),
    )
    fixed, auto = side_by_side(
        rounds,
        lambda: cpu_of_command(*SPEECHCMP, "split", minutes, *FIXED),
        lambda: cpu_of_command(*SPEECHCMP, "split", minutes, "--dry-run"),
    )
    pydub = cpu_of_command(*PEER, "split_with_pydub", minutes)
    hour_fixed, hour_auto = side_by_side(
        rounds,
        lambda: cpu_of_command(*SPEECHCMP, "split", hour, *FIXED),
        lambda: cpu_of_command(*SPEECHCMP, "split", hour, "--dry-run"),
    )
    memory = memory_of_command(*SPEECHCMP, "split", hour, "--dry-run")
    return [
        Row("`speechcmp --help`", in_ms(start), "", ""),
        row("`compare`, two recordings of 20 s", ours, scripts, "pydub + librosa + fastdtw"),
        row(f"`split --silence-thresh=-40`, {seconds // 60} min", fixed, pydub, "pydub"),
        row(f"`split`, {seconds // 60} min", auto, pydub, "pydub"),
        Row("`split --silence-thresh=-40`, 60 min", in_ms(hour_fixed), "", ""),
        Row("`split`, 60 min", f"{in_ms(hour_auto)}, {memory:.0f} MB", "", ""),
    ]


def measure_mfcc(rounds: int) -> Row:
    import librosa

    from speechcmp.features.mfcc import mfcc

    samples, rate = soundfile.read(SAMPLES / "reference.flac", dtype="float32")
    ours, peer = side_by_side(
        rounds,
        lambda: cpu_of_call(lambda: mfcc(samples, rate)),
        lambda: cpu_of_call(lambda: librosa.feature.mfcc(y=samples, sr=rate)),
    )
    return row("MFCC of 19 s (librosa already imported)", ours, peer, "librosa")


def measure_dtw(rounds: int, n_frames: int) -> list[Row]:
    import librosa
    from dtaidistance import dtw_ndim
    from fastdtw import fastdtw

    from speechcmp.dtw.warp import dtw_distance, dtw_path

    rng = np.random.default_rng(0)
    a, b = (rng.standard_normal((n_frames, 13)).astype(np.float32) for _ in range(2))
    wide = a.astype(np.float64), b.astype(np.float64)
    ours, path, librosas, dtai = side_by_side(
        rounds,
        lambda: cpu_of_call(lambda: dtw_distance(a, b)),
        lambda: cpu_of_call(lambda: dtw_path(a, b)),
        lambda: cpu_of_call(lambda: librosa.sequence.dtw(a.T, b.T, metric="cityblock", backtrack=False)),
        lambda: cpu_of_call(lambda: dtw_ndim.distance_fast(*wide)),
    )
    fast = cpu_of_call(lambda: fastdtw(a, b, dist=1))
    cells = n_frames**2 / 1e9

    def line(name: str, peer: float) -> Row:
        work = f"DTW, {n_frames} x {n_frames} frames, 13 dims, l1"
        return Row(
            work,
            f"{ours / cells:.2f} ns/cell",
            f"{peer / cells:.1f} ns/cell ({name})",
            f"{peer / ours:.0f} x",
        )

    return [
        Row(
            f"DTW with path, {n_frames} x {n_frames}",
            f"{path / cells:.2f} ns/cell",
            "",
            f"{path / ours:.2f} x distance",
        ),
        line("librosa", librosas),
        line("dtaidistance, Euclidean", dtai),
        line("fastdtw, approximate", fast),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=600, help="length of the recording pydub splits")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = measure_commands(Path(folder), arguments.rounds, arguments.seconds)
    rows.append(measure_mfcc(arguments.rounds))
    for n_frames in (200, 1000):
        rows += measure_dtw(arguments.rounds, n_frames)
    print("| work | speechcmp | peer | ratio |\n|---|---|---|---|")
    for line in rows:
        print("| " + " | ".join(line) + " |")
    if arguments.json:
        arguments.json.write_text(json.dumps([line._asdict() for line in rows], indent=1))


if __name__ == "__main__":
    main()
