"""What is mutated: an example that is right, how it is spoilt, and the commands that are given it."""

import json
import random
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from fuzz.mutations import BINARY, TEXT, Mutation
from signals import sentences

from speechcmp.cli.main import run
from speechcmp.scoring.model import load_model

SPOKEN = [(0.3, 1.2), (1.8, 2.6)]
SOUNDFILE = {
    "wav": "PCM_16",
    "24.wav": "PCM_24",
    "float.wav": "FLOAT",
    "double.wav": "DOUBLE",
    "alaw.wav": "ALAW",
    "8.wav": "PCM_U8",
    "flac": "PCM_16",
    "aiff": "PCM_16",
    "au": "PCM_16",
    "caf": "PCM_16",
    "w64": "PCM_16",
    "ogg": "VORBIS",
    "rf64": "PCM_16",
}
FFMPEG = {
    "mp3": ("-c:a", "libmp3lame"),
    "opus": ("-c:a", "libopus"),
    "m4a": (),
    "mp4": (),
    "3gp": ("-ar", "8000", "-c:a", "aac"),
    "aac": (),
    "webm": ("-c:a", "libopus"),
    "mkv": ("-c:a", "libvorbis"),
    "wma": (),
    "ac3": (),
    "avi": ("-c:a", "mp3"),
    "ts": ("-c:a", "aac"),
}


class Kind(NamedTuple):
    """How files of a kind are made, by name; how they are spoilt; and what is done with one."""

    examples: Callable[[Path], dict[str, bytes]]
    mutations: list[Mutation]
    commands: Callable[[str, random.Random], list[str]]


def speak(folder: Path) -> None:
    """Write the recordings that manifests name, and those that others are compared with."""
    for k, name in enumerate(("ref.wav", "take.wav")):
        soundfile.write(folder / name, sentences(SPOKEN, 3.0, 8_000, seed=k), 8_000)


def recordings(folder: Path) -> dict[str, bytes]:
    found = {}
    sound, rate = soundfile.read(folder / "ref.wav")
    for suffix, subtype in SOUNDFILE.items():
        path = folder / f"x.{suffix}"
        soundfile.write(path, np.float32(sound), rate, subtype=subtype, format=path.suffix[1:].upper())
        found[path.name] = path.read_bytes()
    for suffix, options in FFMPEG.items() if shutil.which("ffmpeg") else ():
        path = folder / f"x.{suffix}"
        subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", folder / "ref.wav", *options, path], check=True)
        found[path.name] = path.read_bytes()
    return found


def manifests(folder: Path) -> dict[str, bytes]:
    rows = [{"id": k, "reference": "ref.wav", "take": "take.wav", "speaker": f"s{k}", "n": k / 3} for k in range(4)]
    table = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
    found = {
        "m.csv": "\n".join(table).encode(),
        "m.tsv": "\r\n".join(table).replace(",", "\t").encode("utf-16"),
        "m.jsonl": "".join(json.dumps(row) + "\n" for row in rows).encode(),
    }
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        return found
    parquet.write_table(pa.Table.from_pylist(rows), folder / "m.parquet")
    return found | {"m.parquet": (folder / "m.parquet").read_bytes()}


def results(folder: Path) -> dict[str, bytes]:
    (folder / "good.csv").write_bytes(manifests(folder)["m.csv"])
    found = {}
    for name in ("r.jsonl", "r.csv"):
        assert run(["batch", str(folder / "good.csv"), "--out", str(folder / name), "--jobs", "1"]) == 0
        found[name] = (folder / name).read_bytes()
    return found


def ratings(folder: Path) -> dict[str, bytes]:
    results(folder)
    lines = ["id,rating,speaker", *(f"{k},{10 * k},s{k}" for k in range(4))]
    return {"ratings.csv": "\n".join(lines).encode()}


def models(_: Path) -> dict[str, bytes]:
    return {"model.json": load_model().to_json().encode()}


def settings(_: Path) -> dict[str, bytes]:
    return {"speechcmp.toml": b'min-silence-len = 400\nkeep-silence = 50\n[compare]\nrecipe = "classic"\nband = 0.5\n'}


def libraries(folder: Path) -> dict[str, bytes]:
    path = folder / "library.db"
    assert run(["index", str(folder / "ref.wav"), str(folder / "take.wav"), "--db", f"sqlite:///{path}"]) == 0
    for extra in folder.glob("library.db-*"):
        extra.unlink()
    return {"library.db": path.read_bytes()}


def _listen(name: str, rng: random.Random) -> list[str]:
    return rng.choice(
        [["split", name, "--format", "json"], ["split", name, "--out", "out"], ["compare", "ref.wav", name]]
    )


def _work_on(name: str, rng: random.Random) -> list[str]:
    out = rng.choice(["out.jsonl", "out.csv", "out.parquet"])
    return ["batch", name, "--jobs", "1", *rng.choice([[], ["--out", out], ["--by", "speaker"], ["--flag-copies"]])]


def _look_at(name: str, rng: random.Random) -> list[str]:
    resumed = ["batch", "good.csv", "--out", name, "--resume", "--jobs", "1"]
    return rng.choice([["report", name], ["report", name, "--by", "speaker", "--format", "json"], resumed])


def _ask(name: str, rng: random.Random) -> list[str]:
    database = ["--db", f"sqlite:///{name}"]
    return rng.choice(
        [
            ["identify", "ref.wav", *database],
            ["library", "list", *database],
            ["library", "info", *database],
            ["index", "ref.wav", *database],
            ["library", "remove", "1", *database],
        ]
    )


KINDS = {
    "recordings": Kind(recordings, BINARY, _listen),
    "manifests": Kind(manifests, TEXT, _work_on),
    "results": Kind(results, TEXT, _look_at),
    "ratings": Kind(ratings, TEXT, lambda name, _: ["calibrate", "r.jsonl", name]),
    "models": Kind(models, TEXT, lambda name, _: ["compare", "ref.wav", "take.wav", "--calibration", name]),
    "settings": Kind(settings, TEXT, lambda *_: ["compare", "ref.wav", "take.wav"]),
    "libraries": Kind(libraries, [*BINARY, *TEXT], _ask),
}
