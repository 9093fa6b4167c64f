"""Fitting a score's model to ratings, or to right and wrong takes; see `speechcmp.scoring.model`.

Whole takes are rated, so whole takes are fitted, as `score_take` combines their chunks: least squares finds the
slopes of the deductions, and the slopes there are count as 20 more ratings.
How many ratings it takes, and what they gain: docs/algorithms/calibration.md.
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from speechcmp.calibration.evaluate import (
    Agreement,
    Figure,
    Floats,
    Separation,
    agreement,
    bootstrap,
    separation,
)
from speechcmp.errors import ParameterError
from speechcmp.scoring.model import (
    REFUSED,
    Curve,
    ErrorBand,
    ScoreModel,
    TakeMeasures,
    TextVerifier,
    between_inputs,
    curve_of,
    let_through,
    load_model,
    mapping_inputs,
    score,
    score_take,
    verifier_inputs,
)

FEWEST_RATINGS = 20
FEWEST_TAKES = 10
_N_FOLDS = 5
_MAPPING = ("sound", "cepstra", "timing", "pauses")
_PASSING_SHARE = 0.005  # of wrong takes may be called the same
REFUSED_SHARE = 0.95
_BASE_WEIGHT = 20.0  # ratings
_MOST_WEIGHT = 1e12  # more would leave nothing to fit
_MARGIN = 0.1  # of the share that may pass: the next recordings differ
_OPEN = TextVerifier(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
_THRESHOLDS = (-100.0, 100.0)
_BAND_SCORES = tuple(float(x) for x in range(0, 101, 5))
_BAND_SHARE = 0.2  # of the ratings, those with the nearest scores, say how far a score is off
_FEWEST_IN_BAND = 40


@dataclass(frozen=True, slots=True)
class Examples:
    """Takes to fit to.

    Attributes
    ----------
    takes : tuple of TakeMeasures
        From `take_measures`, or made of `Measures`.
    speakers : tuple of str
        Who says each.
    ratings : tuple of float
        0 to 100 each, 100 for a take that leaves nothing to wish for; empty where takes are not rated.

    Raises
    ------
    ParameterError
        There is not a speaker for each take, or a rating for each or for none, or a rating is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> import speechcmp
    >>> unlike = np.linspace(0.2, 0.9, 20).tolist()
    >>> measures = [speechcmp.Measures(x / 4, x, phones=x / 2, speech_s=3.0) for x in unlike]
    >>> takes = tuple(speechcmp.TakeMeasures.of_chunk(one) for one in measures)
    >>> rated = speechcmp.Examples(takes, tuple("abcde" * 4), tuple(100 - 80 * x for x in unlike))
    >>> len(rated.only(np.array(rated.ratings) > 80).takes)
    2
    """

    takes: tuple[TakeMeasures, ...] = ()
    speakers: tuple[str, ...] = ()
    ratings: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if len(self.takes) != len(self.speakers) or len(self.ratings) not in {0, len(self.takes)}:
            raise ParameterError(
                f"{len(self.takes)} takes, {len(self.ratings)} ratings, {len(self.speakers)} speakers: "
                "give a speaker for each take, and a rating for each or for none"
            )
        if not all(0 <= rating <= 100 for rating in self.ratings):
            raise ParameterError("ratings: must lie in 0..100; scale them first")

    def only(self, chosen: NDArray[np.bool_]) -> "Examples":
        """Leave out examples.

        Parameters
        ----------
        chosen : bool, shape (n_takes,)
            Which to keep.

        Returns
        -------
        kept : Examples
            Those for which `chosen` is True.
        """
        kept = np.flatnonzero(chosen).tolist()
        ratings = tuple(self.ratings[k] for k in kept) if self.ratings else ()
        return Examples(tuple(self.takes[k] for k in kept), tuple(self.speakers[k] for k in kept), ratings)


class RatingFit(NamedTuple):
    """How well scores agree with ratings.

    Attributes
    ----------
    before, after : Agreement
        By the base, and by the new model, cross-validated.
    gain : Figure
        Points by which the mean error falls.
    """

    before: Agreement
    after: Agreement
    gain: Figure


class VerificationFit(NamedTuple):
    """How well right texts are told from wrong ones.

    Attributes
    ----------
    before, after : Separation
        By the base, and by the new model, cross-validated.
    """

    before: Separation
    after: Separation


class Calibrated(NamedTuple):
    """A fitted model and how well it does.

    Attributes
    ----------
    model : ScoreModel
        For `score_take` and `CompareParams`.
    ratings : RatingFit or None
        None where no takes were rated.
    verifier : VerificationFit or None
        None where no takes were of wrong texts.
    """

    model: ScoreModel
    ratings: RatingFit | None
    verifier: VerificationFit | None


def calibrate(
    rated: Examples,
    *,
    good: Examples | None = None,
    wrong: Examples | None = None,
    base: ScoreModel | None = None,
    base_weight: float = _BASE_WEIGHT,
    refused_share: float = REFUSED_SHARE,
) -> Calibrated:
    """Fit the mapping to rated takes, the verifier to good and wrong takes, or both.

    Knots and the price of extra speech stay as they are; so does what there are no examples for. Five-fold
    cross-validation never tests on a speaker it has fitted.

    Parameters
    ----------
    rated : Examples
        With ratings, or empty.
    good, wrong : Examples, optional
        Takes of the right text, and deliberate mismatches. These should last as long as right ones, or the verifier
        learns too little.
    base : ScoreModel, optional
        The shipped one by default.
    base_weight : float
        How many ratings the base's own slopes count as.
    refused_share : float
        How many of the wrong takes must score below 20.

    Returns
    -------
    Calibrated
        The model has `error` from the cross-validation, and its figures in `fitted`.

    Raises
    ------
    ParameterError
        There are fewer than 20 ratings, 10 good or wrong takes with chunks found in them, or 5 speakers; or
        ratings are all alike; or a share or weight is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> import speechcmp
    >>> unlike = np.linspace(0.2, 0.9, 20).tolist()
    >>> measures = [speechcmp.Measures(x / 4, x, phones=x / 2, speech_s=3.0) for x in unlike]
    >>> takes = tuple(speechcmp.TakeMeasures.of_chunk(one) for one in measures)
    >>> rated = speechcmp.Examples(takes, tuple("abcde" * 4), tuple(100 - 80 * x for x in unlike))
    >>> fitted = speechcmp.calibrate(rated)
    >>> fitted.ratings.after.mean_error.value < fitted.ratings.before.mean_error.value
    True
    >>> fitted.model.fitted["n_speakers"], fitted.verifier
    (5, None)
    """
    if not (0 < refused_share < 1 and 0 <= base_weight <= _MOST_WEIGHT):
        raise ParameterError(
            f"refused_share {refused_share:g}, base_weight {base_weight:g}: give 0 to 1, and 0 to {_MOST_WEIGHT:g}"
        )
    base, sets = base or load_model(), (rated, good or Examples(), wrong or Examples())
    _check(*sets)
    fit = functools.partial(_fit, base=base, base_weight=base_weight, refused_share=refused_share)
    before = [_values(one, base) for one in sets]
    after = [np.empty(len(one.takes)) for one in sets]
    splits = np.cumsum([len(one.takes) for one in sets])[:-1]
    for held_out in folds([name for one in sets for name in one.speakers]):
        parts = np.split(held_out, splits)
        _check_kept(sets, parts)
        model = fit(*(one.only(~part) for one, part in zip(sets, parts, strict=True)))
        for values, one, part in zip(after, sets, parts, strict=True):
            values[part] = _values(one.only(part), model)
    model, ratings, verifier = fit(*sets), None, None
    if rated.takes:
        ratings = _rating_fit(before[0], after[0], rated)
        model = replace(model, error=error_band(after[0], np.asarray(rated.ratings)))
    if sets[2].takes:
        verifier = VerificationFit(separation(before[1], before[2]), separation(after[1], after[2]))
    return Calibrated(replace(model, fitted=_fitted(sets, ratings, verifier)), ratings, verifier)


def fit_verifier(
    same: Sequence[TakeMeasures],
    wrong: Sequence[TakeMeasures],
    base: ScoreModel,
    *,
    refused_share: float = REFUSED_SHARE,
) -> ScoreModel:
    """Fit the verifier to takes of the right text and of wrong texts; the mapping stays as it is.

    A logistic regression on their chunks that weighs both kinds alike. Then the threshold of another text is set so
    that a share of the wrong takes, and a little more, scores below 20; that of the same text so that hardly any wrong
    one reaches it. It is weaker in short chunks and in one voice.
    """
    verifier = fit_log_odds(same, wrong)
    thresholds = [_refusing_threshold(take, verifier, base) for take in wrong]
    other = float(np.quantile(thresholds, 1 - (1 - _MARGIN) * (1 - refused_share)))
    return replace(base, verifier=with_thresholds(verifier, other, wrong))


def fit_log_odds(same: Sequence[TakeMeasures], wrong: Sequence[TakeMeasures]) -> TextVerifier:
    """Fit the log odds of the same text, where it is as often the same as not; thresholds are 0."""
    offset, slopes = _fit_logistic(*_verifier_inputs(same), *_verifier_inputs(wrong))
    return TextVerifier(round(offset, 3), *np.round(slopes, 3).tolist())


def with_thresholds(verifier: TextVerifier, other: float, wrong: Sequence[TakeMeasures]) -> TextVerifier:
    """Set the threshold of another text, and that of the same one so that few of the wrong takes' chunks reach it."""
    logits = [verifier.logit(one) for take in wrong for one in take.chunks if one is not None]
    same = max(other, float(np.quantile(logits, 1 - _PASSING_SHARE)))
    return replace(verifier, other=round(other, 3), same=round(same, 3))


def error_band(scores: Floats, ratings: Floats) -> ErrorBand:
    """Say within what four fifths of the ratings lie, by the score: quantiles of the errors of the nearest scores.

    Parameters
    ----------
    scores, ratings : float64, shape (n,)
        Scores by a model that was fitted without the speaker.
    """
    n_near = min(len(scores), max(_FEWEST_IN_BAND, round(_BAND_SHARE * len(scores))))
    # Of n errors and a next one, the k-th smallest is above the next one with k / (n + 1): conformal prediction.
    first = max(math.floor(0.1 * (n_near + 1)), 1) - 1
    last = min(math.ceil(0.9 * (n_near + 1)), n_near) - 1
    low, high = [], []
    for center in _BAND_SCORES:
        near = np.argsort(np.abs(scores - center), kind="stable")[:n_near]
        errors = np.sort(ratings[near] - scores[near])
        low.append(round(min(0.0, float(errors[first])), 2))
        high.append(round(max(0.0, float(errors[last])), 2))
    return ErrorBand(_BAND_SCORES, tuple(low), tuple(high))


def folds(speakers: Sequence[str], *, seed: int = 0) -> list[NDArray[np.bool_]]:
    """Return which takes belong to each fifth of the speakers."""
    names, indexes = np.unique(np.asarray(speakers), return_inverse=True)
    fold_of = np.random.default_rng(seed).permutation(len(names)) % _N_FOLDS
    return [fold_of[indexes] == fold for fold in range(_N_FOLDS)]


def _check(rated: Examples, good: Examples, wrong: Examples) -> None:
    n_ratings, n_speakers = len(rated.ratings), len({*rated.speakers, *good.speakers, *wrong.speakers})
    if len(rated.takes) != n_ratings or not (rated.takes or wrong.takes):
        raise ParameterError(f"{n_ratings} ratings and no wrong takes: nothing to fit to; give some")
    if rated.takes and n_ratings < FEWEST_RATINGS:
        raise ParameterError(f"{n_ratings} rated takes: too few; rate at least {FEWEST_RATINGS}")
    if n_ratings and np.ptp(rated.ratings) == 0:
        raise ParameterError(f"ratings: are all alike, {rated.ratings[0]:g}; rate good and bad takes")
    n_right, n_wrong = (sum(any(take.chunks) for take in one.takes) for one in (good, wrong))
    if wrong.takes and min(n_right, n_wrong) < FEWEST_TAKES:
        raise ParameterError(
            f"{n_right} good and {n_wrong} wrong takes in which chunks were found: at least {FEWEST_TAKES} of each"
        )
    if n_speakers < _N_FOLDS:
        raise ParameterError(f"{n_speakers} speakers: too few to test on others; at least {_N_FOLDS}")


def _check_kept(sets: Sequence[Examples], held_out: Sequence[NDArray[np.bool_]]) -> None:
    """Refuse examples of which nothing is left to fit to when some speakers are held out."""
    for name, one, part in zip(("rated", "good", "wrong"), sets, held_out, strict=True):
        kept = [take for take, out in zip(one.takes, part.tolist(), strict=True) if not out]
        if one.takes and not any(any(take.chunks) for take in kept):
            raise ParameterError(
                f"{name} takes: come from too few speakers to test on others; give some of each kind by several, "
                "and name them in a column speaker"
            )


def _fit(
    rated: Examples, good: Examples, wrong: Examples, *, base: ScoreModel, base_weight: float, refused_share: float
) -> ScoreModel:
    model = base
    if wrong.takes:
        model = fit_verifier(good.takes, wrong.takes, model, refused_share=refused_share)
    if rated.takes:
        model = _fit_slopes(rated, model, base_weight)
    if wrong.takes and rated.takes:  # how strict it must be depends on the mapping
        model = fit_verifier(good.takes, wrong.takes, model, refused_share=refused_share)
    return model


def _values(examples: Examples, model: ScoreModel) -> Floats:
    return np.array([score_take(take, model).value for take in examples.takes])


def _rating_fit(before: Floats, after: Floats, rated: Examples) -> RatingFit:
    ratings = np.asarray(rated.ratings)
    gains = np.abs(ratings - before) - np.abs(ratings - after)
    return RatingFit(
        agreement(before, ratings, rated.speakers),
        agreement(after, ratings, rated.speakers),
        bootstrap(lambda k: float(gains[k].mean()), rated.speakers),
    )


def _fitted(sets: Sequence[Examples], ratings: RatingFit | None, verifier: VerificationFit | None) -> dict[str, Any]:
    rated, good, wrong = sets
    figures: dict[str, Any] = {"n_speakers": len({name for one in sets for name in one.speakers})}
    if ratings:
        figures |= {
            "n_ratings": len(rated.ratings),
            **{name: _rounded(figure) for name, figure in ratings.after._asdict().items()},
            "before": {name: _rounded(figure) for name, figure in ratings.before._asdict().items()},
            "gain": _rounded(ratings.gain),
        }
    if verifier:
        figures |= {
            "n_good": len(good.takes),
            "n_wrong": len(wrong.takes),
            "gate": {name: round(value, 3) for name, value in verifier.after._asdict().items()},
            "gate_before": {name: round(value, 3) for name, value in verifier.before._asdict().items()},
        }
    return figures


def _rounded(figure: Figure) -> list[float]:
    return [round(x, 3) for x in figure]


# ------------------------------------------------------------------------------------------------ mapping


def _fit_slopes(rated: Examples, base: ScoreModel, base_weight: float) -> ScoreModel:
    from scipy.optimize import nnls  # noqa: PLC0415 - comparing does not need it

    equations = [_equation(take, rating, base) for take, rating in zip(rated.takes, rated.ratings, strict=True)]
    rows, points = np.array([row for row, _ in equations]), np.array([points for _, points in equations])
    held = np.sqrt(base_weight * (rows**2).mean(axis=0))
    known = np.concatenate([curve_of(base, name).slopes for name in _MAPPING])
    slopes, _ = nnls(np.vstack([rows, np.diag(held)]), np.concatenate([points, held * known]))
    curves: dict[str, Any] = {}
    for name in _MAPPING:
        knots = curve_of(base, name).knots
        curves[name] = Curve(knots, tuple(np.round(slopes[: len(knots)], 3).tolist()))
        slopes = slopes[len(knots) :]
    return replace(base, **curves)


def _equation(take: TakeMeasures, rating: float, base: ScoreModel) -> tuple[Floats, float]:
    """Return what the slopes are multiplied by, and the points they should cost.

    What the verifier refuses can't get its rating whatever the slopes: so far as it refuses, it should not bend them.
    """
    total_s = sum(take.durations_s)
    lost = {name: np.zeros(len(curve_of(base, name).knots)) for name in _MAPPING}
    said, kept = 0.0, 0.0
    for one, duration_s in zip(take.chunks, take.durations_s, strict=True):
        if one is None:
            continue
        share = duration_s / total_s
        passed = share * (base.verifier.logit(one) >= base.verifier.other)
        said, kept = said + share, kept + passed
        for name, value in mapping_inputs(one).items():
            lost[name] += passed * curve_of(base, name).basis(value)
    between = between_inputs(total_s, take.pauses_s, take.extra_s)
    lost["pauses"] += kept * curve_of(base, "pauses").basis(between["pauses"])
    weight = kept / said if said else 0.0
    points = kept * (100 - curve_of(base, "extra")(between["extra"])) - weight * rating
    return np.concatenate(list(lost.values())), points


# --------------------------------------------------------------------------------------------------- verifier


def _verifier_inputs(takes: Sequence[TakeMeasures]) -> tuple[Floats, Floats]:
    """Return the verifier's inputs for every chunk, (n, 5), and its weight, (n,): takes weigh alike, 0.5 together."""
    found = [[one for one in take.chunks if one is not None] for take in takes]
    inputs = [verifier_inputs(one) for chunks in found for one in chunks]
    weights = np.array([1 / len(chunks) for chunks in found for _ in chunks])
    return np.array(inputs), 0.5 * weights / weights.sum()


def _fit_logistic(same: Floats, same_weights: Floats, wrong: Floats, wrong_weights: Floats) -> tuple[float, Floats]:
    """Return the offset of the log odds of `same`, and slopes, not negative, by which they fall."""
    from scipy.optimize import minimize  # noqa: PLC0415 - comparing does not need it

    inputs, weights = np.vstack([same, wrong]), np.concatenate([same_weights, wrong_weights])
    signs = np.repeat([-1.0, 1.0], [len(same), len(wrong)])
    middle, scale = inputs.mean(axis=0), inputs.std(axis=0) + 1e-9
    design = np.column_stack([np.ones(len(inputs)), (inputs - middle) / scale])

    def loss(slopes: Floats) -> tuple[float, Floats]:
        margins = signs * (design @ slopes)
        pulls = -signs * weights * np.exp(-np.logaddexp(0, margins))
        # A touch of ridge, so that takes which can be told apart entirely have a finite answer.
        value = float(weights @ np.logaddexp(0, -margins) + 1e-4 * (slopes[1:] ** 2).sum())
        return value, pulls @ design + np.append(0.0, 2e-4 * slopes[1:])

    bounds = [(None, None), *[(0, None)] * inputs.shape[1]]
    best = minimize(loss, np.zeros(len(bounds)), jac=True, method="L-BFGS-B", bounds=bounds)
    slopes: Floats = best.x[1:] / scale
    return float(slopes @ middle - best.x[0]), slopes


def _refusing_threshold(take: TakeMeasures, verifier: TextVerifier, base: ScoreModel) -> float:
    """Return the least threshold of another text at which a take scores below 20, to a thousandth."""
    open_model, total_s = replace(base, verifier=_OPEN), sum(take.durations_s)
    between = between_inputs(total_s, take.pauses_s, take.extra_s)
    cost = sum(curve_of(base, name)(value) for name, value in between.items())
    worth = [
        (duration_s / total_s, verifier.logit(one), max(0.0, score(one, open_model).value - cost))
        for one, duration_s in zip(take.chunks, take.durations_s, strict=True)
        if one is not None
    ]
    low, high = _THRESHOLDS
    while high - low > 1e-3:
        middle = (low + high) / 2
        tried = replace(verifier, other=middle, same=max(middle, verifier.same))
        value = sum(share * let_through(points, logit, tried) for share, logit, points in worth)
        low, high = (low, middle) if value < REFUSED else (middle, high)
    return high
