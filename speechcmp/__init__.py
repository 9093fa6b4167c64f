"""Compare speech recordings: split at silences, align, measure how far apart they sound.

The public names below are imported when first used, so that ``import speechcmp`` costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from speechcmp.audio import AudioFile, Recording, load_recording, normalize, open_audio
    from speechcmp.calibration import Calibrated, Examples, calibrate
    from speechcmp.chunks import Chunk, split_at_silence
    from speechcmp.comparison import CompareParams, compare
    from speechcmp.dtw import WarpingPath, dtw_distance, dtw_distances, dtw_path
    from speechcmp.errors import (
        AudioError,
        DependencyError,
        ParameterError,
        ParameterMismatchError,
        SpeechcmpError,
        StoreError,
        StoreUnavailableError,
    )
    from speechcmp.features import MfccParams, mfcc
    from speechcmp.findings import ChunkPair, Comparison, Span, Spread
    from speechcmp.identification import Identified, identify
    from speechcmp.recipes import Recipe
    from speechcmp.score import Score, ScoreModel, TakeMeasures, load_model, score_take
    from speechcmp.segment import SplitParams
    from speechcmp.spread import place_in_spread, score_references
    from speechcmp.store import Store, open_store
    from speechcmp.values import take_measures, to_dict
    from speechcmp.voting import Match

_HOMES = {
    "audio": ("AudioFile", "Recording", "load_recording", "normalize", "open_audio"),
    "calibration": ("Calibrated", "Examples", "calibrate"),
    "chunks": ("Chunk", "split_at_silence"),
    "comparison": ("CompareParams", "compare"),
    "dtw": ("WarpingPath", "dtw_distance", "dtw_distances", "dtw_path"),
    "errors": (
        "AudioError",
        "DependencyError",
        "ParameterError",
        "ParameterMismatchError",
        "SpeechcmpError",
        "StoreError",
        "StoreUnavailableError",
    ),
    "features": ("MfccParams", "mfcc"),
    "findings": ("ChunkPair", "Comparison", "Span", "Spread"),
    "identification": ("Identified", "identify"),
    "recipes": ("Recipe",),
    "score": ("Score", "ScoreModel", "TakeMeasures", "load_model", "score_take"),
    "segment": ("SplitParams",),
    "spread": ("place_in_spread", "score_references"),
    "store": ("Store", "open_store"),
    "values": ("take_measures", "to_dict"),
    "voting": ("Match",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "AudioError",
    "AudioFile",
    "Calibrated",
    "Chunk",
    "ChunkPair",
    "CompareParams",
    "Comparison",
    "DependencyError",
    "Examples",
    "Identified",
    "Match",
    "MfccParams",
    "ParameterError",
    "ParameterMismatchError",
    "Recipe",
    "Recording",
    "Score",
    "ScoreModel",
    "Span",
    "SpeechcmpError",
    "SplitParams",
    "Spread",
    "Store",
    "StoreError",
    "StoreUnavailableError",
    "TakeMeasures",
    "WarpingPath",
    "calibrate",
    "compare",
    "dtw_distance",
    "dtw_distances",
    "dtw_path",
    "identify",
    "load_model",
    "load_recording",
    "mfcc",
    "normalize",
    "open_audio",
    "open_store",
    "place_in_spread",
    "score_references",
    "score_take",
    "split_at_silence",
    "take_measures",
    "to_dict",
]


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'speechcmp' has no attribute {name!r}")
    value = getattr(import_module(f"speechcmp.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
