"""Which stored recording is this clip from, and where: clip to landmarks to hits to matches."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from speechcmp.audio.recording import AnySource, Recording, mix_down, to_mono
from speechcmp.checks import checked
from speechcmp.errors import ParameterMismatchError
from speechcmp.fingerprint.landmarks import landmarks, query_landmarks
from speechcmp.fingerprint.peaks import PRESETS, SPEECH, FingerprintParams
from speechcmp.fingerprint.store.base import LibraryInfo, Preset, Store
from speechcmp.fingerprint.voting import MIN_CONFIDENCE, Hits, Match, vote

# Two synthetic voices reading one text reached 0.9998; a copy under noise as loud as itself has all nines.
COPY_CONFIDENCE = 1 - 1e-6


@dataclass(frozen=True, slots=True)
class Identified:
    """A clip and what it is from.

    Attributes
    ----------
    n_hashes : int
        Distinct hashes of the clip that were asked for.
    matches : tuple of (Match, str)
        Recordings of the library the clip is from, most votes first, and their paths.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import speechcmp
    >>> noise = np.random.default_rng(0).normal(0, 0.1, 64_000)  # 4 s
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     speechcmp.Recording.from_array(noise, 16_000).save(f"{folder}/noise.wav")
    ...     with speechcmp.open_store(f"sqlite:///{folder}/library.db") as store:
    ...         _ = list(speechcmp.ingest([f"{folder}/noise.wav"], store, n_jobs=1))
    ...         speechcmp.identify(speechcmp.Recording.from_array(noise[::-1], 16_000), store).matches
    ()
    """

    n_hashes: int
    matches: tuple[tuple[Match, str], ...]


@checked
def identify(
    clip: Recording,
    store: Store,
    *,
    every: bool = False,
    min_confidence: float = MIN_CONFIDENCE,
    info: LibraryInfo | None = None,
) -> Identified:
    """Find the stored recordings that a clip is an exact copy of.

    Parameters
    ----------
    clip : Recording
        Any rate, level and channels; noise may lie over it.
    store : Store
        The library; its preset says how the clip is fingerprinted.
    every : bool
        Every alignment, where a recording holds the clip more than once or the clip several recordings.
    min_confidence : float
        Least confidence of a match, 0 to 1.
    info : LibraryInfo, optional
        What `store.info()` says. It is asked for each clip by default; who has many asks once, and recordings
        added meanwhile are found all the same.

    Returns
    -------
    Identified
        Without matches where the clip is from none: a clear answer, not a failure.

    Raises
    ------
    StoreError, StoreUnavailableError
        As the store.
    ParameterError
        `min_confidence` is out of range, or the clip has samples that are not finite.
    ParameterMismatchError
        The library's hashes were made by a preset of another program.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> import speechcmp
    >>> noise = np.random.default_rng(0).normal(0, 0.1, 64_000)  # 4 s
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     speechcmp.Recording.from_array(noise, 16_000).save(f"{folder}/noise.wav")
    ...     with speechcmp.open_store(f"sqlite:///{folder}/library.db") as store:
    ...         _ = list(speechcmp.ingest([f"{folder}/noise.wav"], store, n_jobs=1))
    ...         clip = speechcmp.Recording.from_array(noise[16_000:48_000], 16_000)
    ...         for match, path in speechcmp.identify(clip, store).matches:
    ...             print(match.name, f"{match.offset_s:.2f} s")
    noise.wav 1.00 s
    """
    info = info or store.info()
    if info.preset and info.preset.name not in PRESETS:
        raise ParameterMismatchError(
            f"{store.label}: its hashes were made by the preset {info.preset.name!r}, which is none of "
            f"{', '.join(PRESETS)}; ask it with the program that made them"
        )
    params = PRESETS[info.preset.name] if info.preset else SPEECH
    query = query_landmarks(mix_down(clip).samples, clip.sample_rate, params=params)
    hits = store.find(query.hashes, Preset.of(params))
    hop_s = params.hop / (params.sample_rate or clip.sample_rate)
    matches = vote(
        hits,
        query.hash_index,
        query.anchor_frames,
        hop_s=hop_s,
        library_frames=max(1, round(info.duration_s / hop_s)),
        min_confidence=min_confidence,
        every=every,
    )
    stored = store.describe({match.recording_id for match in matches})
    named = [
        (replace(match, name=stored[match.recording_id].name), stored[match.recording_id].path)
        for match in matches
        if match.recording_id in stored
    ]
    return Identified(len(query.hashes), tuple(named))


@checked
def find_copy(original: AnySource, copy: AnySource, *, params: FingerprintParams = SPEECH) -> Match | None:
    """Tell whether one recording is, in part or whole, a copy of another: no two takes of a text are.

    Parameters
    ----------
    original, copy : Recording
        Any rates, levels and channels.
    params : FingerprintParams
        What both are fingerprinted with.

    Returns
    -------
    Match or None
        Where the copy starts in the original; None when it is none. A clear answer, not a failure.

    Raises
    ------
    ParameterError
        A recording has samples that are not finite.

    Examples
    --------
    >>> import numpy as np
    >>> import speechcmp
    >>> noise = np.random.default_rng(0).normal(0, 0.1, 64_000)
    >>> original = speechcmp.Recording.from_array(noise, 16_000)
    >>> piece = speechcmp.Recording.from_array(noise[16_000:48_000] / 4, 16_000)  # from 1 s on, and softer
    >>> print(f"{speechcmp.find_copy(original, piece).offset_s:.2f}")
    1.00
    >>> print(speechcmp.find_copy(original, speechcmp.Recording.from_array(noise[::-1], 16_000)))
    None
    """
    ours, theirs = (to_mono(side, side.sample_rate).samples for side in (original, copy))
    stored = landmarks(ours, original.sample_rate, params=params)
    query = query_landmarks(theirs, copy.sample_rate, params=params)
    if not len(stored) or not len(query.hashes):
        return None
    hop_s = params.hop / (params.sample_rate or original.sample_rate)
    matches = vote(
        _join(query.hashes, stored.hashes, stored.anchor_frames),
        query.hash_index,
        query.anchor_frames,
        hop_s=hop_s,
        library_frames=stored.n_frames,
        min_confidence=COPY_CONFIDENCE,
    )
    return replace(matches[0], name=original.name) if matches else None


def _join(asked: NDArray[np.uint8], stored: NDArray[np.uint8], frames: NDArray[np.uint32]) -> Hits:
    """Return every stored landmark whose hash was asked for."""
    ours, theirs = (hashes.view(f"V{hashes.shape[1]}").ravel() for hashes in (asked, stored))
    order = np.argsort(ours)
    place = np.minimum(np.searchsorted(ours, theirs, sorter=order), len(ours) - 1)
    row = order[place]
    found = ours[row] == theirs
    return Hits(row[found], np.zeros(int(found.sum()), np.int64), frames[found])
