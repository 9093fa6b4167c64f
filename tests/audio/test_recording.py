"""pydub is the oracle of levels and gain, librosa of resampling; files are real ones, whole and broken."""

import io
import itertools
import os
import shutil
import struct
import subprocess
import tracemalloc
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from signals import buzz

from speechcmp.audio.decode import BLOCK_FRAMES, AudioFile, Pcm, open_audio, read_once
from speechcmp.audio.origin import was_saved_here
from speechcmp.audio.recording import (
    Recording,
    apply_gain,
    count_clipped,
    load_recording,
    measure_level,
    mix_down,
    normalize,
    resample,
    save_pcm,
    to_mono,
    to_recording,
)
from speechcmp.errors import AudioError, DependencyError, ParameterError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from pydub import AudioSegment

WIDTHS = {"PCM_U8": 1, "PCM_16": 2, "PCM_24": 4, "PCM_32": 4}


def pcm_of(source: AudioFile | Recording) -> Pcm:
    return np.concatenate(list(source.pcm_blocks()))


def read_with_pydub(path: Path) -> AudioSegment:
    with path.open("rb") as stream:  # given a path, pydub leaves the file open
        return AudioSegment.from_file(stream, format="wav")


def pcm_of_pydub(segment: AudioSegment) -> Pcm:
    return np.array(segment.get_array_of_samples()).reshape(-1, segment.channels)


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    path = tmp_path / "speech.wav"
    soundfile.write(path, buzz(16_000), 16_000, subtype="PCM_16")
    return path


@pytest.mark.parametrize("subtype", WIDTHS)
@pytest.mark.parametrize("channels", [1, 2, 5])
@pytest.mark.parametrize("target_dbfs", [-20.0, -3.3, -61.7])
def test_normalize_equals_pydub(tmp_path: Path, subtype: str, channels: int, target_dbfs: float) -> None:
    path = tmp_path / "take.wav"
    samples = np.stack([buzz(30_011, 22_050, seed=k) / (k + 1) for k in range(channels)], axis=1)
    soundfile.write(path, samples, 22_050, subtype=subtype)
    segment = read_with_pydub(path)
    file = open_audio(path)
    assert file.sample_width == WIDTHS[subtype] == segment.sample_width
    assert measure_level(file).dbfs == segment.dBFS
    assert measure_level(file).peak_dbfs == pytest.approx(segment.max_dBFS)
    want = pcm_of_pydub(segment.apply_gain(target_dbfs - segment.dBFS))
    np.testing.assert_array_equal(pcm_of(normalize(file, target_dbfs=target_dbfs)), want)
    if subtype in {"PCM_U8", "PCM_16"}:  # float32 holds these exactly
        loaded = load_recording(path, mono=False)
        np.testing.assert_array_equal(pcm_of(normalize(loaded, target_dbfs=target_dbfs)), want)


def test_clipping_is_pydubs_and_is_counted(speech: Path) -> None:
    segment, file = read_with_pydub(speech), open_audio(speech)
    want = pcm_of_pydub(segment.apply_gain(12.0))
    louder = apply_gain(file, 12.0)
    np.testing.assert_array_equal(pcm_of(louder), want)
    n_clipped = int(((want == 32_767) | (want == -32_768)).sum())
    assert n_clipped > 100
    assert count_clipped(louder) == n_clipped
    assert apply_gain(load_recording(speech), 12.0).n_clipped == n_clipped


@settings(max_examples=50, deadline=None)
@given(
    pcm=st.lists(st.integers(-32_768, 32_767), min_size=1, max_size=40),
    gain_db=st.floats(-60, 40, allow_nan=False),
)
def test_gain_equals_pydub_on_any_samples(pcm: list[int], gain_db: float) -> None:
    values = np.array(pcm, np.int16)
    segment = AudioSegment(values.tobytes(), sample_width=2, frame_rate=8_000, channels=1)
    recording = Recording((values / 32_768).astype(np.float32), 8_000)
    np.testing.assert_array_equal(pcm_of(apply_gain(recording, gain_db)), pcm_of_pydub(segment.apply_gain(gain_db)))


def test_silence_has_no_level() -> None:
    level = measure_level(Recording(np.zeros(10, np.float32), 8_000))
    assert level == (-np.inf, -np.inf, 0)


def count_cut_off_slowly(values: list[int], ceiling: int) -> int:
    runs = [list(run) for _, run in itertools.groupby(values)]
    return sum(len(run) for run in runs if len(run) >= 3 and abs(run[0]) >= ceiling)


@given(st.lists(st.sampled_from([-32_768, -32_767, -32_735, 0, 32_735, 32_736, 32_767]), min_size=1, max_size=30))
def test_samples_cut_off_are_counted(pcm: list[int]) -> None:
    left = np.array(pcm, np.int16)
    both = np.stack([left, left[::-1] // 2], axis=1)
    recording = Recording((both / 32_768).astype(np.float32), 8_000)
    assert measure_level(recording).n_cut_off == count_cut_off_slowly(pcm, 32_736)


@pytest.mark.parametrize("subtype", WIDTHS)
def test_a_loud_tone_is_not_cut_off_but_a_louder_one(tmp_path: Path, subtype: str) -> None:
    tone = np.sin(2 * np.pi * 310 * np.arange(16_000) / 16_000)
    for gain in (0.9999, 1.6):
        soundfile.write(tmp_path / "tone.wav", np.clip(gain * tone, -1, 1), 16_000, subtype=subtype)
        n_cut_off = measure_level(open_audio(tmp_path / "tone.wav")).n_cut_off
        share = 0 if gain < 1 else 1 - 2 * np.arcsin(1 / gain) / np.pi
        assert n_cut_off / 16_000 == pytest.approx(share, abs=0.06)


@pytest.mark.parametrize("suffix", ["wav", "flac", "mp3", "ogg", "opus", "aiff"])
def test_libsndfile_formats_are_read(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"take.{suffix}"
    rate = 48_000 if suffix == "opus" else 44_100
    samples = np.stack([buzz(rate, rate), buzz(rate, rate, pitch_hz=200)], axis=1)
    options = {"format": "OGG", "subtype": "OPUS"} if suffix == "opus" else {}
    soundfile.write(path, samples, rate, **options)
    recording = load_recording(path, mono=False)
    assert (recording.sample_rate, recording.channels) == (rate, 2)
    assert recording.duration_s == pytest.approx(1.0, abs=0.08)  # lossy codecs pad their ends
    n_frames = min(recording.n_frames, rate)
    assert np.abs(recording.samples[:n_frames]).mean() == pytest.approx(np.abs(samples).mean(), rel=0.1)


@pytest.mark.parametrize("suffix", ["m4a", "webm", "wma"])
def test_other_formats_are_read_through_ffmpeg(tmp_path: Path, speech: Path, suffix: str) -> None:
    path = tmp_path / f"-strange:name.{suffix}"  # neither an option nor a protocol to ffmpeg
    subprocess.run(["ffmpeg", "-v", "error", "-i", speech, f"file:{path}"], check=True)
    for source in (path, io.BytesIO(path.read_bytes())):
        recording = load_recording(source)
        assert recording.duration_s == pytest.approx(1.0, abs=0.1)
        assert measure_level(recording).dbfs == pytest.approx(measure_level(open_audio(speech)).dbfs, abs=1)


def test_missing_ffmpeg_is_named(tmp_path: Path, speech: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "take.m4a"
    subprocess.run(["ffmpeg", "-v", "error", "-i", speech, path], check=True)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(DependencyError, match=r"take\.m4a.*ffmpeg.*apt install ffmpeg"):
        open_audio(path)


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_float_files_are_clipped_to_full_scale(tmp_path: Path, subtype: str) -> None:
    path = tmp_path / "float.wav"
    soundfile.write(path, np.array([0.25, -0.5, 2.0, -2.0]), 8_000, subtype=subtype)
    np.testing.assert_allclose(load_recording(path).samples, [0.25, -0.5, 1.0, -1.0], atol=1e-7)


def test_long_files_are_read_in_blocks(tmp_path: Path) -> None:
    path = tmp_path / "long.flac"
    samples = (np.arange(2 * BLOCK_FRAMES + 77) % 9_973).astype(np.int16)
    soundfile.write(path, samples, 16_000)
    blocks = list(open_audio(path).pcm_blocks())
    assert [len(block) for block in blocks] == [BLOCK_FRAMES, BLOCK_FRAMES, 77]
    np.testing.assert_array_equal(np.concatenate(blocks)[:, 0], samples)
    part = np.concatenate(list(open_audio(path).pcm_blocks(BLOCK_FRAMES - 5, BLOCK_FRAMES + 9)))
    np.testing.assert_array_equal(part[:, 0], samples[BLOCK_FRAMES - 5 : BLOCK_FRAMES + 9])
    np.testing.assert_array_equal(to_recording(open_audio(path)).samples * 32_768, samples)


def test_streams_are_read(speech: Path) -> None:
    want = load_recording(speech).samples
    stream = open_audio(io.BytesIO(speech.read_bytes()), name="stdin")
    assert (stream.name, stream.path) == ("stdin", None)
    np.testing.assert_array_equal(to_recording(stream).samples, want)


def test_wav_written_to_a_pipe_has_no_length_and_is_read(tmp_path: Path, speech: Path) -> None:
    path = tmp_path / "streamed.wav"
    command = ["ffmpeg", "-v", "error", "-i", str(speech), "-f", "wav", "-"]
    path.write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)
    np.testing.assert_array_equal(load_recording(path).samples, load_recording(speech).samples)


@pytest.mark.parametrize("size", [b"\0\0\0\0", b"\xff\xff\xff\xff"])
def test_wav_of_a_pipe_may_say_any_length(tmp_path: Path, speech: Path, size: bytes) -> None:
    data = speech.read_bytes()
    position = data.index(b"data") + 4
    path = tmp_path / "streamed.wav"
    path.write_bytes(data[:position] + size + data[position + 4 :])
    for source in (path, io.BytesIO(path.read_bytes())):
        np.testing.assert_array_equal(load_recording(source).samples, load_recording(speech).samples)


@pytest.mark.parametrize(
    ("form", "codec"), [("flac", "flac"), ("mp3", "libmp3lame"), ("caf", "pcm_s16be"), ("au", "pcm_s16be")]
)
def test_other_formats_written_to_a_pipe_are_read_whole(tmp_path: Path, speech: Path, form: str, codec: str) -> None:
    path = tmp_path / f"streamed.{form}"
    command = ["ffmpeg", "-v", "error", "-i", str(speech), "-c:a", codec, "-f", form, "-"]
    path.write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)
    recording = load_recording(path)
    assert recording.duration_s == pytest.approx(1.0, abs=0.15 if form == "mp3" else 0)
    assert recording.samples[-8_000:].any()


@pytest.mark.filterwarnings("error")
def test_numbers_beyond_any_sound_are_clipped_without_a_word(tmp_path: Path) -> None:
    path = tmp_path / "huge.wav"
    soundfile.write(path, np.array([0.25, 1e308, -1e308, 0.5]), 8_000, subtype="DOUBLE")
    np.testing.assert_allclose(load_recording(path).samples, [0.25, 1, -1, 0.5], atol=1e-7)
    loud = Recording(np.array([0.25, 3e38, -3e38], np.float32), 8_000)
    np.testing.assert_array_equal(pcm_of(loud)[:, 0], [8_192, 32_767, -32_768])


def test_long_recordings_are_refused_unless_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "day.flac"
    soundfile.write(path, (np.arange(5 * 3600 * 1000) % 99).astype(np.int16), 1000)
    with pytest.raises(AudioError, match=r"day\.flac: longer than 4 h \(5\.0 h\); .*--max-duration HOURS"):
        open_audio(path)
    monkeypatch.setenv("SPEECHCMP_MAX_DURATION", "6")
    assert measure_level(open_audio(path)).peak_dbfs < 0
    monkeypatch.setattr("speechcmp.audio.recording.MAX_SAMPLES", 5_000_000)
    with pytest.raises(AudioError, match=r"day\.flac: too long for memory \(5\.0 h.*; cut it into parts first"):
        load_recording(path)
    for odd in ("long", "-1", "nan"):
        monkeypatch.setenv("SPEECHCMP_MAX_DURATION", odd)
        with pytest.raises(ParameterError, match="--max-duration"):
            open_audio(path)


def test_gain_of_a_long_recording_takes_little_memory() -> None:
    recording = Recording(np.resize(buzz(8_000), 8 * BLOCK_FRAMES + 3), 16_000)
    tracemalloc.start()
    try:
        louder = apply_gain(recording, 6.0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 3 * recording.samples.nbytes
    want = np.clip(np.floor(recording.samples.astype(np.float64) * 32_768 * 10 ** (6 / 20)), -32_768, 32_767)
    np.testing.assert_array_equal(louder.samples * 32_768, want)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
@pytest.mark.parametrize(("n_frames", "rate"), [(7, 8_000), (3_000, 16_000), (2 * BLOCK_FRAMES + 77, 44_100)])
def test_a_file_becomes_mono_as_a_recording_does(
    tmp_path: Path, n_frames: int, rate: int, subtype: str, channels: int
) -> None:
    path = tmp_path / "take.wav"
    noise = np.random.default_rng(0).uniform(-0.9, 0.9, (n_frames, channels))
    soundfile.write(path, noise, rate, subtype=subtype)
    file = apply_gain(open_audio(path), -3.0)
    ours, theirs = to_mono(file, 16_000), to_mono(to_recording(file), 16_000)
    np.testing.assert_array_equal(ours.samples, theirs.samples)
    assert (ours.sample_rate, ours.samples.ndim) == (16_000, 1)
    held = read_once(file)
    np.testing.assert_array_equal(to_recording(held).samples, to_recording(file).samples)
    path.unlink()
    np.testing.assert_array_equal(to_mono(held, 16_000).samples, ours.samples)


def test_channels_are_mixed_to_their_mean() -> None:
    stereo = Recording(np.array([[1.0, 0.0], [0.5, -0.5]], np.float32), 8_000)
    np.testing.assert_array_equal(mix_down(stereo).samples, [0.5, 0.0])


@pytest.mark.slow
@pytest.mark.parametrize(("rate", "target"), [(8_000, 22_050), (44_100, 16_000), (16_000, 16_000), (11_025, 8_000)])
def test_resample_equals_librosa(rate: int, target: int) -> None:
    import librosa

    samples = buzz(rate + 13, rate)
    want = librosa.resample(samples, orig_sr=rate, target_sr=target)
    got = resample(Recording(samples, rate), target)
    assert got.sample_rate == target
    np.testing.assert_allclose(got.samples, want, atol=1e-6)


def broken_files(folder: Path, whole: Path) -> dict[str, Path]:
    """Write one file of each kind that must be refused."""
    data = whole.read_bytes()
    flac, ogg = folder / "whole.flac", folder / "whole.ogg"
    for path in (flac, ogg):
        soundfile.write(path, buzz(160_000), 16_000)
    nan = buzz(1_000)
    nan[500] = np.nan
    soundfile.write(folder / "nan.wav", nan, 16_000, subtype="FLOAT")
    soundfile.write(folder / "silent.wav", np.zeros(8_000), 16_000)
    contents = {
        "empty.wav": b"",
        "headeronly.wav": data[:40] + struct.pack("<I", 0),
        "truncated.wav": data[: len(data) // 2],
        "truncated.flac": flac.read_bytes()[: flac.stat().st_size // 2],
        "truncated.ogg": ogg.read_bytes()[: ogg.stat().st_size // 2],
        "text.wav": b"these are words, not sounds\n" * 100,
        "noise.mp3": np.random.default_rng(0).bytes(5_000),
        "zeros.m4a": bytes(5_000),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    (folder / "folder.wav").mkdir()
    names = [*contents, "nan.wav", "silent.wav", "folder.wav", "missing.wav"]
    return {name: folder / name for name in names}


REASONS = {
    "empty.wav": "empty",
    "headeronly.wav": "empty",
    "truncated.wav": "truncated",
    "truncated.flac": "truncated|broken",
    "truncated.ogg": "truncated",
    "text.wav": "not audio but text",
    "noise.mp3": "not audio|broken",
    "zeros.m4a": "not audio",
    "nan.wav": "NaN",
    "silent.wav": "silent",
    "folder.wav": "folder",
    "missing.wav": "no such file",
}


@pytest.mark.parametrize("name", REASONS)
def test_unusable_files_are_named_with_the_reason(tmp_path: Path, speech: Path, name: str) -> None:
    path = broken_files(tmp_path, speech)[name]
    with pytest.raises(AudioError, match=rf"{name}: .*({REASONS[name]}).*; \w+") as caught:
        load_recording(path)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_files_without_permission_are_named(speech: Path) -> None:
    speech.chmod(0)
    with pytest.raises(AudioError, match="unreadable"):
        load_recording(speech)


def test_file_that_shrinks_while_it_is_read_is_truncated(tmp_path: Path, speech: Path) -> None:
    path = Path(shutil.copy(speech, tmp_path / "shrinking.wav"))
    file = open_audio(path)
    path.write_bytes(path.read_bytes()[:2_000])
    with pytest.raises(AudioError, match=r"truncated after 0\.1 s of 1\.0 s"):
        to_recording(file)


def test_impossible_arguments_are_named(speech: Path) -> None:
    with pytest.raises(ParameterError, match=r"target_dbfs: 5.* -100 to 0"):
        normalize(load_recording(speech), target_dbfs=5)
    with pytest.raises(ParameterError, match="shape"):
        Recording(np.zeros((0,), np.float32), 8_000)
    with pytest.raises(ParameterError, match="0 Hz"):
        Recording(np.zeros(5, np.float32), 0)
    with pytest.raises(AudioError, match="silent"):
        normalize(Recording(np.zeros(5, np.float32), 8_000, "quiet.wav"))


def test_playlists_are_not_followed(tmp_path: Path, speech: Path) -> None:
    subprocess.run(["ffmpeg", "-v", "error", "-i", speech, tmp_path / "other.aac"], check=True)
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{tmp_path / 'other.aac'}\n#EXT-X-ENDLIST\n"
    (tmp_path / "take.m4a").write_text(playlist)
    for source in (tmp_path / "take.m4a", io.BytesIO(playlist.encode())):
        with pytest.raises(AudioError, match="not audio but text"):
            open_audio(source)


@pytest.mark.parametrize("rate", [1, 99, 2_000_000])
def test_impossible_sample_rates_are_named(tmp_path: Path, rate: int) -> None:
    soundfile.write(tmp_path / "odd.wav", buzz(1_000), rate)
    with pytest.raises(AudioError, match=rf"{rate} Hz is not possible"):
        open_audio(tmp_path / "odd.wav")


@given(
    pcm=arrays(st.sampled_from(["i1", "i2"]), array_shapes(max_dims=2, max_side=20)),
    rate=st.sampled_from([8000, 16_000, 44_100]),
)
def test_pydub_segments_come_back_as_they_were(pcm: NDArray[np.integer], rate: int) -> None:
    channels = 1 if pcm.ndim == 1 else pcm.shape[1]
    segment = AudioSegment(pcm.tobytes(), sample_width=pcm.itemsize, frame_rate=rate, channels=channels)
    recording = Recording.from_pydub(segment, name="one")
    assert (recording.name, recording.channels, recording.sample_width) == ("one", channels, pcm.itemsize)
    assert recording.to_pydub() == segment
    assert recording.samples.shape == (pcm.shape if channels > 1 else (len(pcm),))
    as_array = Recording.from_array(pcm, rate)
    assert (as_array.samples == recording.samples).all()
    assert as_array.to_pydub() == segment


@given(arrays("i4", st.integers(1, 20)))
def test_32_bit_segments_keep_what_float32_holds(pcm: NDArray[np.int32]) -> None:
    segment = AudioSegment(pcm.tobytes(), sample_width=4, frame_rate=8000, channels=1)
    back = Recording.from_pydub(segment).to_pydub()
    kept = np.minimum(pcm.astype(np.float32).astype(np.float64), 2**31 - 1)
    assert (pcm_of_pydub(back)[:, 0] == kept).all()
    assert back.sample_width == 4


@pytest.mark.parametrize("subtype", WIDTHS)
def test_recordings_are_what_pydub_reads(tmp_path: Path, subtype: str) -> None:
    path = tmp_path / "x.wav"
    soundfile.write(path, buzz(3000), 16_000, subtype=subtype)
    segment = read_with_pydub(path)
    loaded, made = load_recording(path), Recording.from_pydub(segment)
    assert (loaded.samples == made.samples).all()
    assert loaded.sample_width == made.sample_width == WIDTHS[subtype]
    assert loaded.to_pydub() == made.to_pydub()


def test_arrays_are_scaled_by_their_type_and_copied() -> None:
    for kind in ("u1", "u2", "u4"):
        top = np.iinfo(kind).max
        assert np.allclose(
            Recording.from_array(np.array([0, top // 2 + 1, top], kind), 8000).samples, [-1, 0, 1], atol=1e-2
        )
    floats = np.array([[0.5], [-1.25]])
    recording = Recording.from_array(floats, np.int64(8000))  # type: ignore[arg-type]
    floats[:] = 0
    assert recording.samples.tolist() == [0.5, -1.25]
    assert (recording.sample_rate, recording.sample_width, recording.channels) == (8000, 4, 1)
    shared = np.ones(3, np.float32)
    assert not np.shares_memory(Recording.from_array(shared, 8000).samples, shared)
    assert Recording.from_array(np.zeros((5, 2), np.float16), 8000.0).samples.shape == (5, 2)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        ([], 8000, r"n > 0, given shape \(0,\)"),
        (np.zeros((2, 2, 2)), 8000, "given shape"),
        ([1, 2], 8000, "given int64; convert"),
        ([True], 8000, "given bool"),
        ([1j], 8000, "given complex128"),
        (["a"], 8000, "given <U1"),
        ([[1.0], [1.0, 2.0]], 8000, "are no array"),
        ([0.0, np.nan], 8000, "not finite"),
        ([0.0, 300.0], 8000, "reach 300, full scale is 1; divide"),
        (np.zeros((2, 9000)), 8000, r"9000 channels.*samples\.T"),
        ([0.5], 0, "sample_rate 0 Hz is not possible"),
        ([0.5], 8000.5, "is not whole"),
        ([0.5], "8000", "given '8000'"),
    ],
)
def test_arrays_that_are_no_recording_are_named(samples: Any, rate: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=f"^mine: .*{message}"):
        Recording.from_array(samples, rate, name="mine")


def test_what_is_no_segment_is_named() -> None:
    not_one: Any = [0.0]
    with pytest.raises(ParameterError, match=r"^mine: must be a pydub\.AudioSegment, given list; use"):
        Recording.from_pydub(not_one, name="mine")
    with pytest.raises(ParameterError, match=r"^mine: .* given shape \(0,\)"):
        Recording.from_pydub(AudioSegment.empty(), name="mine")


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".WAV"])
@pytest.mark.parametrize("kind", ["i1", "i2", "i4"])
def test_recordings_and_files_are_saved_alike(tmp_path: Path, suffix: str, kind: str) -> None:
    full_scale = np.iinfo(kind).max + 1
    pcm = (np.stack([buzz(3000), -buzz(3000)], axis=1) * full_scale).astype(kind)
    if kind == "i4":
        pcm = pcm // 256 * 256  # what 24 bits hold
    recording = Recording.from_array(pcm, 16_000)
    first, second = tmp_path / f"first{suffix}", tmp_path / f"second{suffix}"
    recording.save(first, start=500, stop=2500)
    assert was_saved_here(first)
    back = load_recording(first, mono=False)
    # A negative sample of 24 bits is read with a low byte of 255, as pydub does.
    bits_24 = kind == "i4" and suffix == ".flac"
    assert np.abs(back.samples - recording.samples[500:2500]).max() <= (2**-23 if bits_24 else 0)
    assert back.sample_width == recording.sample_width
    back.save(str(second))
    assert bits_24 or second.read_bytes() == first.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == [first.name, second.name]


def test_what_cant_be_saved_is_named(tmp_path: Path) -> None:
    recording = Recording.from_array(buzz(100), 16_000, name="mine")
    with pytest.raises(ParameterError, match=r"x\.mp3: is saved as WAV or FLAC only"):
        recording.save(tmp_path / "x.mp3")
    for start, stop in ((0, 0), (5, 3), (-1, 5), (0, 101)):
        with pytest.raises(ParameterError, match=r"^mine: start .* give 0 <= start < stop <= 100"):
            recording.save(tmp_path / "x.wav", start=start, stop=stop)
    with pytest.raises(AudioError, match="can't be written"):
        recording.save(tmp_path / "no" / "x.wav")
    assert not list(tmp_path.iterdir())


def test_recordings_show_themselves_in_one_line(speech: Path) -> None:
    assert repr(load_recording(speech, name="a")) == "Recording('a', 1.00 s, 16000 Hz, mono)"
    assert repr(open_audio(speech, name="b")) == "AudioFile('b', 1.00 s, 16000 Hz, mono)"
    assert repr(Recording.from_array(np.zeros((80, 2)), 8000)) == "Recording('recording', 0.01 s, 8000 Hz, 2 channels)"


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_by_name_where_descriptors_do_not_do(
    speech: Path, tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows: its libsndfile knows no descriptor of Python's."""
    by = []
    sound_file = soundfile.SoundFile

    def spied(place: Any, *words: Any, **named: Any) -> Any:
        by.append(type(place))
        return sound_file(place, *words, **named)

    expected = load_recording(speech).samples
    monkeypatch.setattr("speechcmp.audio.decode._TAKES_DESCRIPTORS", False)
    monkeypatch.setattr(soundfile, "SoundFile", spied)
    copy = tmp_path / f"é{suffix}"
    save_pcm(copy, open_audio(speech))
    assert np.array_equal(load_recording(copy).samples, expected)
    assert set(by) == {str}


def test_a_name_that_says_raw_is_no_bug_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("speechcmp.audio.decode._TAKES_DESCRIPTORS", False)
    path = tmp_path / "take.raw"
    path.write_bytes(b"neither a header nor a sample rate")
    with pytest.raises(AudioError, match=r"take\.raw: not audio"):
        open_audio(path)
