"""The command line: one file a verb; each parses, calls the library, and prints.

Verbs import what they work with when they run, so that ``--help`` and ``--version`` need not load numpy.
"""

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from speechcmp.cli.batch import batch
from speechcmp.cli.calibrate import calibrate
from speechcmp.cli.compare import compare
from speechcmp.cli.doctor import doctor
from speechcmp.cli.identify import identify
from speechcmp.cli.index import index
from speechcmp.cli.library import app as library
from speechcmp.cli.settings import default_values, read_settings
from speechcmp.cli.split import split
from speechcmp.errors import ParameterError, SpeechcmpError

# The base of typer's usage errors; it lives in typer or in click, depending on the release.
_UsageError: type[Exception] = typer.BadParameter.__mro__[2]

app = typer.Typer(
    name="speechcmp",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for verb in (split, compare, batch, calibrate, index, identify, doctor):
    app.command()(verb)
app.add_typer(library, name="library")


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"speechcmp {version('speechcmp')}")  # noqa: T201 - before any console exists
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
    _debug: Annotated[
        bool, typer.Option("--debug", envvar="SPEECHCMP_DEBUG", help="Show the traceback of an error.")
    ] = False,
) -> None:
    """Compare speech recordings: which chunk was said where, and how far apart they sound."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """Run the command line; errors become one line on stderr and an exit code."""
    # One line of BLAS threads would cost more CPU to wake than these small products take.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    _fill_closed_streams()
    debug = "--debug" in arguments or bool(os.environ.get("SPEECHCMP_DEBUG"))
    arguments = [argument for argument in arguments if argument != "--debug"]
    try:
        result = app(arguments, prog_name="speechcmp", standalone_mode=False, default_map=_defaults())
        sys.stdout.flush()
    except Exception as error:
        if debug:
            raise
        return _report(error)
    except KeyboardInterrupt:
        return 130
    return result if isinstance(result, int) else 0


def _fill_closed_streams() -> None:
    """Print to nowhere what would go to a stream that the caller has closed."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 - until the end


def _defaults() -> dict[str, dict[str, Any]]:
    settings = read_settings()
    if not settings:
        return {}
    group: Any = typer.main.get_command(app)
    defaults = default_values(settings, {verb: _option_names(command) for verb, command in group.commands.items()})
    # The verbs of a verb look for their values below its own.
    return {
        verb: dict.fromkeys(command.commands, defaults[verb]) if hasattr(command, "commands") else defaults[verb]
        for verb, command in group.commands.items()
    }


def _option_names(command: Any) -> dict[str, str]:  # noqa: ANN401 - a command of typer's, or of click's
    parts = command.commands.values() if hasattr(command, "commands") else [command]
    return {option.removeprefix("--"): param.name for part in parts for param in part.params for option in param.opts}


def _report(error: Exception) -> int:
    if isinstance(error, BrokenPipeError):  # the reader of our output, `head` say, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    if isinstance(error, typer.Abort):
        return 130
    if isinstance(error, _UsageError):
        message, code = getattr(error, "format_message", error.__str__)(), 2
        if not message:  # no arguments: the help was shown
            return code
    elif isinstance(error, OSError):
        reason = (error.strerror or str(error)).lower()
        message, code = f"{error.filename or 'output'}: {reason}; check the path, its permissions and the space left", 1
    elif isinstance(error, SpeechcmpError):
        message, code = str(error), 2 if isinstance(error, ParameterError) else 1
    else:
        message, code = f"{type(error).__name__}: {error}; --debug shows where", 1
    from speechcmp.cli.output import complain

    complain(message)
    return code
