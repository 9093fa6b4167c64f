"""Whether a file is whole, as far as its container tells: decoders take one that was cut short for a shorter one.

Formats: RIFF/RF64 (EBU Tech 3306), Sony Wave64, AIFF 1.3, Sun AU, Apple CAF, Ogg (RFC 3533), ISO base media (ISO/IEC
14496-12), Matroska/EBML (RFC 8794), ASF (Microsoft's specification 01.20), ADTS (ISO/IEC 14496-3).
"""

import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

# What programs put for a length when they write to a pipe and can't come back: 0, or about as much as there can be.
_ENDLESS_32 = 0x7F000000
_ENDLESS_64 = 1 << 62
_MAX_CHUNKS = 100_000
_OGG_HEADER_BYTES = 27
_OGG_TAIL_BYTES = 1 << 16  # a page is shorter than this
_ADTS_HEADER_BYTES = 7
_ASF_HEADER = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
_ASF_FILE_PROPERTIES = bytes.fromhex("a1dcab8c47a9cf118ee400c00c205365")
_EBML, _SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
_MP4_BOXES = {
    *(b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"udta", b"meta", b"uuid"),
    *(b"moof", b"mfra", b"styp", b"sidx", b"ssix", b"pdin", b"prft", b"emsg"),
}


class _Chunk(NamedTuple):
    name: bytes
    size: int  # as written
    start: int
    content: int  # where it begins


def missing_part(raw: BinaryIO, n_bytes: int) -> str | None:
    """Tell what a file of `n_bytes` lacks at its end; None if it is whole, or its format can't tell.

    Parameters
    ----------
    raw : binary file
        From which may be read anywhere.
    n_bytes : int
        Its length.
    """
    raw.seek(0)
    head = raw.read(40)
    if head.startswith(b"OggS"):
        return _ogg(raw, n_bytes)
    for begins, measure in _MEASURES:
        if begins(head):
            try:
                n_missing = measure(raw, n_bytes) - n_bytes
            except (struct.error, IndexError):  # cut within a header, which no decoder can read
                return None
            return f"{n_missing:,} bytes missing" if n_missing > 0 else None
    return None


def endless_data(raw: BinaryIO, n_bytes: int) -> int | None:
    """Find where a WAV file says that it has no data although some follow; None if it does not."""
    if _name(raw, 0) == b"RIFF":
        for chunk in _riff_chunks(raw, n_bytes):
            if chunk.name == b"data":
                return chunk.start + 4 if not chunk.size and chunk.content < n_bytes else None
    return None


def _at(raw: BinaryIO, position: int, layout: str) -> tuple[int, ...]:
    raw.seek(position)
    return struct.unpack(layout, raw.read(struct.calcsize(layout)))


def _name(raw: BinaryIO, position: int, length: int = 4) -> bytes:
    raw.seek(position)
    return raw.read(length)


def _ogg(raw: BinaryIO, n_bytes: int) -> str | None:
    raw.seek(max(0, n_bytes - _OGG_TAIL_BYTES))
    tail = raw.read()
    page = tail[max(tail.rfind(b"OggS"), 0) :]
    if len(page) < _OGG_HEADER_BYTES or not page[5] & 4:
        return "no end-of-stream page"
    lengths = page[_OGG_HEADER_BYTES : _OGG_HEADER_BYTES + page[26]]
    whole = len(lengths) == page[26] and len(page) >= _OGG_HEADER_BYTES + len(lengths) + sum(lengths)
    return None if whole else "the last page is not whole"


def _chunks(raw: BinaryIO, position: int, n_bytes: int, header: str, whole: Callable[[int], int]) -> Iterator[_Chunk]:
    """Walk over chunks: `header` lays out name and size, `whole` makes of that the length with header and padding."""
    length = struct.calcsize(header)
    for _ in range(_MAX_CHUNKS):
        if position + length > n_bytes:
            return
        raw.seek(position)
        name, size = struct.unpack(header, raw.read(length))
        yield _Chunk(name, size, position, position + length)
        step = whole(size)
        if step < length:
            return
        position += step


def _riff_chunks(raw: BinaryIO, n_bytes: int) -> Iterator[_Chunk]:
    order = ">" if _name(raw, 0) == b"RIFX" else "<"
    return _chunks(raw, 12, n_bytes, order + "4sI", lambda size: 8 + size + size % 2)


def _riff(raw: BinaryIO, n_bytes: int) -> int:
    size_64 = 0
    for chunk in _riff_chunks(raw, n_bytes):
        if chunk.name == b"ds64":
            (size_64,) = _at(raw, chunk.content + 8, "<Q")
        elif chunk.name == b"data":
            if chunk.size == 0xFFFFFFFF and size_64:
                return chunk.content + size_64
            return 0 if chunk.size >= _ENDLESS_32 else chunk.content + chunk.size
    return 0


def _wave64(raw: BinaryIO, n_bytes: int) -> int:
    for chunk in _chunks(raw, 40, n_bytes, "<16sQ", lambda size: (size + 7) // 8 * 8):
        if chunk.name[:4] == b"data":
            return 0 if chunk.size >= _ENDLESS_64 else chunk.start + chunk.size
    return 0


def _aiff(raw: BinaryIO, n_bytes: int) -> int:
    for chunk in _chunks(raw, 12, n_bytes, ">4sI", lambda size: 8 + size + size % 2):
        if chunk.name == b"SSND":
            return 0 if chunk.size >= _ENDLESS_32 else chunk.content + chunk.size
    return 0


def _au(raw: BinaryIO, _n_bytes: int) -> int:
    start, size = _at(raw, 4, ">II")
    return 0 if size >= _ENDLESS_32 else start + size


def _caf(raw: BinaryIO, n_bytes: int) -> int:
    end = 0
    for chunk in _chunks(raw, 8, n_bytes, ">4sq", lambda size: 12 + size):
        if chunk.size < 0 or chunk.size >= _ENDLESS_64:  # until the end of the file
            return 0
        end = chunk.content + chunk.size
    return end


def _mp4(raw: BinaryIO, n_bytes: int) -> int:
    position = 0
    for _ in range(_MAX_CHUNKS):
        if position + 8 > n_bytes:
            break
        (size,) = _at(raw, position, ">I")
        if _name(raw, position + 4) not in _MP4_BOXES or not size:  # 0: until the end of the file
            return 0
        if size == 1:
            (size,) = _at(raw, position + 8, ">Q")
        if size < 8:
            return 0
        position += size
    return position


def _matroska(raw: BinaryIO, _n_bytes: int) -> int:
    length, width = _ebml_number(raw, 4)
    segment = 4 + width + length
    if _name(raw, segment) != _SEGMENT:
        return 0
    size, width = _ebml_number(raw, segment + 4)
    endless = size == (1 << (7 * width)) - 1
    return 0 if endless else segment + 4 + width + size


def _ebml_number(raw: BinaryIO, position: int) -> tuple[int, int]:
    """Read a number of 1 to 8 bytes; the zeros it begins with tell how many."""
    first = _name(raw, position, 1)[0]
    width = 9 - first.bit_length()
    value = int.from_bytes(_name(raw, position, width), "big")
    return value & ((1 << (7 * width)) - 1), width


def _asf(raw: BinaryIO, n_bytes: int) -> int:
    for item in _chunks(raw, 30, n_bytes, "<16sQ", lambda size: size):
        if item.name == _ASF_FILE_PROPERTIES:
            (whole,) = _at(raw, item.start + 40, "<Q")
            (flags,) = _at(raw, item.start + 88, "<I")
            return 0 if flags & 1 else whole  # 1: broadcast, of no known size
    return 0


def _adts(raw: BinaryIO, n_bytes: int) -> int:
    position = 0
    while position + _ADTS_HEADER_BYTES <= n_bytes:
        raw.seek(position)
        header = raw.read(_ADTS_HEADER_BYTES)
        if header[0] != 0xFF or header[1] & 0xF6 != 0xF0:
            return 0  # tags
        size = (header[3] & 3) << 11 | header[4] << 3 | header[5] >> 5
        if size < _ADTS_HEADER_BYTES:
            return 0
        position += size
    return position if position > n_bytes else 0


_MEASURES: tuple[tuple[Callable[[bytes], bool], Callable[[BinaryIO, int], int]], ...] = (
    (lambda head: head[:4] in {b"RIFF", b"RIFX", b"RF64"} and head[8:12] == b"WAVE", _riff),
    (lambda head: head[:4] == b"riff" and head[24:28] == b"wave", _wave64),
    (lambda head: head[:4] == b"FORM" and head[8:12] in {b"AIFF", b"AIFC"}, _aiff),
    (lambda head: head[:4] == b".snd", _au),
    (lambda head: head[:4] == b"caff", _caf),
    (lambda head: head[4:8] == b"ftyp", _mp4),
    (lambda head: head[:4] == _EBML, _matroska),
    (lambda head: head[:16] == _ASF_HEADER, _asf),
    (lambda head: len(head) > 1 and head[0] == 0xFF and head[1] & 0xF6 == 0xF0, _adts),
)
