"""Arguments of the wrong type: told by name, in one line, whatever they are given to.

Types are those of the annotations. What a value has to be besides (a range, a shape) is checked where it is known.
"""

import builtins
import functools
import inspect
import re
import reprlib
import sys
import types
import typing
from collections.abc import Callable, Container, Iterable, Mapping, Sequence, Sized
from dataclasses import fields
from numbers import Integral, Real
from typing import Any, Literal, ParamSpec, TypeVar

from speechcmp.errors import ParameterError

_MAX_INT = 2**63 - 1  # what arrays and files have room for
_MAX_FLOAT = 2**1023
_PLAIN: dict[Any, tuple[type, str]] = {
    float: (Real, "a number"),
    int: (Integral, "a whole number"),
    str: (str, "text of whole characters"),
    bool: (bool, "True or False"),
    types.NoneType: (types.NoneType, "None"),
}
_NAMES = {
    Sequence: "a list",
    Iterable: "a list",
    Mapping: "a dict",
    Callable: "a function",
}
# What is made by a function, by the name of the class: whoever gives a path in its place wants to know.
_MADE_BY = {
    "AudioFile": "open_audio(path)",
    "Manifest": "open_manifest(path)",
    "Prepared": "prepare(recording, params)",
    "Recording": "load_recording(path)",
    "ScoreModel": "load_model(path)",
    "Store": "open_store(url)",
}

P = ParamSpec("P")
Result = TypeVar("Result")


def checked(function: Callable[P, Result], *, but: Container[str] = ()) -> Callable[P, Result]:
    """Have a function raise `ParameterError` for an argument of another type than it is annotated with.

    Parameters
    ----------
    function : callable
        With annotations.
    but : collection of str
        Parameters of which the function itself has more to say.
    """
    signature = inspect.signature(function)

    @functools.wraps(function)
    def with_checks(*args: P.args, **kwargs: P.kwargs) -> Result:
        hints = _hints(function)
        for name, value in signature.bind(*args, **kwargs).arguments.items():
            if name in hints and name not in but:
                check_type(name, value, hints[name])
        return function(*args, **kwargs)

    return with_checks


def check_fields(instance: Any) -> None:  # noqa: ANN401 - any dataclass
    """Raise `ParameterError` for a field of a dataclass that is of another type than it is annotated with."""
    hints = _hints(instance.__class__)
    for field in fields(instance):
        check_type(field.name, getattr(instance, field.name), hints[field.name])


def check_type(name: str, value: object, hint: Any) -> None:  # noqa: ANN401 - any annotation
    """Raise `ParameterError` for an argument that does not fit an annotation."""
    if not _fits(value, hint):
        raise ParameterError(f"{name}: {shown_value(value)} is of type {type(value).__name__}; give {_wanted(hint)}")


def shown_value(value: object) -> str:
    """Write a value for a message: in one line, and not all of it."""
    return " ".join(reprlib.repr(value).split())


class _Scope(dict[str, Any]):
    """The names that annotations use; those that only type checkers know stand for anything."""

    def __init__(self, module: str) -> None:
        super().__init__(vars(builtins) | vars(sys.modules[module]))

    def __missing__(self, name: str) -> Any:  # noqa: ANN401
        return Any


@functools.cache
def _hints(owner: Any) -> Mapping[str, Any]:  # noqa: ANN401 - a function or a class
    return typing.get_type_hints(owner, localns=_Scope(owner.__module__))


def _fits(value: object, hint: Any) -> bool:  # noqa: ANN401
    if hint in _PLAIN:
        return _is_plain(value, hint)
    kind = typing.get_origin(hint) or hint
    if kind in _BY_PARTS:
        return _BY_PARTS[kind](value, typing.get_args(hint))
    if isinstance(hint, TypeVar):
        return _fits_one(value, hint.__constraints__ or (hint.__bound__ or Any,))
    if getattr(kind, "_is_protocol", False):
        return all(hasattr(value, name) for name in {*vars(kind), *kind.__annotations__} if not name.startswith("_"))
    return not isinstance(kind, type) or isinstance(value, kind)  # Any, which is no type, stands for everything


def _is_plain(value: object, hint: Any) -> bool:  # noqa: ANN401
    kind, _ = _PLAIN[hint]
    if hint is bool:
        return type(value).__name__ in {"bool", "bool_"}  # numpy's, too
    if isinstance(value, str):
        return hint is str and not re.search("[\ud800-\udc7f\udd00-\udfff]", value)  # others stand for bytes in paths
    if not isinstance(value, kind) or (isinstance(value, bool) and kind in {Real, Integral}):
        return False
    most = _MAX_INT if hint is int else _MAX_FLOAT
    return not isinstance(value, Integral) or -most <= int(value) <= most


def _fits_one(value: object, parts: tuple[Any, ...]) -> bool:
    return any(_fits(value, part) for part in parts)


def _is_like(value: object, parts: tuple[Any, ...]) -> bool:
    return any(type(value) is type(part) for part in parts)  # which of them, the function knows better


def _is_tuple(value: object, parts: tuple[Any, ...]) -> bool:
    if not isinstance(value, tuple):
        return False
    if parts[1:] == (Ellipsis,):
        return all(_fits(item, parts[0]) for item in value)
    return len(value) == len(parts) and all(map(_fits, value, parts))


def _is_list(value: object, parts: tuple[Any, ...]) -> bool:
    return isinstance(value, Sized) and hasattr(value, "__getitem__") and _is_series(value, parts)


def _is_series(value: Any, parts: tuple[Any, ...]) -> bool:  # noqa: ANN401
    if isinstance(value, str | bytes | Mapping):
        return False
    try:
        items = iter(value)
    except TypeError:
        return False
    # What comes one by one can't be looked at before its time.
    return not isinstance(value, Sized) or all(_fits(item, parts[0]) for item in items)


_BY_PARTS: dict[Any, Callable[[object, tuple[Any, ...]], bool]] = {
    typing.Union: _fits_one,
    types.UnionType: _fits_one,
    Literal: _is_like,
    tuple: _is_tuple,
    Sequence: _is_list,
    Iterable: _is_series,
    typing.BinaryIO: lambda value, _: hasattr(value, "read"),
}


def _wanted(hint: Any) -> str:  # noqa: ANN401
    if hint in _PLAIN:
        return _PLAIN[hint][1]
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if isinstance(hint, TypeVar):
        parts = hint.__constraints__
    if parts and origin in {None, typing.Union, types.UnionType}:
        return " or ".join(dict.fromkeys(map(_wanted, parts)))
    if origin is Literal:
        return " or ".join(map(repr, parts))
    if origin is tuple:
        wanted = [_wanted(part) for part in parts if part is not Ellipsis]
        return f"a tuple: {', '.join(wanted)}{', and so on' if Ellipsis in parts else ''}"
    kind = origin or hint
    name = getattr(kind, "__name__", str(kind))
    return _NAMES.get(kind) or (f"a {name} of {_MADE_BY[name]}" if name in _MADE_BY else name)
