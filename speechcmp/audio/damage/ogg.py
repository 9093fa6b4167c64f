"""What a damaged Ogg file no longer holds: decoders pass over broken and missing pages in silence.

Pages: RFC 3533, their checksum in section 6. Opus in them: RFC 7845; FLAC: RFC 9639, section 10.1; Vorbis and Speex:
their specifications, by Xiph.org.
"""

import math
import zlib
from bisect import bisect_left
from collections.abc import Iterator
from itertools import pairwise
from typing import BinaryIO, NamedTuple

from speechcmp.audio.damage.found import Found

_HEADER_BYTES = 27
_NO_POSITION = (1 << 64) - 1  # no packet ends on this page
_MOST_BROKEN = 2_000
_MAX_BYTES = 1 << 30  # larger ones are not looked through
_HEAD_BYTES = 1 << 12  # the first packet is within these
_OPUS_RATE = 48_000  # positions count at this rate, whatever the encoder's input was
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class _Page(NamedTuple):
    serial: int
    sequence: int
    position: int
    flags: int
    n_packets: int  # that begin and end here, or began on the page before
    sound: bool

    @property
    def continues(self) -> bool:
        """Whether it begins with the rest of the packet before."""
        return bool(self.flags & 1)

    @property
    def begins(self) -> bool:
        """Whether it is the first one of its stream."""
        return bool(self.flags & 2)


def ogg_pages(raw: BinaryIO) -> Found | None:
    """Look at the pages of an Ogg file; None of another file.

    Parameters
    ----------
    raw : binary file
        From which may be read anywhere.
    """
    raw.seek(0)
    if raw.read(4) != b"OggS":
        return None
    raw.seek(0)
    data = raw.read(_MAX_BYTES)
    pages = list(_pages(data))
    n_broken = sum(not page.sound for page in pages)
    if n_broken > _MOST_BROKEN or (n_broken and not _last_position(pages)):
        return Found(0.0, math.inf)
    streams = _streams(pages)
    lost_s = sum(map(_lost_samples, streams)) / _rate(data)
    # Of several streams some may be no sound. But of two that have one number libsndfile plays the first alone.
    serials = [stream[0].serial for stream in streams if stream]
    known = (len(streams) == 1 and lost_s > 0) or len(set(serials)) < len(serials)
    whole_s = sum(map(_last_position, streams)) / _rate(data)
    return Found(max(0.0, whole_s - lost_s) if known else 0.0, lost_s)


def _last_position(pages: list[_Page]) -> int:
    return max((page.position for page in pages if page.sound and page.position != _NO_POSITION), default=0)


def _streams(pages: list[_Page]) -> list[list[_Page]]:
    """Part the pages by stream; a broken one, whose number may be wrong, goes with the one before it."""
    streams: list[list[_Page]] = []
    current: dict[int, list[_Page]] = {}
    last: list[_Page] = []
    for page in pages:
        if page.sound:
            if page.begins or page.serial not in current:
                current[page.serial] = []
                streams.append(current[page.serial])
            last = current[page.serial]
        last.append(page)
    return streams


def _lost_samples(pages: list[_Page]) -> int:
    sound = _in_order([page for page in pages if page.sound])
    if not sound:
        return 0
    samples_a_packet = _samples_a_packet(sound)
    begins_whole = next((page.sound for page in pages if not page.sound or page.position), True)
    lost = n_between = 0
    last = sound[0]
    for page in sound[1:]:
        if page.position == _NO_POSITION:
            n_between += 1
            continue
        if page.sequence - last.sequence - 1 > n_between:
            n_own = page.n_packets - page.continues  # of a packet that began on a lost page, the rest is no use
            gap = max(0, page.position - last.position - round(n_own * samples_a_packet))
            # Who joins a stream that is on the air gets its headers, and then what is sent now: nothing is lost.
            joined = begins_whole and not last.position and gap > sound[-1].position - page.position
            lost += 0 if joined else gap
        last, n_between = page, 0
    return lost + _lost_at_end(pages, last)


def _lost_at_end(pages: list[_Page], last: _Page) -> int:
    """Return what the broken pages behind the last sound one held, by their own word if that is possible."""
    n_broken = 0
    claimed = last
    for page in reversed(pages):
        if page.sound:
            break
        n_broken += 1
        claimed = max(claimed, page, key=lambda page: page.position if page.position != _NO_POSITION else 0)
    usual = last.position // max(1, last.sequence)
    n_missing = max(n_broken, min(claimed.sequence - last.sequence, 4 * n_broken))
    gained = claimed.position - last.position
    return gained if 0 < gained <= 4 * n_missing * usual else n_broken * usual


def _in_order(pages: list[_Page]) -> list[_Page]:
    """Leave out as few pages as need be for the numbers of the others to ascend: those were moved."""
    if all(first.sequence < second.sequence for first, second in pairwise(pages)):
        return pages
    ends: list[int] = []  # of the longest ascending row of each length, the least last number
    of_end: list[int] = []
    before: list[int] = []
    for index, page in enumerate(pages):
        length = bisect_left(ends, page.sequence)
        before.append(of_end[length - 1] if length else -1)
        ends[length : length + 1] = [page.sequence]
        of_end[length : length + 1] = [index]
    row = [of_end[-1]]
    while before[row[-1]] >= 0:
        row.append(before[row[-1]])
    return [pages[index] for index in reversed(row)]


def _samples_a_packet(pages: list[_Page]) -> float:
    """Return how many samples a packet has in the mean, of pages that follow each other."""
    n_samples = n_packets = 0
    for last, page in pairwise(pages):
        known = _NO_POSITION not in {last.position, page.position} and last.position > 0
        if known and page.sequence == last.sequence + 1 and page.position > last.position:
            n_samples += page.position - last.position
            n_packets += page.n_packets
    return n_samples / max(1, n_packets)


def _pages(data: bytes) -> Iterator[_Page]:
    start, n_broken = data.find(b"OggS"), 0
    while n_broken <= _MOST_BROKEN and start >= 0 and start + _HEADER_BYTES <= len(data):
        n_segments = data[start + 26]
        body = start + _HEADER_BYTES + n_segments
        segments = data[start + _HEADER_BYTES : body]
        stop = body + sum(segments)
        page = data[start:stop]
        sound = int.from_bytes(page[22:26], "little") == _checksum(page)
        yield _Page(
            int.from_bytes(page[14:18], "little"),
            int.from_bytes(page[18:22], "little"),
            int.from_bytes(page[6:14], "little"),
            page[5],
            len(segments) - segments.count(255),
            sound,
        )
        n_broken += not sound
        # A broken page may lie about its length: the next one is looked for by its name.
        start = data.find(b"OggS", stop if sound else start + 4)


def _checksum(page: bytes) -> int:
    """CRC-32 of a page with zeros for its own checksum: zlib's, mirrored, without inversions."""
    mirrored = (page[:22] + bytes(4) + page[26:]).translate(_MIRRORED)
    value = zlib.crc32(mirrored, 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{value:032b}"[::-1], 2)


def _rate(data: bytes) -> int:
    """Return what positions count in a second, as the first packet says."""
    head = data[:_HEAD_BYTES]
    if (at := head.find(b"\x01vorbis")) >= 0:
        rate = int.from_bytes(head[at + 12 : at + 16], "little")
    elif (at := head.find(b"\x7fFLAC")) >= 0:
        rate = int.from_bytes(head[at + 27 : at + 30], "big") >> 4
    elif (at := head.find(b"Speex   ")) >= 0:
        rate = int.from_bytes(head[at + 36 : at + 40], "little")
    else:
        rate = _OPUS_RATE
    return rate or _OPUS_RATE
