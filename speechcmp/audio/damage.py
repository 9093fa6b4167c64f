"""What a damaged file no longer holds: decoders pass over a broken page in silence, and believe a header that lies.

Ogg: RFC 3533, its checksum in section 6; Opus in it: RFC 7845. FLAC: RFC 9639, sections 8.2 (STREAMINFO), 9.1 (frame
headers).
"""

import math
import zlib
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

_OGG_HEADER = 27
_OGG_NO_POSITION = (1 << 64) - 1  # no packet ends on this page
_MOST_BROKEN = 2_000
_MAX_OGG_BYTES = 1 << 30  # larger ones are not looked through
_OPUS_RATE = 48_000  # positions count at this rate, whatever the encoder's input was
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_FLAC_TAIL_BYTES = 1 << 17  # above the largest frame that encoders write
_FLAC_BLOCK_SIZES = {1: 192, **{code: 576 << (code - 2) for code in range(2, 6)}}
_FLAC_BLOCK_SIZES |= {code: 256 << (code - 8) for code in range(8, 16)}
_CRC8 = [0] * 256
for _byte in range(256):
    _value = _byte
    for _ in range(8):
        _value = (_value << 1 ^ 0x07 if _value & 0x80 else _value << 1) & 0xFF
    _CRC8[_byte] = _value


class _Page(NamedTuple):
    serial: int
    sequence: int
    position: int
    sound: bool


def ogg_lost_s(raw: BinaryIO) -> float:
    """Return how many seconds the broken and missing pages of an Ogg file held; 0 for another file, inf for a ruin.

    Parameters
    ----------
    raw : binary file
        From which may be read anywhere.
    """
    raw.seek(0)
    if raw.read(4) != b"OggS":
        return 0.0
    raw.seek(0)
    data = raw.read(_MAX_OGG_BYTES)
    pages = list(_ogg_pages(data))
    if sum(not page.sound for page in pages) > _MOST_BROKEN:
        return math.inf
    return max(0.0, _lost_samples(pages) / _ogg_rate(data))


def _lost_samples(pages: list[_Page]) -> int:
    lost = 0
    last: _Page | None = None  # sound, with a position
    n_missing, claimed = 0, 0
    for page in pages:
        if last is not None and page.serial != last.serial:
            continue  # another stream of the same file
        if not page.sound:
            n_missing, claimed = n_missing + 1, page.position
            continue
        if last is not None and n_missing == 0:
            n_missing = max(0, page.sequence - last.sequence - 1)
        if page.position == _OGG_NO_POSITION:
            continue
        if last is not None and n_missing:
            if last.position < claimed < page.position:  # the end of the broken page, by its own word
                lost += claimed - last.position
            else:  # all but what this page holds itself
                lost += (page.position - last.position) * n_missing // (n_missing + 1)
        last, n_missing, claimed = page, 0, 0
    if last is not None and n_missing:  # at the end, where nothing tells how much: as much as other pages hold
        lost += n_missing * last.position // max(1, last.sequence)
    return lost


def _ogg_pages(data: bytes) -> Iterator[_Page]:
    start, n_broken = data.find(b"OggS"), 0
    while n_broken <= _MOST_BROKEN and start >= 0 and start + _OGG_HEADER <= len(data):
        n_segments = data[start + 26]
        body = start + _OGG_HEADER + n_segments
        stop = body + sum(data[start + _OGG_HEADER : body])
        page = data[start:stop]
        sound = int.from_bytes(page[22:26], "little") == _ogg_checksum(page)
        yield _Page(
            int.from_bytes(page[14:18], "little"),
            int.from_bytes(page[18:22], "little"),
            int.from_bytes(page[6:14], "little"),
            sound,
        )
        n_broken += not sound
        # A broken page may lie about its length: the next one is looked for by its name.
        start = data.find(b"OggS", stop if sound else start + 4)


def _ogg_checksum(page: bytes) -> int:
    """CRC-32 of a page with zeros for its own checksum: zlib's, mirrored, without inversions."""
    mirrored = (page[:22] + bytes(4) + page[26:]).translate(_MIRRORED)
    value = zlib.crc32(mirrored, 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{value:032b}"[::-1], 2)


def _ogg_rate(data: bytes) -> int:
    vorbis = data.find(b"\x01vorbis", 0, 1 << 12)
    if vorbis >= 0:
        return int.from_bytes(data[vorbis + 12 : vorbis + 16], "little") or _OPUS_RATE
    return _OPUS_RATE


def flac_lengths(raw: BinaryIO, n_bytes: int) -> tuple[int, int] | None:
    """Return the samples that a FLAC file's header states and those that its last frame ends with, if they differ.

    Parameters
    ----------
    raw : binary file
        From which may be read anywhere.
    n_bytes : int
        Its length.

    Returns
    -------
    tuple of (int, int) or None
        None also for another file, and for one whose frames are not found.
    """
    raw.seek(0)
    head = raw.read(42)
    if head[:4] != b"fLaC" or head[4] & 0x7F or len(head) < 42:
        return None
    block_size = int.from_bytes(head[8:10], "big")
    total = int.from_bytes(head[21:26], "big") & (1 << 36) - 1
    raw.seek(max(0, n_bytes - _FLAC_TAIL_BYTES))
    frames = list(_flac_frames(raw.read(), block_size))
    ends = {end for _, end in frames}
    # Bytes that look like a header by chance neither end where the recording does nor go on from there.
    if not total or not ends or (total in ends and all(start != total for start, _ in frames)):
        return None
    return total, max(ends)


def _flac_frames(data: bytes, block_size: int) -> Iterator[tuple[int, int]]:
    """Yield the first sample of every frame whose header is found, by its checksum, and that of the next one."""
    start = data.find(b"\xff")
    while 0 <= start < len(data) - 16:
        if data[start + 1] & 0xFE == 0xF8:
            frame = _flac_frame(data[start : start + 16], block_size)
            if frame is not None:
                yield frame
        start = data.find(b"\xff", start + 1)


def _flac_frame(header: bytes, block_size: int) -> tuple[int, int] | None:
    n_more = 8 - (header[4] ^ 0xFF).bit_length()  # the ones that the first byte of the number begins with
    if n_more == 1 or n_more > 7:
        return None
    n_number = max(n_more, 1)
    number = header[4] & (0x7F >> n_more)
    for byte in header[5 : 4 + n_number]:
        number = number << 6 | byte & 0x3F
    size_code, rate_code = header[2] >> 4, header[2] & 15
    position = 4 + n_number
    n_size = {6: 1, 7: 2}.get(size_code, 0)
    size = (
        int.from_bytes(header[position : position + n_size], "big") + 1 if n_size else _FLAC_BLOCK_SIZES.get(size_code)
    )
    position += n_size + {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    crc = 0
    for byte in header[:position]:
        crc = _CRC8[crc ^ byte]
    if size is None or header[position] != crc:
        return None
    by_sample = header[1] & 1
    first = number if by_sample else number * block_size
    return first, first + size
