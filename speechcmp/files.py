"""Files that are read whole and files that are written whole: nothing that never ends, nothing half, nothing lost."""

import io
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, TextIO

MAX_TABLE_BYTES = 1 << 30  # of a manifest or of ratings: millions of rows
MAX_SETTINGS_BYTES = 1 << 20  # of settings, models, scheduler files: a thousand times what they take


PARTIAL = f".speechcmp-{'[0-9a-f]' * 16}.part"  # matches what `written_whole` calls its files until they are whole


def irregular(path: Path) -> str | None:
    """Say what a path is if it is neither a file nor missing: a pipe or a device may never end, or answer late.

    Raises
    ------
    OSError
        It can't be looked at.
    """
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return None
    except ValueError as error:  # a null, or half a character
        raise OSError(None, "is no possible name", str(path)) from error
    if stat.S_ISREG(mode):
        return None
    return "a folder" if stat.S_ISDIR(mode) else "a pipe or a device"


def read_bounded(path: Path, max_bytes: int = MAX_SETTINGS_BYTES) -> bytes:
    """Read a file that must not be large.

    Raises
    ------
    OSError
        It can't be read, is no regular file, or is larger than `max_bytes`; `strerror` says which.
    """
    other = irregular(path)
    if other:
        raise OSError(None, f"is {other}", str(path))
    with path.open("rb") as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise OSError(None, f"is larger than {max_bytes >> 10} KiB", str(path))
    return data


class Snapshot:
    """A file as it was when this was made: read again and again, whatever becomes of it meanwhile.

    Parameters
    ----------
    path : Path
        Messages call the snapshot by it.

    Raises
    ------
    OSError
        As `read_bounded`; it may have up to 1 GiB.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._data = read_bounded(path, MAX_TABLE_BYTES)

    def __str__(self) -> str:
        return str(self._path)

    def binary(self) -> BinaryIO:
        """Begin to read it."""
        return io.BytesIO(self._data)

    def text(self, encoding: str, *, newline: str) -> TextIO:
        """Begin to read it as text."""
        return io.TextIOWrapper(self.binary(), encoding, newline=newline)


@contextmanager
def written_whole(path: Path) -> Iterator[BinaryIO]:
    """Give a new file beside `path` to write into, which takes its name when all is written, and safe on the disk.

    Nobody can have laid a link under its unpredictable name. A link that has the name `path` is replaced, not followed.

    Raises
    ------
    OSError
        The file can't be made, written or renamed; what had the name is as it was.
    """
    partial = path.with_name(f".speechcmp-{secrets.token_hex(8)}.part")
    try:
        with partial.open("xb+") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
