"""All verbs under one name: settings become their defaults, errors one line and an exit code."""

import os
from collections.abc import Iterator, Mapping
from functools import cache
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
from speechcmp.cli.main import INTERRUPTED
from speechcmp.cli.report import report
from speechcmp.cli.settings import default_values, read_settings, without_foreign
from speechcmp.cli.split import split
from speechcmp.cli.usage import UsageError, usage_message
from speechcmp.errors import ParameterError, SpeechcmpError

_TRUE = {"1", "t", "true", "y", "yes", "on"}
_ASKING = {"--help", "-h", "--version", "--show-completion", "--install-completion"}
_COMPLETING = "_SPEECHCMP_COMPLETE"
OWN_OPTIONS = {"all", "by", "format", "limit", "out"}  # mean other things to other verbs

app = typer.Typer(
    name="speechcmp",
    no_args_is_help=True,
    epilog="Every option of a verb has an environment variable, SPEECHCMP_MIN_SILENCE_LEN or SPEECHCMP_SPLIT_OUT for "
    "instance, and a key in speechcmp.toml.",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for verb in (split, compare, batch, report, calibrate, index, identify, doctor):
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


def answer(arguments: list[str]) -> int:
    """Run a verb; an error becomes one line on stderr and an exit code.

    Raises
    ------
    BrokenPipeError
        Nobody reads the output any more.
    """
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    debug = "--debug" in options or os.environ.get("SPEECHCMP_DEBUG", "").strip().lower() in _TRUE
    rest = [argument for argument in options if argument != "--debug"] + arguments[len(options) :]
    try:
        result = command()(rest, prog_name="speechcmp", standalone_mode=False, default_map=_defaults(options))
    except BrokenPipeError:
        raise
    except Exception as error:
        if _is_interrupt(error):
            raise KeyboardInterrupt from error
        if debug:
            raise
        return _report(error)
    return result if isinstance(result, int) else 0


def _is_interrupt(error: BaseException | None) -> bool:
    """Tell Ctrl-C from an error, also where compiled code has made one of it."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


@cache
def command() -> Any:  # noqa: ANN401 - a group of typer's, or of click's
    """Return the whole command line, every option with its environment variables."""
    group: Any = typer.main.get_command(app)
    for verb, option, param in all_options(group):
        given = [param.envvar] if isinstance(param.envvar, str) else list(param.envvar or ())
        general = [] if option in OWN_OPTIONS else [variable(option)]
        param.envvar = [variable(f"{verb}-{option}"), *dict.fromkeys(given + general)]
        param.show_envvar = False  # one rule for all of them needs no two lines an option
    return group


def variable(option: str) -> str:
    """Return the environment variable of an option, or of a verb and an option."""
    return "SPEECHCMP_" + option.upper().replace("-", "_")


def all_options(group: Any) -> Iterator[tuple[str, str, Any]]:  # noqa: ANN401
    """Yield every verb's options: (verb, name without dashes, parameter)."""
    for verb, found in group.commands.items():
        for part in found.commands.values() if hasattr(found, "commands") else [found]:
            for param in part.params:
                if param.param_type_name == "option":
                    yield verb, max(param.opts, key=len).removeprefix("--"), param


def _defaults(options: list[str]) -> dict[str, dict[str, Any]]:
    try:
        settings, warnings = without_foreign(read_settings())
        defaults = defaults_from(settings)
    except ParameterError:
        asks = not options or _ASKING & set(options) or options[0] == "doctor" or _COMPLETING in os.environ
        if asks:  # whoever wants to know more must be told, whatever the settings are
            return {}
        raise
    if warnings:
        from speechcmp.cli.output import warn

        for warning in warnings:
            warn(warning)
    return defaults


def defaults_from(settings: Mapping[Path, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return what settings files say as default values by verb and parameter."""
    if not settings:
        return {}
    group = command()
    names: dict[str, dict[str, str]] = {verb: {} for verb in group.commands}
    for verb, option, param in all_options(group):
        names[verb][option] = param.name
    defaults = default_values(settings, names)
    # The verbs of a verb look for their values below its own.
    return {
        verb: dict.fromkeys(found.commands, defaults[verb]) if hasattr(found, "commands") else defaults[verb]
        for verb, found in group.commands.items()
    }


def _report(error: Exception) -> int:
    if isinstance(error, typer.Abort):
        return INTERRUPTED
    if isinstance(error, UsageError):
        message, code = usage_message(error), 2
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
