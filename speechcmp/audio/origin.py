"""Which recordings were written here, and by nobody else since: the header says who, and a digest of all bytes.

A header alone does not: editors keep what it says of the software.
"""

from pathlib import Path
from typing import BinaryIO

from speechcmp.files import irregular

_NAME = b"speechcmp "
_UNSEALED = b"0" * 40  # hex digits of the digest, which is of the file with these in its place
_HEADER_BYTES = 4096
_BLOCK_BYTES = 1 << 20

SOFTWARE = (_NAME + _UNSEALED).decode()


def seal(raw: BinaryIO) -> None:
    """Write the digest into a file whose header has `SOFTWARE`."""
    position = _find(raw)
    if position is None:
        return  # a format whose header has no room for words
    digest = _digest(raw, position)
    raw.seek(position)
    raw.write(digest)


def was_saved_here(path: Path) -> bool:
    """Tell whether a recording was written here, and by nobody else since."""
    try:
        if irregular(path):
            return False
        with path.open("rb") as raw:
            position = _find(raw)
            if position is None:
                return False
            raw.seek(position)
            return raw.read(len(_UNSEALED)) == _digest(raw, position)
    except OSError:
        return False


def _find(raw: BinaryIO) -> int | None:
    raw.seek(0)
    position = raw.read(_HEADER_BYTES).find(_NAME)
    return None if position < 0 else position + len(_NAME)


def _digest(raw: BinaryIO, position: int) -> bytes:
    import hashlib  # noqa: PLC0415 - OpenSSL takes its time, and most commands write no recording

    digest = hashlib.sha1(usedforsecurity=False)
    raw.seek(0)
    digest.update(raw.read(position) + _UNSEALED)
    raw.seek(position + len(_UNSEALED))
    while block := raw.read(_BLOCK_BYTES):
        digest.update(block)
    return digest.hexdigest().encode()
