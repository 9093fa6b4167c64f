"""From what the user names to recordings: paths, quoted globs, folders, or ``-`` for standard input."""

import glob
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, TypeVar

from speechcmp.audio.url import is_url, without_secrets
from speechcmp.errors import AudioError, ParameterError, SpeechcmpError, StoreError

T = TypeVar("T")

STDIN = "-"
_ANY_FOLDER = re.compile(r"(?:(?<=/)|^)\*\*(?:/|$)")
AUDIO_SUFFIXES = frozenset(
    {".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aif", ".aiff", ".au", ".caf", ".w64"}  # libsndfile
    | {".m4a", ".aac", ".mp4", ".webm", ".wma", ".amr", ".3gp"}  # ffmpeg
)


def expand_inputs(names: Iterable[str], *, recursive: bool = False) -> list[str]:
    """Replace globs and folders by the recordings they stand for, sorted; everything else is kept as given.

    So is one of several that stands for none: opening it tells so when its turn comes, and the rest is done.

    Raises
    ------
    AudioError
        The only input is a folder or glob without a recording.
    ParameterError
        An input is empty, or standard input is named twice.
    """
    names = list(names)
    found: list[str] = []
    for name in names:
        if not name:
            raise ParameterError("an input is empty; name a recording, or . for the recordings of this folder")
        matches = _matches(name, recursive=recursive)
        if not matches and len(names) == 1:
            raise _nothing_error(name, "name another" if recursive else "-r looks in its folders, too")
        found += matches or [name]
    if found.count(STDIN) > 1:
        raise ParameterError("-: standard input can be read only once; name a file instead")
    return found


def _matches(name: str, *, recursive: bool) -> list[str]:
    if name != STDIN and os.path.isdir(name):  # noqa: PTH112 - as `_is_pattern`
        try:
            entries = Path(name).rglob("*") if recursive else Path(name).iterdir()
            return [str(x) for x in sorted(entries) if x.suffix.lower() in AUDIO_SUFFIXES and x.is_file()]
        except OSError:
            return []
    if _is_pattern(name):
        return sorted(x for x in _glob(name) if not os.path.isdir(x))  # noqa: PTH112 - as `_is_pattern`
    return [name]


def _glob(pattern: str) -> set[str]:
    """Find what a pattern stands for; ``**`` goes into no link, as those that lead back would never end."""
    parts = _ANY_FOLDER.split(pattern, maxsplit=1)
    if len(parts) == 1:
        return set(glob.glob(pattern))  # noqa: PTH207 - Path takes no absolute patterns
    before, after = parts
    found: set[str] = set()
    for start in glob.glob(before) if before else [""]:  # noqa: PTH207
        for folder, folders, _ in os.walk(start or "."):
            folders[:] = [name for name in folders if not name.startswith(".")]
            inside = folder if start else os.path.relpath(folder)
            found |= _glob(os.path.join("" if inside == "." else glob.escape(inside), after or "*"))  # noqa: PTH118
    return found


def _is_pattern(name: str) -> bool:
    return glob.has_magic(name) and not os.path.exists(name)  # noqa: PTH110 - Path raises for an impossible name


def _nothing_error(name: str, hint: str = "") -> AudioError:
    if _is_pattern(name):
        return AudioError(f"{name}: no file matches; check the pattern")
    if not os.access(name, os.R_OK | os.X_OK):
        return AudioError(f"{name}: unreadable (permission denied); check the folder's permissions")
    return AudioError(f"{name}: no recording in this folder; {hint}")


class EachInput:
    """Does something with one input after the other.

    What can't be done ends the command if it is the only one, or would befall all; otherwise it is told and counted.

    Parameters
    ----------
    names : sequence of str
        From `expand_inputs`.
    what : str
        What the progress bar says.
    prints : bool
        Whether outcomes are printed as they come, which needs no bar.
    """

    def __init__(self, names: Sequence[str], *, what: str, prints: bool = False) -> None:
        self._names = names
        self._what = what
        self._prints = prints
        self.n_failed = 0

    def outcomes(self, function: Callable[[str], T]) -> Iterator[T]:
        """Yield what the function makes of each input, as soon as it is known; nothing is kept."""
        from speechcmp.cli.output import complain
        from speechcmp.cli.progress import track

        for name in track(self._names, total=len(self._names), what=self._what, prints=self._prints):
            try:
                outcome = function(name)
            except SpeechcmpError as error:
                if len(self._names) == 1 or isinstance(error, ParameterError | StoreError):
                    raise
                complain(str(error))
                self.n_failed += 1
                continue
            yield outcome

    @property
    def exit_code(self) -> int:
        """0 if all went well, 1 if nothing did, 3 between the two."""
        return exit_code(self.n_failed, len(self._names) - self.n_failed)


def exit_code(n_failed: int, n_done: int) -> int:
    """Return the exit code of work on several inputs: 3 if some failed and the rest is there."""
    return 0 if not n_failed else 3 if n_done else 1


def as_source(name: str) -> str | BinaryIO:
    """Return what to open for an input: the stream of standard input, or the path itself.

    Raises
    ------
    AudioError
        It is a glob that stands for no recording, or a URL, or standard input is closed.
    """
    if is_url(name):
        raise AudioError(f"{without_secrets(name)}: a URL, which only manifests may name; download it first")
    if name == STDIN and sys.stdin is None:
        raise AudioError("-: standard input is closed; name a file")
    if _is_pattern(name) and not _matches(name, recursive=False):
        raise _nothing_error(name)
    return sys.stdin.buffer if name == STDIN else name


def as_label(name: str) -> str:
    """Return what messages call an input."""
    return "stdin" if name == STDIN else name
