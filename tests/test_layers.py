"""Packages import only from those to their left, start-up stays light, and the public names are what they claim."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import speechcmp

LAYERS = """
checks files runs < tables < audio dtw parallel < features fingerprint < scoring < comparison
< batch < calibration < cli
"""

PACKAGE = Path(speechcmp.__file__).parent
FLOORS = {room: floor for floor, rooms in enumerate(LAYERS.split("<")) for room in rooms.split()}
LIGHT = ("librosa", "numba", "scipy.signal", "pydub", "pymysql", "fastdtw", "matplotlib")
NAMES: list[str] = vars(speechcmp)["__all__"]
FILES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or not path.stem.startswith("__"))


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


MODULES = {module_of(path): path for path in FILES}


def imported(path: Path, *, inside_functions: bool = True) -> Iterator[str]:
    """Yield the modules of the package that a file imports, wherever in the file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree) if inside_functions else tree.body:
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: imports are absolute"
            origin = str(node.module).split(".")
            if origin[0] == "speechcmp":
                names = (".".join([*origin[1:], x.name]) for x in node.names)
                yield from (name if name in MODULES else name.rpartition(".")[0] for name in names)
        elif isinstance(node, ast.Import):
            yield from (x.name.partition(".")[2] for x in node.names if x.name.startswith("speechcmp."))


def test_every_room_has_a_layer() -> None:
    assert {name.split(".")[0] for name in MODULES} == {*FLOORS, "errors"}, "errors are for all"


@pytest.mark.parametrize("path", FILES, ids=module_of)
def test_imports_go_one_way(path: Path) -> None:
    room = module_of(path).split(".")[0]
    if room == "errors":
        assert not [*imported(path)]
        return
    for name in imported(path):
        other = name.split(".")[0]
        assert other in {room, "errors"} or FLOORS[other] < FLOORS[room], f"{module_of(path)} imports {name}"


def test_no_modules_import_each_other() -> None:
    graph = {name: {*imported(path, inside_functions=False)} for name, path in MODULES.items()}
    TopologicalSorter(graph).prepare()  # raises CycleError


def test_packages_are_empty() -> None:
    assert not [name for name, path in MODULES.items() if path.name == "__init__.py" and path.read_text().strip()]


def modules_after(code: str) -> set[str]:
    code = f"import sys\ntry:\n    {code}\nexcept SystemExit:\n    pass\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["split", "--help"], ["compare", "--help"]])
def test_help_needs_no_numpy(arguments: list[str]) -> None:
    assert "numpy" not in modules_after(f"from speechcmp.cli.main import main; main({arguments})")


def test_comparing_needs_none_of_the_heavy_packages(samples: Path) -> None:
    arguments = [
        "compare",
        str(samples / "reference.flac"),
        str(samples / "good-take.flac"),
        "--format",
        "json",
    ]
    loaded = modules_after(f"from speechcmp.cli.main import main; main({arguments})")
    assert "speechcmp.comparison.compare" in loaded
    assert not loaded & set(LIGHT)


def test_public_names_are_sorted_and_exist() -> None:
    assert sorted(NAMES) == NAMES
    for name in NAMES:
        assert getattr(speechcmp, name).__name__ == name
    assert set(NAMES) <= set(dir(speechcmp))
    with pytest.raises(AttributeError, match="nonsense"):
        speechcmp.nonsense  # type: ignore[attr-defined] # noqa: B018


def test_public_names_are_documented() -> None:
    for name in NAMES:
        assert (getattr(speechcmp, name).__doc__ or "").strip(), name
