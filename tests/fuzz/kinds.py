"""What is mutated: an example that is right, how it is spoilt, and the commands that are given it."""

import json
import random
import shutil
import sqlite3
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from fuzz.mutations import BINARY, TEXT, Mutation, token
from signals import sentences

from speechcmp.cli.main import run
from speechcmp.fingerprint.store.sql import columns_of
from speechcmp.scoring.model import load_model

SQL_VALUES = [
    *("NULL", "''", "'x'", "x''", "x'ff'", "CAST(x'ff' AS TEXT)", "zeroblob(20)", "zeroblob(100000)", "'[1, 2]'"),
    *("0", "-1", "1.5", "9e999", "-9e999", "4294967296", "9223372036854775807", "'2024-13-01'", "char(27, 10, 55296)"),
]
SHAPES = [
    *["SELECT 1"] * 5,
    "CREATE TABLE t AS SELECT * FROM {table}; DROP TABLE {table}; ALTER TABLE t RENAME TO {table}",
    "ALTER TABLE {table} RENAME COLUMN `{column}` TO x",
    "ALTER TABLE {table} DROP COLUMN `{column}`",
    "ALTER TABLE {table} RENAME TO x",
    "CREATE VIEW v AS SELECT * FROM {table}",
    "CREATE TRIGGER t AFTER DELETE ON {table} BEGIN DELETE FROM library; END",
]
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
    """Make results of a batch, and some of more takes with their ratings, enough to fit a model to."""
    (folder / "good.csv").write_bytes(manifests(folder)["m.csv"])
    found = {}
    for name in ("r.jsonl", "r.csv"):
        assert run(["batch", str(folder / "good.csv"), "--out", str(folder / name), "--jobs", "1"]) == 0
        found[name] = (folder / name).read_bytes()
    record = json.loads(found["r.jsonl"].splitlines()[0])
    lines = ["id,rating,speaker"]
    with (folder / "many.jsonl").open("w") as file:
        for k in range(24):
            for chunk in record["chunks"]:
                chunk["measures"] = {"distance": 0.1 + k / 100, "relative": 0.3 + k / 40, "tempo": 1.1, "pause": 0.1}
            file.write(json.dumps({**record, "id": str(k), "speaker": f"s{k % 6}"}) + "\n")
            lines.append(f"{k},{90 - 3 * k},s{k % 6}")
    (folder / "ratings.csv").write_text("\n".join(lines))
    return found | {"many.jsonl": (folder / "many.jsonl").read_bytes()}


def ratings(folder: Path) -> dict[str, bytes]:
    results(folder)
    return {"ratings.csv": (folder / "ratings.csv").read_bytes()}


def models(folder: Path) -> dict[str, bytes]:
    (folder / "good.csv").write_bytes(manifests(folder)["m.csv"])
    return {"model.json": load_model().to_json().encode()}


def settings(_: Path) -> dict[str, bytes]:
    return {"speechcmp.toml": b'min-silence-len = 400\nkeep-silence = 50\n[compare]\nrecipe = "classic"\nband = 0.5\n'}


def libraries(folder: Path) -> dict[str, bytes]:
    path = folder / "library.db"
    assert run(["index", str(folder / "ref.wav"), str(folder / "take.wav"), "--db", f"sqlite:///{path}"]) == 0
    for extra in folder.glob("library.db-*"):
        extra.unlink()
    return {"library.db": path.read_bytes()}


def rows(data: bytes, rng: random.Random) -> bytes:
    """Put a value that is odd into a column of a library, and maybe another shape to its tables."""
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "x.db"
        path.write_bytes(data)
        with closing(sqlite3.connect(path, isolation_level=None)) as database, suppress(sqlite3.Error):
            database.execute("PRAGMA journal_mode = DELETE")
            table, columns = rng.choice(list(columns_of().items()))
            column, value = rng.choice(columns), rng.choice(SQL_VALUES)
            database.executescript(rng.choice(SHAPES).format(table=table, column=column))
            some = rng.choice(["", "WHERE rowid = 1", "WHERE name = 'preset'", "WHERE `offset` % 3 = 0"])
            database.execute(f"UPDATE OR REPLACE {table} SET `{column}` = {value} {some}")  # noqa: S608 - made here
        return path.read_bytes()


def _listen(name: str, rng: random.Random) -> list[str]:
    return rng.choice(
        [["split", name, "--format", "json"], ["split", name, "--out", "out"], ["compare", "ref.wav", name]]
    )


def _work_on(name: str, rng: random.Random) -> list[str]:
    out = rng.choice(["out.jsonl", "out.csv", "out.parquet"])
    return ["batch", name, "--jobs", "1", *rng.choice([[], ["--out", out], ["--by", "speaker"], ["--flag-copies"]])]


def _look_at(name: str, rng: random.Random) -> list[str]:
    resumed = ["batch", "good.csv", "--out", name, "--resume", "--jobs", "1"]
    reports = [["report", name], ["report", name, "--by", "speaker", "--format", "json"]]
    fits = [["calibrate", name, "ratings.csv"], ["calibrate", "many.jsonl", "--wrong", name]]
    return rng.choice([*reports, *fits, resumed])


def _score(name: str, rng: random.Random) -> list[str]:
    whole = ["compare", "ref.wav", "take.wav", "--calibration", name]
    return rng.choice(
        [whole, [*whole, "--format", "json"], ["batch", "good.csv", "--jobs", "1", "--calibration", name]]
    )


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
    "ratings": Kind(ratings, TEXT, lambda name, _: ["calibrate", "many.jsonl", name]),
    "models": Kind(models, TEXT, _score),
    "settings": Kind(settings, TEXT, lambda *_: ["compare", "ref.wav", "take.wav"]),
    "libraries": Kind(libraries, [*BINARY, token, *[rows] * len(BINARY)], _ask),
}
