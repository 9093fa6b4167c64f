"""Fitting a score's model to ratings, or to right and wrong takes; see `speechcmp.score`."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from speechcmp.errors import ParameterError
from speechcmp.measures import Measures
from speechcmp.score import (
    LEAST_RELATIVE,
    Curve,
    Gate,
    ScoreModel,
    curve_of,
    load_model,
    logistic,
    mapping_inputs,
    score,
)


def fit_mapping(
    measures: Sequence[Measures], ratings: ArrayLike, speakers: Sequence[str], base: ScoreModel | None = None
) -> ScoreModel:
    """Fit the points lost to ratings; knots, gate and the price of extra speech stay as they are.

    Parameters
    ----------
    measures : sequence of n Measures
        Of takes that say the text.
    ratings : array_like, shape (n,)
        0 to 100, 100 for a take that leaves nothing to wish for.
    speakers : sequence of n str
        Five-fold cross-validation never tests on a speaker it has fitted.
    base : ScoreModel, optional
        The shipped one by default.

    Returns
    -------
    ScoreModel
        With `error`, and in `fitted` ``n_ratings``, ``n_speakers``, ``pearson`` and ``mean_error``, the
        latter two cross-validated.

    Raises
    ------
    ParameterError
        Lengths differ, a rating is not in 0..100, ratings are all alike, or there are fewer than 5 speakers.
    """
    base = base or load_model()
    rated = np.asarray(ratings, np.float64)
    if not len(measures) == len(speakers) == len(rated) or len(set(speakers)) < _N_FOLDS:
        raise ParameterError(
            f"{len(measures)} measures, {len(rated)} ratings, {len(set(speakers))} speakers: give a rating "
            f"and a speaker for each take, and at least {_N_FOLDS} speakers"
        )
    if not (np.isfinite(rated).all() and rated.min() >= 0 and rated.max() <= 100 and np.ptp(rated) > 0):
        raise ParameterError("ratings: must lie in 0..100 and not be all alike; scale them first")
    predicted = np.empty(len(rated))
    for held_out in folds(speakers):
        kept = np.flatnonzero(~held_out).tolist()
        model = _fit_slopes([measures[k] for k in kept], rated[kept], base)
        predicted[held_out] = [score(measures[k], model).value for k in np.flatnonzero(held_out).tolist()]
    gaps = rated - predicted
    low, high = np.quantile(gaps, [0.1, 0.9])
    figures = {
        "n_ratings": len(rated),
        "n_speakers": len(set(speakers)),
        "pearson": round(float(np.corrcoef(predicted, rated)[0, 1]), 3),
        "mean_error": round(float(np.abs(gaps).mean()), 2),
    }
    fitted = _fit_slopes(measures, rated, base)
    error = (round(min(0.0, float(low)), 2), round(max(0.0, float(high)), 2))
    return replace(fitted, error=error, fitted={**base.fitted, **figures})


def fit_gate(same: Sequence[Measures], wrong: Sequence[Measures], base: ScoreModel | None = None) -> ScoreModel:
    """Fit the gate to takes of the right text and of wrong texts; the mapping stays as it is.

    A logistic regression that weighs both kinds alike, made sharper, then moved until
    95 % of the wrong takes score below 20. In short chunks and in one voice a gate is weaker.

    Parameters
    ----------
    same, wrong : sequence of Measures
        At least 10 of each. Wrong takes should last as long as right ones, or the gate learns too little.
    base : ScoreModel, optional
        The shipped one by default.

    Raises
    ------
    ParameterError
        There are too few takes.
    """
    base = base or load_model()
    if min(len(same), len(wrong)) < _FEWEST_TAKES:
        raise ParameterError(f"{len(same)} right and {len(wrong)} wrong takes: at least {_FEWEST_TAKES} of each")
    shape = _fit_logistic(_gate_inputs(same), _gate_inputs(wrong)) * _SHARPNESS
    gate = Gate(0.0, *np.round(shape, 3).tolist())
    ungated = [score(one, replace(base, gate=Gate(100.0, 0.0, 0.0))).value for one in wrong]
    offsets = [
        _logit_of(_REFUSED / max(best, _REFUSED)) - gate.logit(one) for best, one in zip(ungated, wrong, strict=True)
    ]
    strict = replace(gate, offset=round(float(np.quantile(offsets, 1 - _REFUSED_SHARE)), 3))
    return replace(base, gate=strict, fitted={**base.fitted, "n_same": len(same), "n_wrong": len(wrong)})


_N_FOLDS = 5
_FEWEST_TAKES = 10
_SHARPNESS = 2.5  # takes halfway through the gate are few, and their scores mislead
_REFUSED, _REFUSED_SHARE = 20.0, 0.955  # 95 %, and a little for the next recordings


def folds(speakers: Sequence[str], *, seed: int = 0) -> list[NDArray[np.bool_]]:
    """Return which takes belong to each fifth of the speakers."""
    names, indexes = np.unique(np.asarray(speakers), return_inverse=True)
    fold_of = np.random.default_rng(seed).permutation(len(names)) % _N_FOLDS
    return [fold_of[indexes] == fold for fold in range(_N_FOLDS)]


def _fit_slopes(measures: Sequence[Measures], rated: NDArray[np.float64], base: ScoreModel) -> ScoreModel:
    from scipy.optimize import nnls  # noqa: PLC0415 - comparing does not need it

    columns = {name: [mapping_inputs(one)[name] for one in measures] for name in mapping_inputs(measures[0])}
    basis = np.hstack([curve_of(base, name).basis(values) for name, values in columns.items()])
    open_gate = np.array([logistic(base.gate.logit(one)) for one in measures])
    # A take the gate refuses can't get its rating whatever the slopes: it should not bend them.
    slopes, _ = nnls(basis * open_gate[:, None], (100 - rated) * open_gate)
    curves = {}
    for name in columns:
        knots = curve_of(base, name).knots
        curves[name] = Curve(knots, tuple(np.round(slopes[: len(knots)], 3).tolist()))
        slopes = slopes[len(knots) :]
    return replace(base, sound=curves["sound"], timing=curves["timing"], pauses=curves["pauses"])


def _gate_inputs(measures: Sequence[Measures]) -> NDArray[np.float64]:
    return np.array([(one.distance, math.log(max(one.relative, LEAST_RELATIVE))) for one in measures])


def _fit_logistic(same: NDArray[np.float64], wrong: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return slopes, not negative, of the log odds of `wrong`; both kinds weigh alike."""
    from scipy.optimize import minimize  # noqa: PLC0415 - comparing does not need it

    inputs = np.vstack([same, wrong])
    signs = np.repeat([-1.0, 1.0], [len(same), len(wrong)])
    weights = np.repeat([0.5 / len(same), 0.5 / len(wrong)], [len(same), len(wrong)])
    middle, scale = inputs.mean(axis=0), inputs.std(axis=0) + 1e-9
    design = np.column_stack([np.ones(len(inputs)), (inputs - middle) / scale])

    def loss(slopes: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        margins = signs * (design @ slopes)
        pulls = -signs * weights * np.exp(-np.logaddexp(0, margins))
        # A touch of ridge, so that takes which can be told apart entirely have a finite answer.
        value = float(weights @ np.logaddexp(0, -margins) + 1e-4 * (slopes[1:] ** 2).sum())
        return value, pulls @ design + np.append(0.0, 2e-4 * slopes[1:])

    best = minimize(loss, np.zeros(3), jac=True, method="L-BFGS-B", bounds=[(None, None), (0, None), (0, None)])
    slopes: NDArray[np.float64] = best.x[1:] / scale
    return slopes


def _logit_of(share: float) -> float:
    return math.log(share / (1 - share)) if share < 1 else math.inf
