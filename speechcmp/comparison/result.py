"""What a comparison finds: plain values, to be shown, stored and counted."""

from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from speechcmp.comparison.mismatch import Mismatch
from speechcmp.features.prosody import Prosody
from speechcmp.scoring.impostors import Measures
from speechcmp.scoring.model import Score
from speechcmp.tables import html_table, import_pandas, shown_number

Status = Literal["matched", "missing"]
FEWEST_FOR_Z = 5  # the standard deviation of 4 is itself uncertain by 40 %


class Span(NamedTuple):
    """A stretch of a recording; seconds from its start."""

    start_s: float
    end_s: float

    @property
    def duration_s(self) -> float:
        return self.end_s - self.start_s

    def __str__(self) -> str:
        return f"{self.start_s:.2f} – {self.end_s:.2f}"


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
        """How many chunks of the reference were not found in the take."""
        return sum(pair.status == "missing" for pair in self.pairs)

    def rows(self) -> list[dict[str, Any]]:
        """Return a row a chunk of the reference, as `to_frame` and ``--format csv`` have them."""
        return [
            {
                "reference_path": self.reference.name,
                "take_path": self.take.name,
                "index": pair.index,
                "status": pair.status,
                "reference_start_s": pair.reference.start_s,
                "reference_end_s": pair.reference.end_s,
                "take_start_s": pair.take.start_s if pair.take else None,
                "take_end_s": pair.take.end_s if pair.take else None,
                "distance": pair.distance,
                "score": pair.score.value if pair.score else None,
                "tempo": pair.tempo,
                "confidence": pair.confidence,
                "reordered": pair.reordered,
                "reference_pause_before_s": pair.pause_before_s[0],
                "take_pause_before_s": pair.pause_before_s[1],
            }
            for pair in self.pairs
        ]

    def to_frame(self) -> Any:  # noqa: ANN401 - pandas is no dependency
        """Return the `rows` as a pandas DataFrame.

        Raises
        ------
        DependencyError
            pandas is not installed.
        """
        return import_pandas().DataFrame(self.rows())

    def __repr__(self) -> str:
        """Show the sides, the score and how many chunks were found, in one line."""
        score = f"score {self.score.value:.0f}, " if self.score else ""
        found = f"{len(self.pairs) - self.n_missing} of {len(self.pairs)} chunks found"
        sides = f"{self.take.name!r} against {self.reference.name!r}"
        return f"<Comparison of {sides}: {score}distance {self.distance:.3f}, {found}>"

    def _repr_html_(self) -> str:
        """Show a table a notebook can draw."""
        return html_table(
            ("chunk", "reference", "take", "tempo", "distance", "score", ""),
            [
                (
                    str(pair.index),
                    str(pair.reference),
                    str(pair.take or "–"),
                    shown_number(pair.tempo, 2),
                    shown_number(pair.distance, 3),
                    shown_number(pair.score.value if pair.score else None, 0),
                    "" if pair.take else "missing",
                )
                for pair in self.pairs
            ],
            caption=repr(self)[1:-1],
        )


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

    def to_frame(self) -> Any:  # noqa: ANN401 - pandas is no dependency
        """Return the distances as a pandas DataFrame: a row a reference chunk, a column a take chunk.

        Raises
        ------
        DependencyError
            pandas is not installed.
        """
        frame = import_pandas().DataFrame(self.distances)
        return frame.rename_axis(index="reference", columns="take")

    def __repr__(self) -> str:
        """Show the sides and the shape, in one line."""
        n, m = self.distances.shape
        return f"<DistanceMatrix of {self.take.name!r} against {self.reference.name!r}: {n} x {m} chunks>"

    def _repr_html_(self) -> str:
        """Show a table a notebook can draw."""
        head = ("reference", *(f"take {j}" for j in range(len(self.take_chunks))))
        rows = [(str(i), *(shown_number(x, 3) for x in row)) for i, row in enumerate(self.distances.tolist())]
        return html_table(head, rows, caption=repr(self)[1:-1])
