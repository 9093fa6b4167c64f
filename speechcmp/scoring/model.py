"""Scores of 0 to 100: is it the same text at all, and what does each difference cost.

::

    Measures ─► score ─► Score of the chunk ─► combine ─► Score of the recording
    TakeMeasures ────────── score_take ─────────────────► the same

1. Text verification. A logistic function of the distances, of cepstra and of phonetic features, says how likely the
   text is the same, and that makes the verdict: same, other, or unsure.
2. The mapping. From 100, points are deducted for sound, timing, pauses and completeness. A deduction never
   falls as its measure grows, and each is shown. Only what is of another text, by the verdict, scores below 20 for it.

What it can't do: tell single words apart (below about a second little is refused), nor reliably another text
in the very voice of the reference (`wrong_below_20_own` in the model's figures).
"""

import functools
import itertools
import json
import math
import operator
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from importlib import resources
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from speechcmp.errors import ParameterError
from speechcmp.files import read_bounded
from speechcmp.scoring.impostors import LARGEST_MEASURE, Measures
from speechcmp.tables import decode_json

SCHEMA = "speechcmp.score-model/2"
REFUSED = 20.0  # below it a score says: another text
_LEAST_RELATIVE = 0.05  # of which the logarithm is taken
_LARGEST = 1e6  # of a model's numbers: larger ones can't be meant, and points would be infinite
_OTHER_SCALE = 5.0  # log odds by which the points of another text fall to a third
_MOST_TEMPO = math.log(2.5)  # slower ones excuse no more
_LEAST_SPEECH_S, _MOST_SPEECH_S = 1.5, 6.0  # of nine tenths of the readings: less and more of it was not fitted
_MOST_PAUSE = 0.5  # further pauses are no further from the reference
_MOST_EXTRA = 1.0  # who says more than twice what was asked has not read worse for it


Verdict = Literal["same", "other", "unsure"]


class Parts(NamedTuple):
    """Points lost by cause; 100 minus their sum is the score.

    Attributes
    ----------
    text, sound, timing, pauses, completeness : float
        0 to 100 each.

    Examples
    --------
    >>> import speechcmp
    >>> measures = speechcmp.Measures(distance=0.2, relative=0.6, phones=0.2, speech_s=3.0, tempo=1.2)
    >>> take = speechcmp.TakeMeasures.of_chunk(measures)
    >>> print(f"{speechcmp.score_take(take).lost.text:.1f}")
    0.0
    """

    text: float = 0.0
    sound: float = 0.0
    timing: float = 0.0
    pauses: float = 0.0
    completeness: float = 0.0


@dataclass(frozen=True, slots=True)
class Score:
    """A score and what it is made of.

    Attributes
    ----------
    value : float
        0 to 100.
    lost : Parts
        Points lost, by cause.
    interval : tuple of (float, float)
        Holds four fifths of the ratings that readings with about this score got where the model was fitted.
    same_text : float
        How likely the text is the same, 0 to 1, if it is as often as not.
    verdict : {"same", "other", "unsure"} or None
        Of text verification; None where nothing was found to judge.

    Examples
    --------
    >>> import speechcmp
    >>> measures = speechcmp.Measures(distance=0.2, relative=0.6, phones=0.2, speech_s=3.0, tempo=1.2)
    >>> score = speechcmp.score_take(speechcmp.TakeMeasures.of_chunk(measures))
    >>> score
    <Score 79.8, 68.0 to 89.5: lost sound 20.1, timing 0.1>
    >>> print(f"{float(score):.1f}")
    79.8
    """

    value: float
    lost: Parts
    interval: tuple[float, float]
    same_text: float
    verdict: Verdict | None = None

    def __float__(self) -> float:
        return self.value

    def __repr__(self) -> str:
        """Show the value, its interval and what points were lost to, in one line."""
        low, high = self.interval
        causes = [f"{name} {points:.1f}" for name, points in self.lost._asdict().items() if points >= 0.05]
        return f"<Score {self.value:.1f}, {low:.1f} to {high:.1f}: lost {', '.join(causes) or 'nothing'}>"


MISSING = Score(0.0, Parts(completeness=100.0), (0.0, 0.0), 0.0)


@dataclass(frozen=True, slots=True)
class TakeMeasures:
    """All that the score of a whole take is worked out from; see `score_take`.

    Attributes
    ----------
    chunks : tuple of (Measures or None)
        One for each chunk of the reference, None for those the take does not say.
    durations_s : tuple of float
        Of the reference chunks.
    pauses_s : tuple of (float, float)
        Seconds of pause between chunks in the reference and in the take.
    extra_s : float
        Seconds of speech in the take that answer to nothing in the reference, repetitions included.

    Raises
    ------
    ParameterError
        There are no chunks, or not as many durations; or a duration is not positive, or another time negative or
        not finite.

    Examples
    --------
    >>> import speechcmp
    >>> said = speechcmp.Measures(distance=0.1, relative=0.4, phones=0.1, speech_s=1.4)
    >>> take = speechcmp.TakeMeasures((said, None), (1.5, 2.5), extra_s=0.5)
    >>> round(speechcmp.score_take(take).lost.completeness)  # of 100 points, for 2.5 s of 4 s and the extra 0.5 s
    63
    """

    chunks: tuple[Measures | None, ...]
    durations_s: tuple[float, ...]
    pauses_s: tuple[float, float] = (0.0, 0.0)
    extra_s: float = 0.0

    def __post_init__(self) -> None:
        _check_durations(len(self.chunks), self.durations_s)
        if not all(0 <= x <= LARGEST_MEASURE for x in (*self.pauses_s, self.extra_s)):
            raise ParameterError(
                f"pauses_s {self.pauses_s} and extra_s {self.extra_s}: must be finite and not negative; give seconds"
            )

    @classmethod
    def of_chunk(cls, measures: Measures) -> "TakeMeasures":
        """Return a take of this one chunk and nothing else.

        Parameters
        ----------
        measures : Measures
            Of the chunk.

        Returns
        -------
        TakeMeasures
            Its score is that of the chunk.
        """
        return cls((measures,), (1.0,))


# ------------------------------------------------------------------------------------------------- model


@dataclass(frozen=True, slots=True)
class Curve:
    """Points lost as a measure grows: ``sum(slope * max(0, measure - knot))``.

    Attributes
    ----------
    knots : tuple of float
        Where the curve becomes steeper, in the unit of the measure; not negative.
    slopes : tuple of float
        By how much, in points for each unit of the measure; as many, not negative.

    Raises
    ------
    ParameterError
        There are not as many slopes as knots, or one is negative or not finite.

    Examples
    --------
    >>> import speechcmp
    >>> speechcmp.Curve(knots=(0.5, 1.0), slopes=(10.0, 20.0))(2.0)
    35.0
    """

    knots: tuple[float, ...]
    slopes: tuple[float, ...]

    def __post_init__(self) -> None:
        usable = all(0 <= x <= _LARGEST for x in (*self.knots, *self.slopes))
        if len(self.knots) != len(self.slopes) or not usable:
            raise ParameterError(
                f"curve: needs as many slopes as knots, none negative or above {_LARGEST:g}, given {self!s:.200}; "
                "give such numbers"
            )

    def basis(self, values: ArrayLike) -> NDArray[np.float64]:
        """Return how far each value lies above each knot.

        Parameters
        ----------
        values : array_like, shape (n,)
            Of the measure.

        Returns
        -------
        float64, shape (n, n_knots)
            In the unit of the measure; 0 for a value below a knot.
        """
        above: NDArray[np.float64] = np.maximum(0.0, np.subtract.outer(np.asarray(values), self.knots))
        return above

    def __call__(self, value: float) -> float:
        return sum(slope * max(0.0, value - knot) for knot, slope in zip(self.knots, self.slopes, strict=True))


@dataclass(frozen=True, slots=True)
class TextVerifier:
    """How likely it is that a chunk's text is the same: a logistic function of its measures.

    The log odds are ``offset - distance * Measures.distance - relative * log(Measures.relative) - phones *
    Measures.phones + tempo * abs(log(Measures.tempo)) + speech * log(Measures.speech_s)``, the tempo up to 2.5 and the
    speech from 1.5 to 6 s. Who reads far slower than the reference is a beginner, as far from it with the right text as
    others are with a wrong one; and the more is said, the less is by chance.

    Attributes
    ----------
    offset : float
        Log odds where all measures' terms are 0.
    distance, relative, phones, tempo, speech : float
        By how much the log odds fall, or rise with tempo and speech, for each unit of these. Not negative.
    other, same : float
        Log odds below which the verdict is another text, and from which it is the same; between, nobody knows.

    Raises
    ------
    ParameterError
        A slope is negative, or a number not finite; or `other` is above `same`.

    Examples
    --------
    >>> import speechcmp
    >>> verifier = speechcmp.TextVerifier(1.0, distance=5.0, relative=9.0, phones=5.0, tempo=2.0, speech=0.0)
    >>> verifier.logit(speechcmp.Measures(distance=0.2, relative=1.0, phones=0.2, speech_s=1.0))
    -1.0
    """

    offset: float
    distance: float
    relative: float
    phones: float
    tempo: float
    speech: float
    other: float = 0.0
    same: float = 0.0

    def __post_init__(self) -> None:
        slopes = self.slopes
        numbers = self.offset, self.other, self.same
        if not (all(abs(x) <= _LARGEST for x in numbers) and all(0 <= x <= _LARGEST for x in slopes)):
            raise ParameterError(
                f"gate: slopes must be finite and not negative, and no number above {_LARGEST:g}, given {self!s:.200}; "
                "give such numbers"
            )
        if self.other > self.same:
            raise ParameterError(f"gate: other {self.other:g} is above same {self.same:g}; swap them")

    def logit(self, measures: Measures) -> float:
        """Return the log odds that the text is the same.

        Parameters
        ----------
        measures : Measures
            Of a chunk.

        Returns
        -------
        float
            0 where both are as likely, above 0 where it is the same rather than not.
        """
        return self.offset - math.fsum(map(operator.mul, verifier_inputs(measures), self.slopes))

    @property
    def slopes(self) -> tuple[float, ...]:
        """What each of `verifier_inputs` is multiplied by."""
        return self.distance, self.relative, self.phones, self.tempo, self.speech

    def verdict(self, logit: float) -> Verdict:
        """Return what log odds mean.

        Parameters
        ----------
        logit : float
            Of `logit`.

        Returns
        -------
        {"same", "other", "unsure"}
            Below `other`, from `same` on, or between.
        """
        if logit < self.other:
            return "other"
        return "same" if logit >= self.same else "unsure"


@dataclass(frozen=True, slots=True)
class ErrorBand:
    """How far ratings lie from a score, by that score: where four fifths of them lie.

    Attributes
    ----------
    scores : tuple of float
        Ascending; between two of them errors are interpolated.
    low, high : tuple of float
        10th and 90th percentile of rating - score; not above, and not below 0.

    Raises
    ------
    ParameterError
        There are none, not as many of each, scores that do not ascend, or errors on the wrong side of 0.

    Examples
    --------
    >>> import speechcmp
    >>> speechcmp.ErrorBand((0.0, 100.0), (0.0, -10.0), (30.0, 0.0)).around(50.0)
    (45.0, 65.0)
    """

    scores: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    def __post_init__(self) -> None:
        ascend = all(a < b for a, b in itertools.pairwise(self.scores))
        ascend = ascend and all(abs(x) <= _LARGEST for x in self.scores)
        sides = all(-_LARGEST <= x <= 0 for x in self.low) and all(0 <= x <= _LARGEST for x in self.high)
        sizes = {len(self.scores), len(self.low), len(self.high)}
        if len(sizes) != 1 or not self.scores or not ascend or not sides:
            raise ParameterError(
                f"error: needs ascending scores, low errors up to 0 and high ones from 0, given {self!s:.200}"
            )

    def around(self, score: float) -> tuple[float, float]:
        """Return where ratings of readings with a score lie.

        Parameters
        ----------
        score : float
            0 to 100.

        Returns
        -------
        tuple of (float, float)
            Within 0 to 100.
        """
        low, high = (float(np.interp(score, self.scores, errors)) for errors in (self.low, self.high))
        return max(0.0, score + low), min(100.0, score + high)


@dataclass(frozen=True, slots=True)
class ScoreModel:
    """What turns measures into a score; see `load_model`.

    Attributes
    ----------
    verifier : TextVerifier
        Tells the text from another; in files it is called ``gate``.
    sound, cepstra, timing, pauses, extra : Curve
        Over `Measures.phones`, `Measures.relative` (both are deducted as sound), ``abs(log(tempo))``, `Measures.pause`,
        and the seconds the take says beyond the reference / seconds of the reference.
    error : ErrorBand
        Cross-validated.
    fitted : mapping
        On what and how well: free text and figures.
    name : str or None
        The file it was read from; None for the shipped one.

    Examples
    --------
    >>> from dataclasses import replace
    >>> import speechcmp
    >>> strict = replace(speechcmp.load_model(), sound=speechcmp.Curve((0.1,), (200.0,)))
    >>> measures = speechcmp.Measures(distance=0.1, relative=0.4, phones=0.2, speech_s=3.0)
    >>> take = speechcmp.TakeMeasures.of_chunk(measures)
    >>> round(speechcmp.score_take(take, strict).value)
    74
    """

    verifier: TextVerifier
    sound: Curve
    cepstra: Curve
    timing: Curve
    pauses: Curve
    extra: Curve
    error: ErrorBand
    fitted: Mapping[str, Any] = field(default_factory=dict, compare=False)
    name: str | None = field(default=None, compare=False)

    def to_json(self) -> str:
        """Write the model as `load_model` reads it.

        Returns
        -------
        str
            A ``speechcmp.score-model/2`` object, and a newline.
        """
        values = {"schema": SCHEMA, "gate": asdict(self.verifier), **asdict(self)}
        del values["name"], values["verifier"]
        return json.dumps(values, indent=1) + "\n"


def load_model(path: str | os.PathLike[str] | None = None) -> ScoreModel:
    """Read a model that `ScoreModel.to_json` wrote; the one that is shipped by default.

    Parameters
    ----------
    path : path, optional
        The file of the model.

    Returns
    -------
    ScoreModel
        Its `name` is the path; that of the shipped one is None.

    Raises
    ------
    ParameterError
        The file can't be read, or is no such model.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import speechcmp
    >>> model = speechcmp.load_model()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "own.json").write_text(model.to_json(), encoding="utf-8")
    ...     speechcmp.load_model(Path(folder, "own.json")) == model
    True
    """
    return _shipped_model() if path is None else _read_model(Path(path))


@functools.cache
def _shipped_model() -> ScoreModel:
    return _parse(resources.files("speechcmp.scoring").joinpath("score_model.json").read_text("utf-8"), "score_model")


def _read_model(path: Path) -> ScoreModel:
    try:
        return replace(_parse(read_bounded(path).decode("utf-8-sig"), str(path)), name=str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise ParameterError(f"{path}: can't be read ({_reason(error)}); speechcmp calibrate -o makes one") from error


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _parse(text: str, name: str) -> ScoreModel:
    try:
        data = decode_json(text)
        if _member(data, "schema", str) != SCHEMA:
            raise ParameterError(f"schema is not {SCHEMA}, as an earlier version's")
        verifier = _numbers([_member(_member(data, "gate", dict), key, object) for key in _VERIFIER], "gate")
        parts: dict[str, Any] = {name: _curve(_member(data, name, dict)) for name in _CURVES}
        error = _member(data, "error", dict)
        parts["error"] = ErrorBand(*(_numbers(_member(error, key, list), key) for key in _ERROR))
        parts["fitted"] = _member(data, "fitted", dict)
        return ScoreModel(TextVerifier(*verifier), **parts)
    except ValueError as error:
        raise ParameterError(f"{name}: no score model ({error}); speechcmp calibrate -o makes one") from error


def _member(values: Any, key: str, kind: type) -> Any:  # noqa: ANN401 - any JSON value
    if not isinstance(values, dict) or key not in values:
        raise ParameterError(f"lacks {key!r}")
    if not isinstance(values[key], kind):
        raise ParameterError(f"{key} is of type {type(values[key]).__name__}, not {kind.__name__}")
    return values[key]


def _curve(values: Any) -> Curve:  # noqa: ANN401
    return Curve(*(_numbers(_member(values, key, list), key) for key in ("knots", "slopes")))


def _numbers(values: list[Any], name: str) -> tuple[float, ...]:
    for value in values:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ParameterError(f"{name} has {value!r:.40}, no number")
    return tuple(values)


_VERIFIER = tuple(field.name for field in fields(TextVerifier))
_ERROR = tuple(field.name for field in fields(ErrorBand))
_CURVES = ("sound", "cepstra", "timing", "pauses", "extra")


# ------------------------------------------------------------------------------------------------- score


def score(measures: Measures, model: ScoreModel | None = None) -> Score:
    """Score a chunk.

    Parameters
    ----------
    measures : Measures
        See `measure_chunk`.
    model : ScoreModel, optional
        The shipped one by default.
    """
    model = model or load_model()
    wanted = {name: curve_of(model, name)(value) for name, value in mapping_inputs(measures).items()}
    share = min(1.0, 100 / max(sum(wanted.values()), 1e-9))
    sound = wanted.pop("sound") + wanted.pop("cepstra")
    lost = [points * share for points in (sound, *wanted.values())]
    kept = max(0.0, 100 - sum(lost))  # the sum may miss 100 by a rounding
    logit = model.verifier.logit(measures)
    value = let_through(kept, logit, model.verifier)
    return _score(value, Parts(kept - value, *lost), logistic(logit), model.verifier.verdict(logit), model)


def let_through(points: float, logit: float, verifier: TextVerifier) -> float:
    """Return what text verification leaves of a chunk's points: all, or less than `REFUSED` of another text."""
    if logit >= verifier.other:
        return points
    return min(points, REFUSED) * math.exp(max((logit - verifier.other) / _OTHER_SCALE, -700.0))


def combine(
    scores: Sequence[Score],
    durations_s: Sequence[float],
    *,
    pauses_s: tuple[float, float] = (0.0, 0.0),
    extra_s: float = 0.0,
    model: ScoreModel | None = None,
) -> Score:
    """Score a recording from its chunks, weighted by their durations; then deduct what lies between them.

    Parameters
    ----------
    scores : sequence of Score
        One for each chunk of the reference, `MISSING` for those the take does not say.
    durations_s : sequence of float
        Of the reference chunks.
    pauses_s : tuple of (float, float)
        Seconds of pause between chunks in the reference and in the take.
    extra_s : float
        Seconds of speech in the take that answer to nothing in the reference, repetitions included.
    model : ScoreModel, optional
        The shipped one by default.

    Raises
    ------
    ParameterError
        There are no chunks, or not as many durations, or one is not positive.
    """
    model = model or load_model()
    _check_durations(len(scores), durations_s)
    duration_s = sum(durations_s)
    shares = [chunk_s / duration_s for chunk_s in durations_s]
    lost = [math.fsum(map(operator.mul, shares, part)) for part in zip(*(one.lost for one in scores), strict=True)]
    same_text = math.fsum(map(operator.mul, shares, (one.same_text for one in scores)))
    inputs = between_inputs(duration_s, pauses_s, extra_s)
    right = sum(share for share, one in zip(shares, scores, strict=True) if one.verdict not in {"other", None})
    between = [curve_of(model, name)(value) * right for name, value in inputs.items()]
    kept = max(0.0, 100 - sum(lost))  # the sum may miss 100 by a rounding
    room = min(1.0, kept / max(sum(between), 1e-9))
    text, sound, timing, pauses, completeness = lost
    parts = Parts(text, sound, timing, pauses + room * between[0], completeness + room * between[1])
    return _score(100 - sum(parts), parts, same_text, _verdict(scores, durations_s), model)


def _verdict(scores: Sequence[Score], durations_s: Sequence[float]) -> Verdict | None:
    """Return the verdict of more than half of what was found."""
    said_s: dict[Verdict | None, float] = dict.fromkeys(("same", "unsure", "other", None), 0.0)
    for one, duration_s in zip(scores, durations_s, strict=True):
        said_s[one.verdict] += duration_s
    half = (sum(said_s.values()) - said_s[None]) / 2
    if not half:
        return None
    if said_s["other"] > half:
        return "other"
    return "same" if said_s["same"] > half else "unsure"


def score_take(take: TakeMeasures, model: ScoreModel | None = None) -> Score:
    """Score a whole take from its measures.

    Each chunk is scored by itself; their mean, weighted by durations, then loses what lies between them.

    Parameters
    ----------
    take : TakeMeasures
        From `take_measures`, or made of `Measures`.
    model : ScoreModel, optional
        The shipped one by default.

    Returns
    -------
    Score
        Of the take.

    Examples
    --------
    >>> import speechcmp
    >>> near, far = (speechcmp.Measures(x / 2, 2 * x, phones=x, speech_s=3.0) for x in (0.1, 0.2))
    >>> [round(speechcmp.score_take(speechcmp.TakeMeasures.of_chunk(one)).value) for one in (near, far)]
    [97, 86]
    """
    model = model or load_model()
    scores = [MISSING if one is None else score(one, model) for one in take.chunks]
    return combine(scores, take.durations_s, pauses_s=take.pauses_s, extra_s=take.extra_s, model=model)


def _check_durations(n_chunks: int, durations_s: Sequence[float]) -> None:
    if (
        not n_chunks
        or n_chunks != len(durations_s)
        or not all(1 / LARGEST_MEASURE <= x <= LARGEST_MEASURE for x in durations_s)
    ):
        raise ParameterError(f"{n_chunks} chunks for durations {list(durations_s)[:9]}: give one each, above 0")


def _score(value: float, lost: Parts, same_text: float, verdict: Verdict | None, model: ScoreModel) -> Score:
    value = min(100.0, max(0.0, value))
    return Score(value, lost, model.error.around(value), same_text, verdict)


def verifier_inputs(measures: Measures) -> tuple[float, ...]:
    """Return what the slopes of the verifier are multiplied by."""
    relative = math.log(max(measures.relative, _LEAST_RELATIVE))
    slow = min(abs(math.log(measures.tempo)), _MOST_TEMPO)
    speech = math.log(min(max(measures.speech_s, _LEAST_SPEECH_S), _MOST_SPEECH_S))
    return measures.distance, relative, measures.phones, -slow, -speech


def mapping_inputs(measures: Measures) -> dict[str, float]:
    """Name what the curves of the mapping are applied to."""
    return {
        "sound": measures.phones,
        "cepstra": measures.relative,
        "timing": abs(math.log(measures.tempo)),
        "pauses": min(measures.pause, _MOST_PAUSE),
    }


def between_inputs(duration_s: float, pauses_s: tuple[float, float], extra_s: float) -> dict[str, float]:
    """Name what the curves of what lies between the chunks are applied to; `duration_s` of all of them."""
    pause = abs(pauses_s[1] - pauses_s[0]) / duration_s
    return {"pauses": min(pause, _MOST_PAUSE), "extra": min(extra_s / duration_s, _MOST_EXTRA)}


def curve_of(model: ScoreModel, name: str) -> Curve:
    curve: Curve = getattr(model, name)
    return curve


def logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0
