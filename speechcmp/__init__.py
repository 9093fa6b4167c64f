"""Compare speech recordings: split at silences, align, measure how far apart they sound.

The public names below are imported when first used, so that ``import speechcmp`` costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from speechcmp.audio import AudioFile, Recording, load_recording, normalize, open_audio
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
    from speechcmp.findings import ChunkPair, Comparison, Span
    from speechcmp.identification import Identified, identify
    from speechcmp.recipes import Recipe
    from speechcmp.score import Score, ScoreModel, load_model
    from speechcmp.segment import SplitParams
    from speechcmp.store import Store, open_store
    from speechcmp.voting import Match

_HOMES = {
    "audio": ("AudioFile", "Recording", "load_recording", "normalize", "open_audio"),
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
    "findings": ("ChunkPair", "Comparison", "Span"),
    "identification": ("Identified", "identify"),
    "recipes": ("Recipe",),
    "score": ("Score", "ScoreModel", "load_model"),
    "segment": ("SplitParams",),
    "store": ("Store", "open_store"),
    "voting": ("Match",),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "AudioError",
    "AudioFile",
    "Chunk",
    "ChunkPair",
    "CompareParams",
    "Comparison",
    "DependencyError",
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
    "Store",
    "StoreError",
    "StoreUnavailableError",
    "WarpingPath",
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
    "split_at_silence",
]


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'speechcmp' has no attribute {name!r}")
    value = getattr(import_module(f"speechcmp.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
