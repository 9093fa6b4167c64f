"""Settings from files: ``speechcmp.toml`` in the working folder before the one in the user's config folder.

A key is an option's name, for every verb that has it, or for one verb inside a table of that verb's name::

    min-silence-len = 400

    [compare]
    recipe = "classic"

A folder may come from somebody else, with its settings. What decides where data go or come from, or who computes, is
not taken from there.
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from platformdirs import user_config_path

from speechcmp.errors import ParameterError
from speechcmp.files import read_bounded

FILE_NAME = "speechcmp.toml"
OWN_ONLY = frozenset(
    {"dask", "db", "out", "failures", "calibration", "encoder", "host", "token", "allow-private", "force"}
    | {"jobs", "max-duration"}
    | {"reference", "takes", "also-reference", "wrong"}
)
OptionNames = Mapping[str, Mapping[str, str]]  # verb -> option without dashes -> parameter


def read_settings() -> dict[Path, dict[str, Any]]:
    """Return what the settings files say, the one that counts more last."""
    return {path: _read(path) for path in (own_path(), Path.cwd() / FILE_NAME) if path.exists()}


def own_path() -> Path:
    """Return where the user's own settings are."""
    return user_config_path("speechcmp") / FILE_NAME


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(read_bounded(path).decode())
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ParameterError(f"{path}: not a settings file ({reason}); mend or remove it") from error


def without_foreign(settings: Mapping[Path, Mapping[str, Any]]) -> tuple[dict[Path, dict[str, Any]], list[str]]:
    """Leave out what a working folder may not decide, and say so.

    Returns
    -------
    tuple of (dict, list of str)
        The settings that count, and a warning for each file that had others.
    """
    counted: dict[Path, dict[str, Any]] = {}
    warnings = []
    own = own_path()
    for path, content in settings.items():
        counted[path], foreign = (dict(content), []) if path == own else _parted(content)
        if foreign:
            warnings.append(
                f"{path}: {', '.join(foreign)} not taken from a working folder; give the option, or put it into {own}"
            )
    return counted, warnings


def _parted(options: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Return what a folder may decide of these options and of those of single verbs, and the names of the others."""
    foreign = sorted(OWN_ONLY & options.keys())
    kept = {name: value for name, value in options.items() if name not in OWN_ONLY}
    for verb, value in kept.items():
        if isinstance(value, dict):
            kept[verb], others = _parted(value)
            foreign += [f"{verb}.{name}" for name in others]
    return kept, foreign


def default_values(settings: Mapping[Path, Mapping[str, Any]], names: OptionNames) -> dict[str, dict[str, Any]]:
    """Turn settings into default values by verb and parameter.

    Raises
    ------
    ParameterError
        A key is no option, or a table no verb.
    """
    defaults: dict[str, dict[str, Any]] = {verb: {} for verb in names}
    for path, content in settings.items():
        for key, value in content.items():
            if isinstance(value, dict):
                if key not in names:
                    raise ParameterError(f"{path}: [{key}] is no verb; use one of {', '.join(names)}")
                for option, own in value.items():
                    _set(defaults, path, option, own, {key: names[key]})
            else:
                _set(defaults, path, key, value, names)
    return defaults


def _set(defaults: dict[str, dict[str, Any]], path: Path, option: str, value: object, names: OptionNames) -> None:
    verbs = [verb for verb in names if option in names[verb]]
    if not verbs:
        raise ParameterError(f"{path}: {option!r} is no option of {', '.join(names)}; see --help")
    for verb in verbs:
        defaults[verb][names[verb][option]] = value
