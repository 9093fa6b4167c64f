"""Listen with the teacher: mel bands of every recording, the teacher's features of it, and pairs aligned by these.

    python benchmarks/phones/teach.py encode MANIFEST --teacher encoder_model.ort --out SHARD.npz
    python benchmarks/phones/teach.py encode --readings SO762 --exclude FILE --teacher ... --out SHARD.npz
    python benchmarks/phones/teach.py encode --actors EMODB --teacher ... --out SHARD.npz
    python benchmarks/phones/teach.py join SHARD.npz ... --out DATA

The teacher is the encoder of Moonshine tiny-en, `assets/tiny-en/encoder_model.ort` of the package moonshine-voice.
`join` takes its features to 64 principal components, sets speakers, languages and actors aside for validation (with
every reading of a text that one of those speakers reads), and aligns pairs by dynamic time warping.
"""

import argparse
import json
import random
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict
from itertools import combinations
from pathlib import Path

import numpy as np
import onnxruntime
import soundfile
import soxr
from corpus import Corpus, Floats, Mask, Pair, Utterance, checksum, emodb, read_manifest, speechocean

from speechcmp.dtw.warp import dtw_path
from speechcmp.features.mfcc import SPEECH_BANDS, log_mel_bands
from speechcmp.scoring.impostors import (
    _ALONE_FRAMES,
    HOP_S,
    SAMPLE_RATE,
    _is_speech,
    _without_clicks,
)

N_COMPONENTS = 64
TEACHER_HOP_S = 0.024
VALIDATION_SPEAKERS = 12
VALIDATION_ACTORS = 2
VALIDATION_LANGUAGES = ("hu", "hi")
ACTOR_PAIRS = 150  # of each text
_MOST_S = 12.0
_CHUNK = TEACHER_HOP_S * SAMPLE_RATE  # samples a frame
_PAD = 8  # frames of silence before


class Teacher:
    """Moonshine tiny-en's encoder, its last layer."""

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(path), options)

    def __call__(self, samples: Floats) -> tuple[Floats, float]:
        """Return features, one row every 24 ms, and where the first is centered, in seconds."""
        before = round(_PAD * _CHUNK)
        padded = np.pad(samples, (before, before + round(3 * _CHUNK)))[None].astype(np.float32)
        inputs = {"input_values": padded, "attention_mask": np.ones(padded.shape, np.int64)}
        frames = self._session.run(None, inputs)[0][0]
        # Convolutions of 127 by 64, 7 by 3 and 3 by 2 samples lie below the first layer.
        centers = (63 + 64 * (3 + 3 * (1 + 2 * np.arange(len(frames)))) - before) / SAMPLE_RATE
        inside = (centers >= -TEACHER_HOP_S / 2) & (centers < len(samples) / SAMPLE_RATE)
        return frames[inside], float(centers[inside][0])


def load(path: str) -> Floats:
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono: Floats = samples.mean(axis=1)
    return mono if rate == SAMPLE_RATE else soxr.resample(mono, rate, SAMPLE_RATE).astype(np.float32)


def speech_mask(bands: Floats) -> Mask:
    """Return which frames the measures of the product take for speech."""
    frames = np.flatnonzero(_is_speech(bands))
    gaps = np.flatnonzero(frames[1:] - frames[:-1] > _ALONE_FRAMES) + 1
    if len(gaps):
        frames = _without_clicks(np.split(frames, gaps))
    mask = np.zeros(len(bands), np.bool_)
    mask[frames] = True
    return mask


def encode(utterances: Sequence[Utterance], teacher: Teacher, out: Path) -> None:
    """Write bands and raw features of utterances, and a checksum of their files."""
    bands, features, offsets, kept = [], [], [], []
    started, seconds = time.process_time(), 0.0
    for n, utterance in enumerate(utterances):
        samples = load(utterance.path)[: int(_MOST_S * SAMPLE_RATE)]
        if len(samples) < SAMPLE_RATE // 4 or np.abs(samples).max() < 1e-3:
            continue
        frames, offset = teacher(samples)
        bands.append(log_mel_bands(samples, SAMPLE_RATE, [SPEECH_BANDS])[0].astype(np.float16))
        features.append(frames.astype(np.float16))
        offsets.append(offset)
        kept.append(utterance)
        seconds += len(samples) / SAMPLE_RATE
        if n % 500 == 0:
            print(f"{n} of {len(utterances)}, {seconds:.0f} s", flush=True)
    np.savez(
        out,
        utterances=json.dumps([asdict(utterance) for utterance in kept]),
        bands=np.concatenate(bands),
        n_bands=[len(part) for part in bands],
        features=np.concatenate(features),
        n_features=[len(part) for part in features],
        offsets=offsets,
    )
    cost = 1e3 * (time.process_time() - started) / seconds
    print(f"{len(kept)} utterances, {seconds / 3600:.2f} h, {cost:.1f} ms a second")
    print("sha256", checksum(Path(utterance.path) for utterance in kept), flush=True)


def choose_validation(utterances: Sequence[Utterance], seed: int) -> list[bool]:
    """Set speakers, actors and languages aside, and every reading of a text that one of those speakers reads."""
    rng = random.Random(seed)  # noqa: S311
    speakers = sorted({u.speaker for u in utterances if u.source == "learners"})
    actors = sorted({u.speaker for u in utterances if u.source == "actors"})
    chosen = {*rng.sample(speakers, VALIDATION_SPEAKERS), *rng.sample(actors, min(VALIDATION_ACTORS, len(actors)))}
    texts = {u.text for u in utterances if u.speaker in chosen and u.source == "learners"}
    print("validation:", *sorted(chosen), *VALIDATION_LANGUAGES)
    return [
        u.speaker in chosen
        or (u.source == "synthetic" and u.text in texts)
        or (u.source == "languages" and u.language in VALIDATION_LANGUAGES)
        for u in utterances
    ]


def candidates(utterances: Sequence[Utterance], validation: Sequence[bool], seed: int) -> list[tuple[int, int, str]]:
    """List pairs of utterances of one text by two voices, and of which kind each is."""
    by_text = defaultdict(list)
    for n, utterance in enumerate(utterances):
        by_text[utterance.language, utterance.text].append(n)
    rng = random.Random(seed)  # noqa: S311
    found = []
    for members in by_text.values():
        pairs = [
            (i, j, "-".join(sorted({utterances[i].source, utterances[j].source})))
            for i, j in combinations(members, 2)
            if utterances[i].speaker != utterances[j].speaker and validation[i] == validation[j]
        ]
        actors = [pair for pair in pairs if pair[2] == "actors"]
        found += [pair for pair in pairs if pair[2] != "actors"]
        found += rng.sample(actors, min(ACTOR_PAIRS, len(actors)))
    return found


def align(corpus: Corpus, i: int, j: int, kind: str) -> Pair | None:
    """Align the speech of two utterances by the teacher's features."""
    times, frames = zip(*(speech_frames(corpus, n) for n in (i, j)), strict=True)
    if min(map(len, times)) < 8:
        return None
    steps = dtw_path(frames[0], frames[1], metric="cosine").steps
    ours, theirs = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in frames)
    costs = 1 - (ours[steps[:, 0]] * theirs[steps[:, 1]]).sum(axis=1)
    return Pair(i, j, kind, np.stack([times[0][steps[:, 0]], times[1][steps[:, 1]], costs], 1).astype(np.float32))


def speech_frames(corpus: Corpus, n: int) -> tuple[Floats, Floats]:
    """Return the times and the teacher's features of those of its frames that are speech."""
    features = corpus.teacher[n].astype(np.float32)
    times = corpus.offsets[n] + TEACHER_HOP_S * np.arange(len(features))
    mask = corpus.speech[n]
    heard = mask[np.clip(np.rint(times / HOP_S).astype(int), 0, len(mask) - 1)]
    return times[heard].astype(np.float32), features[heard]


def principal_components(features: Sequence[Floats]) -> tuple[Floats, Floats, float]:
    """Return the mean, the basis, and what brings the components to unit variance on average."""
    sample = np.concatenate([part[::3] for part in features]).astype(np.float32)
    mean = sample.mean(axis=0)
    variances, vectors = np.linalg.eigh(np.cov((sample - mean).T.astype(np.float64)))
    basis = vectors[:, np.argsort(-variances)[:N_COMPONENTS]].astype(np.float32)
    kept = np.sort(variances)[-N_COMPONENTS:].sum()
    print(f"{kept / variances.sum():.3f} of the variance in {N_COMPONENTS} components of {sample.shape}")
    return mean, basis, float(np.sqrt(N_COMPONENTS / kept))


def join(shards: Sequence[Path], out: Path, seed: int) -> None:
    utterances: list[Utterance] = []
    bands: list[Floats] = []
    features: list[Floats] = []
    offsets: list[float] = []
    for shard in shards:
        with np.load(shard) as file:
            utterances += [Utterance(**fields) for fields in json.loads(str(file["utterances"]))]
            bands += np.split(file["bands"], np.cumsum(file["n_bands"])[:-1])
            features += np.split(file["features"], np.cumsum(file["n_features"])[:-1])
            offsets += file["offsets"].tolist()
    validation = choose_validation(utterances, seed)
    mean, basis, scale = principal_components([f for f, left in zip(features, validation, strict=True) if not left])
    np.savez(out / "components.npz", mean=mean, basis=basis, scale=scale)
    teacher = [((part.astype(np.float32) - mean) @ basis * scale).astype(np.float16) for part in features]
    del features
    speech = [speech_mask(part.astype(np.float32)) for part in bands]
    corpus = Corpus(utterances, validation, bands, speech, teacher, offsets, [])
    pairs = [align(corpus, *candidate) for candidate in candidates(utterances, validation, seed)]
    corpus.pairs.extend(pair for pair in pairs if pair)
    corpus.save(out)
    describe(corpus)


def describe(corpus: Corpus) -> None:
    """Print how much there is of each kind."""
    for source in sorted({u.source for u in corpus.utterances}):
        for left in (False, True):
            of = [n for n, u in enumerate(corpus.utterances) if u.source == source and corpus.validation[n] == left]
            hours = sum(len(corpus.bands[n]) for n in of) * HOP_S / 3600
            voices = len({corpus.utterances[n].speaker for n in of})
            print(f"{source}{', validation' * left}: {len(of)} utterances, {voices} voices, {hours:.2f} h")
    for kind in sorted({pair.kind for pair in corpus.pairs}):
        for left in (False, True):
            costs = [p.cost for p in corpus.pairs if p.kind == kind and corpus.validation[p.first] == left]
            if costs:
                print(f"pairs {kind}{', validation' * left}: {len(costs)}, mean distance {np.mean(costs):.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    encoding = verbs.add_parser("encode")
    encoding.add_argument("manifest", type=Path, nargs="?")
    encoding.add_argument("--readings", type=Path, help="speechocean762's folder")
    encoding.add_argument("--exclude", type=Path, help="names of speakers never used, one a line")
    encoding.add_argument("--actors", type=Path, help="EmoDB's folder")
    encoding.add_argument("--teacher", type=Path, required=True)
    encoding.add_argument("--out", type=Path, required=True)
    joining = verbs.add_parser("join")
    joining.add_argument("shards", type=Path, nargs="+")
    joining.add_argument("--out", type=Path, required=True, help="a folder")
    joining.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    if options.verb == "join":
        options.out.mkdir(parents=True, exist_ok=True)
        join(options.shards, options.out, options.seed)
        return
    utterances = read_manifest(options.manifest) if options.manifest else []
    if options.readings:
        utterances += speechocean(options.readings, options.exclude)
    if options.actors:
        utterances += emodb(options.actors)
    encode(utterances, Teacher(options.teacher), options.out)


if __name__ == "__main__":
    main()
