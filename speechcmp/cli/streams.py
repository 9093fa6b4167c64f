"""Streams that take whatever is printed: closed ones, and those of an encoding that lacks a character."""

import codecs
import os
import sys
from pathlib import Path

# What tables are drawn with, for encodings that have nothing but letters.
_PLAIN = dict(zip("█▉▊▋▌▍▎▏–✓×…╭╮╰╯─│", "##|||||.-+x.++++-|", strict=True))
_ERRORS = "speechcmp.tables"


def prepare_streams() -> None:
    """Make stdout and stderr fit to be printed to, whatever the caller has left of them."""
    codecs.register_error(_ERRORS, _plainly)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed: print to nowhere
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - until the end
        elif hasattr(stream, "reconfigure") and "utf" not in stream.encoding.lower():
            stream.reconfigure(errors=_ERRORS)


def _plainly(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    characters = error.object[error.start : error.end]
    return "".join(_PLAIN.get(c) or c.encode("unicode_escape").decode() for c in characters), error.end
