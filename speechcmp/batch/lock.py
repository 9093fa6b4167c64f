"""One run at a time writes results: a lock beside them that the system lifts when its holder ends, however it ends."""

import os
import socket
import stat
import sys
from contextlib import suppress
from pathlib import Path

from speechcmp.errors import SpeechcmpError

_BEGIN = b"process "


class Lock:
    """Keeps a name for this process.

    Parameters
    ----------
    path : Path
        Of the results; the lock is a hidden file beside them, gone when the run is over.

    Raises
    ------
    SpeechcmpError
        Another process has it; the message says which, as far as it has told. Or the file can't be made.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(f".{path.name}.lock")
        self._fd = self._taken(path)
        with suppress(OSError):
            os.ftruncate(self._fd, 0)
            os.lseek(self._fd, 0, os.SEEK_SET)
            os.write(self._fd, f"{_BEGIN.decode()}{os.getpid()} on {socket.gethostname()}".encode())

    def _taken(self, path: Path) -> int:
        while True:
            try:
                # Without O_NOFOLLOW a link laid there would have another file written to.
                flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
                fd = os.open(self._path, flags, 0o666)
            except OSError as error:
                raise SpeechcmpError(f"{path}: can't be opened ({error.strerror}); check the folder") from error
            if not _is_a_lock(fd):
                os.close(fd)
                raise SpeechcmpError(f"{path}: {self._path.name} is in the way, which is no lock; move it away")
            try:
                _lock(fd)
                there = self._path.stat()
            except (BlockingIOError, PermissionError) as error:
                holder = _holder(fd)
                os.close(fd)
                raise SpeechcmpError(f"{path}: {holder} is writing it; wait for its end, or stop it") from error
            except FileNotFoundError:  # another run has ended just now, and taken its lock along
                os.close(fd)
                continue
            except OSError:  # a file system without locks
                return fd
            if there.st_ino == os.fstat(fd).st_ino:
                return fd
            os.close(fd)

    def release(self) -> None:
        """Let others write."""
        if self._fd >= 0:
            if sys.platform == "win32":  # which removes no open file
                os.close(self._fd)
            with suppress(OSError):
                self._path.unlink()
            if sys.platform != "win32":
                os.close(self._fd)
            self._fd = -1


def _is_a_lock(fd: int) -> bool:
    """Tell a lock, which is empty or names a process, from a file of somebody's that has its name."""
    found = os.fstat(fd)
    begin = os.read(fd, len(_BEGIN)) if stat.S_ISREG(found.st_mode) else b"?"
    return found.st_nlink <= 1 and _BEGIN.startswith(begin)


def _holder(fd: int) -> str:
    with suppress(OSError, UnicodeDecodeError):
        os.lseek(fd, 0, os.SEEK_SET)
        return f"another run ({os.read(fd, 200).decode() or 'of an unknown process'})"
    return "another run"


def _lock(fd: int) -> None:
    """Keep a file until it is closed; BlockingIOError or PermissionError where another process has it."""
    if sys.platform == "win32":
        import msvcrt  # noqa: PLC0415 - only on Windows

        # Windows keeps others from reading what is locked, so it is a byte beyond what is written.
        os.lseek(fd, 1 << 20, os.SEEK_SET)
        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        os.lseek(fd, 0, os.SEEK_SET)
    else:
        import fcntl  # noqa: PLC0415 - not on Windows

        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
