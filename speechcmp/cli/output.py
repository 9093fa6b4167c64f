"""What is printed: data on stdout, words on stderr, nothing that a file name could turn into markup.

rich is imported when something is drawn: programs that ask for JSON need not wait for it.
"""

import csv
import io
import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from speechcmp.tables import finite, shown_number

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_MARKUP = re.compile(r"(\\*)(?:(\[[a-z#/@][^[]*?\])|(\[)|(?<=\\)$)")
PLAIN_WIDTH = 100  # of a table that goes to a file


def console(*, stderr: bool = False) -> "Console":
    """Return a console for stdout or stderr; color and width only where a terminal shows them."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else PLAIN_WIDTH
    return Console(stderr=stderr, highlight=False, emoji=False, soft_wrap=stderr, width=width)


def shown(text: object) -> str:
    """Make a text safe to show: control characters as escapes, markup switched off.

    rich takes a backslash before what looks like a tag for an escape, two for one of them, and one before any other
    bracket for nothing; its own `escape` knows the first of these.
    """
    plain = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))
    return _MARKUP.sub(_unmarked, plain)


def _unmarked(found: re.Match[str]) -> str:
    slashes, tag, bracket = found.groups()
    if tag:
        return 2 * slashes + "\\" + tag
    return slashes + "\\[" if bracket else 2 * slashes  # at the end, where a tag may follow


def complain(message: str) -> None:
    """Print an error, one line."""
    console(stderr=True).print(f"speechcmp: {shown(message)}", style="bold red")


def tell(message: str) -> None:
    """Print a word of what goes on, one line."""
    console(stderr=True).print(f"speechcmp: {shown(message)}")


def warn(message: str) -> None:
    """Print a warning, one line."""
    console(stderr=True).print(f"speechcmp: warning: {shown(message)}", style="yellow")


def _as_json(value: object, indent: int | None = None) -> str:
    """Write JSON in which no character means anything to a terminal: JSON itself escapes but some of them."""
    text = json.dumps(finite(value), ensure_ascii=False, indent=indent, allow_nan=False)
    return _CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def print_text(text: str) -> None:
    """Print text exactly as it is, in UTF-8 whatever the locale."""
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))
    sys.stdout.buffer.flush()


def print_json(value: object) -> None:
    """Print one JSON document."""
    print_text(_as_json(value, 1) + "\n")


def print_json_line(value: object) -> None:
    """Print one JSON document on a line of its own."""
    print_text(_as_json(value) + "\n")


def print_json_array(values: Iterable[object]) -> None:
    """Print one JSON document, an array, each of its values as soon as it is there."""
    before = "["
    for value in values:
        text = _as_json(value, 1)
        print_text(before + "\n " + text.replace("\n", "\n "))
        before = ","
    print_text("[]\n" if before == "[" else "\n]\n")


def print_csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Print comma-separated rows under one header, each as soon as it is there; what is not known is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    for row in rows:
        writer.writerow({k: _cell(v) for k, v in finite(row).items()})
        print_text(text.getvalue())
        text.seek(0)
        text.truncate()
    print_text(text.getvalue())


def _cell(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, str):  # spreadsheets and terminals know line ends and tabs, and nothing good of others
        return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), value)
    return value


def new_table(*columns: tuple[str, str]) -> "Table":
    """Make a table of (header, justification) columns."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for header, justify in columns:
        table.add_column(header, justify="right" if justify == "right" else "left", no_wrap=justify == "right")
    return table


def number(value: float | None, decimals: int = 2) -> str:
    """Write a number for a table; a dash where there is none."""
    return shown_number(value, decimals)


def bar(share: float, width: int = 12) -> str:
    """Draw a bar of `share` (0 to 1) of `width` cells, to an eighth of a cell."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    return "█" * (eighths // 8) + (" ▏▎▍▌▋▊▉"[eighths % 8] if eighths % 8 else "")
