"""Measure the network on speakers, texts, languages and actors that training left out.

    python benchmarks/phones/measure.py DATA MODEL.npz [--words DIR ...] [--baseline]

DATA is the folder that `teach.py join` wrote. Of pairs of one text by two voices, aligned by the teacher:

retrieval
    share of frames of speech whose nearest frame of the other voice lies within 60 ms of the aligned one.
text
    area under the curve: the distance (dynamic time warping of cosines) to the same text against that to another text
    that lasts about as long, by the same voice where it read one.

`--words` folders hold single words, ``WORD_SPEAKER_TAKE.*``; of these the ABX error: A and X are a word by two
speakers, B another word by A's. They are for reports alone, never for choosing. `--baseline` measures the teacher and
the product's own cepstra the same way.
"""

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from corpus import Corpus, Floats, Mask, Pair
from student import HOP_S, NumpyStudent
from teach import TEACHER_HOP_S, load, speech_mask

from speechcmp.dtw.warp import dtw_pair_distances
from speechcmp.features.mfcc import SPEECH_BANDS, log_mel_bands
from speechcmp.scoring.impostors import SAMPLE_RATE, _cepstra

PAIRS_A_READING = 2
_NEAR_S = 0.06
_SURE = 0.5  # of the teacher's distance, above which an alignment isn't trusted
_LABELS = {"learners-synthetic": "learners", "languages": "languages", "actors": "actors"}

Listen = Callable[[Floats], Floats]


@dataclass(frozen=True)
class Heard:
    """Unit vectors of the frames of an utterance that are speech, and their times in seconds."""

    units: Floats
    times: Floats


def hear(features: Floats, speech: Mask, hop_s: float, offset_s: float = 0.0) -> Heard:
    """Keep what is speech; `speech` is a frame every 10 ms."""
    times = offset_s + hop_s * np.arange(len(features))
    kept = speech[np.clip(np.rint(times / 0.01).astype(int), 0, len(speech) - 1)]
    if not kept.any():
        kept[:] = True
    units = features[kept] / np.maximum(np.linalg.norm(features[kept], axis=1, keepdims=True), 1e-9)
    return Heard(np.ascontiguousarray(units, np.float32), times[kept])


def retrieval(pair: Pair, first: Heard, second: Heard) -> float:
    """Return the share of frames of the first whose nearest of the second is the aligned one, or next to it."""
    sure = pair.steps[pair.steps[:, 2] < _SURE]
    if len(sure) < 8:
        return float("nan")
    ours, at = np.unique(sure[:, 0], return_index=True)
    rows = np.abs(first.times[:, None] - ours[None]).argmin(axis=0)
    nearest = second.times[(first.units[rows] @ second.units.T).argmax(axis=1)]
    return float((np.abs(nearest - sure[at, 1]) <= _NEAR_S).mean())


def area(right: Floats, wrong: Floats) -> float:
    """Return how often a right distance is below a wrong one."""
    gaps = wrong[None] - right[:, None]
    return float((gaps > 0).mean() + 0.5 * (gaps == 0).mean())


def impostors(corpus: Corpus, pairs: Sequence[Pair]) -> list[int]:
    """Find for each pair an utterance of another text: near in length to the second, by its voice if there is one."""
    pool = defaultdict(set)
    for pair in pairs:
        for n in (pair.first, pair.second):
            pool[corpus.utterances[n].language].add(n)
    found = []
    for pair in pairs:
        mine, own = corpus.utterances[pair.second], corpus.utterances[pair.first]
        others = [n for n in sorted(pool[mine.language]) if corpus.utterances[n].text != mine.text]
        others = [n for n in others if corpus.utterances[n].source == mine.source] or others
        by_voice = [n for n in others if corpus.utterances[n].speaker.split("+")[0] == mine.speaker.split("+")[0]]
        usable = [n for n in (by_voice or others) if corpus.utterances[n].speaker != own.speaker] or others
        length = corpus.speech[pair.second].sum()
        found.append(min(usable, key=lambda n, length=length: abs(corpus.speech[n].sum() - length)))  # type: ignore[misc]
    return found


def validation_pairs(corpus: Corpus) -> dict[str, list[Pair]]:
    """Pick pairs that training left out, a few of each reading, the learner or one of two voices first."""
    counts: dict[int, int] = defaultdict(int)
    chosen = defaultdict(list)
    for pair in sorted(corpus.pairs, key=lambda pair: (pair.second * 7919) % 10007):
        if not corpus.validation[pair.first] or pair.kind not in _LABELS:
            continue
        if corpus.utterances[pair.second].source == "learners":
            pair = Pair(pair.second, pair.first, pair.kind, pair.steps[:, [1, 0, 2]])  # noqa: PLW2901
        if counts[pair.first] < PAIRS_A_READING or pair.kind == "actors":
            counts[pair.first] += 1
            chosen[_LABELS[pair.kind]].append(pair)
    return dict(chosen)


@dataclass(frozen=True)
class Trials:
    """Pairs of one text, and for each an utterance of another text to hold the first against."""

    pairs: list[Pair]
    wrong: list[int]

    @property
    def needed(self) -> list[int]:
        return sorted({n for pair in self.pairs for n in (pair.first, pair.second)} | set(self.wrong))


class Validation:
    """Measures how well features serve on what training left out."""

    def __init__(self, corpus: Corpus) -> None:
        self.corpus = corpus
        self.trials = {
            label: Trials(pairs, impostors(corpus, pairs)) for label, pairs in validation_pairs(corpus).items()
        }

    def measure(self, heard: Callable[[int], Heard]) -> dict[str, float]:
        """Measure what `heard` makes of utterances."""
        measured = {}
        for label, trials in self.trials.items():
            parts = {n: heard(n) for n in trials.needed}
            shares = [retrieval(pair, parts[pair.first], parts[pair.second]) for pair in trials.pairs]
            places = {n: place for place, n in enumerate(parts)}
            units = [part.units for part in parts.values()]
            right = [(places[pair.first], places[pair.second]) for pair in trials.pairs]
            wrong = [(places[pair.first], places[n]) for pair, n in zip(trials.pairs, trials.wrong, strict=True)]
            distances = dtw_pair_distances(units, units, np.array(right + wrong), metric="sqeuclidean", n_threads=1)
            measured[f"{label} retrieval"] = float(np.nanmean(shares))
            measured[f"{label} text"] = area(distances[: len(right)], distances[len(right) :])
        return measured

    def student(self, listen: Listen) -> dict[str, float]:
        """Measure a network: `listen` takes bands in dB to features."""
        corpus = self.corpus
        return self.measure(lambda n: hear(listen(corpus.bands[n].astype(np.float32)), corpus.speech[n], HOP_S))

    def teacher(self) -> dict[str, float]:
        corpus = self.corpus
        return self.measure(
            lambda n: hear(corpus.teacher[n].astype(np.float32), corpus.speech[n], TEACHER_HOP_S, corpus.offsets[n])
        )

    def cepstra(self) -> dict[str, float]:
        """Measure the product's cepstra, normalized over the speech of the utterance, at 20 ms."""

        def heard(n: int) -> Heard:
            bands = self.corpus.bands[n].astype(np.float32)
            speech = self.corpus.speech[n]
            features = np.zeros((len(bands), 13), np.float32)
            features[speech] = _cepstra(bands[speech], 1)[:, 0]
            return hear(features[::2], speech, HOP_S)

        return self.measure(heard)


def words(folder: Path, listen: Listen) -> tuple[float, float]:
    """Return the ABX error, and how often the nearest word of other speakers is the same."""
    files = sorted(file for file in folder.iterdir() if file.suffix in {".flac", ".wav"})
    names, speakers = (np.array([file.stem.split("_")[k] for file in files]) for k in (0, 1))
    units = []
    for file in files:
        bands = log_mel_bands(load(str(file)), SAMPLE_RATE, [SPEECH_BANDS])[0]
        units.append(hear(listen(bands), speech_mask(bands), HOP_S).units)
    pairs = np.array([(i, j) for i in range(len(files)) for j in range(i)])
    between = np.zeros((len(files), len(files)))
    between[pairs[:, 0], pairs[:, 1]] = dtw_pair_distances(units, units, pairs, metric="sqeuclidean", n_threads=1)
    between += between.T
    errors = []
    for x in range(len(files)):
        for speaker in set(speakers.tolist()) - {speakers[x]}:
            theirs = speakers == speaker
            same, other = between[x, theirs & (names == names[x])], between[x, theirs & (names != names[x])]
            if len(same) and len(other):
                errors.append(1 - area(same, other))
    far = np.where(speakers[:, None] == speakers[None], np.inf, between)
    return float(np.mean(errors)), float((names[far.argmin(axis=1)] == names).mean())


def cost_ms(corpus: Corpus, listen: Listen) -> float:
    """Return milliseconds of CPU a second of audio, bands not counted."""
    bands = [corpus.bands[n].astype(np.float32) for n in range(0, len(corpus.bands), max(1, len(corpus.bands) // 200))]
    listen(bands[0])
    started = time.process_time()
    for part in bands:
        listen(part)
    return 1e3 * (time.process_time() - started) / (sum(map(len, bands)) * 0.01)


def line(measured: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in measured.items())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("model", type=Path)
    parser.add_argument("--words", type=Path, nargs="*", default=[], help="for reports alone")
    parser.add_argument("--baseline", action="store_true")
    options = parser.parse_args()
    corpus = Corpus.load(options.data)
    student = NumpyStudent(options.model)
    validation = Validation(corpus)
    print("student:", line(validation.student(student.listen)))
    print(f"{cost_ms(corpus, student.listen):.2f} ms of CPU a second of audio")
    if options.baseline:
        print("teacher:", line(validation.teacher()))
        print("cepstra:", line(validation.cepstra()))
    for folder in options.words:
        error, nearest = words(folder, student.listen)
        print(f"{folder.name}: ABX error {error:.4f}, nearest {nearest:.4f}")


if __name__ == "__main__":
    main()
