"""Where the frames of a FLAC file deny what its header says.

RFC 9639, sections 8.2 (STREAMINFO) and 9.1 (frame headers).
"""

from collections import Counter
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

_TAIL_BYTES = 1 << 17  # above the largest frame that encoders write
_BLOCK_SIZES = {1: 192, **{code: 576 << (code - 2) for code in range(2, 6)}}
_BLOCK_SIZES |= {code: 256 << (code - 8) for code in range(8, 16)}
_RATES = {1: 88_200, 2: 176_400, 3: 192_000, 4: 8_000, 5: 16_000, 6: 22_050, 7: 24_000, 8: 32_000, 9: 44_100}
_RATES |= {10: 48_000, 11: 96_000}
_CRC8 = [0] * 256
for _byte in range(256):
    _value = _byte
    for _ in range(8):
        _value = (_value << 1 ^ 0x07 if _value & 0x80 else _value << 1) & 0xFF
    _CRC8[_byte] = _value


class _Frame(NamedTuple):
    start: int  # in samples
    stop: int
    rate: int  # Hz; 0: the header's


class Denied(NamedTuple):
    """What a header states and the frames deny: (stated, found), or None where they agree or do not tell.

    Attributes
    ----------
    lengths : tuple of (int, int) or None
        In samples; found is where the last frame ends.
    rates : tuple of (int, int) or None
        In Hz.
    """

    lengths: tuple[int, int] | None = None
    rates: tuple[int, int] | None = None


def flac_denied(raw: BinaryIO, n_bytes: int) -> Denied:
    """Hold the header of a FLAC file against its last frames; nothing is denied of another file.

    Parameters
    ----------
    raw : binary file
        From which may be read anywhere.
    n_bytes : int
        Its length.
    """
    raw.seek(0)
    head = raw.read(42)
    if head[:4] != b"fLaC" or head[4] & 0x7F or len(head) < 42:
        return Denied()
    raw.seek(max(0, n_bytes - _TAIL_BYTES))
    frames = list(_frames(raw.read(), int.from_bytes(head[8:10], "big")))
    stated = int.from_bytes(head[18:26], "big")  # 20 bits of rate, 3 and 5 of channels and width, 36 of length
    return Denied(_lengths(stated & (1 << 36) - 1, frames), _rates(stated >> 44, frames))


def _lengths(stated: int, frames: list[_Frame]) -> tuple[int, int] | None:
    ends = {frame.stop for frame in frames}
    # Bytes that look like a header by chance neither end where the recording does nor go on from there.
    if not stated or not ends or (stated in ends and all(frame.start != stated for frame in frames)):
        return None
    return stated, max(ends)


def _rates(stated: int, frames: list[_Frame]) -> tuple[int, int] | None:
    rates = Counter(frame.rate for frame in frames if frame.rate)
    if not rates:
        return None
    usual, n_usual = rates.most_common(1)[0]
    # Of bytes that look like a header by chance there is one at most.
    return (stated, usual) if stated not in rates and n_usual * 2 > len(frames) else None


def _frames(data: bytes, block_size: int) -> Iterator[_Frame]:
    """Yield every frame whose header is found, by its checksum."""
    start = data.find(b"\xff")
    while 0 <= start < len(data) - 16:
        if data[start + 1] & 0xFE == 0xF8:
            frame = _frame(data[start : start + 16], block_size)
            if frame is not None:
                yield frame
        start = data.find(b"\xff", start + 1)


def _frame(header: bytes, block_size: int) -> _Frame | None:
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
    size = int.from_bytes(header[position : position + n_size], "big") + 1 if n_size else _BLOCK_SIZES.get(size_code)
    position += n_size
    n_rate = {12: 1, 13: 2, 14: 2}.get(rate_code, 0)
    written = int.from_bytes(header[position : position + n_rate], "big")
    rate = _RATES.get(rate_code, 0) or written * {12: 1000, 14: 10}.get(rate_code, 1)
    position += n_rate
    crc = 0
    for byte in header[:position]:
        crc = _CRC8[crc ^ byte]
    if size is None or header[position] != crc:
        return None
    by_sample = header[1] & 1
    first = number if by_sample else number * block_size
    return _Frame(first, first + size, rate)
