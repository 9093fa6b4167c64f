"""Train the network: to hear what the teacher hears, and one text by two voices alike.

    python benchmarks/phones/train.py DATA --models DIR --name phones --minutes 75
    python benchmarks/phones/train.py DATA --models DIR --name phones --until 20:00 [--resume]

DATA is the folder that `teach.py join` wrote. DIR gets NAME.npz, the mean of the weights over the latest steps as the
product reads them, every five minutes, and NAME.pt, from which `--resume` goes on.

Each step takes stretches of pairs, both sides changed (`augment.py`) independently, all of one length between 0.7 and
3.2 s. Distillation: 1 - cosine, squared error and the difference of the frames' similarity matrices. Pairs: of aligned
frames, each has to find the other among all of the batch [1]_, those left out that are near it in time or that the
teacher finds similar. The learning rate rises, stays, and falls to 0 in the last 45 % of the time; Muon [2]_ for the
hidden matrices, AdamW for the others.

References
----------
.. [1] van den Oord et al. (2018), Representation learning with contrastive predictive coding.
.. [2] Jordan et al. (2024), Muon: an optimizer for hidden layers in neural networks.
"""

import argparse
import copy
import datetime as dt
import math
import os
import time
from collections import defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np
import torch
from augment import FRAME_S, View, look, tempo
from corpus import Corpus, Floats, Pair
from measure import Validation, line
from numpy.typing import NDArray
from student import DILATIONS, Student, normalize
from teach import TEACHER_HOP_S
from torch import Tensor
from torch.nn import functional

KINDS = {"learners-synthetic": 0.45, "synthetic": 0.14, "languages": 0.31, "actors": 0.1}  # shares of a batch
TEACHES = {"learners": 1.0, "synthetic": 1.0, "languages": 0.3, "actors": 0.3}  # weight of distillation
PAIR_WEIGHTS = {"languages": 1.5, "actors": 1.5}
BATCH_FRAMES = 4600  # of 10 ms
SHORTEST, LONGEST = 70, 320
ANCHORS = 512
TEMPERATURE = 0.12
ALIKE = 0.6  # cosine of the teacher's features, above which two frames aren't told apart
NEAR = 4  # frames of 20 ms
FARTHEST = 0.7  # the teacher's distance, above which an alignment isn't trusted
KEPT = 0.9  # share of the pairs of a kind and language, the best aligned ones
LEVEL_JITTER = 0.25  # of the network's input


@dataclass(frozen=True)
class Batch:
    """Views, first sides before second sides; `anchors` are (places among all frames, first and second; pair)."""

    bands: Tensor
    teacher: Tensor
    weights: Tensor
    anchors: Tensor
    anchor_weights: Tensor


class Stretches:
    """Draws batches of stretches of pairs."""

    def __init__(self, corpus: Corpus, rng: np.random.Generator) -> None:
        self.corpus = corpus
        self.rng = rng
        groups: dict[tuple[str, str], list[Pair]] = defaultdict(list)
        for pair in corpus.pairs:
            if not corpus.validation[pair.first] and (pair.steps[:, 2] < FARTHEST).sum() >= 8:
                groups[pair.kind, corpus.utterances[pair.first].language].append(pair)
        self.pairs: dict[str, list[Pair]] = defaultdict(list)
        for (kind, _), pairs in groups.items():
            worst = np.quantile([pair.cost for pair in pairs], KEPT)
            self.pairs[kind] += [pair for pair in pairs if pair.cost <= worst]
        shares = {kind: share for kind, share in KINDS.items() if self.pairs[kind]}
        self.kinds = list(shares)
        self.shares = np.array(list(shares.values())) / sum(shares.values())

    def draw(self) -> Batch:
        n_frames = 2 * round(math.exp(self.rng.uniform(math.log(SHORTEST), math.log(LONGEST))) / 2)
        n_pairs = max(4, round(BATCH_FRAMES / n_frames / 2))
        kinds = self.rng.choice(self.kinds, n_pairs, p=self.shares)
        pairs = [self.pairs[kind][self.rng.integers(len(self.pairs[kind]))] for kind in kinds]
        views = [self.views(pair, n_frames) for pair in pairs]
        sides = [(pair.first, view[0]) for pair, view in zip(pairs, views, strict=True)]
        sides += [(pair.second, view[1]) for pair, view in zip(pairs, views, strict=True)]
        targets = [self.target(n, view) for n, view in sides]
        anchors, weights = self.anchors(pairs, views, n_frames // 2)
        return Batch(
            torch.from_numpy(np.stack([self.input(view) for _, view in sides])),
            torch.from_numpy(np.stack([target for target, _ in targets])),
            torch.from_numpy(np.stack([weight for _, weight in targets])),
            torch.from_numpy(anchors),
            torch.from_numpy(weights),
        )

    def views(self, pair: Pair, n_frames: int) -> tuple[View, View]:
        """Cut stretches of both sides around a moment of the alignment."""
        moment = pair.steps[self.rng.integers(len(pair.steps))]
        before = self.rng.uniform()
        sides = []
        for side, n in enumerate((pair.first, pair.second)):
            bands = self.corpus.bands[n].astype(np.float32)
            places = tempo(n_frames, self.rng)
            start = moment[side] / FRAME_S - before * places[-1]
            room = len(bands) - 1 - places[-1]
            start = min(max(start, 0), room) if room > 0 else room * self.rng.uniform()
            sides.append(look(bands, start + places, self.rng))
        return sides[0], sides[1]

    def input(self, view: View) -> Floats:
        return normalize(view.bands) + np.float32(self.rng.uniform(-LEVEL_JITTER, LEVEL_JITTER))

    def target(self, n: int, view: View) -> tuple[Floats, Floats]:
        """Return the teacher's features at the network's frames, and how much each weighs."""
        teacher, speech = self.corpus.teacher[n], self.corpus.speech[n]
        places = view.places[::2]
        at = np.clip((places * FRAME_S - self.corpus.offsets[n]) / TEACHER_HOP_S, 0, len(teacher) - 1)
        below = np.minimum(at.astype(int), max(len(teacher) - 2, 0))
        share = (at - below)[:, None].astype(np.float32)
        above = np.minimum(below + 1, len(teacher) - 1)
        target = teacher[below].astype(np.float32) * (1 - share) + teacher[above].astype(np.float32) * share
        inside = (places >= 0) & (places <= len(speech) - 1)
        heard = speech[np.clip(np.rint(places).astype(int), 0, len(speech) - 1)]
        weight = inside * (0.1 + 0.9 * heard) * TEACHES[self.corpus.utterances[n].source]
        return target, weight.astype(np.float32)

    def anchors(
        self, pairs: Sequence[Pair], views: Sequence[tuple[View, View]], n_frames: int
    ) -> tuple[NDArray[np.int64], Floats]:
        """Pick frames of both sides that are aligned."""
        found, weights = [], []
        each = -(-ANCHORS // len(pairs))
        for k, (pair, sides) in enumerate(zip(pairs, views, strict=True)):
            steps = pair.steps[pair.steps[:, 2] < FARTHEST]
            frames = []
            inside = np.ones(len(steps), np.bool_)
            for side, view in enumerate(sides):
                places = view.places[::2]
                at = steps[:, side] / FRAME_S
                inside &= (at >= places[0]) & (at <= places[-1])
                frames.append(np.rint(np.interp(at, places, np.arange(n_frames))).astype(int))
            chosen = np.unique(np.stack(frames, axis=1)[inside], axis=0)
            chosen = chosen[self.rng.permutation(len(chosen))[:each]]
            offsets = np.array([k, len(pairs) + k]) * n_frames
            found.append(np.column_stack([chosen + offsets, np.full(len(chosen), k)]))
            weights += [PAIR_WEIGHTS.get(pair.kind, 1.0)] * len(chosen)
        return np.concatenate(found), np.array(weights, np.float32)


class Muon:
    """Momentum whose steps are made orthogonal, for matrices."""

    def __init__(self, matrices: Iterable[torch.nn.Parameter], rate: float, *, half: bool) -> None:
        self.matrices = list(matrices)
        self.half = half
        self.rate = rate
        self.momenta = [torch.zeros_like(matrix) for matrix in self.matrices]

    def step(self, share: float) -> None:
        """Take a step of `share` of the rate."""
        rate = self.rate * share
        with torch.no_grad():
            for matrix, momentum in zip(self.matrices, self.momenta, strict=True):
                momentum.mul_(0.95).add_(matrix.grad)
                direction = orthogonal(matrix.grad.add(momentum, alpha=0.95), half=self.half)
                matrix.mul_(1 - 0.01 * rate)
                matrix.add_(direction, alpha=-rate * max(1, matrix.shape[0] / matrix.shape[1]) ** 0.5)


def orthogonal(matrix: Tensor, *, half: bool) -> Tensor:
    """Bring the singular values of a matrix near 1 by five Newton-Schulz iterations."""
    tall = matrix.shape[0] > matrix.shape[1]
    near = (matrix.T if tall else matrix) / (matrix.norm() + 1e-7)
    near = near.bfloat16() if half else near
    for _ in range(5):
        square = near @ near.T
        near = 3.4445 * near + (-4.7750 * square + 2.0315 * square @ square) @ near
    return (near.T if tall else near).to(matrix.dtype)


def distillation(features: Tensor, batch: Batch, n_similar: int = 512) -> tuple[Tensor, Tensor]:
    """Return the loss, and 1 - cosine alone."""
    ours, theirs = features.flatten(0, 1), batch.teacher.flatten(0, 1)
    weights = batch.weights.flatten()
    shares = weights / weights.sum()
    our_units, their_units = functional.normalize(ours, dim=1), functional.normalize(theirs, dim=1)
    apart = ((1 - (our_units * their_units).sum(dim=1)) * shares).sum()
    squares = ((ours - theirs).square().mean(dim=1) * shares).sum()
    some = torch.multinomial(weights, n_similar)
    similar = our_units[some] @ our_units[some].T - their_units[some] @ their_units[some].T
    return apart + 0.1 * squares + 0.5 * similar.square().mean(), apart


def pair_loss(features: Tensor, batch: Batch) -> Tensor:
    """Return the cross-entropy of finding the aligned frame among the anchors of the batch."""
    flat, teacher = features.flatten(0, 1), functional.normalize(batch.teacher.flatten(0, 1), dim=1)
    first, second, pair = batch.anchors.T
    scores = functional.normalize(flat[first], dim=1) @ functional.normalize(flat[second], dim=1).T / TEMPERATURE
    with torch.no_grad():
        same_pair = pair[:, None] == pair[None]
        near = ((first[:, None] - first[None]).abs() <= NEAR) | ((second[:, None] - second[None]).abs() <= NEAR)
        alike = teacher[first] @ teacher[second].T > ALIKE
        hidden = (same_pair & near) | alike
        hidden.fill_diagonal_(fill_value=False)
    scores = scores.masked_fill(hidden, -1e4)
    right = torch.arange(len(first))
    losses = functional.cross_entropy(scores, right, reduction="none")
    losses = (losses + functional.cross_entropy(scores.T, right, reduction="none")) / 2
    return (losses * batch.anchor_weights).sum() / batch.anchor_weights.sum()


class Training:
    """The network, its mean over steps, and how far the training is."""

    def __init__(self, options: argparse.Namespace) -> None:
        torch.manual_seed(options.seed)
        self.options = options
        self.student = Student(options.width, dilations=options.dilations)
        self.mean = copy.deepcopy(self.student).requires_grad_(requires_grad=False)
        hidden = self.student.hidden_matrices()
        known = {id(matrix) for matrix in hidden}
        others = [parameter for parameter in self.student.parameters() if id(parameter) not in known]
        self.muon = Muon(hidden, options.muon, half=options.half)
        self.adam = torch.optim.AdamW(others, lr=options.rate, weight_decay=0.01, betas=(0.9, 0.98))
        self.step = 0
        self.share = 0.0  # of the time

    def update(self, batch: Batch) -> tuple[float, float]:
        """Take a step; return 1 - cosine and the pair loss."""
        rate = min(1, (self.step + 1) / 150) * min(1, (1 - self.share) / 0.45)
        for group in self.adam.param_groups:
            group["lr"] = self.options.rate * rate
        with torch.autocast("cpu", torch.bfloat16, enabled=self.options.half):
            features = self.student(batch.bands)
        features = features.float()
        loss, apart = distillation(features, batch)
        pairs = pair_loss(features, batch)
        loss = loss + self.options.pairs * min(1, max(0, self.step - 200) / 400) * pairs
        self.adam.zero_grad()
        for matrix in self.muon.matrices:
            matrix.grad = None
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.student.parameters(), 1.0)
        self.adam.step()
        self.muon.step(rate)
        self.step += 1
        kept = min(self.options.kept, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for mean, current in zip(self.mean.parameters(), self.student.parameters(), strict=True):
                mean.lerp_(current, 1 - kept)
        return float(apart.detach()), float(pairs.detach())

    def state(self) -> dict[str, Any]:
        return {
            "student": self.student.state_dict(),
            "mean": self.mean.state_dict(),
            "adam": self.adam.state_dict(),
            "momenta": self.muon.momenta,
            "step": self.step,
            "share": self.share,
        }

    def restore(self, path: Path) -> None:
        state = torch.load(path)
        self.student.load_state_dict(state["student"])
        self.mean.load_state_dict(state["mean"])
        self.adam.load_state_dict(state["adam"])
        self.muon.momenta = state["momenta"]
        self.step, self.share = state["step"], state["share"]

    def save(self) -> None:
        path = self.options.models / f"{self.options.name}.pt"
        torch.save(self.state(), path.with_suffix(".part"))
        path.with_suffix(".part").replace(path)
        self.mean.export(path.with_suffix(".npz"))


def seconds_until(clock: str) -> float:
    now = dt.datetime.now().astimezone()
    hour, minute = (int(part) for part in clock.split(":"))
    end = now.replace(hour=hour, minute=minute, second=0, microsecond=0)
    return ((end - now) % dt.timedelta(days=1)).total_seconds()


def run(training: Training, corpus: Corpus, seconds: float) -> None:
    """Train for `seconds` of wall-clock time, the last measuring included."""
    options = training.options
    stretches = Stretches(corpus, np.random.default_rng([options.seed, training.step]))
    validation = Validation(corpus)
    for kind in stretches.kinds:
        print(f"pairs {kind}: {len(stretches.pairs[kind])}", flush=True)
    started, before = time.monotonic(), training.share
    seconds -= 25  # to measure and save
    logged = saved = started
    recent: deque[tuple[float, float]] = deque(maxlen=300)
    while (elapsed := time.monotonic() - started) < seconds:
        training.share = before + (1 - before) * elapsed / seconds
        recent.append(training.update(stretches.draw()))
        if time.monotonic() - logged > 60 * options.log:
            logged = time.monotonic()
            report(training, validation, recent, elapsed)
        if time.monotonic() - saved > 60 * options.save:
            saved = time.monotonic()
            training.save()
    training.share = 1.0
    training.save()
    report(training, validation, recent, time.monotonic() - started)


def report(training: Training, validation: Validation, recent: Iterable[tuple[float, float]], elapsed: float) -> None:
    apart, pairs = np.mean(list(recent), axis=0)
    training.mean.eval()
    clock = f"{elapsed / 60:.1f} min, {time.process_time() / 60:.1f} of CPU, {training.share:.3f} done"
    print(f"{clock}, step {training.step}: 1-cos {apart:.4f}, pairs {pairs:.4f}", flush=True)
    print("   ", line(validation.student(training.mean.listen)), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--name", default="phones")
    time_given = parser.add_mutually_exclusive_group(required=True)
    time_given.add_argument("--minutes", type=float)
    time_given.add_argument("--until", help="HH:MM by this machine's clock")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--dilations", type=int, nargs="+", default=DILATIONS, help="of the blocks")
    parser.add_argument("--rate", type=float, default=1.5e-3, help="of AdamW")
    parser.add_argument("--muon", type=float, default=0.02, help="rate of Muon")
    parser.add_argument("--pairs", type=float, default=0.3, help="weight of the pair loss")
    parser.add_argument("--half", action="store_true", help="multiply in bfloat16: faster where the CPU can")
    parser.add_argument("--kept", type=float, default=0.9995, help="of the mean of the weights at each step")
    parser.add_argument("--log", type=float, default=4, help="minutes between lines of the log")
    parser.add_argument("--save", type=float, default=5, help="minutes between checkpoints")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.models.mkdir(parents=True, exist_ok=True)
    seconds = 60 * options.minutes if options.minutes else seconds_until(options.until)
    training = Training(options)
    if options.resume:
        training.restore(options.models / f"{options.name}.pt")
    corpus = Corpus.load(options.data)
    print(f"{sum(p.numel() for p in training.student.parameters())} parameters, {seconds / 60:.1f} min", flush=True)
    run(training, corpus, seconds)


if __name__ == "__main__":
    main()
