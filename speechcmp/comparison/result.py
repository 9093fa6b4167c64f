"""What a comparison finds: plain values, to be shown, stored and counted."""

from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from speechcmp.comparison.mismatch import Mismatch
from speechcmp.features.prosody import Prosody
from speechcmp.scoring.impostors import Measures
from speechcmp.scoring.model import Score

Status = Literal["matched", "missing"]
FEWEST_FOR_Z = 5  # the standard deviation of 4 is itself uncertain by 40 %


class Span(NamedTuple):
    """A stretch of a recording; seconds from its start."""

    start_s: float
    end_s: float

    @property
    def duration_s(self) -> float:
        return self.end_s - self.start_s


@dataclass(frozen=True, slots=True)
class ChunkPair:
    """A chunk of the reference and what answers to it in the take.

    Attributes
    ----------
    index : int
        Of the reference chunk.
    status : {"matched", "missing"}
    reference : Span
    take : Span or None
        None if the take does not say it.
    confidence : float
        That the status is right, 0 to 1; see `speechcmp.comparison.align`.
    reordered : bool
        The take says it out of its order.
    distance : float or None
        Warping path's cost / (frames of the reference chunk + frames of the take's span).
    tempo : float or None
        Seconds in the take / in the reference, from first to last speech: above 1 is slower.
    pause_before_s : tuple of (float, float or None)
        Seconds between the speech before it and its own, in the reference and in the take.
    score : Score or None
        0 to 100 and its parts; None where nothing is scored.
    measures : Measures or None
        What the score was worked out from; None where nothing is scored, and where the take does not say it.
    worst : tuple of Mismatch
        Where the two sound least alike, up to three stretches: where to listen, not what is wrong.
    prosody : Prosody or None
        Rate, pauses, loudness and pitch, where they are asked for.
    """

    index: int
    status: Status
    reference: Span
    take: Span | None
    confidence: float
    reordered: bool = False
    distance: float | None = None
    tempo: float | None = None
    pause_before_s: tuple[float, float | None] = (0.0, None)
    score: Score | None = None
    measures: Measures | None = None
    worst: tuple[Mismatch, ...] = ()
    prosody: Prosody | None = None


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two recordings compared."""

    name: str
    path: Path | None
    duration_s: float


@dataclass(frozen=True, slots=True)
class Spread:
    """Several readings of one text, and the place of a take among them; see `speechcmp.comparison.references`.

    Attributes
    ----------
    references : tuple of str
        Their names; at least two.
    take_scores : tuple of float
        Of the take against each reference.
    reference_scores : tuple of tuple of (float or None)
        ``[i][j]``: of reference j, taken as a take, against reference i; None where i is j.
    """

    references: tuple[str, ...]
    take_scores: tuple[float, ...]
    reference_scores: tuple[tuple[float | None, ...], ...]

    @property
    def mean(self) -> float:
        """Of the take's scores."""
        return sum(self.take_scores) / len(self.take_scores)

    @property
    def reference_means(self) -> tuple[float, ...]:
        """Of each reference's scores against the others."""
        columns = [[x for x in column if x is not None] for column in zip(*self.reference_scores, strict=True)]
        return tuple(sum(column) / len(column) for column in columns)

    @property
    def n_below(self) -> int:
        """How many references have a lower mean than the take."""
        return sum(mean < self.mean for mean in self.reference_means)

    @property
    def place(self) -> float:
        """Share of the references whose mean is lower than the take's, 0 to 1; one that is equal counts half."""
        n_equal = sum(mean == self.mean for mean in self.reference_means)
        return (self.n_below + n_equal / 2) / len(self.references)

    @property
    def z(self) -> float | None:
        """How far the take's mean lies from the references', in standard deviations of theirs.

        Of one more reading, that is ``sqrt(1 + 1 / n)`` times the sample's. None below `FEWEST_FOR_Z`
        references, and where all have one mean.
        """
        n, means = len(self.references), self.reference_means
        if n < FEWEST_FOR_Z or len(set(means)) == 1:
            return None
        return (self.mean - fmean(means)) / (stdev(means) * sqrt(1 + 1 / n))


class Copy(NamedTuple):
    """The take is the reference itself, or a piece of it, played back.

    `offset_s`: where the take starts in the reference; `confidence`: 0 to 1.
    """

    offset_s: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """A take held against a reference.

    Attributes
    ----------
    recipe : str
    reference, take : Side
    pairs : tuple of ChunkPair
        One for each chunk of the reference.
    extra : tuple of Span
        What the take says beyond the reference.
    repeated : tuple of (int, Span)
        What the take says once more, and which chunk of the reference that is.
    distance : float
        Mean of the matched chunks' distances, weighted by their durations; of the whole recordings if none
        is matched.
    score : Score or None
        Of the recording; see `speechcmp.scoring.model`.
    tempo : float or None
        Time the take needs for the matched chunks / time the reference needs.
    warnings : tuple of str
    copy : Copy or None
        Set where copies are looked for, and the take is one.
    calibration : str or None
        What the model of the score is called, where it is not the shipped one.
    spread : Spread or None
        Set where there are several references.
    """

    recipe: str
    reference: Side
    take: Side
    pairs: tuple[ChunkPair, ...]
    extra: tuple[Span, ...]
    repeated: tuple[tuple[int, Span], ...]
    distance: float
    tempo: float | None
    score: Score | None
    warnings: tuple[str, ...] = ()
    copy: Copy | None = None
    calibration: str | None = None
    spread: Spread | None = None

    @property
    def extra_s(self) -> float:
        """Seconds the take says beyond the reference, repetitions included."""
        return sum((span.duration_s for span in (*self.extra, *(span for _, span in self.repeated))), 0.0)

    @property
    def n_missing(self) -> int:
        return sum(pair.status == "missing" for pair in self.pairs)


@dataclass(frozen=True, slots=True, eq=False)
class DistanceMatrix:
    """Every chunk of the reference against every chunk of the take.

    Attributes
    ----------
    recipe : str
    reference, take : Side
    reference_chunks, take_chunks : tuple of Span
    distances : float64, shape (n_reference_chunks, n_take_chunks)
    warnings : tuple of str
    """

    recipe: str
    reference: Side
    take: Side
    reference_chunks: tuple[Span, ...]
    take_chunks: tuple[Span, ...]
    distances: NDArray[np.float64]
    warnings: tuple[str, ...] = ()
