"""Recipes: all that lies between a recording and its features, each under one name."""

from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from speechcmp.audio.recording import AnySource, to_mono
from speechcmp.audio.vad import speech_frames
from speechcmp.dtw.warp import METRICS
from speechcmp.errors import ParameterError
from speechcmp.features.mfcc import (
    SPEECH_BANDS,
    Features,
    MfccParams,
    cepstral_basis,
    deltas,
    frame_levels,
    log_mel_bands,
    normalize_cepstra,
)
from speechcmp.features.phones import PHONE_STRIDE, phonetic_features

# Shorter frames say nothing new, and longer ones hold several sounds.
_SHORTEST_HOP_S, _LONGEST_HOP_S = 0.001, 0.1


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that lies between samples and a distance, under one name.

    Attributes
    ----------
    name : str
        As in ``--recipe NAME``.
    sample_rate : int
        Hz; recordings are resampled to it by soxr HQ.
    mfcc : MfccParams
        Analysis.
    metric : str
        Frame distance, see `speechcmp.dtw.warp`.
    per_chunk : bool
        Every chunk is analyzed by itself, as if it were a file; otherwise the recording is analyzed whole,
        and its chunks are slices of that.
    c0_weight : float
        What the coefficient that follows loudness is multiplied by.
    deviation_power : float or None
        Subtract each coefficient's mean over speech and divide by its standard deviation to this power: 0 is
        cepstral mean normalization, 1 mean and variance normalization. None leaves the coefficients as they are.
    delta_weight : float
        Append the coefficients' slopes times this; 0 leaves them out.
    pauses : bool
        Whether pauses inside a chunk take part in its distance.
    phonetic : bool
        Put the mel bands through the network of `speechcmp.features.phones`, at half their rate, instead of making
        cepstra of them; `mfcc` must be `SPEECH_BANDS` then.

    Raises
    ------
    ParameterError
        The metric is unknown, or frames are not centered, or too short or too long; or a phonetic recipe has other
        bands.

    Examples
    --------
    >>> import speechcmp
    >>> mfcc = speechcmp.MfccParams(n_mfcc=13, n_fft=512, hop_length=160)
    >>> own = speechcmp.Recipe("own", 16_000, mfcc, "cosine", deviation_power=1.0)
    >>> own.hop_s
    0.01
    >>> speechcmp.CompareParams(recipe=own).recipe.name
    'own'
    """

    name: str
    sample_rate: int
    mfcc: MfccParams
    metric: str
    per_chunk: bool = False
    c0_weight: float = 1.0
    deviation_power: float | None = None
    delta_weight: float = 0.0
    pauses: bool = True
    phonetic: bool = False

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise ParameterError(f"metric: {self.metric!r} is unknown; choose one of {', '.join(METRICS)}")
        if self.phonetic and (self.mfcc, self.sample_rate) != (SPEECH_BANDS, 16_000):
            raise ParameterError(f"recipe {self.name}: the phonetic network needs SPEECH_BANDS at 16000 Hz")
        if not self.mfcc.center:
            raise ParameterError(f"recipe {self.name}: frames must be centered, so that frame t lies at t * hop_s")
        if not _SHORTEST_HOP_S <= self.hop_s <= _LONGEST_HOP_S:
            raise ParameterError(
                f"recipe {self.name}: {1000 * self.hop_s:g} ms from frame to frame; give {1000 * _SHORTEST_HOP_S:g} "
                f"to {1000 * _LONGEST_HOP_S:g} ms"
            )

    @property
    def hop_s(self) -> float:
        """Seconds between two frames."""
        return self.mfcc.hop_length / self.sample_rate * (PHONE_STRIDE if self.phonetic else 1)


RECIPES = MappingProxyType(
    {
        recipe.name: recipe
        for recipe in (
            Recipe("phones", 16_000, SPEECH_BANDS, "cosine", pauses=False, phonetic=True),
            Recipe("classic", 22_050, MfccParams(), "l1", per_chunk=True),
            Recipe(
                "mfcc",
                16_000,
                MfccParams(n_mfcc=12, n_fft=512, win_length=400, hop_length=160, n_mels=26),
                "cosine",
                c0_weight=0.4,
                deviation_power=0.4,
                delta_weight=4.0,
                pauses=False,
            ),
        )
    }
)


def find_recipe(recipe: str | Recipe) -> Recipe:
    """Return a recipe by its name; one of your own as it is.

    Parameters
    ----------
    recipe : str or Recipe
        ``"phones"`` (or ``"default"``), ``"mfcc"``, ``"classic"``, or one of your own.

    Returns
    -------
    Recipe
        What the name stands for.

    Raises
    ------
    ParameterError
        There is none of that name.

    Examples
    --------
    >>> import speechcmp
    >>> speechcmp.find_recipe("classic").mfcc.n_mfcc
    20
    """
    if isinstance(recipe, Recipe):
        return recipe
    if recipe == "default":
        return RECIPES["phones"]
    if recipe not in RECIPES:
        raise ParameterError(f"recipe: {recipe!r} is unknown; choose one of {', '.join(RECIPES)}")
    return RECIPES[recipe]


def extract_features(recording: AnySource, recipe: Recipe) -> Features:
    """Turn a recording into features as a recipe says.

    Parameters
    ----------
    recording : Recording or AudioFile
        Any rate; channels are mixed to their mean.
    recipe : Recipe
        Of your own, or from `find_recipe`.

    Returns
    -------
    float32, shape (n_frames, n_dims)
        Time first; frame t is centered at ``t * recipe.hop_s`` seconds.

    Raises
    ------
    ParameterError
        The recipe's sample rate is not possible, or `mfcc.fmax` is above half of it.

    Examples
    --------
    >>> import numpy as np
    >>> import speechcmp
    >>> noise = speechcmp.Recording.from_array(np.random.default_rng(0).normal(0, 0.1, 16_000), 16_000)
    >>> [speechcmp.extract_features(noise, speechcmp.find_recipe(name)).shape for name in ("phones", "mfcc")]
    [(51, 64), (101, 24)]
    """
    mono = to_mono(recording, recipe.sample_rate)
    (bands,) = log_mel_bands(mono.samples, recipe.sample_rate, [recipe.mfcc])
    if recipe.phonetic:
        return phonetic_features(bands)
    return features_of_bands(bands, frame_levels(mono.samples, recipe.mfcc.hop_length), recipe)


def features_of_bands(bands: Features, level_db: NDArray[np.floating], recipe: Recipe) -> Features:
    """Do what `extract_features` does after the spectrum.

    Parameters
    ----------
    bands : float32, shape (n_frames, n_mels)
        Of `log_mel_bands`, by the recipe's analysis.
    level_db : float, shape (n_frames,)
        Of `frame_levels`.
    recipe : Recipe
    """
    features: Features = bands @ cepstral_basis(recipe.mfcc)
    if recipe.deviation_power is not None:
        features = normalize_cepstra(features, deviation_power=recipe.deviation_power, frames=speech_frames(level_db))
    if recipe.c0_weight != 1:
        features[:, 0] *= np.float32(recipe.c0_weight)
    if not recipe.delta_weight:
        return features
    return np.hstack([features, np.float32(recipe.delta_weight) * deltas(features)])
