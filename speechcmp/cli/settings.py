"""Settings from files: ``speechcmp.toml`` in the working folder before the one in the user's config folder.

A key is an option's name, for every verb that has it, or for one verb inside a table of that verb's name::

    min-silence-len = 400

    [compare]
    recipe = "classic"
"""

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from platformdirs import user_config_path

from speechcmp.errors import ParameterError

FILE_NAME = "speechcmp.toml"
OptionNames = Mapping[str, Mapping[str, str]]  # verb -> option without dashes -> parameter


def read_settings() -> dict[Path, dict[str, Any]]:
    """Return what the settings files say, the one that counts more last."""
    paths = (user_config_path("speechcmp") / FILE_NAME, Path.cwd() / FILE_NAME)
    return {path: _read(path) for path in paths if path.is_file()}


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ParameterError(f"{path}: not a settings file ({error}); mend or remove it") from error


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
