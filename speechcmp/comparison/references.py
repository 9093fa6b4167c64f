"""Several readings of one text, and where a take falls among them.

Each reference is taken as a take and scored against every other one: what good readings of this text get from one
another. A take's place is the share of the references whose mean score, against the others, is lower than
the take's against all of them. Means are what is compared, not single scores, because these come in n x (n - 1)
pairs of only n readings: 6 scores of 3 readings are no 6 pieces of evidence.

How much that says: if the take were just one more such reading, it would come last among n + 1 by chance
once in n + 1 times. So with 2 or 3 references a place is a hint; below 5 there is no `Spread.z`, whose standard
deviation would be a guess; with 10, a take below all of them would be chance in 9 cases of 100.
"""

from collections.abc import Sequence
from dataclasses import replace

from speechcmp.audio.recording import Recording
from speechcmp.comparison.compare import CompareParams, Prepared, compare_prepared, prepare
from speechcmp.comparison.result import Comparison, Spread
from speechcmp.errors import ParameterError
from speechcmp.scoring.model import REFUSED

ReferenceScores = tuple[tuple[float | None, ...], ...]


def compare_among(
    references: Sequence[Recording | Prepared],
    take: Recording | Prepared,
    *,
    params: CompareParams | None = None,
    among: ReferenceScores | None = None,
    flag_copies: bool = False,
) -> Comparison:
    """Compare a take with the first of several references of one text, and place it among all of them.

    Parameters
    ----------
    references : sequence of Recording or Prepared
        At least two readings, by different people best.
    take : Recording or Prepared
        Another reading of that text.
    params : CompareParams, optional
        The defaults of `CompareParams` if not given. What is prepared must be so with the same.
    among : tuple of tuple of (float or None), optional
        What `score_references` returned for them, where several takes are placed.
    flag_copies : bool
        As for `compare`.

    Returns
    -------
    Comparison
        With its `spread`, and a warning for each reference that may be of another text.

    Raises
    ------
    ParameterError
        There are fewer than two references, one has no chunk, or `among` is of others; or as for `compare`.
    AudioError
        A recording is silent.

    Examples
    --------
    >>> import numpy as np
    >>> import speechcmp
    >>> rng = np.random.default_rng(0)
    >>> words = rng.normal(0, 0.1, (3, 16_000)) * np.sin(np.arange(16_000) / 300) ** 2
    >>> others = [words + rng.normal(0, noise, words.shape) for noise in (0.0, 0.01, 0.02)]
    >>> readings = [np.pad(other, [(0, 0), (8000, 8000)]).ravel() for other in others]
    >>> first, second, take = (speechcmp.Recording.from_array(one, 16_000) for one in readings)
    >>> result = speechcmp.compare_among([first, second], take)
    >>> len(result.spread.take_scores), result.spread.n_below
    (2, 0)
    """
    _check_several(references)
    params = params or CompareParams()
    brief = replace(params, details="scores")
    readings, placed = [_prepared(one, params) for one in references], _prepared(take, params)
    if among is None:
        among = score_references(readings, params=params)
    if len(among) != len(readings):
        raise ParameterError(f"among: holds {len(among)} references, given {len(readings)}; score these ones")
    result = compare_prepared(readings[0], placed, params=params, flag_copies=flag_copies)
    scores = (_value(result), *(_score(one, placed, brief) for one in readings[1:]))
    spread = Spread(tuple(one.recording.name for one in readings), scores, among)
    strangers = (
        f"{name}: scores {mean:.0f} against the other references; is it the same text?"
        for name, mean in zip(spread.references, spread.reference_means, strict=True)
        if mean < REFUSED
    )
    return replace(result, spread=spread, warnings=(*result.warnings, *strangers))


def place_in_spread(
    references: Sequence[Recording | Prepared],
    take: Recording | Prepared,
    *,
    params: CompareParams | None = None,
    among: ReferenceScores | None = None,
) -> Spread:
    """Score a take against several references of one text, and these against one another.

    `compare_among` gives the comparison with the first of them, too.

    Parameters
    ----------
    references, take, params, among
        As for `compare_among`; `details` are left out.

    Returns
    -------
    Spread
        The take's scores, and those of the references.

    Raises
    ------
    AudioError, ParameterError
        As `compare_among`.

    Examples
    --------
    >>> import numpy as np
    >>> import speechcmp
    >>> rng = np.random.default_rng(0)
    >>> words = rng.normal(0, 0.1, (3, 16_000)) * np.sin(np.arange(16_000) / 300) ** 2
    >>> others = [words + rng.normal(0, noise, words.shape) for noise in (0.0, 0.01, 0.02)]
    >>> readings = [np.pad(other, [(0, 0), (8000, 8000)]).ravel() for other in others]
    >>> first, second, take = (speechcmp.Recording.from_array(one, 16_000) for one in readings)
    >>> spread = speechcmp.place_in_spread([first, second], take)
    >>> spread.place, spread.z
    (0.0, None)
    """
    spread = compare_among(references, take, params=_brief(params), among=among).spread
    assert spread is not None  # noqa: S101 - `compare_among` sets it
    return spread


def score_references(
    references: Sequence[Recording | Prepared], *, params: CompareParams | None = None
) -> ReferenceScores:
    """Score readings of one text against one another.

    Parameters
    ----------
    references : sequence of Recording or Prepared
        At least two readings.
    params : CompareParams, optional
        As for `compare_among`; `details` are left out.

    Returns
    -------
    tuple of tuple of (float or None)
        ``[i][j]``: the score, 0 to 100, of j as a take, against i as the reference; None where i is j.

    Raises
    ------
    AudioError, ParameterError
        As `compare_among`.

    Examples
    --------
    >>> import numpy as np
    >>> import speechcmp
    >>> rng = np.random.default_rng(0)
    >>> words = rng.normal(0, 0.1, (3, 16_000)) * np.sin(np.arange(16_000) / 300) ** 2
    >>> others = [words + rng.normal(0, noise, words.shape) for noise in (0.0, 0.01, 0.02)]
    >>> readings = [np.pad(other, [(0, 0), (8000, 8000)]).ravel() for other in others]
    >>> first, second, take = (speechcmp.Recording.from_array(one, 16_000) for one in readings)
    >>> among = speechcmp.score_references([first, second])
    >>> among[0][0], 80 < among[0][1] <= 100
    (None, True)
    >>> speechcmp.place_in_spread([first, second], take, among=among).reference_scores == among
    True
    """
    _check_several(references)
    params = _brief(params)
    readings = [_prepared(one, params) for one in references]
    return tuple(tuple(None if a is b else _score(a, b, params) for b in readings) for a in readings)


def _check_several(references: Sequence[Recording | Prepared]) -> None:
    if len(references) < 2:
        raise ParameterError(f"{len(references)} reference: no spread; give at least two readings of the text")


def _brief(params: CompareParams | None) -> CompareParams:
    return replace(params or CompareParams(), details="scores")


def _prepared(recording: Recording | Prepared, params: CompareParams) -> Prepared:
    return recording if isinstance(recording, Prepared) else prepare(recording, params)


def _score(reference: Prepared, take: Prepared, params: CompareParams) -> float:
    return _value(compare_prepared(reference, take, params=params))


def _value(result: Comparison) -> float:
    if result.score is None:
        raise ParameterError(f"{result.reference.name}: has no chunk, and so no score; leave it out")
    return result.score.value
