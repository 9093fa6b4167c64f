"""Recordings without sound: hashes drawn at random, and what workers need to draw them."""

import hashlib
import os
import signal
import time
from pathlib import Path

import numpy as np

from speechcmp.errors import AudioError
from speechcmp.fingerprint.ingest import Fingerprint
from speechcmp.fingerprint.peaks import FingerprintParams
from speechcmp.fingerprint.store.base import NewRecording, Preset, Store
from speechcmp.fingerprint.store.sql import SqlStore

PRESET = Preset("speech", '{"hop": 256}')


def recording(seed: int, n: int = 200, *, n_distinct: int = 1 << 20, name: str = "") -> NewRecording:
    """Draw `n` hashes out of `n_distinct`."""
    rng = np.random.default_rng(seed)
    kinds = rng.integers(0, n_distinct, n).astype(">u8").view(np.uint8).reshape(-1, 8)
    hashes = np.zeros((n, 10), np.uint8)
    hashes[:, :8] = kinds[:, ::-1]  # the byte that varies most comes first, as in a digest
    return NewRecording(
        name or f"{seed}.wav",
        f"/recordings/{seed}.wav",
        hashlib.sha1(str(seed).encode(), usedforsecurity=False).digest(),
        n / 100,
        16_000,
        hashes,
        np.sort(rng.integers(0, n, n)).astype(np.uint32),
    )


def fake_extract(path: str, params: FingerprintParams, limit_s: float | None) -> Fingerprint:
    """Do as the file's first word says."""
    kind, *rest = Path(path).read_text(encoding="utf-8").split()
    if kind == "bad":
        raise AudioError(f"{path}: not audio; give a recording")
    if kind == "odd":
        raise KeyError(kind)
    if kind == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "die-once":
        part = Path(f"{path}.part")  # the pool may kill this process while it writes
        part.write_text("plain 5 10", encoding="utf-8")
        part.replace(path)
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "slow":
        time.sleep(0.02)
    made = recording(int(rest[0]), int(rest[1]))
    whole = limit_s is None or limit_s >= made.duration_s
    duration_s = made.duration_s if limit_s is None else min(limit_s, made.duration_s)
    heard = made.offsets < 100 * duration_s
    return Fingerprint(made.hashes[heard], made.offsets[heard], duration_s, params.sample_rate or 16_000, whole)


def make_files(folder: Path, n: int, *, n_hashes: int = 100, kind: str = "plain") -> list[str]:
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{number:04d}.wav" for number in range(n)]
    for number, path in enumerate(paths):
        path.write_text(f"{kind} {number} {n_hashes}", encoding="utf-8")
    return [str(path) for path in paths]


def content(store: Store) -> list[tuple[bytes, bytes, int]]:
    """Read the whole library: content, hash and offset of every row, whichever ids were given."""
    assert isinstance(store, SqlStore)
    sql = (
        "SELECT r.content_sha1, f.hash, f.`offset` FROM fingerprints f LEFT JOIN recordings r ON r.id = f.recording_id"
    )
    return sorted(store.reading(lambda session: session.rows(sql)))  # a row without recording can't be sorted


def check_whole(store: Store) -> None:
    """Check that every recording has all its rows, and every row a recording."""
    counts: dict[bytes, int] = {}
    for content_sha1, _, _ in content(store):
        counts[content_sha1] = counts.get(content_sha1, 0) + 1
    assert counts == {stored.content_sha1: stored.n_hashes for stored in store.list()}
