"""What the README shows is what happens: its commands are run, and their output is its output."""

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
BIN = Path(sys.executable).parent


class Session(NamedTuple):
    """A command in a console block, and what it prints."""

    command: str
    output: str


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)


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


@pytest.mark.parametrize("block", blocks("console"), ids=lambda block: block.splitlines()[0])
def test_console_shows_what_happens(block: str, clone: Path) -> None:
    for command, output in sessions(block):
        words = shlex.split(command)
        assert words[0] == "speechcmp"
        call = [str(BIN / words[0]), *words[1:]]
        done = subprocess.run(call, cwd=clone, capture_output=True, text=True, check=False)
        assert without_trailing_space(done.stdout) == without_trailing_space(output), done.stderr


def test_there_are_sessions() -> None:
    assert sum(len(sessions(block)) for block in blocks("console")) >= 3


@pytest.mark.parametrize("code", blocks("python"))
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
