"""What a damaged MP3 or AAC file no longer holds: frames are walked over, and bytes that belong to none are counted.

Headers: ISO/IEC 11172-3 and 13818-3 (MP3, its main data in 2.4.1.7), ISO/IEC 14496-3 (ADTS). Both have a frame begin
where the last one ends, and no checksum that encoders would use. So a piece that is gone shows by the frames it was cut
through; between frames, only by a count in the first frame (Xing, Info, VBRI), or by main data that begin in what
another frame has taken.
"""

from array import array
from collections.abc import Callable
from functools import cache
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from speechcmp.audio.damage.found import Found

_WINDOW_BYTES = 1 << 20
_MARGIN_BYTES = 1 << 15  # above three frames: a header is believed for those that follow it
_MOST_CANDIDATES = 1 << 19  # a second of looking at what might be headers
_NEARBY = 50  # frames on either side of a gap, whose mean length tells how many were in it
_UNHEARD_S = 0.1  # at the ends, where a stream may be joined and left
_BIT_RATES = {  # kbit/s by version (1, 2) and layer
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (2, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_MPEG_RATES = (44_100, 48_000, 32_000)
_ADTS_RATES = (96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350)
_TAG_BYTES = 128  # ID3v1
_APE_BYTES = 32  # its header and its footer
_LYRICS = b"LYRICSBEGIN"
_LYRICS_ENDS = (b"LYRICS200", b"LYRICSEND")
_MOST_LYRICS = 100_000

_Header = tuple[int, int]  # length in bytes; kind: what all frames of a stream have in common


def mp3_frames(raw: BinaryIO) -> Found | None:
    """Walk over the frames of an MP3 (or MP2) file; None if there are none, or of a bit rate that is not listed.

    Parameters
    ----------
    raw : binary file
        From which may be read anywhere; it is read in parts.
    """
    return _walked(raw, _Mp3Walk())


def adts_frames(raw: BinaryIO) -> Found | None:
    """Walk over the frames of an AAC file (ADTS); None if there are none.

    Parameters
    ----------
    raw : binary file
        From which may be read anywhere; it is read in parts.
    """
    return _walked(raw, _Walk(_adts_header, _adts_frame_s))


def _walked(raw: BinaryIO, walk: "_Walk") -> Found | None:
    remaining = _end_of_frames(raw)
    raw.seek(0)
    data = b""
    while remaining:
        block = raw.read(min(_WINDOW_BYTES, remaining))
        if not block:  # shorter than it was a moment ago
            break
        remaining -= len(block)
        data += block
        n_done = walk.feed(data, last=not remaining)
        if n_done > len(data):  # a tag with pictures in it
            raw.seek(n_done - len(data), 1)
            remaining = max(0, remaining - (n_done - len(data)))
        data = data[n_done:]
    return walk.result()


def _end_of_frames(raw: BinaryIO) -> int:
    """Return where the tags at the end begin: ID3v1, and before it APE's, which may have no header."""
    end = raw.seek(0, 2)
    raw.seek(max(0, end - _TAG_BYTES))
    if raw.read(3) == b"TAG" and end > _TAG_BYTES:
        end -= _TAG_BYTES
    raw.seek(max(0, end - _APE_BYTES))
    footer = raw.read(_APE_BYTES)
    if footer[:8] == b"APETAGEX":
        size = int.from_bytes(footer[12:16], "little") + (_APE_BYTES if footer[23] & 0x80 else 0)
        end -= size if size < end else 0
    return end


class _Walk:
    """A walk from frame to frame, window by window."""

    def __init__(self, header: Callable[[bytes, int], _Header | None], frame_s: Callable[[int], float]) -> None:
        self._header, self._frame_s = header, frame_s
        self._lengths = array("H")
        self._kind: int | None = None
        self._found_s = 0.0  # of the kinds before this one
        self._first = 0  # frame of this kind
        self._gap_bytes: int | None = 0  # None: the next frame begins where the last one ended
        self._gaps: list[tuple[int, int, float]] = []  # number of the next frame, bytes, seconds a frame
        self._n_candidates = 0
        self._n_stated: int | None = None
        self._n_breaks = 0
        self._trimmed_s = 0.0

    def feed(self, data: bytes, *, last: bool) -> int:
        """Go on through `data`, which begin where the last ones were left; return up to where, a tag's end included."""
        stop = len(data) - (0 if last else _MARGIN_BYTES)
        position = 0
        while position < stop:
            if self._gap_bytes is not None:
                position = self._search(data, position, stop, last=last)
                continue
            position = self._run(data, position, stop)
            if position >= stop or self._left_in_the_middle(data, position, last=last):
                return len(data) if last else position
            tag = _tag_bytes(data, position)
            position += tag
            if not tag and not self._changed(data, position, last=last):
                # What the last frame says of its own end is wrong, or it has lost a part.
                self._gap_bytes = 0 if len(self._lengths) == self._first else self._lengths.pop()
        return position

    def _left_in_the_middle(self, data: bytes, position: int, *, last: bool) -> bool:
        found = self._header(data, position)
        return last and found is not None and found[1] == self._kind and position + found[0] > len(data)

    def _run(self, data: bytes, position: int, stop: int) -> int:
        header, kind, lengths = self._header, self._kind, self._lengths
        begin, first = position, len(lengths)
        while position < stop:
            found = header(data, position)
            if found is None or found[1] != kind or position + found[0] > len(data):
                break
            lengths.append(found[0])
            position += found[0]
        if position > begin:
            self._look_into(data, begin, lengths[first:])
        return position

    def _look_into(self, data: bytes, begin: int, lengths: "array[int]") -> None:
        """Look at what frames that follow each other hold."""

    def _changed(self, data: bytes, position: int, *, last: bool) -> bool:
        """Whether frames of another kind begin here, as where files were joined; they are walked over from now on."""
        found = self._header(data, position)
        if found is None or found[1] == self._kind or not self._followed(data, position, found, last=last):
            return False
        self._end_of_kind()
        self._kind = found[1]
        return True

    def _end_of_kind(self) -> None:
        if self._kind is not None:
            self._found_s += (len(self._lengths) - self._first) * self._frame_s(self._kind)
        self._first = len(self._lengths)

    def _search(self, data: bytes, position: int, stop: int, *, last: bool) -> int:
        """Look for the next frame; all before it belongs to none."""
        assert self._gap_bytes is not None  # noqa: S101 - asked by the caller
        tag = _tag_bytes(data, position)
        if tag:
            return position + tag
        start = position
        while (start := data.find(b"\xff", start, stop)) >= 0 and self._n_candidates < _MOST_CANDIDATES:
            self._n_candidates += 1
            found = self._header(data, start)
            if found is not None and self._kind in {None, found[1]} and self._followed(data, start, found, last=last):
                break
            start += 1
        else:
            self._gap_bytes += stop - position
            return stop
        return self._found(data, start, self._gap_bytes + start - position)

    def _found(self, data: bytes, start: int, gap_bytes: int) -> int:
        header = self._header(data, start)
        assert header is not None  # noqa: S101 - asked by the caller
        is_first = self._kind is None
        self._kind, self._gap_bytes = header[1], None
        self._gaps.append((len(self._lengths), gap_bytes, self._frame_s(header[1])))
        if is_first and self._counts(data[start : start + header[0]]):
            return start + header[0]
        return start

    def _counts(self, _frame: bytes) -> bool:
        """Whether the first frame counts the others, instead of being one."""
        return False

    def _followed(self, data: bytes, position: int, found: _Header, *, last: bool) -> bool:
        """Whether two frames of the same kind come next, or what may come after a last one."""
        for _ in range(2):
            position += found[0]
            if (last and position == len(data)) or _tag_bytes(data, position):
                return True
            following = self._header(data, position)
            if following is None or following[1] != found[1]:
                return False
            found = following
        return True

    def result(self) -> Found | None:
        """Return what the walk has found."""
        if self._kind is None:
            return None
        self._end_of_kind()
        frame_s = self._frame_s(self._kind)
        if self._gap_bytes is not None:
            self._gaps.append((len(self._lengths), self._gap_bytes, frame_s))
        lost_s = sum((self._gap_s(gap) for gap in self._gaps), 0.0)
        # Where every other frame disagrees with the one before, it is the encoder's way.
        if self._n_breaks * 8 < len(self._lengths):
            lost_s += self._n_breaks * frame_s
        stated_s = None if self._n_stated is None else self._n_stated * frame_s
        if stated_s is not None and lost_s:
            lost_s = max(lost_s if stated_s - self._found_s > frame_s / 2 else 0.0, stated_s - self._found_s)
        return Found(self._found_s - self._trimmed_s, lost_s)

    def _gap_s(self, gap: tuple[int, int, float]) -> float:
        number, n_bytes, frame_s = gap
        around = self._lengths[max(0, number - _NEARBY) : number + _NEARBY]
        lost_s = n_bytes * len(around) / max(1, sum(around)) * frame_s
        if number in {0, len(self._lengths)}:  # a stream may be joined and left in the middle of a frame
            return lost_s if lost_s > max(_UNHEARD_S, frame_s) else 0.0
        return max(lost_s, frame_s) if n_bytes else 0.0


class _Mp3Walk(_Walk):
    """One that also sees where main data begin."""

    def __init__(self) -> None:
        super().__init__(lambda data, position: _mpeg_headers().get(data[position : position + 3]), _mpeg_frame_s)
        self._left_bytes: int | None = None  # what the last frame has left of itself, and of those before it

    def _found(self, data: bytes, start: int, gap_bytes: int) -> int:
        self._left_bytes = None
        return super()._found(data, start, gap_bytes)

    def _look_into(self, data: bytes, begin: int, lengths: "array[int]") -> None:
        if data[begin + 1] & 0x06 != 0x02:  # layer III alone keeps bytes for later frames
            return
        sizes = np.frombuffer(lengths, np.uint16).astype(np.int64)
        starts = begin + np.cumsum(sizes) - sizes
        n_back, n_left = _main_data(np.frombuffer(data, np.uint8), starts, sizes)
        if self._left_bytes is not None:
            self._n_breaks += int(n_back[0] > self._left_bytes)
        self._n_breaks += int((n_back[1:] > n_left[:-1]).sum())
        self._left_bytes = int(n_left[-1])

    def _counts(self, frame: bytes) -> bool:
        version_1, mono = frame[1] & 8, frame[3] >> 6 == 3
        at = 4 + ((17 if mono else 32) if version_1 else (9 if mono else 17))
        if frame[36:40] == b"VBRI":
            self._n_stated = int.from_bytes(frame[50:54], "big")
            return True
        if frame[at : at + 4] not in {b"Xing", b"Info"}:
            return False
        flags = frame[at + 7]
        if flags & 1:
            self._n_stated = int.from_bytes(frame[at + 8 : at + 12], "big")
        lame = at + 8 + sum(n for bit, n in ((1, 4), (2, 4), (4, 100), (8, 4)) if flags & bit)
        if frame[lame : lame + 4].isalnum():  # LAME, Lavc, Lavf: who wrote it
            trimmed = int.from_bytes(frame[lame + 21 : lame + 24], "big")
            assert self._kind is not None  # noqa: S101 - it has been found
            self._trimmed_s = ((trimmed >> 12) + (trimmed & 0xFFF)) / _mpeg_rate(self._kind)
        return True


def _main_data(
    data: NDArray[np.uint8], starts: NDArray[np.int64], sizes: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return of frames of layer III how many bytes before them their main data begin, and how many they leave over."""
    version_1 = bool(data[starts[0] + 1] & 8)
    side = starts + 4 + 2 * (data[starts + 1] & 1 == 0)
    n_back, n_bits = np.zeros(len(starts), np.int64), np.zeros(len(starts), np.int64)
    n_side = np.zeros(len(starts), np.int64)
    for mono in (False, True):
        chosen = np.flatnonzero((data[starts + 3] >> 6 == 3) == mono)
        if not len(chosen):
            continue
        at = side[chosen]
        n_back[chosen] = _bits(data, at, 0, 9 if version_1 else 8)
        channels = 1 if mono else 2
        if version_1:
            first, step, n_records, n_side[chosen] = 20 - 2 * mono, 59, 2 * channels, 17 if mono else 32
        else:
            first, step, n_records, n_side[chosen] = 10 - mono, 63, channels, 9 if mono else 17
        for record in range(n_records):
            n_bits[chosen] += _bits(data, at, first + step * record, 12)
    n_left = n_back + (starts + sizes - side - n_side) - (n_bits + 7) // 8
    return n_back, n_left


def _bits(data: NDArray[np.uint8], at: NDArray[np.int64], first: int, n: int) -> NDArray[np.int64]:
    """Read `n` bits that begin `first` bits after every `at`; what lies beyond the end is that of the last byte."""
    value = np.zeros(len(at), np.int64)
    for k in range(3):
        value = value << 8 | data[np.minimum(at + (first >> 3) + k, len(data) - 1)]
    return value >> (24 - n - (first & 7)) & ((1 << n) - 1)


@cache
def _mpeg_headers() -> dict[bytes, _Header]:
    """Every beginning of a frame that there may be, but those of no listed bit rate."""
    headers = {}
    for second in range(0xE0, 0x100):
        version, layer = second >> 3 & 3, 4 - (second >> 1 & 3)  # version 3: MPEG-1, 2: MPEG-2, 0: MPEG-2.5
        if version == 1 or layer == 4:
            continue
        for third in range(256):
            if third >> 4 in {0, 15} or third >> 2 & 3 == 3:
                continue
            kind = (second & 0xFE) << 8 | third & 0x0C
            bits = _BIT_RATES[1 if version == 3 else 2, layer][(third >> 4) - 1] * 1000
            padding = third >> 1 & 1
            rate, n_samples = _mpeg_rate(kind), _mpeg_samples(kind)
            slot = 4 if layer == 1 else 1
            length = (n_samples // 8 // slot * bits // rate + padding) * slot
            headers[bytes((0xFF, second, third))] = length, kind
    return headers


def _mpeg_samples(kind: int) -> int:
    layer = 4 - (kind >> 9 & 3)
    if layer == 1:
        return 384
    return 576 if layer == 3 and not kind & 0x0800 else 1152


def _mpeg_rate(kind: int) -> int:
    return _MPEG_RATES[kind >> 2 & 3] >> {3: 0, 2: 1, 0: 2}[kind >> 11 & 3]


def _mpeg_frame_s(kind: int) -> float:
    return _mpeg_samples(kind) / _mpeg_rate(kind)


def _adts_header(data: bytes, position: int) -> _Header | None:
    head = data[position : position + 6]
    if len(head) < 6 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0 or head[2] >> 2 & 15 >= len(_ADTS_RATES):
        return None
    length = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    kind = head[1] << 16 | (head[2] & 0xFD) << 8 | head[3] & 0xC0
    return (length, kind) if length > 7 else None


def _adts_frame_s(kind: int) -> float:
    return 1024 / _ADTS_RATES[kind >> 10 & 15]


def _tag_bytes(data: bytes, position: int) -> int:
    """Return the length of a tag between frames, where files were joined or a stream names its next piece; else 0."""
    head = data[position : position + 16]
    if head[:3] == b"ID3" and len(head) > 9 and max(head[6:10]) < 128:
        size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
        return 10 + size + (10 if head[5] & 0x10 else 0)
    if head[:8] == b"APETAGEX" and len(head) == 16:
        return _APE_BYTES + int.from_bytes(head[12:16], "little")
    if head[:3] == b"TAG":
        return _TAG_BYTES
    if head[: len(_LYRICS)] == _LYRICS:
        limit = position + len(_LYRICS) + _MOST_LYRICS
        ends = [data.find(end, position, limit) for end in _LYRICS_ENDS]
        return min((end + len(_LYRICS_ENDS[0]) - position for end in ends if end >= 0), default=0)
    return 0
