"""Whose recordings there are, and of which texts: what the other scripts of this folder read."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Utterance:
    """A recording of a text.

    Attributes
    ----------
    name : str
    speaker : str
        Or the synthetic voice.
    text : str
        Utterances in one language that have one text are pairs.
    language : str
        As espeak-ng names it; `en`, whatever the accent.
    source : str
        `learners`, `synthetic` (English), `languages` (synthetic) or `actors`.
    path : str
    """

    name: str
    speaker: str
    text: str
    language: str
    source: str
    path: str


@dataclass(frozen=True)
class Pair:
    """Two utterances of one text, aligned.

    Attributes
    ----------
    first, second : int
        Places in `Corpus.utterances`.
    kind : str
        Their sources.
    steps : float32, shape (n_steps, 3)
        Seconds in the first, seconds in the second, and how far apart the teacher finds them.
    """

    first: int
    second: int
    kind: str
    steps: Floats

    @property
    def cost(self) -> float:
        return float(self.steps[:, 2].mean())


@dataclass(frozen=True)
class Corpus:
    """All that is trained on or validated by, in memory.

    Attributes
    ----------
    utterances : list of Utterance
    validation : list of bool
        Which of them are never trained on.
    bands : list of float16, shape (n_frames, 40)
        dB, a frame every 10 ms.
    speech : list of bool, shape (n_frames,)
    teacher : list of float16, shape (n_teacher_frames, 64)
        A frame every 24 ms, the first at `offsets` seconds.
    offsets : list of float
    pairs : list of Pair
    """

    utterances: list[Utterance]
    validation: list[bool]
    bands: list[Floats]
    speech: list[Mask]
    teacher: list[Floats]
    offsets: list[float]
    pairs: list[Pair]

    def save(self, folder: Path) -> None:
        np.savez(
            folder / "corpus.npz",
            utterances=json.dumps([asdict(utterance) for utterance in self.utterances]),
            validation=self.validation,
            bands=np.concatenate(self.bands),
            n_bands=[len(part) for part in self.bands],
            speech=np.concatenate(self.speech),
            teacher=np.concatenate(self.teacher),
            n_teacher=[len(part) for part in self.teacher],
            offsets=self.offsets,
            pairs=json.dumps([(pair.first, pair.second, pair.kind) for pair in self.pairs]),
            steps=np.concatenate([pair.steps for pair in self.pairs]),
            n_steps=[len(pair.steps) for pair in self.pairs],
        )

    @classmethod
    def load(cls, folder: Path) -> "Corpus":
        with np.load(folder / "corpus.npz") as file:
            bands_ends, teacher_ends, steps_ends = (
                np.cumsum(file[name])[:-1] for name in ("n_bands", "n_teacher", "n_steps")
            )
            steps = np.split(file["steps"], steps_ends)
            return cls(
                [Utterance(**fields) for fields in json.loads(str(file["utterances"]))],
                file["validation"].tolist(),
                np.split(file["bands"], bands_ends),
                np.split(file["speech"], bands_ends),
                np.split(file["teacher"], teacher_ends),
                file["offsets"].tolist(),
                [
                    Pair(first, second, kind, part)
                    for (first, second, kind), part in zip(json.loads(str(file["pairs"])), steps, strict=True)
                ],
            )


def speechocean(folder: Path, exclude: Path) -> list[Utterance]:
    """List the readings of speechocean762's training split, less those of the speakers that `exclude` names."""
    lines = exclude.read_text(encoding="utf-8").split("\n")
    banned = {line.strip() for line in lines if line.strip() and not line.startswith("#")}
    speakers, texts, files = (_table(folder / "train" / name) for name in ("utt2spk", "text", "wav.scp"))
    return [
        Utterance(name, speaker, texts[name], "en", "learners", str(folder / files[name]))
        for name, speaker in sorted(speakers.items())
        if speaker not in banned
    ]


def emodb(folder: Path) -> list[Utterance]:
    """List the sentences of EmoDB: ``wav/SSTTTEV.wav``, speaker, text, emotion and version."""
    return [
        Utterance(f"emodb-{file.stem}", f"emodb-{file.stem[:2]}", file.stem[2:5], "de", "actors", str(file))
        for file in sorted((folder / "wav").glob("*.wav"))
    ]


def write_manifest(path: Path, utterances: Iterable[Utterance]) -> None:
    lines = [json.dumps(asdict(utterance), ensure_ascii=False) for utterance in utterances]
    path.write_text("[\n" + ",\n".join(lines) + "\n]\n", encoding="utf-8")


def read_manifest(path: Path) -> list[Utterance]:
    return [Utterance(**fields) for fields in json.loads(path.read_text(encoding="utf-8"))]


def checksum(paths: Iterable[Path]) -> str:
    """Return the SHA-256 of the sorted list of ``name sha256`` of files."""
    lines = sorted(f"{path.name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n" for path in paths)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _table(path: Path) -> dict[str, str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return {key: value.strip() for key, value in (line.split(None, 1) for line in lines)}
