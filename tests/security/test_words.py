"""Words that mean something to a terminal, to rich or to a spreadsheet: shown as what they are."""

import csv
import io
import json
import sys
from pathlib import Path

import pytest
from commands import Command

from speechcmp.cli.output import shown

NASTY = ["[bold red]x[]", "a[/b]", "\\[", "ends in \\", "\x1b[2Jx", "\x9b31mx", "\x07", "line\nfeed", "=1+1", "@x"]
MARKED = [
    *NASTY,
    "[/]",
    "\\[bold]",
    "\\\\[",
    "\\\\[red]x\\",
    "a[/]b",
    "[[red]]",
    "[RED]",
    "[",
    "]",
    "\\\\",
    "\u202egni",
]
CONTROLS = {*map(chr, range(32)), *map(chr, range(0x7F, 0xA0))} - {"\n"}
posix = pytest.mark.skipif(sys.platform == "win32", reason="such names can't be made")


@posix
@pytest.mark.parametrize("word", [word for word in NASTY if "/" not in word])
def test_file_names(speechcmp: Command, reference: Path, tmp_path: Path, word: str) -> None:
    name = f"{word}.wav"
    (tmp_path / name).write_bytes(reference.read_bytes())
    for form in ("table", "json", "jsonl", "csv"):
        done = speechcmp("split", name, "reference.wav", "-f", form)
        assert done.code == 0
        assert not CONTROLS & {*done.out, *done.err}
        if form == "jsonl":
            assert done.lines[0]["recording"]["path"] == name
        elif form == "table":
            assert name.encode("unicode_escape").decode()[:9].replace("\\\\", "\\") in done.out.replace("\\\\", "\\")
    done = speechcmp("compare", "reference.wav", name)
    assert (done.code, CONTROLS & {*done.out, *done.err}) == (0, set())
    (tmp_path / name).write_bytes(b"")
    done = speechcmp("split", name)
    assert (done.code, len(done.err.splitlines()), CONTROLS & {*done.err}) == (1, 1, set())


@pytest.mark.parametrize("word", MARKED)
def test_columns_and_cells(speechcmp: Command, reference: Path, tmp_path: Path, word: str) -> None:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["reference", "take", word])
    for _ in range(2):
        writer.writerow([reference, reference, word])
    (tmp_path / "m.csv").write_text(text.getvalue(), newline="")
    done = speechcmp("batch", "m.csv", "--out", "r.jsonl", "--jobs", 1, "--by", word.strip())
    assert (done.code, CONTROLS & {*done.out, *done.err}) == (0, set())
    assert json.loads((tmp_path / "r.jsonl").read_text().splitlines()[0])[word.strip()] == word
    for form in ("table", "json"):
        told = speechcmp("report", "r.jsonl", "--by", word.strip(), "--format", form)
        assert (told.code, CONTROLS & {*told.out, *told.err}) == (0, set())
    assert json.loads(told.out)["by"]["column"] == word.strip()


def test_what_is_shown_is_no_markup() -> None:
    from rich.text import Text

    for word in MARKED:
        plain = Text.from_markup(f"[bold]{shown(word)}[/] and [red]more[/]").plain
        assert (
            plain == "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in word) + " and more"
        )
