"""One loudness, then chunks: what every command does with a recording first."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, Literal

from speechcmp.audio.recording import (
    AudioFile,
    Level,
    Recording,
    Source,
    apply_gain,
    count_clipped,
    measure_level,
    silent_error,
)
from speechcmp.audio.split import Chunk, Split, split_recording
from speechcmp.errors import ParameterError

CUT_OFF_SHARE = 1e-3  # of the speech; below that it is a click or two
AUDIBLE_CLIPPING = 1e-4  # of the samples; below that nobody hears it


@dataclass(frozen=True, slots=True)
class SplitParams:
    """How a recording is brought to one loudness and split; see `speechcmp.audio.split.split_recording`.

    Attributes
    ----------
    target_dbfs : float or None
        Loudness to bring it to before splitting, -100 to 0; None leaves it as it is.
    """

    min_silence_len_ms: int = 500
    silence_thresh_dbfs: float | Literal["auto"] = "auto"
    keep_silence_ms: int | bool = 100
    seek_step_ms: int = 1
    min_chunk_ms: int | None = None
    max_chunk_ms: int | None = None
    target_dbfs: float | None = -20.0

    def __post_init__(self) -> None:
        if self.target_dbfs is not None and not -100 <= self.target_dbfs <= 0:
            raise ParameterError(f"target_dbfs: {self.target_dbfs} is not possible; give a level from -100 to 0")


@dataclass(frozen=True, slots=True, eq=False)
class Segmented(Generic[Source]):
    """A recording at one loudness, and its chunks.

    Attributes
    ----------
    source : Recording or AudioFile
        With the gain applied.
    level : Level
        Before the gain.
    chunks : tuple of Chunk
    noise_floor_dbfs : float
        Before the gain.
    silence_thresh_dbfs : float
        After the gain: the threshold given, or the one that comes nearest to ``"auto"``.
    warnings : tuple of str
        What the user should know, with the remedy.
    """

    source: Source
    level: Level
    chunks: tuple[Chunk, ...]
    noise_floor_dbfs: float
    silence_thresh_dbfs: float
    warnings: tuple[str, ...]


def segment(source: Source, params: SplitParams) -> Segmented[Source]:
    """Bring a recording to one loudness and split it.

    Raises
    ------
    AudioError
        The recording is silent.
    ParameterError
        A parameter is out of range.
    """
    level: Level = measure_level(source)
    if level.peak_dbfs == float("-inf"):
        raise silent_error(source.name)
    # A recording of a few least bits has an RMS of 0: no gain brings that to a level.
    target_dbfs = level.dbfs if params.target_dbfs is None else params.target_dbfs
    gain_db: float = 0.0 if level.dbfs == float("-inf") else target_dbfs - level.dbfs
    leveled: Source = apply_gain(source, gain_db) if gain_db else source
    split: Split = split_recording(
        leveled,
        min_silence_len_ms=params.min_silence_len_ms,
        silence_thresh_dbfs=params.silence_thresh_dbfs,
        keep_silence_ms=params.keep_silence_ms,
        seek_step_ms=params.seek_step_ms,
        min_chunk_ms=params.min_chunk_ms,
        max_chunk_ms=params.max_chunk_ms,
    )
    return Segmented(
        leveled,
        level,
        split.chunks,
        split.noise_floor_dbfs - gain_db,
        split.silence_thresh_dbfs,
        (
            *split.warnings,
            *_cut_off_warning(source, level, split),
            *_clipping_warning(leveled, level.peak_dbfs + gain_db, params),
        ),
    )


def _cut_off_warning(source: Recording | AudioFile, level: Level, split: Split) -> Iterator[str]:
    n_spoken = sum(chunk.stop - chunk.start for chunk in split.chunks) * source.channels
    if n_spoken and level.n_cut_off > CUT_OFF_SHARE * n_spoken:
        share = min(100 * level.n_cut_off / n_spoken, 100)
        yield f"clipped: {share:.1f} % of the speech is cut off at full scale; record again with a lower gain"


def _clipping_warning(leveled: Recording | AudioFile, peak_dbfs: float, params: SplitParams) -> Iterator[str]:
    if peak_dbfs <= 0:
        return
    n_clipped = count_clipped(leveled) if isinstance(leveled, AudioFile) else leveled.n_clipped
    if n_clipped > AUDIBLE_CLIPPING * leveled.n_frames * leveled.channels:
        yield f"{n_clipped:,} samples are clipped at {params.target_dbfs:g} dBFS; try a lower --target-dbfs"
