"""``speechcmp doctor``: what is installed, and how to get what is not."""

import platform
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import Annotated, Literal

import typer

from speechcmp.errors import ParameterError

EXTRAS = {
    "dask": ("distributed", "spread a batch over a cluster"),
    "microphone": ("sounddevice", "record from the microphone"),
    "parquet": ("pyarrow", "read manifests and write results as Parquet"),
    "remote": ("fsspec", "read recordings from URLs"),
}


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that may or may not be there."""

    name: str
    ok: bool
    detail: str
    remedy: str | None = None


def doctor(
    output_format: Annotated[
        Literal["table", "json"],
        typer.Option("--format", "-f", help="How to print it."),
    ] = "table",
) -> None:
    """Tell what is installed (ffmpeg, native kernel, database, extras) and how to get what is missing."""
    from speechcmp.cli.output import console, new_table, print_json, shown

    checks = [check() for check in _CHECKS] + list(_extras())
    if output_format == "json":
        version = _version("speechcmp")
        print_json(
            {
                "schema": "speechcmp.doctor/1",
                "version": version,
                "checks": [asdict(check) for check in checks],
            }
        )
        return
    table = new_table(("", "left"), ("", "left"), ("", "left"))
    table.show_header = False
    for check in checks:
        mark = "[green]✓[/]" if check.ok else "[yellow]–[/]"
        remedy = f"  [dim]{shown(check.remedy)}[/]" if check.remedy else ""
        table.add_row(mark, check.name, shown(check.detail) + remedy)
    console().print(table)


def _version(package: str) -> str:
    from importlib.metadata import version

    return version(package)


def _python() -> Check:
    return Check("python", True, f"{platform.python_version()} on {platform.system()} {platform.machine()}")


def _speechcmp() -> Check:
    return Check("speechcmp", True, _version("speechcmp"))


def _kernel() -> Check:
    from speechcmp.dtw.warp import kernel_name

    name = kernel_name()
    remedy = "install a C++ compiler (apt install g++), then install speechcmp again: comparing gets faster"
    return Check("dtw kernel", name != "numpy", name, None if name != "numpy" else remedy)


def _libsndfile() -> Check:
    import soundfile

    return Check("libsndfile", True, f"{soundfile.__libsndfile_version__}: wav, flac, mp3, ogg, opus")


def _ffmpeg() -> Check:
    if not (shutil.which("ffmpeg") and shutil.which("ffprobe")):
        remedy = "apt install ffmpeg, or brew install ffmpeg"
        return Check("ffmpeg", False, "not found: m4a, aac, mp4, webm, wma and amr can't be read", remedy)
    told = subprocess.run(["ffmpeg", "-version"], capture_output=True, text=True, check=False)  # noqa: S607
    words = told.stdout.split()
    return Check("ffmpeg", True, words[2] if len(words) > 2 else "found")


def _sqlite() -> Check:
    import sqlite3

    return Check("sqlite", True, sqlite3.sqlite_version)


def _pymysql() -> Check:
    return Check("pymysql", True, f"{_version('pymysql')}: MySQL and MariaDB can be used")


def _settings() -> Check:
    from speechcmp.cli.settings import read_settings

    try:
        found = [str(path) for path in read_settings()]
    except ParameterError as error:
        what, remedy = str(error).rsplit("; ", 1)
        return Check("settings", False, what, remedy)
    return Check("settings", True, ", ".join(found) or "no speechcmp.toml: as built in")


_CHECKS: tuple[Callable[[], Check], ...] = (
    _speechcmp,
    _python,
    _kernel,
    _libsndfile,
    _ffmpeg,
    _sqlite,
    _pymysql,
    _settings,
)


def _extras() -> Iterator[Check]:
    for name, (module, purpose) in EXTRAS.items():
        if find_spec(module):
            yield Check(name, True, f"{module} {_version(module)}")
        else:
            yield Check(
                name,
                False,
                f"{module} is not installed: needed to {purpose}",
                f"pip install {module}",
            )
