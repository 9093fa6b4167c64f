"""A comparison as plain values: the fields of every JSON object, line and table made from it."""

import math
from collections.abc import Mapping
from typing import Any

from speechcmp.findings import ChunkPair, Comparison, Side
from speechcmp.mismatch import Mismatch
from speechcmp.prosody import Delivery, PitchMatch
from speechcmp.score import Score

_BRIEF = ("index", "status", "distance", "score")  # of a chunk, in a line of many


def overall_values(result: Comparison) -> dict[str, Any]:
    """Return what is said of the comparison as a whole."""
    return {
        "distance": result.distance,
        "score": result.score.value if result.score else None,
        "chunks": len(result.pairs),
        "missing": result.n_missing,
        "extra": len(result.extra),
        "tempo": result.tempo,
    }


def score_values(score: Score | None) -> dict[str, Any] | None:
    """Return what a score is made of: the points lost to each cause, and the interval of its error."""
    if score is None:
        return None
    return {"lost": score.lost._asdict(), "interval": list(score.interval), "same_text": score.same_text}


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
        "score_parts": score_values(pair.score),
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
    values: dict[str, Any] = finite({"overall": overall_values(result), "chunks": brief})
    return values


def finite(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    """Round to microseconds and their like, and turn what is no finite number into None."""
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(x) for key, x in value.items()}
    if isinstance(value, list | tuple):
        return [finite(x) for x in value]
    return value


_SIDE = Side("", None, 0.0)
OVERALL_FIELDS = tuple(overall_values(Comparison("", _SIDE, _SIDE, (), (), (), 0.0, None, None)))
