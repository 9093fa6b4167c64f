"""Modules import only from lower floors, start-up stays light, and the public names are what they claim."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import speechcmp

PACKAGE = Path(speechcmp.__file__).parent
FLOORS = {
    "_dtw_numpy": 0,
    "_native": 0,
    "_warping_numpy": 0,
    "agreement": 0,
    "containers": 0,
    "errors": 0,
    "labels": 0,
    "masks": 0,
    "plain": 0,
    "summary": 0,
    "workers": 0,
    "cluster": 1,
    "decode": 1,
    "fast_dtw": 1,
    "features": 1,
    "packing": 1,
    "peaks": 1,
    "remote": 1,
    "voting": 1,
    "audio": 2,
    "dtw": 2,
    "fingerprint": 2,
    "manifest": 2,
    "mismatch": 2,
    "store": 2,
    "warping": 2,
    "activity": 3,
    "align": 3,
    "identification": 3,
    "ingest": 3,
    "measures": 3,
    "prosody": 3,
    "recipes": 3,
    "shards": 3,
    "chunks": 4,
    "results": 4,
    "score": 4,
    "calibration": 5,
    "findings": 5,
    "records": 5,
    "segment": 5,
    "comparison": 6,
    "values": 6,
    "ratings": 7,
    "spread": 7,
    "tasks": 7,
    "schedule": 8,
    "copies": 9,
    "batch": 10,
    "__init__": 12,
    "cli": 12,
    "__main__": 13,
}
LIGHT = ("librosa", "numba", "scipy.signal", "pydub", "pymysql", "fastdtw", "matplotlib")


def module_name(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[str]:
    """Yield the speechcmp modules that a file imports, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("speechcmp."):
            yield str(node.module).split(".")[1]
        elif isinstance(node, ast.ImportFrom) and node.module == "speechcmp":
            yield from (x.name for x in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name}: imports are absolute"
        elif isinstance(node, ast.Import):
            yield from (x.name.split(".")[1] for x in node.names if x.name.startswith("speechcmp."))


def test_every_module_has_a_floor() -> None:
    names = {module_name(path) for path in PACKAGE.rglob("*.py")}
    assert names == set(FLOORS)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_go_down(path: Path) -> None:
    name = module_name(path)
    for other in imported(path):
        inside = name == other and name in {"cli", "store"}
        assert inside or FLOORS[other] < FLOORS[name], f"{name} imports {other}"


def modules_after(code: str) -> set[str]:
    code = f"import sys\ntry:\n    {code}\nexcept SystemExit:\n    pass\nprint(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["split", "--help"], ["compare", "--help"]])
def test_help_needs_no_numpy(arguments: list[str]) -> None:
    assert "numpy" not in modules_after(f"from speechcmp.cli import main; main({arguments})")


def test_comparing_needs_none_of_the_heavy_packages(samples: Path) -> None:
    arguments = [
        "compare",
        str(samples / "reference.flac"),
        str(samples / "good-take.flac"),
        "--format",
        "json",
    ]
    loaded = modules_after(f"from speechcmp.cli import main; main({arguments})")
    assert "speechcmp.comparison" in loaded
    assert not loaded & set(LIGHT)


def test_public_names_are_sorted_and_exist() -> None:
    assert speechcmp.__all__ == sorted(speechcmp.__all__)
    for name in speechcmp.__all__:
        assert getattr(speechcmp, name).__name__ == name
    assert set(speechcmp.__all__) <= set(dir(speechcmp))
    with pytest.raises(AttributeError, match="nonsense"):
        speechcmp.nonsense  # noqa: B018


def test_public_names_are_documented() -> None:
    for name in speechcmp.__all__:
        assert (getattr(speechcmp, name).__doc__ or "").strip(), name
