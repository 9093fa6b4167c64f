"""From what the user names to recordings: paths, quoted globs, folders, or ``-`` for standard input."""

import glob
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

from speechcmp.errors import AudioError, ParameterError

STDIN = "-"
AUDIO_SUFFIXES = frozenset(
    {".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".aif", ".aiff", ".au", ".caf", ".w64"}  # libsndfile
    | {".m4a", ".aac", ".mp4", ".webm", ".wma", ".amr", ".3gp"}  # ffmpeg
)


def expand_inputs(names: Iterable[str], *, recursive: bool = False) -> list[str]:
    """Replace globs and folders by the recordings they stand for, sorted; everything else is kept as given.

    Raises
    ------
    AudioError
        A folder or glob has no recording.
    ParameterError
        Standard input is named twice.
    """
    found: list[str] = []
    for name in names:
        if not name:
            raise ParameterError("an input is empty; name a recording, or . for the recordings of this folder")
        path = Path(name)
        if name != STDIN and path.is_dir():
            found += _in_folder(path, recursive=recursive)
        elif glob.has_magic(name) and not path.exists():
            matches = sorted(x for x in glob.glob(name, recursive=True) if not Path(x).is_dir())  # noqa: PTH207 - absolute, too
            if not matches:
                raise AudioError(f"{name}: no file matches; check the pattern")
            found += matches
        else:
            found.append(name)
    if found.count(STDIN) > 1:
        raise ParameterError("-: standard input can be read only once; name a file instead")
    return found


def _in_folder(folder: Path, *, recursive: bool) -> list[str]:
    entries = folder.rglob("*") if recursive else folder.iterdir()
    paths = sorted(path for path in entries if path.suffix.lower() in AUDIO_SUFFIXES and path.is_file())
    if not paths:
        hint = "" if recursive else "; -r looks in its folders, too"
        raise AudioError(f"{folder}: no recording in this folder{hint}")
    return [str(path) for path in paths]


def as_source(name: str) -> str | BinaryIO:
    """Return what to open for an input: the stream of standard input, or the path itself."""
    return sys.stdin.buffer if name == STDIN else name


def as_label(name: str) -> str:
    """Return what messages call an input."""
    return "stdin" if name == STDIN else name
