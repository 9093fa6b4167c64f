"""Docstrings of public names: their examples run, they name what there is, and no type they show is private."""

import ast
import doctest
import inspect
import re
import tempfile
import textwrap
import typing
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from numpydoc.docscrape import NumpyDocString

import speechcmp

PACKAGE = Path(speechcmp.__file__).parent
NAMES: list[str] = vars(speechcmp)["__all__"]
PUBLIC: dict[str, Any] = {name: getattr(speechcmp, name) for name in NAMES}
CLASSES = {name: thing for name, thing in PUBLIC.items() if inspect.isclass(thing)}
FUNCTIONS = {name: thing for name, thing in PUBLIC.items() if not inspect.isclass(thing)}
ERRORS = {name for name, thing in CLASSES.items() if issubclass(thing, Exception)}

# What only functions make: the examples of those show it.
MADE = {
    "Added",
    "Agreement",
    "Calibrated",
    "Checked",
    "DependencyError",
    "Figure",
    "Fingerprint",
    "VerificationFit",
    "Hits",
    "Ingested",
    "IngestFailure",
    "Known",
    "LibraryInfo",
    "ParameterMismatchError",
    "PitchContour",
    "PitchMatch",
    "ProsodyTrace",
    "RatingFit",
    "Row",
    "Separation",
    "StoredRecording",
    "StoreUnavailableError",
}
# What may be seen, but not used: a name without a promise.
OPAQUE = {"Speech": "of a Prepared: read by the alignment alone, and changed with it"}
# Known to type checkers only.
UNIMPORTED = {"AudioSegment": object, "DataclassInstance": object}


def has_examples(path: Path) -> bool:
    return bool(re.search(r"^\s*>>> ", path.read_text(encoding="utf-8"), flags=re.MULTILINE))


MODULES = [
    ".".join(("speechcmp", *path.relative_to(PACKAGE).with_suffix("").parts))
    for path in sorted(PACKAGE.rglob("*.py"))
    if has_examples(path)
]


def members(cls: type) -> Iterator[tuple[str, Callable[..., Any], bool]]:
    """Yield the public methods and properties that a class has of its own, and whether it is a property."""
    for name, member in vars(cls).items():
        if name.startswith("_"):
            continue
        if isinstance(member, property):
            assert member.fget is not None
            yield name, member.fget, True
        elif isinstance(member, classmethod | staticmethod):
            yield name, member.__func__, False
        elif inspect.isfunction(member):
            yield name, member, False


CALLABLES = {
    **FUNCTIONS,
    **{
        f"{name}.{member}": function
        for name, cls in CLASSES.items()
        for member, function, is_property in members(cls)
        if not is_property
    },
}
PROPERTIES = {
    f"{name}.{member}": function
    for name, cls in CLASSES.items()
    for member, function, is_property in members(cls)
    if is_property
}
RECORDS = {name: cls for name, cls in CLASSES.items() if is_dataclass(cls) or hasattr(cls, "_fields")}


def parsed(thing: Any) -> Any:
    return NumpyDocString(inspect.getdoc(thing) or "")


def names_in(section: Any) -> list[str]:
    """Return the names a section documents; several may share an entry."""
    return [name.lstrip("*") for entry in section for name in entry.name.split(", ")]


def raises(function: Any) -> bool:
    source = ast.parse(textwrap.dedent(inspect.getsource(function)))
    return any(isinstance(node, ast.Raise) for node in ast.walk(source))


def check_raised(docs: Any) -> None:
    for entry in docs["Raises"]:
        assert {*entry.type.split(", ")} <= ERRORS
        assert entry.desc, f"{entry.type}: when?"


# ------------------------------------------------------------------------------------------------ examples


@pytest.mark.parametrize("name", MODULES)
def test_examples_run_and_leave_nothing(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, scratch = tmp_path / "here", tmp_path / "scratch"
    here.mkdir()
    scratch.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    module = import_module(name)
    said: list[str] = []
    runner = doctest.DocTestRunner(verbose=False)
    for example in doctest.DocTestFinder(exclude_empty=True).find(module, globs={}):  # each stands by itself
        runner.run(example, out=said.append)
    results = runner.summarize(verbose=False)
    assert results.attempted
    assert not results.failed, "".join(said)
    assert not [*here.iterdir(), *scratch.iterdir()]


@pytest.mark.parametrize("name", sorted({*NAMES} - MADE))
def test_what_people_call_has_examples(name: str) -> None:
    shown = "\n".join(parsed(PUBLIC[name])["Examples"])
    assert ">>> import speechcmp" in shown
    assert re.search(rf"speechcmp\.{name}\b", shown) or name in CLASSES


def test_what_is_made_is_made() -> None:
    assert {*CLASSES} >= MADE
    assert not [name for name in MADE if parsed(PUBLIC[name])["Examples"]]


# ------------------------------------------------------------------------------------------------ sections


@pytest.mark.parametrize("name", NAMES)
def test_summaries_are_sentences(name: str) -> None:
    own = {name: PUBLIC[name]} | {key: CALLABLES[key] for key in CALLABLES if key.startswith(f"{name}.")}
    own |= {key: PROPERTIES[key] for key in PROPERTIES if key.startswith(f"{name}.")}
    for key, thing in own.items():
        summary = " ".join(parsed(thing)["Summary"])
        assert summary.endswith("."), f"{key}: {summary!r}"


@pytest.mark.parametrize("name", CALLABLES)
def test_parameters_are_those_of_the_signature(name: str) -> None:
    taken = [
        parameter for parameter in inspect.signature(CALLABLES[name]).parameters if parameter not in {"self", "cls"}
    ]
    assert names_in(parsed(CALLABLES[name])["Parameters"]) == taken


@pytest.mark.parametrize("name", RECORDS)
def test_attributes_are_the_fields(name: str) -> None:
    cls = RECORDS[name]
    own = [field.name for field in fields(cls)] if is_dataclass(cls) else list(cls._fields)
    documented = parsed(cls)["Attributes"]
    assert names_in(documented) == own
    assert all(entry.type for entry in documented)


@pytest.mark.parametrize("name", CALLABLES)
def test_what_is_returned_is_told(name: str) -> None:
    docs = parsed(CALLABLES[name])
    returned = inspect.signature(CALLABLES[name]).return_annotation
    assert returned is not inspect.Signature.empty
    assert bool(docs["Returns"] or docs["Yields"]) == (returned is not None)


@pytest.mark.parametrize("name", CALLABLES)
def test_what_is_raised_is_told(name: str) -> None:
    docs = parsed(CALLABLES[name])
    if raises(CALLABLES[name]):
        assert docs["Raises"]
    check_raised(docs)


@pytest.mark.parametrize("name", RECORDS)
def test_what_a_constructor_raises_is_told(name: str) -> None:
    docs = parsed(RECORDS[name])
    check = vars(RECORDS[name]).get("__post_init__")
    if check is not None:
        assert docs["Raises"]
    check_raised(docs)


# --------------------------------------------------------------------------------------------------- types


def types_in(annotation: Any) -> Iterator[type]:
    """Yield the classes that an annotation is made of."""
    if isinstance(annotation, typing.TypeVar):
        for bound in annotation.__constraints__:
            yield from types_in(bound)
    elif isinstance(annotation, list | tuple):  # the arguments of a callable
        for part in annotation:
            yield from types_in(part)
    elif typing.get_args(annotation):
        yield from types_in(typing.get_origin(annotation))
        yield from types_in(typing.get_args(annotation))
    elif inspect.isclass(annotation):
        yield annotation


@pytest.mark.parametrize("name", NAMES)
def test_types_that_are_shown_are_public(name: str) -> None:
    thing = PUBLIC[name]
    shown = [thing]
    if inspect.isclass(thing):
        shown += [function for _, function, _ in members(thing)]
    for one in shown:
        for part, annotation in typing.get_type_hints(one, localns=UNIMPORTED).items():
            for kind in types_in(annotation):
                if kind.__module__.startswith("speechcmp"):
                    public = PUBLIC.get(kind.__name__) is kind or kind.__name__ in OPAQUE
                    assert public, f"{one.__qualname__}: {part} is a {kind.__name__}, which is not public"
