"""What the README and the pages of docs/ show is what happens: commands are run, and their output is theirs."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer
from commands import ROOT

from speechcmp.cli.root import app

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
MOST_LINES = 130
BIN = Path(sys.executable).parent


class Session(NamedTuple):
    """A command in a console block, and what it prints."""

    command: str
    output: str


def blocks(language: str, text: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def on_pages(language: str) -> list[Any]:
    """Return the blocks of every page, as parameters of a test that are named by page and number."""
    found = [(name_of(page), blocks(language, page.read_text(encoding="utf-8"))) for page in PAGES]
    return [pytest.param(block, id=f"{name}-{k}") for name, several in found for k, block in enumerate(several)]


def sessions(block: str) -> list[Session]:
    return [Session(*part.split("\n", 1)) for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]]


def without_trailing_space(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip().splitlines()]


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Copy what a clone has, into a folder of its own."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.rstrip("\0").split("\0"):
        target = tmp_path / "clone" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target, follow_symlinks=False)
    return tmp_path / "clone"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_console_shows_what_happens(page: Path, clone: Path) -> None:
    for block in blocks("console", page.read_text(encoding="utf-8")):
        for command, output in sessions(block):
            words = shlex.split(command)
            assert words[0] in {"speechcmp", "cat"}
            call = [str(BIN / words[0]) if words[0] == "speechcmp" else words[0], *words[1:]]
            done = subprocess.run(call, cwd=clone, capture_output=True, text=True, check=False)
            assert without_trailing_space(done.stdout) == without_trailing_space(output), f"{command}\n{done.stderr}"


def test_there_are_sessions() -> None:
    every = [block for page in PAGES for block in blocks("console", page.read_text(encoding="utf-8"))]
    assert sum(len(sessions(block)) for block in every) >= 8


@pytest.mark.parametrize("code", on_pages("python"))
def test_python_runs(code: str, clone: Path) -> None:
    done = subprocess.run([sys.executable, "-c", code], cwd=clone, capture_output=True, text=True, check=True)
    assert done.stdout


@pytest.mark.slow
def test_first_command_works_in_a_clean_clone(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (first, _second) = blocks("sh")[:2]
    for variable in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME"):
        monkeypatch.delenv(variable, raising=False)
    done = subprocess.run(["bash", "-c", first], cwd=clone, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "overall: score" in done.stdout


def test_second_command_is_what_ci_runs() -> None:
    (_first, second) = blocks("sh")[:2]
    assert second.strip() == "bash tests/all.sh"
    assert "tests/all.sh" in (ROOT / ".ci" / "run").read_text()


def commands() -> dict[str, Any]:
    group: Any = typer.main.get_command(app)
    return dict(group.commands)


@pytest.mark.parametrize("verb", commands())
def test_every_verb_is_documented(verb: str) -> None:
    assert f"`speechcmp {verb}" in README
    assert commands()[verb].help


def test_every_option_has_help() -> None:
    for verb, command in commands().items():
        for parameter in command.params:
            assert parameter.help, f"{verb} {parameter.name}"


def test_exit_codes_are_documented() -> None:
    assert re.findall(r"^\| (\d+) \|", README, flags=re.MULTILINE) == ["0", "1", "2", "3", "4"]


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= MOST_LINES


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("block", on_pages("sh"))
def test_commands_that_are_not_run_can_be(block: str) -> None:
    options = {verb: {name for param in command.params for name in param.opts} for verb, command in commands().items()}
    for line in re.findall(r"^speechcmp (.*)$", block, flags=re.MULTILINE):
        verb, *words = shlex.split(line, comments=True)
        assert verb in options, line
        if verb != "library":
            assert {word.partition("=")[0] for word in words if re.match("--?[a-z]", word)} <= options[verb], line
