"""How something is said: tempo, syllable rate, pauses, loudness and, when asked for, pitch.

`trace` measures each recording once; `compare_prosody` holds a chunk of the take against the reference's.
Traces have a frame every 10 ms, frame t centered at ``t * HOP_S`` seconds, as the default recipe's features.
Levels are relative to the recording and pitch to the speaker: gain and the height of a voice change nothing.
What can't be measured is None; no NaN leaves the module.

References
----------
.. [1] De Jong and Wempe, "Praat script to detect syllable nuclei", Behavior Research Methods 41(2), 2009.
.. [2] Boersma, "Accurate short-term analysis of the fundamental frequency", IFA Proceedings 17, 1993.
.. [3] Mauch and Dixon, "pYIN: a fundamental frequency estimator", ICASSP 2014.
.. [4] De Looze and Hirst, "Detecting changes in key and range", Speech Prosody 2008.
.. [5] Patterson and Ladd, "Pitch range modelling: linguistic dimensions of variation", ICPhS 1999.
.. [6] Hermes, "Measuring the perceptual similarity of pitch contours", JSLHR 41(1), 1998.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from speechcmp.audio.recording import Recording, mix_down, resample
from speechcmp.audio.vad import audible_frames
from speechcmp.errors import ParameterError
from speechcmp.runs import find_runs, long_runs

Floats = NDArray[np.float32]
Frames = NDArray[np.int64]
Mask = NDArray[np.bool_]
Stretch = tuple[float, float]
Sides = tuple[float | None, float | None]

SAMPLE_RATE, HOP = 16_000, 160  # Hz, samples
HOP_S = HOP / SAMPLE_RATE
FMIN_HZ, FMAX_HZ = 60.0, 500.0
MIN_PAUSE_FRAMES = 20  # closures of plosives last up to 150 ms
MIN_FRAMES = 10  # fewer make no correlation, percentile or tempo

_LEVEL_RANGE_DB = 80.0
_LOOK_BACK = 6000  # frames; what was said longer ago does not tell a pause
_BLOCK = 1024  # windows transformed at a time
_VOWEL_BAND = slice(10, 81)  # bins of 512 samples, 300 to 2500 Hz: vowels, not hum and hiss
_DIP_DB = 2.0  # between two nuclei [1]_
_VOICING_THRESHOLD = 0.45  # [2]_
_VOICING_WINDOW = 800  # samples: three periods of 60 Hz
# Over two periods of 60 Hz: with 1024 samples fewer frames agree with Praat. A resolution of 0.1 semitones
# costs over three times as much.
_PYIN: Any = {"fmin": FMIN_HZ, "fmax": FMAX_HZ, "frame_length": 640, "hop_length": HOP, "resolution": 0.2}
_PYIN_BLOCK, _PYIN_MARGIN = 3000, 50  # frames: Viterbi's memory grows with the length
_OCTAVE_GAP = 5  # frames: pitch moves by less than half an octave meanwhile
_LOCAL_TEMPO_FRAMES = 40
_MIN_RANGE_SEMITONES = 0.5  # a flatter reference has no range to divide by


@dataclass(frozen=True, slots=True, eq=False)
class PitchContour:
    """Pitch of a whole recording, a value a frame of 10 ms.

    Attributes
    ----------
    semitones : float32, shape (n_frames,)
        Relative to the speaker's median, 0 where unvoiced.
    voiced : bool, shape (n_frames,)
        Which frames have a pitch.
    median_hz : float or None
        None, and nothing voiced, if fewer than 10 frames would be.
    """

    semitones: Floats
    voiced: Mask
    median_hz: float | None


@dataclass(frozen=True, slots=True, eq=False)
class ProsodyTrace:
    """What prosody needs of a whole recording, worked out once, in frames of 10 ms.

    Attributes
    ----------
    level_db : float32, shape (n_frames,)
        RMS over 30 ms, dB relative to the loudest frame; at least -80.
    noise_floor_db : float
        The same of the quietest stretches.
    nuclei : int64, shape (k,)
        Frames of syllable nuclei: voiced peaks of the level with dips of 2 dB between them [1]_, [2]_.
    pitch : PitchContour or None
        If asked for.
    """

    level_db: Floats
    noise_floor_db: float
    nuclei: Frames
    pitch: PitchContour | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """How one side says a chunk.

    Attributes
    ----------
    speech_s : float
        Seconds from the first to the last sounding frame: the silence around does not count.
    speech_rate, articulation_rate : float or None
        Syllable nuclei a second, with the pauses inside counted in and left out [1]_.
    pauses : tuple of (float, float)
        Start and end of each pause of 200 ms or more inside, seconds from the recording's start.
    pause_before_s : float or None
        Seconds of silence before the first sounding frame; None if nothing was said in the minute before.
    level_range_db, pitch_range_semitones : float or None
        10th to 90th percentile of the sounding frames' levels, and of the voiced frames' pitch [5]_.

    Examples
    --------
    >>> import numpy as np
    >>> import speechcmp
    >>> words = np.random.default_rng(0).normal(0, 0.1, (2, 16_000)) * np.sin(np.arange(16_000) / 300) ** 2
    >>> said = np.pad(words, [(0, 0), (8000, 8000)]).ravel()  # each word between half a second of silence
    >>> recording = speechcmp.Recording.from_array(said, 16_000)
    >>> pair = speechcmp.compare(recording, recording).pairs[0]
    >>> print(f"{pair.prosody.take.speech_s:.2f}", pair.prosody.take.pauses)
    1.01 ()
    """

    speech_s: float
    speech_rate: float | None
    articulation_rate: float | None
    pauses: tuple[Stretch, ...]
    pause_before_s: float | None
    level_range_db: float | None
    pitch_range_semitones: float | None

    @property
    def pauses_s(self) -> float:
        """Length of all pauses inside, seconds."""
        return sum(end_s - start_s for start_s, end_s in self.pauses)


@dataclass(frozen=True, slots=True)
class PitchMatch:
    """Pitch contours held against each other.

    Attributes
    ----------
    correlation : float or None
        Pearson's r of both contours in semitones along the path, where both are voiced [6]_.
    range_semitones : pair of (float or None)
        `Delivery.pitch_range_semitones` of the reference and of the take.
    range_ratio : float or None
        The take's range / the reference's: well below 1 is monotone.
    """

    correlation: float | None
    range_semitones: Sides
    range_ratio: float | None


@dataclass(frozen=True, slots=True)
class Prosody:
    """How reference and take say a chunk.

    Attributes
    ----------
    reference, take : Delivery
        Each by itself.
    tempo : float or None
        Duration in the take / in the reference, from where along the path both begin to sound to where both
        end, pauses included: above 1 is slower.
    local_tempo : float or None
        Median slope of the path over 0.4 s where neither pauses: a hesitation does not move it.
    loudness_correlation : float or None
        Pearson's r of both levels in dB along the path, where either sounds.
    pitch : PitchMatch or None
        If both traces have a pitch.

    Examples
    --------
    >>> import numpy as np
    >>> import speechcmp
    >>> words = np.random.default_rng(0).normal(0, 0.1, (2, 16_000)) * np.sin(np.arange(16_000) / 300) ** 2
    >>> said = np.pad(words, [(0, 0), (8000, 8000)]).ravel()  # each word between half a second of silence
    >>> recording = speechcmp.Recording.from_array(said, 16_000)
    >>> prosody = speechcmp.compare(recording, recording).pairs[0].prosody
    >>> print(f"{prosody.tempo:.2f}", prosody.pitch)
    1.00 None
    """

    reference: Delivery
    take: Delivery
    tempo: float | None
    local_tempo: float | None
    loudness_correlation: float | None
    pitch: PitchMatch | None


def trace(recording: Recording, *, pitch: bool = False) -> ProsodyTrace:
    """Measure level, syllable nuclei and, if asked for, pitch of a whole recording.

    Any rate and channels will do. Pitch is found by librosa's pYIN [3]_, which takes seconds to import.
    """
    samples = resample(mix_down(recording), SAMPLE_RATE).samples
    level_db = _levels(samples)
    # The quietest twentieth of the recording stays below this for 100 ms.
    highest_db = sliding_window_view(level_db, min(10, len(level_db))).max(axis=1)
    contour = pitch_contour(_pyin_hz(samples)) if pitch else None
    return ProsodyTrace(level_db, float(np.quantile(highest_db, 0.05)), _syllable_nuclei(samples), contour)


def compare_prosody(
    reference: ProsodyTrace,
    take: ProsodyTrace,
    spans_s: tuple[Stretch, Stretch],
    steps: NDArray[np.integer],
    *,
    hop_s: float = HOP_S,
) -> Prosody:
    """Hold the prosody of a chunk of the take against the reference's.

    Parameters
    ----------
    reference, take : ProsodyTrace
    spans_s : pair of (float, float)
        Start and end of the chunk in the reference, and of what answers to it in the take.
    steps : int, shape (k, 2)
        `speechcmp.dtw.warp.WarpingPath.steps` between the spans: frames counted from the spans' starts.
    hop_s : float
        Seconds between two of these frames.

    Raises
    ------
    ParameterError
        `steps` is no path, or a span has no length.
    """
    is_path = steps.ndim == 2 and steps.shape[1] == 2 and len(steps) > 0
    if not is_path or (np.diff(steps, axis=0, prepend=0) < 0).any():
        raise ParameterError(f"steps: must be (k, 2), ascending from 0 or more, given shape {steps.shape}")
    a, b = _Side(reference, spans_s[0]), _Side(take, spans_s[1])
    i, j = _paired_frames(steps, hop_s / HOP_S)
    i, j = a.inside(i), b.inside(j)
    both, either = a.sounding[i] & b.sounding[j], a.sounding[i] | b.sounding[j]
    loudness = _correlation(a.audible_db[i][either], b.audible_db[j][either])
    ours, theirs = a.delivery(), b.delivery()
    pitch = None
    if a.pitch is not None and b.pitch is not None:
        voiced = a.voiced[i] & b.voiced[j]
        ranges = ours.pitch_range_semitones, theirs.pitch_range_semitones
        pitch = PitchMatch(_correlation(a.pitch[i][voiced], b.pitch[j][voiced]), ranges, _ratio(*ranges))
    return Prosody(ours, theirs, *_tempo(i, j, both, a.pausing[i] | b.pausing[j]), loudness, pitch)


class _Side:
    """A chunk and the minute before it, cut out of a trace; which frames sound is up to the chunk's level."""

    def __init__(self, whole: ProsodyTrace, span_s: Stretch) -> None:
        if not 0 <= span_s[0] < span_s[1]:
            raise ParameterError(f"spans_s: {span_s[0]:g} to {span_s[1]:g} s is no span; give start < end")
        start = min(round(span_s[0] / HOP_S), len(whole.level_db) - 1)
        stop = max(round(span_s[1] / HOP_S), start + 1)
        self.origin = max(0, start - _LOOK_BACK)
        self.start = start - self.origin
        cut = slice(self.origin, stop)
        level_db = whole.level_db[cut]
        self.sounding, threshold_db = audible_frames(level_db, level_db[self.start :], whole.noise_floor_db)
        self.audible_db = np.maximum(level_db, np.float32(threshold_db))
        self.pausing = long_runs(~self.sounding, MIN_PAUSE_FRAMES)
        self.pitch = None if whole.pitch is None else whole.pitch.semitones[cut]
        self.voiced = self.sounding if whole.pitch is None else whole.pitch.voiced[cut] & self.sounding
        nuclei = whole.nuclei[(whole.nuclei >= start) & (whole.nuclei < stop)] - self.origin
        self.n_nuclei = int(self.sounding[nuclei].sum())

    def inside(self, frames: Frames) -> Frames:
        return np.minimum(frames + self.start, len(self.sounding) - 1)

    def delivery(self) -> Delivery:
        sounding = np.flatnonzero(self.sounding[self.start :]) + self.start
        if not len(sounding):
            return Delivery(0.0, None, None, (), None, None, None)
        onset, offset = int(sounding[0]), int(sounding[-1]) + 1
        frames = find_runs(self.pausing[onset:offset]) + onset + self.origin
        pauses = tuple((p * HOP_S, q * HOP_S) for p, q in frames.tolist())
        before = np.flatnonzero(self.sounding[:onset])
        speech_s = (offset - onset) * HOP_S
        return Delivery(
            speech_s,
            self.n_nuclei / speech_s,
            self.n_nuclei / (speech_s - sum(q - p for p, q in pauses)),
            pauses,
            (onset - 1 - int(before[-1])) * HOP_S if len(before) else None,
            _range(self.audible_db[sounding]),
            None if self.pitch is None else _range(self.pitch[self.start :][self.voiced[self.start :]]),
        )


def _range(values: Floats) -> float | None:
    return float(np.subtract(*np.quantile(values, [0.9, 0.1]))) if len(values) >= MIN_FRAMES else None


def _ratio(reference: float | None, take: float | None) -> float | None:
    if reference is None or take is None or reference < _MIN_RANGE_SEMITONES:
        return None
    return take / reference


def _paired_frames(steps: NDArray[np.integer], stretch: float) -> tuple[Frames, Frames]:
    """Return each frame of the reference on the path, and the middle of what it meets in the take."""
    first, begin, counts = np.unique(steps[:, 0], return_index=True, return_counts=True)
    middle = (steps[begin, 1] + steps[begin + counts - 1, 1]) / 2
    ours = np.arange(round(first[0] * stretch), round(first[-1] * stretch) + 1)
    theirs = np.interp(ours / stretch, first, middle) * stretch
    return ours, np.rint(theirs).astype(np.int64)


def _tempo(i: Frames, j: Frames, both: Mask, pausing: Mask) -> Sides:
    """Return the tempo over all, and the median of local tempos."""
    if both.sum() < MIN_FRAMES:
        return None, None
    first, last = np.flatnonzero(both)[[0, -1]]
    i, j, pausing = i[first : last + 1], j[first : last + 1], pausing[first : last + 1]
    whole, width = float((j[-1] - j[0] + 1) / (i[-1] - i[0] + 1)), _LOCAL_TEMPO_FRAMES
    if len(i) <= width:
        return whole, None
    slopes = (j[width:] - j[:-width])[~sliding_window_view(pausing, width + 1).any(axis=1)] / width
    return whole, float(np.median(slopes)) if len(slopes) >= MIN_FRAMES else None


def _correlation(a: Floats, b: Floats) -> float | None:
    # Rounding leaves even a constant contour some spread.
    measurable = len(a) >= MIN_FRAMES and min(np.ptp(a), np.ptp(b)) > 1e-3
    return float(np.corrcoef(a, b)[0, 1]) if measurable else None


def _levels(samples: Floats) -> Floats:
    half, n_frames = HOP // 2, 1 + len(samples) // HOP
    padded = np.pad(samples - samples.mean(), (3 * half, HOP * (n_frames + 1) - len(samples)))
    parts = padded[: len(padded) // half * half].reshape(-1, half)
    squares = np.einsum("ij,ij->i", parts, parts, dtype=np.float64)
    power = sliding_window_view(squares, 6)[::2][:n_frames].sum(axis=1)  # of 30 ms
    relative = power / (power.max() or 1.0)
    level_db: NDArray[np.float64] = 10 * np.log10(np.maximum(relative, 10 ** (-_LEVEL_RANGE_DB / 10)))
    return level_db.astype(np.float32)


def _syllable_nuclei(samples: Floats) -> Frames:
    windows = sliding_window_view(np.pad(samples, 256), 512)[::HOP]
    hann = np.hanning(512).astype(np.float32)
    power = np.empty(len(windows), np.float32)
    for k in range(0, len(windows), _BLOCK):
        spectrum = np.fft.rfft(windows[k : k + _BLOCK] * hann)[:, _VOWEL_BAND]
        power[k : k + _BLOCK] = (spectrum.real**2 + spectrum.imag**2).sum(axis=1)
    smooth = np.convolve(np.pad(power, 3, mode="edge"), np.hanning(9)[1:-1], "valid")  # Praat's 64 ms
    peaks = _peaks_between_dips(10 * np.log10(np.maximum(smooth, np.finfo(np.float32).tiny)))
    parts = [peaks[k : k + _BLOCK] for k in range(0, len(peaks), _BLOCK)]  # at least one peak there is
    return np.concatenate([part[_periodicity(samples, part) > _VOICING_THRESHOLD] for part in parts])


def _peaks_between_dips(level_db: NDArray[np.floating]) -> Frames:
    found, peak, peak_db, dip_db = [], 0, -np.inf, level_db[0] - _DIP_DB
    for frame, value in enumerate([*level_db.tolist(), -1e9]):  # so a peak at the very end counts
        if value >= max(dip_db + _DIP_DB, peak_db):
            peak, peak_db = frame, value
        elif value <= peak_db - _DIP_DB:
            found.append(peak)
            peak_db, dip_db = -np.inf, value
        dip_db = min(dip_db, value)
    return np.array(found, np.int64)


def _periodicity(samples: Floats, frames: Frames) -> NDArray[np.floating]:
    """Return the highest autocorrelation at the lag of a pitch period, the window's own divided out [2]_."""
    hann = np.hanning(_VOICING_WINDOW + 2)[1:-1]
    windows = sliding_window_view(np.pad(samples, _VOICING_WINDOW // 2), _VOICING_WINDOW)[frames * HOP]
    centered = (windows - windows.mean(axis=1, keepdims=True)) * hann
    spectrum = np.fft.rfft(np.vstack([hann, centered]), 2 * _VOICING_WINDOW)
    correlation = np.fft.irfft(spectrum.real**2 + spectrum.imag**2)
    correlation = correlation / np.maximum(correlation[:, :1], 1e-12)
    lags = slice(int(SAMPLE_RATE / FMAX_HZ), int(SAMPLE_RATE / FMIN_HZ) + 1)
    strength: NDArray[np.floating] = (correlation[1:, lags] / correlation[0, lags]).max(axis=1)
    return strength


def pitch_contour(hz: NDArray[np.floating]) -> PitchContour:
    """Turn pitch in Hz, NaN where unvoiced, into a contour without octave errors.

    Octave jumps within an utterance are folded back to where most of it lies; then frames outside 0.75 of
    the first to 1.5 of the third quartile of the speaker [4]_ are taken for unvoiced.
    """
    voiced, semitones = np.isfinite(hz), np.zeros(len(hz), np.float32)
    if voiced.sum() < MIN_FRAMES:
        return PitchContour(semitones, np.zeros_like(voiced), None)
    frames, raw = np.flatnonzero(voiced), 12 * np.log2(hz[voiced])
    parts = np.split(raw, np.flatnonzero(np.diff(frames) > _OCTAVE_GAP) + 1)
    unwrapped = [np.unwrap(part, period=12) for part in parts]
    folded = np.concatenate([y + np.median(x - y) for x, y in zip(parts, unwrapped, strict=True)])
    low, high = np.quantile(folded, [0.25, 0.75]) + 12 * np.log2([0.75, 1.5])
    kept = (folded >= low) & (folded <= high)
    median = float(np.median(folded[kept]))
    voiced[frames[~kept]] = False
    semitones[voiced] = folded[kept] - median
    return PitchContour(semitones, voiced, float(2 ** (median / 12)))


def _pyin_hz(samples: Floats) -> NDArray[np.float64]:
    import librosa  # noqa: PLC0415 - takes seconds

    blocks = []
    for start in range(0, 1 + len(samples) // HOP, _PYIN_BLOCK):
        first = max(0, start - _PYIN_MARGIN)
        part = samples[first * HOP : (start + _PYIN_BLOCK + _PYIN_MARGIN) * HOP]
        hz = librosa.pyin(part, sr=SAMPLE_RATE, **_PYIN)[0]
        hz[hz <= FMIN_HZ] = np.nan  # at the edge it found nothing better
        blocks.append(hz[start - first : start - first + _PYIN_BLOCK])
    return np.concatenate(blocks)
