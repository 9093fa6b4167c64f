"""Gives commands spoilt files: each must end in time, with an exit code and a line, and harm no other file."""

import io
import os
import random
import re
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NamedTuple

from fuzz.kinds import KINDS, speak
from fuzz.mutations import mutate

from speechcmp.cli.main import run

LONGEST_S = 30
CODES = {0, 1, 2, 3, 4}
CONTROLS = {*map(chr, range(32)), *map(chr, range(0x7F, 0xA0))} - set("\n\t\r\x1b")


class Fault(NamedTuple):
    """What went wrong, and how to see it again."""

    kind: str
    seed: int
    command: str
    what: str


def faults(kind: str, seeds: range, keep: Path | None = None) -> Iterator[Fault | None]:
    """Run one case a seed; yield its fault, or None."""
    found = KINDS[kind]
    with tempfile.TemporaryDirectory() as name:
        origin = Path(name) / "origin"
        origin.mkdir()
        speak(origin)
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            examples = found.examples(origin)
        for seed in seeds:
            rng = random.Random(f"{kind} {seed}")  # noqa: S311 - the same cases for everybody
            example = rng.choice(sorted(examples))
            folder = Path(name) / "case"
            shutil.copytree(origin, folder)
            data = mutate(examples[example], rng, found.mutations)
            (folder / example).write_bytes(data)
            command = found.commands(example, rng)
            what = _trouble(command, folder, example)
            shutil.rmtree(folder)
            if what and keep:
                keep.mkdir(exist_ok=True)
                (keep / f"{kind}-{seed}-{example}").write_bytes(data)
            yield Fault(kind, seed, " ".join(command), what) if what else None


def _trouble(command: list[str], folder: Path, spoilt: str) -> str | None:
    theirs = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    if command[0] in {"batch", "index", "library"}:  # which write to what is spoilt
        del theirs[folder / spoilt]
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8") for _ in range(2))
    try:
        with chdir(folder), redirect_stdout(out), redirect_stderr(err), _alarm():
            code = run(command)
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException as error:  # noqa: BLE001 - whatever comes is a fault
        return f"raised {type(error).__name__}: {error}"
    changed = [path.name for path, data in theirs.items() if not path.is_file() or path.read_bytes() != data]
    one = command[0] in {"report", "calibrate", "library"} or "--calibration" in command  # one input, one error
    return f"{changed[0]} was changed" if changed else _bad_words(code, _text(out), _text(err), one=one)


def _bad_words(code: int, printed: str, told: str, *, one: bool) -> str | None:
    if "--debug shows where" in told or "Traceback" in told:
        return f"a foreign exception: {told[-300:]}"
    if code not in CODES or (code == 1 and not told):
        return f"exit {code}: {told[-200:]}"
    errors = [line for line in told.splitlines() if line.startswith("speechcmp: ") and "warning: " not in line]
    if one and len(errors) > 1:
        return f"{len(errors)} errors: {told[-300:]}"
    if re.search(r"\.py:\d+: \w*Warning", told):
        return f"a warning of Python's: {told[-300:]}"
    if CONTROLS & {*told, *printed}:
        return f"control characters: {[*(CONTROLS & {*told, *printed})]}"
    return None


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    return stream.buffer.getvalue().decode("utf-8", "replace")  # type: ignore[attr-defined,no-any-return]


class _alarm:  # noqa: N801 - used like a function
    """Raise TimeoutError in the middle of what takes too long."""

    def __enter__(self) -> None:
        self._before = signal.signal(signal.SIGALRM, self._ring)
        signal.alarm(LONGEST_S)

    def __exit__(self, *_: object) -> None:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, self._before)

    @staticmethod
    def _ring(*_: object) -> None:
        raise TimeoutError


def peak_bytes() -> int:
    """Return the most memory that this process has had."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if os.uname().sysname == "Darwin" else 1024)
