"""What a comparison finds: plain values, to be shown, stored and counted."""

import json
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
    """A stretch of a recording.

    Attributes
    ----------
    start_s, end_s : float
        Seconds from the start of the recording.

    Examples
    --------
    >>> import speechcmp
    >>> span = speechcmp.Span(0.5, 1.75)
    >>> str(span), span.duration_s
    ('0.50 – 1.75', 1.25)
    """

    start_s: float
    end_s: float

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
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
        Whether the take says it.
    reference : Span
        The chunk.
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

    Examples
    --------
    >>> import numpy as np
    >>> import speechcmp
    >>> words = np.random.default_rng(0).normal(0, 0.1, (3, 16_000)) * np.sin(np.arange(16_000) / 300) ** 2
    >>> said = np.pad(words, [(0, 0), (8000, 8000)])  # each word between half a second of silence
    >>> reference = speechcmp.Recording.from_array(said.ravel(), 16_000, name="reference")
    >>> take = speechcmp.Recording.from_array(said[:2].ravel(), 16_000, name="take")
    >>> for pair in speechcmp.compare(reference, take).pairs[1:]:
    ...     print(pair)
    <ChunkPair 1: matched, 2.40 – 3.61 with 2.40 – 3.60, score 100, distance 0.000>
    <ChunkPair 2: missing, 4.40 – 5.60, score 0>
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

    def __repr__(self) -> str:
        """Show the chunk, its place in the take, score and distance, in one line."""
        place = f" with {self.take}{', out of order' if self.reordered else ''}" if self.take else ""
        score = f", score {self.score.value:.0f}" if self.score else ""
        distance = f", distance {self.distance:.3f}" if self.distance is not None else ""
        return f"<ChunkPair {self.index}: {self.status}, {self.reference}{place}{score}{distance}>"


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two recordings compared.

    Attributes
    ----------
    name : str
        What messages call it.
    path : Path or None
        Where it came from; None if it was in memory.
    duration_s : float
        Length in seconds.

    Examples
    --------
    >>> import numpy as np
    >>> import speechcmp
    >>> words = np.random.default_rng(0).normal(0, 0.1, (3, 16_000)) * np.sin(np.arange(16_000) / 300) ** 2
    >>> said = np.pad(words, [(0, 0), (8000, 8000)])  # each word between half a second of silence
    >>> reference = speechcmp.Recording.from_array(said.ravel(), 16_000, name="reference")
    >>> take = speechcmp.Recording.from_array(said[:2].ravel(), 16_000, name="take")
    >>> speechcmp.compare(reference, take).take
    Side(name='take', path=None, duration_s=4.0)
    """

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

    Examples
    --------
    >>> import speechcmp
    >>> among = ((None, 80.0, 70.0), (82.0, None, 74.0), (72.0, 78.0, None))
    >>> spread = speechcmp.Spread(("anna", "ben", "carla"), (75.0, 80.0, 70.0), among)
    >>> spread
    <Spread of 3 references: the take scores 75, they score 72 to 79, place 0.33>
    >>> spread.reference_means
    (77.0, 79.0, 72.0)
    """

    references: tuple[str, ...]
    take_scores: tuple[float, ...]
    reference_scores: tuple[tuple[float | None, ...], ...]

    @property
    def mean(self) -> float:
        """Mean of the take's scores."""
        return sum(self.take_scores) / len(self.take_scores)

    @property
    def reference_means(self) -> tuple[float, ...]:
        """Mean of each reference's scores against the others."""
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

    def __repr__(self) -> str:
        """Show the take's mean, the least and the largest of the references' and the place, in one line."""
        n, means = len(self.references), self.reference_means
        scores = f"the take scores {self.mean:.0f}, they score {min(means):.0f} to {max(means):.0f}"
        return f"<Spread of {n} references: {scores}, place {self.place:.2f}>"


class Copy(NamedTuple):
    """The take is the reference itself, or a piece of it, played back.

    Attributes
    ----------
    offset_s : float
        Where the take starts in the reference, seconds.
    confidence : float
        1 minus the chance that something else would align as well, 0 to 1.

    Examples
    --------
    >>> import numpy as np
    >>> import speechcmp
    >>> words = np.random.default_rng(0).normal(0, 0.1, (3, 16_000)) * np.sin(np.arange(16_000) / 300) ** 2
    >>> said = np.pad(words, [(0, 0), (8000, 8000)])  # each word between half a second of silence
    >>> reference = speechcmp.Recording.from_array(said.ravel(), 16_000, name="reference")
    >>> take = speechcmp.Recording.from_array(said[:2].ravel(), 16_000, name="take")
    >>> copy = speechcmp.compare(reference, take, flag_copies=True).copy
    >>> round(abs(copy.offset_s), 2), copy.confidence > 0.99
    (0.0, True)
    """

    offset_s: float
    confidence: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """A take held against a reference.

    Attributes
    ----------
    recipe : str
        Name of the recipe.
    reference, take : Side
        The recordings.
    pairs : tuple of ChunkPair
        One for each chunk of the reference.
    extra : tuple of Span
        What the take says beyond the reference.
    repeated : tuple of (int, Span)
        What the take says once more, and which chunk of the reference that is.
    distance : float
        Mean of the matched chunks' distances, weighted by their durations; of the whole recordings if none
        is matched.
    tempo : float or None
        Time the take needs for the matched chunks / time the reference needs.
    score : Score or None
        Of the recording; None where the reference has no chunk. See `speechcmp.scoring.model`.
    warnings : tuple of str
        What the user should know, with the name of the recording it is about.
    copy : Copy or None
        Set where copies are looked for, and the take is one.
    calibration : str or None
        What the model of the score is called, where it is not the shipped one.
    spread : Spread or None
        Set where there are several references.

    Examples
    --------
    >>> import numpy as np
    >>> import speechcmp
    >>> words = np.random.default_rng(0).normal(0, 0.1, (3, 16_000)) * np.sin(np.arange(16_000) / 300) ** 2
    >>> said = np.pad(words, [(0, 0), (8000, 8000)])  # each word between half a second of silence
    >>> reference = speechcmp.Recording.from_array(said.ravel(), 16_000, name="reference")
    >>> take = speechcmp.Recording.from_array(said[:2].ravel(), 16_000, name="take")
    >>> result = speechcmp.compare(reference, take)
    >>> result.n_missing, [pair.status for pair in result.pairs]
    (1, ['matched', 'matched', 'missing'])
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
        """Return a row a chunk of the reference, as `to_frame` and ``--format csv`` have them.

        Returns
        -------
        list of dict
            Times in seconds; None where there is no value. All rows have the same keys.
        """
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

        Returns
        -------
        pandas.DataFrame
            A row a chunk of the reference.

        Raises
        ------
        DependencyError
            pandas is not installed.
        """
        return import_pandas().DataFrame(self.rows())

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as plain values: what the function `to_dict` returns.

        Returns
        -------
        dict
            The object of the ``speechcmp.compare/1`` contract, ready for `json.dumps`.
        """
        from speechcmp.comparison.serialize import to_dict  # noqa: PLC0415 - it imports this module

        return to_dict(self)

    def to_json(self, *, indent: int | None = 1) -> str:
        """Return the comparison as JSON: what ``speechcmp compare --format json`` prints.

        Parameters
        ----------
        indent : int or None
            Spaces a level; None puts all on one line.

        Returns
        -------
        str
            The object that `to_dict` returns, without a newline at the end.
        """
        return json.dumps(self.to_dict(), ensure_ascii=False, indent=indent, allow_nan=False)

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
        Name of the recipe.
    reference, take : Side
        The recordings.
    reference_chunks, take_chunks : tuple of Span
        Ascending, never overlapping.
    distances : float64, shape (n_reference_chunks, n_take_chunks)
        As `ChunkPair.distance`.
    warnings : tuple of str
        What the user should know, with the name of the recording it is about.

    Examples
    --------
    >>> import numpy as np
    >>> import speechcmp
    >>> words = np.random.default_rng(0).normal(0, 0.1, (3, 16_000)) * np.sin(np.arange(16_000) / 300) ** 2
    >>> said = np.pad(words, [(0, 0), (8000, 8000)])  # each word between half a second of silence
    >>> reference = speechcmp.Recording.from_array(said.ravel(), 16_000, name="reference")
    >>> take = speechcmp.Recording.from_array(said[:2].ravel(), 16_000, name="take")
    >>> matrix = speechcmp.distance_matrix(reference, take)
    >>> matrix
    <DistanceMatrix of 'take' against 'reference': 3 x 2 chunks>
    >>> matrix.distances.argmin(axis=0).tolist()  # the chunk of the reference that each of the take is nearest to
    [0, 1]
    """

    recipe: str
    reference: Side
    take: Side
    reference_chunks: tuple[Span, ...]
    take_chunks: tuple[Span, ...]
    distances: NDArray[np.float64]
    warnings: tuple[str, ...] = ()

    def to_frame(self) -> Any:  # noqa: ANN401 - pandas is no dependency
        """Return the distances as a pandas DataFrame.

        Returns
        -------
        pandas.DataFrame
            A row a chunk of the reference, a column a chunk of the take.

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
