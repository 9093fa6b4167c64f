"""Recordings that were damaged on the way: what is lost is said or refused, and whole ones are left in peace."""

import io
import math
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from decoding import opened, said_s
from signals import syllables

from speechcmp.audio.damage.mpeg import adts_frames, mp3_frames
from speechcmp.audio.damage.ogg import ogg_pages
from speechcmp.audio.decode import open_audio
from speechcmp.errors import AudioError

pytestmark = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
RATE = 16_000
DURATION_S = 12
NO_COUNT = ("-write_xing", "0")
Encode = Callable[..., bytes]


@pytest.fixture(scope="module")
def encode(tmp_path_factory: pytest.TempPathFactory) -> Encode:
    """Encode twelve seconds that sound all the time, so that whatever is lost shows."""
    folder = tmp_path_factory.mktemp("damage")
    spoken = folder / "spoken.wav"
    soundfile.write(spoken, 0.5 * syllables(DURATION_S, RATE, seed=3), RATE)
    done: dict[tuple[object, ...], bytes] = {}

    def call(suffix: str, *options: object) -> bytes:
        if (suffix, options) not in done:
            path = folder / f"take.{suffix}"
            command = ["ffmpeg", "-v", "error", "-y", "-i", str(spoken), *map(str, options), str(path)]
            subprocess.run(command, check=True)
            done[suffix, options] = path.read_bytes()
        return done[suffix, options]

    return call


def holed(data: bytes, share: float = 0.25) -> bytes:
    start, n = len(data) // 2, int(len(data) * share)
    return data[:start] + bytes(n) + data[start + n :]


# ------------------------------------------------------------------------------------------------- MP3, AAC

FRAMES = [
    ("mp3", *NO_COUNT, "-b:a", "48k"),
    ("mp3", *NO_COUNT, "-q:a", "4"),
    ("mp3", *NO_COUNT, "-ar", "44100", "-ac", "2"),
    ("mp3", *NO_COUNT, "-ar", "8000"),
    ("mp3", "-b:a", "48k"),
    ("mp2", "-b:a", "64k"),
    ("aac",),
    ("aac", "-ar", "44100", "-ac", "2"),
]


@pytest.mark.parametrize("form", FRAMES, ids=" ".join)
def test_a_hole_among_frames_is_said(encode: Encode, form: tuple[str, ...]) -> None:
    data = encode(*form)
    lost_s = said_s(holed(data))
    assert lost_s is None or lost_s == pytest.approx(DURATION_S / 4, rel=0.25) or lost_s > DURATION_S / 4


@pytest.mark.parametrize("form", FRAMES, ids=" ".join)
def test_a_piece_cut_out_is_noticed(encode: Encode, form: tuple[str, ...]) -> None:
    data = encode(*form)
    for start in (len(data) // 3, len(data) // 2):
        lost_s = said_s(data[:start] + data[start + 3_333 :])
        assert lost_s is None or lost_s > 0


def test_frames_that_are_gone_show_by_the_count(encode: Encode) -> None:
    data = encode("mp3", "-b:a", "48k")  # all frames are 216 bytes
    start = len(data) // 2
    cut = data[:start] + data[start + 100 * 216 + 60 :]
    found = mp3_frames(io.BytesIO(cut))
    assert found is not None
    assert found.lost_s == pytest.approx(100 * 0.036, abs=0.1)
    lost_s = said_s(cut)
    assert lost_s is None or lost_s == pytest.approx(100 * 0.036, abs=0.2)


def test_frames_that_are_gone_show_by_main_data_in_another_frame(encode: Encode) -> None:
    data = encode("mp3", *NO_COUNT, "-ar", "44100", "-b:a", "128k")
    frames = frame_starts(data)
    noticed = [said_s(data[: frames[k]] + data[frames[k + 40] :]) != 0 for k in range(100, 300, 10)]
    assert sum(noticed) >= len(noticed) // 4, "the others leave no trace"


def frame_starts(data: bytes) -> list[int]:
    """Find the frames of an MP3 of MPEG-1, 44.1 kHz and 128 kbit/s."""
    start = data.index(b"\xff\xfb")
    starts = []
    while start + 4 < len(data):
        starts.append(start)
        start += 144 * 128_000 // 44_100 + (data[start + 2] >> 1 & 1)
    return starts


def test_flipped_headers_are_said(encode: Encode) -> None:
    data = bytearray(encode("mp3", *NO_COUNT, "-b:a", "48k", "-id3v2_version", "0"))
    n_flipped = 0
    for start in range(216 * 50, 216 * 60, 216):
        assert data[start : start + 2] == b"\xff\xf3"
        data[start + 1] ^= 0x80
        n_flipped += 1
    lost_s = said_s(bytes(data))
    assert lost_s is None or lost_s >= n_flipped * 0.036


@pytest.mark.parametrize("form", [("mp3", *NO_COUNT, "-q:a", "4"), ("mp3",), ("mp3", "-q:a", "4")], ids=" ".join)
def test_mp3_is_read_to_its_end(encode: Encode, form: tuple[str, ...]) -> None:
    """libsndfile takes the first frame's bit rate for all, and the first file's count for that of joined ones."""
    data = encode(*form)
    for n in (1, 2):
        file = opened(n * data)
        assert file is not None
        assert file.duration_s == pytest.approx(n * DURATION_S, abs=0.2)
        assert file.lost_s == 0


def test_zeros_at_the_end_are_lost(encode: Encode) -> None:
    for form in (("mp3", *NO_COUNT), ("aac",)):
        data = encode(*form)
        lost_s = said_s(data[: len(data) // 2] + bytes(len(data) // 2))
        assert lost_s is None or lost_s == pytest.approx(DURATION_S / 2, abs=0.5)


ID3 = b"ID3\x04\0\0\0\0\x40\0" + np.random.default_rng(0).bytes(0x2000)
ID3V1 = b"TAG" + bytes(125)
APE = b"APETAGEX" + b"\xd0\x07\0\0" + (232).to_bytes(4, "little") + bytes(4) + b"\0\0\0\xa0" + bytes(8)
APE += bytes(range(200)) + APE[:23] + b"\x80" + bytes(8)


@pytest.mark.parametrize("form", FRAMES, ids=" ".join)
def test_whole_files_with_tags_have_lost_nothing(encode: Encode, form: tuple[str, ...]) -> None:
    data = encode(*form)
    walk = adts_frames if form[0] == "aac" else mp3_frames
    for whole in (data, ID3 + data, data + ID3V1, data + APE + ID3V1, ID3 + data + ID3V1 + ID3 + data):
        found = walk(io.BytesIO(whole))
        assert found is not None
        assert found.lost_s == 0
        n_times = 1 if whole.count(data) == 1 else 2
        assert found.heard_s == pytest.approx(n_times * DURATION_S, abs=0.2 * n_times)
    assert said_s(data) == 0


@pytest.mark.parametrize("form", [form for form in FRAMES if "0" in form or form[0] == "aac"], ids=" ".join)
def test_streams_joined_anywhere_have_lost_nothing(encode: Encode, form: tuple[str, ...]) -> None:
    data = encode(*form)
    walk = adts_frames if form[0] == "aac" else mp3_frames
    for start in range(len(data) // 4, len(data) // 4 + 600, 61):
        found = walk(io.BytesIO(data[start:-57]))
        assert found is not None
        assert found.lost_s == 0


def test_mp3_in_a_wav_file_is_whole(encode: Encode) -> None:
    assert said_s(encode("wav", "-c:a", "libmp3lame")) == 0


def test_frames_after_a_hole_are_heard(encode: Encode) -> None:
    data = encode("mp3", "-b:a", "64k", *NO_COUNT)
    for start in (450, 592, 600):
        file = opened(data[:start] + data[4687:])
        assert file is None or file.duration_s + file.lost_s > DURATION_S - 0.7, start
        assert file is None or file.duration_s > DURATION_S - 2


@pytest.mark.parametrize(
    "options",
    [("-itsoffset", "5"), ("-f", "lavfi", "-i", "color=s=16x16:r=5:d=20", "-c:v", "mjpeg")],
    ids=("late", "video"),
)
def test_what_else_a_container_holds_is_not_lost(encode: Encode, tmp_path: Path, options: tuple[str, ...]) -> None:
    (tmp_path / "spoken.flac").write_bytes(encode("flac"))
    late = options[0] == "-itsoffset"
    before, after = (options, ()) if late else ((), options)
    command = ["ffmpeg", "-v", "error", *before, "-i", str(tmp_path / "spoken.flac"), *after, str(tmp_path / "x.mkv")]
    subprocess.run(command, check=True)
    assert said_s((tmp_path / "x.mkv").read_bytes()) == 0


def test_what_is_no_mp3_is_none() -> None:
    for data in (b"", b"ID3", bytes(5_000), np.random.default_rng(1).bytes(100_000), b"\xff" * 5_000):
        assert mp3_frames(io.BytesIO(data)) is None
        assert adts_frames(io.BytesIO(data)) is None


@pytest.mark.parametrize("rubbish", [b"\xff\xf3\x44\x00\x00", b"\xff\xf3", b"\0\xff", b"OggS"])
def test_rubbish_takes_no_time(encode: Encode, rubbish: bytes) -> None:
    data = encode("mp3", *NO_COUNT)
    begin_s = time.process_time()
    found = mp3_frames(io.BytesIO(data + rubbish * (20_000_000 // len(rubbish))))
    assert time.process_time() - begin_s < 2
    assert found is not None
    assert found.lost_s > 0


def test_windows_do_not_show(encode: Encode, monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode("mp3", "-ar", "44100", "-b:a", "128k")
    hole = holed(data)
    expected = [mp3_frames(io.BytesIO(item)) for item in (data, hole)]
    monkeypatch.setattr("speechcmp.audio.damage.mpeg._WINDOW_BYTES", 4_097)
    assert [mp3_frames(io.BytesIO(item)) for item in (data, hole)] == expected


# ------------------------------------------------------------------------------------------------- Ogg

PAGES = [
    ("ogg", "-c:a", "libvorbis"),
    ("ogg", "-c:a", "libvorbis", "-page_duration", "200000"),
    ("opus",),
    ("ogg", "-c:a", "flac"),
    ("ogg", "-c:a", "libspeex"),
]
per_codec = pytest.mark.parametrize("form", PAGES, ids=" ".join)


def encoded_pages(encode: Encode, form: tuple[str, ...]) -> list[bytes]:
    try:
        data = encode(*form)
    except subprocess.CalledProcessError:
        pytest.skip("this ffmpeg has no such encoder")
    pages, start = [], 0
    while start < len(data):
        n = data[start + 26]
        stop = start + 27 + n + sum(data[start + 27 : start + 27 + n])
        pages.append(data[start:stop])
        start = stop
    return pages


def positions_s(pages: list[bytes], form: tuple[str, ...]) -> list[float]:
    rate = 48_000 if form[0] == "opus" else RATE
    return [int.from_bytes(page[6:14], "little") / rate for page in pages]


def lost_in_pages_s(pages: list[bytes]) -> float:
    found = ogg_pages(io.BytesIO(b"".join(pages)))
    assert found is not None
    return found.lost_s


@per_codec
@pytest.mark.parametrize("n", [1, 4])
@pytest.mark.parametrize("how", ["gone", "flipped", "zeroed"])
def test_pages_in_a_row(encode: Encode, form: tuple[str, ...], n: int, how: str) -> None:
    pages = encoded_pages(encode, form)
    middle = len(pages) // 2
    truth_s = positions_s(pages, form)[middle + n - 1] - positions_s(pages, form)[middle - 1]
    row = pages[middle : middle + n]
    if how == "flipped":
        pages[middle : middle + n] = [page[:-9] + bytes([page[-9] ^ 4]) + page[-8:] for page in row]
    elif how == "zeroed":
        joined = b"".join(row)
        pages[middle : middle + n] = [joined[:40] + bytes(len(joined) - 80) + joined[-40:]]
    else:
        del pages[middle : middle + n]
    assert lost_in_pages_s(pages) == pytest.approx(truth_s, rel=0.1, abs=0.1)
    lost_s = said_s(b"".join(pages))
    assert lost_s is None or lost_s > 0.85 * truth_s


def test_no_page_but_headers(encode: Encode) -> None:
    pages = encoded_pages(encode, ("opus",))
    pages[2:] = [page[:-9] + bytes([page[-9] ^ 4]) + page[-8:] for page in pages[2:]]
    assert lost_in_pages_s(pages) == math.inf
    assert opened(b"".join(pages)) is None
    pages[-1] = encoded_pages(encode, ("opus",))[-1]
    lost_s = said_s(b"".join(pages))
    assert lost_s is None or lost_s > 0.9 * DURATION_S


@per_codec
def test_the_page_before_the_last(encode: Encode, form: tuple[str, ...]) -> None:
    pages = encoded_pages(encode, form)
    truth_s = positions_s(pages, form)[-2] - positions_s(pages, form)[-3]
    del pages[-2]
    lost_s = said_s(b"".join(pages))
    assert lost_s is None or lost_s == pytest.approx(truth_s, abs=0.15)


@per_codec
def test_pages_that_changed_places(encode: Encode, form: tuple[str, ...]) -> None:
    for first, second, n_moved in ((5, 6, 1), (5, 9, 2)):
        pages = encoded_pages(encode, form)
        a_page_s = positions_s(pages, form)[6] - positions_s(pages, form)[5]
        pages[first], pages[second] = pages[second], pages[first]
        assert lost_in_pages_s(pages) == pytest.approx(n_moved * a_page_s, rel=0.2)
        lost_s = said_s(b"".join(pages))
        assert lost_s is None or lost_s > 0.8 * a_page_s


@per_codec
def test_whole_pages_have_lost_nothing(encode: Encode, form: tuple[str, ...]) -> None:
    pages = encoded_pages(encode, form)
    headers = sum(position == 0 for position in positions_s(pages, form))
    for whole in (pages, pages[:headers] + pages[-4:], pages + encoded_pages(encode, (*form, "-ac", "2"))):
        assert said_s(b"".join(whole)) == 0
    file = opened(b"".join(2 * pages))
    assert file is not None
    assert file.duration_s == pytest.approx(2 * DURATION_S, abs=0.1)
    assert file.lost_s == 0


# ------------------------------------------------------------------------------------------------- FLAC


@pytest.mark.parametrize("rate", [8_000, 16_000, 22_050, 44_100, 48_000, 11_025])
def test_flac_rates_that_lie_are_refused(rate: int, tmp_path: Path) -> None:
    samples = (2_000 * np.random.default_rng(0).standard_normal(2 * rate)).astype(np.int16)
    path = tmp_path / "take.flac"
    soundfile.write(path, samples, rate)
    assert open_audio(path).sample_rate == rate
    data = bytearray(path.read_bytes())
    data[18] ^= 0x02  # 8,192 Hz more or less
    with pytest.raises(AudioError, match=rf"header says \d+ Hz, frames say {rate} Hz"):
        open_audio(io.BytesIO(data))
