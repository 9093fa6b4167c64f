"""A comparison as plain values, and back: the fields of every JSON object, line and table made from it."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from speechcmp.comparison.mismatch import Mismatch
from speechcmp.comparison.result import ChunkPair, Comparison, Side, Spread
from speechcmp.errors import ParameterError
from speechcmp.features.prosody import Delivery, PitchMatch
from speechcmp.scoring.impostors import Measures
from speechcmp.scoring.model import Score, TakeMeasures
from speechcmp.tables import finite

SCHEMA = "speechcmp.compare/1"
# Of a chunk, in a line of many; the last three are what the score can be worked out from again.
_BRIEF = ("index", "status", "distance", "score", "interval", "verdict", "reference", "pause_before_s", "measures")
_LARGEST = 1e12  # no measure and no time is anywhere near
_MEASURES = tuple(field.name for field in fields(Measures))


def to_dict(result: Comparison) -> dict[str, Any]:
    """Return a comparison as the object of the ``speechcmp.compare/1`` contract, ready for `json.dumps`.

    Numbers are rounded to 6 decimals; what is no finite number is None.

    Parameters
    ----------
    result : Comparison
        Of `compare` or `compare_among`.

    Returns
    -------
    dict
        Text, numbers, booleans, None, and lists and dicts of these.

    Examples
    --------
    >>> import numpy as np
    >>> import speechcmp
    >>> words = np.random.default_rng(0).normal(0, 0.1, (3, 16_000)) * np.sin(np.arange(16_000) / 300) ** 2
    >>> said = np.pad(words, [(0, 0), (8000, 8000)])  # each word between half a second of silence
    >>> reference = speechcmp.Recording.from_array(said.ravel(), 16_000, name="reference")
    >>> take = speechcmp.Recording.from_array(said[:2].ravel(), 16_000, name="take")
    >>> values = speechcmp.to_dict(speechcmp.compare(reference, take))
    >>> values["schema"], values["overall"]["missing"], values["chunks"][2]["take"]
    ('speechcmp.compare/1', 1, None)
    """
    values: dict[str, Any] = finite(
        {
            "schema": SCHEMA,
            "recipe": result.recipe,
            **({"calibration": result.calibration} if result.calibration else {}),
            **({"copy": result.copy._asdict()} if result.copy else {}),
            "reference": side_values(result.reference),
            "take": side_values(result.take),
            "overall": {
                **overall_values(result),
                **judgement_values(result.score),
                "score_parts": score_values(result.score),
            },
            **({"spread": spread_values(result.spread)} if result.spread else {}),
            "chunks": [pair_values(pair) for pair in result.pairs],
            "extra": [span._asdict() for span in result.extra],
            "repeated": [{"index": index, **span._asdict()} for index, span in result.repeated],
            "warnings": list(result.warnings),
        }
    )
    return values


def side_values(side: Side) -> dict[str, Any]:
    """Return what is said of a recording."""
    return {"path": side.name, "duration_s": side.duration_s}


def overall_values(result: Comparison) -> dict[str, Any]:
    """Return what is said of the comparison as a whole."""
    return {
        "distance": result.distance,
        "score": result.score.value if result.score else None,
        "chunks": len(result.pairs),
        "missing": result.n_missing,
        "extra": len(result.extra),
        "tempo": result.tempo,
        "extra_s": result.extra_s,
    }


def score_values(score: Score | None) -> dict[str, Any] | None:
    """Return what a score is made of: the points lost to each cause, and the interval of its error."""
    if score is None:
        return None
    return {"lost": score.lost._asdict(), "interval": list(score.interval), "same_text": score.same_text}


def judgement_values(score: Score | None) -> dict[str, Any]:
    """Return what a score is worth: its likely range, and whether the text is the same."""
    return {"interval": list(score.interval) if score else None, "verdict": score.verdict if score else None}


def spread_values(spread: Spread) -> dict[str, Any]:
    """Return the place of a take among several references; see `speechcmp.comparison.result.Spread`."""
    return {
        "n_references": len(spread.references),
        "references": list(spread.references),
        "take_scores": list(spread.take_scores),
        "take_mean": spread.mean,
        "reference_scores": [list(row) for row in spread.reference_scores],
        "reference_means": list(spread.reference_means),
        "place": spread.place,
        "z": spread.z,
    }


def pair_values(pair: ChunkPair) -> dict[str, Any]:
    """Return what is said of a chunk."""
    values = {
        "index": pair.index,
        "status": pair.status,
        "confidence": pair.confidence,
        "reordered": pair.reordered,
        "reference": pair.reference._asdict(),
        "take": pair.take._asdict() if pair.take else None,
        "distance": pair.distance,
        "score": pair.score.value if pair.score else None,
        **judgement_values(pair.score),
        "score_parts": score_values(pair.score),
        "measures": asdict(pair.measures) if pair.measures else None,
        "tempo": pair.tempo,
        "pause_before_s": {"reference": pair.pause_before_s[0], "take": pair.pause_before_s[1]},
        "worst": [_mismatch_values(mismatch) for mismatch in pair.worst],
    }
    if pair.prosody:
        prosody = pair.prosody
        values["pitch"] = _pitch_values(prosody.pitch) if prosody.pitch else None
        values["prosody"] = {
            "tempo": prosody.tempo,
            "local_tempo": prosody.local_tempo,
            "loudness_correlation": prosody.loudness_correlation,
            "reference": _delivery_values(prosody.reference),
            "take": _delivery_values(prosody.take),
        }
    return values


def _mismatch_values(mismatch: Mismatch) -> dict[str, Any]:
    sides = {"reference": mismatch.reference_s, "take": mismatch.take_s}
    spans = {side: {"start_s": start_s, "end_s": end_s} for side, (start_s, end_s) in sides.items()}
    return {**spans, "distance": mismatch.distance}


def _pitch_values(pitch: PitchMatch) -> dict[str, Any]:
    ours, theirs = pitch.range_semitones
    return {
        "correlation": pitch.correlation,
        "range_semitones": {"reference": ours, "take": theirs},
        "range_ratio": pitch.range_ratio,
    }


def _delivery_values(delivery: Delivery) -> dict[str, Any]:
    return {
        "speech_s": delivery.speech_s,
        "speech_rate": delivery.speech_rate,
        "articulation_rate": delivery.articulation_rate,
        "pauses": [{"start_s": start_s, "end_s": end_s} for start_s, end_s in delivery.pauses],
        "level_range_db": delivery.level_range_db,
    }


def brief_values(result: Comparison) -> dict[str, Any]:
    """Return the short form, ``overall`` and ``chunks``, rounded as everything that is written."""
    chunks = [pair_values(pair) for pair in result.pairs]
    brief = [{field: chunk[field] for field in _BRIEF if field in chunk} for chunk in chunks]
    values: dict[str, Any] = finite(
        {"overall": {**overall_values(result), **judgement_values(result.score)}, "chunks": brief}
    )
    return values


def take_measures(values: Mapping[str, Any]) -> TakeMeasures:
    """Read back from plain values what the score of the whole take is worked out from.

    Parameters
    ----------
    values : mapping
        What `to_dict` returned, or the record of a batch.

    Returns
    -------
    TakeMeasures
        For `score_take`, by this model or another, and for `calibrate`.

    Raises
    ------
    ParameterError
        A field is not there, or is not what it should be; the message names it.

    Examples
    --------
    >>> import numpy as np
    >>> import speechcmp
    >>> words = np.random.default_rng(0).normal(0, 0.1, (3, 16_000)) * np.sin(np.arange(16_000) / 300) ** 2
    >>> said = np.pad(words, [(0, 0), (8000, 8000)])  # each word between half a second of silence
    >>> reference = speechcmp.Recording.from_array(said.ravel(), 16_000, name="reference")
    >>> take = speechcmp.Recording.from_array(said[:2].ravel(), 16_000, name="take")
    >>> result = speechcmp.compare(reference, take)
    >>> again = speechcmp.score_take(speechcmp.take_measures(result.to_dict()))
    >>> print(f"{again.value:.2f} {result.score.value:.2f}")
    66.85 66.85
    """
    chunks = values.get("chunks")
    if not isinstance(chunks, list) or not chunks:
        raise ParameterError("chunks: there are none, so that there is nothing to score; leave this take out")
    extra_s = _number(_field(values, "overall"), "extra_s", "overall")
    measures, durations_s, pauses_s = [], [], (0.0, 0.0)
    for number, chunk in enumerate(chunks):
        where = f"chunks[{number}]"
        spoken = _field(chunk, "measures", where)
        measures.append(None if spoken is None else _measures_of(spoken, f"{where}.measures"))
        span = _field(chunk, "reference", where)
        durations_s.append(_number(span, "end_s", where) - _number(span, "start_s", where))
        if spoken is not None and number:
            pause = _field(chunk, "pause_before_s", where)
            ours, theirs = (_number(pause, side, f"{where}.pause_before_s") for side in ("reference", "take"))
            pauses_s = pauses_s[0] + ours, pauses_s[1] + theirs
    return TakeMeasures(tuple(measures), tuple(durations_s), pauses_s, extra_s)


def _measures_of(values: Mapping[str, Any], where: str) -> Measures:
    return Measures(*(_number(values, name, where) for name in _MEASURES))


def _field(values: Any, name: str, where: str = "") -> Any:  # noqa: ANN401 - any JSON value
    if not isinstance(values, Mapping) or name not in values:
        raise ParameterError(
            f"{where}{'.' if where else ''}{name}: is not there; an earlier version wrote this: compare again"
        )
    return values[name]


def _number(values: Any, name: str, where: str) -> float:  # noqa: ANN401 - any JSON value
    value = _field(values, name, where)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _LARGEST:
        raise ParameterError(f"{where}.{name}: is {value!r:.40}, no number up to {_LARGEST:g}; compare again")
    return float(value)


_SIDE = Side("", None, 0.0)
_NUMBERS = tuple(overall_values(Comparison("", _SIDE, _SIDE, (), (), (), 0.0, None, None)))
OVERALL_COLUMNS = (*_NUMBERS, "interval_low", "interval_high", "verdict")  # of a table
