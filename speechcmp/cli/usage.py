"""What a wrong call is told: which option, the value given, and what to do."""

import re
from typing import Any

import typer

# The base of typer's usage errors; it lives in typer or in click, depending on the release.
UsageError: type[Exception] = typer.BadParameter.__mro__[2]

_EXAMPLES = {
    "MS": "milliseconds such as 500",
    "DBFS": "dBFS such as -20",
    "SECONDS": "seconds such as 30",
    "FRACTION": "a share such as 0.2",
    "SCORE": "a score from 0 to 100",
    "N": "a number such as 4",
    "ID...": "numbers as `speechcmp library list` shows them",
}


def usage_message(error: Any) -> str:  # noqa: ANN401 - typer's, or click's
    """Put an error of the parser in one line of the form *what: what is wrong; what to do*; empty: help was shown."""
    kind = type(error).__name__
    if kind == "NoArgsIsHelpError" or not error.format_message():
        return ""
    help_hint = f"see {error.ctx.command_path} --help" if error.ctx else "see --help"
    if kind == "MissingParameter":
        return f"{_name(error.param)}: is missing; {help_hint}"
    if isinstance(error, typer.BadParameter):
        return _bad_value(error, help_hint)
    if kind == "NoSuchOption":
        near = ", ".join(sorted(error.possibilities or ()))
        return f"{error.option_name}: no such option; " + (f"did you mean {near}?" if near else help_hint)
    message = error.format_message().rstrip(".")
    command = re.fullmatch(r"No such command '(.*?)'(?:\. (Did you mean .*\?))?", message)
    if command:
        verbs = ", ".join(getattr(error.ctx.command, "commands", ()))
        near = command[2].replace("Did", "did").replace("'", "") if command[2] else f"use one of {verbs}"
        return f"{command[1]}: no such verb; {near}"
    option = re.fullmatch(r"Option '(.*?)' (.*)", message)
    return f"{option[1]}: {option[2]}; {help_hint}" if option else f"{message}; {help_hint}"


def _name(param: Any) -> str:  # noqa: ANN401 - a parameter of typer's, or click's
    if param is None:
        return "arguments"
    if param.param_type_name == "argument":
        return str(param.metavar or param.name.upper())
    return str(max(param.opts, key=len))


def _bad_value(error: Any, help_hint: str) -> str:  # noqa: ANN401
    param, message = error.param, error.message.removeprefix("Value error, ").rstrip(".")
    name = _name(param) + _origin(param, error.ctx)
    given = _given(error)
    choices = re.search(r"is not one of (.*)", message)
    if choices:
        return f"{name}: {given} is not possible; use one of {choices[1].replace(chr(39), '')}"
    example = _EXAMPLES.get(getattr(param, "metavar", None) or "", "")
    remedy = f"give {example}" if example else help_hint
    for word, lacking in (("integer", "no whole number"), ("number", "no number"), ("float", "no number")):
        if f"valid {word}" in message:
            return f"{name}: {given} is {lacking}; {remedy}"
    if "boolean" in message:
        return f"{name}: {given} is neither true nor false; give 1 or 0"
    limit = re.search(r"(greater|less) than or equal to (\S+)", message)
    if limit:
        bound = "at least" if limit[1] == "greater" else "at most"
        return f"{name}: {given} is out of range; give {bound} {limit[2]}"
    return f"{name}: {message}; {remedy}"


def _given(error: Any) -> str:  # noqa: ANN401
    """Find the value: pydantic's errors, which typer raises from, hold it; click's messages begin with it."""
    cause = error.__cause__
    if hasattr(cause, "errors"):
        return repr(cause.errors()[0]["input"])
    quoted = re.match(r"'.*?'", error.message)
    return quoted[0] if quoted else "the value"


def _origin(param: Any, ctx: Any) -> str:  # noqa: ANN401
    """Tell where a value is from that was not typed."""
    source = getattr(ctx.get_parameter_source(param.name), "name", "") if ctx and param else ""
    if source == "ENVIRONMENT":
        return " (from the environment)"
    return " (from speechcmp.toml)" if source == "DEFAULT_MAP" else ""
