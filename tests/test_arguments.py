"""Whatever is given to what is public in Python: a clear answer, or an error of this package's own."""

import inspect
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from signals import sentences

import speechcmp
from speechcmp.fingerprint.peaks import SPEECH

NAMES: list[str] = vars(speechcmp)["__all__"]
FUNCTIONS = [name for name in NAMES if inspect.isfunction(getattr(speechcmp, name))]
CONSTRUCTORS = [
    name
    for name, thing in ((name, getattr(speechcmp, name)) for name in NAMES)
    if inspect.isclass(thing)
    and not issubclass(thing, Exception)
    and not inspect.isabstract(thing)
    and name != "PcmSource"
]
MAKERS = ["Recording.from_array", "Recording.from_pydub", "TakeMeasures.of_chunk", "Preset.of"]
WRONG: list[Any] = [
    None,
    True,
    -1,
    0,
    3.5,
    "x",
    "\ud800",
    b"x",
    math.nan,
    math.inf,
    2**63,
    10**400,
    [],
    [None],
    (),
    ("a", 1),
    {},
    {"a": 1},
    object(),
    Path("nowhere"),
    np.zeros(0),
    np.array(["x", "y"]),
    np.array([None, {}], object),
    np.zeros((2, 2, 2, 2)),
    iter([1]),
    len,
]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Make an argument that is right for each parameter's name."""
    folder = tmp_path_factory.mktemp("good")
    said = speechcmp.Recording.from_array(sentences([(0.3, 1.0), (1.5, 2.2)], 2.6, 8_000), 8_000, name="said")
    params = speechcmp.CompareParams(details="scores")
    comparison = speechcmp.compare(said, said, params=params)
    said.save(folder / "said.wav")
    take = speechcmp.TakeMeasures.of_chunk(speechcmp.Measures(0.1, 0.4))
    rated = speechcmp.Examples((take,) * 20, tuple("abcde" * 4), tuple(map(float, range(20))))
    frames = np.float32(np.random.default_rng(0).random((5, 3)))
    return {
        "reference": said,
        "take": said,
        "references": [said, said],
        "recording": said,
        "source": said,
        "clip": said,
        "original": said,
        "copy": said,
        "prepared": speechcmp.prepare(said, params),
        "params": params,
        "rated": rated,
        "result": comparison,
        "values": comparison.to_dict(),
        "labels": [speechcmp.Label(0.0, 1.0, "a")],
        "duration_s": 2.0,
        "path": folder / "said.wav",
        "paths": [folder / "said.wav"],
        "pairs": [(folder / "said.wav", folder / "said.wav")],
        "store": speechcmp.open_store(f"sqlite:///{folder}/x.db"),
        "url": f"sqlite:///{folder}/x.db",
        "recipe": speechcmp.find_recipe("default"),
        "samples": said.samples,
        "sample_rate": 8_000,
        "frames": frames,
    }


def right(function: str, name: str, good: dict[str, Any]) -> Any:
    """Return what is right for a parameter of this function."""
    if function.startswith("dtw_"):
        return [good["frames"]] if name.endswith("s") else good["frames"]
    if function == "compare_prepared" and name in {"reference", "take"}:
        return good["prepared"]
    if function == "score_take":
        return good["rated"].takes[0]
    if function == "open_manifest":
        return good["path"].with_name("m.csv")
    own = {"mfcc": speechcmp.MfccParams(), "split_recording": speechcmp.SplitParams(), "find_copy": SPEECH}
    return own.get(function, good["params"]) if name == "params" else good[name]


def calls(function: str, good: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield calls with one argument wrong; what has no default is right."""
    parameters = inspect.signature(getattr(speechcmp, function)).parameters.values()
    needed = {x.name: right(function, x.name, good) for x in parameters if x.default is x.empty}
    for parameter in parameters:
        for wrong in WRONG:
            yield parameter.name, {**needed, parameter.name: wrong}


def foreign(function: Any, wrong: str, arguments: dict[str, Any]) -> str | None:
    """Call the function; return what it raises if that is not this package's own, or no single line."""
    try:
        result = function(**arguments)
        if inspect.isgenerator(result):
            next(result, None)
    except speechcmp.SpeechcmpError as error:
        return f"{wrong} {arguments[wrong]!r:.30}: {error}" if "\n" in str(error) else None
    except Exception as error:  # noqa: BLE001 - which is what must not be
        return f"{wrong} {arguments[wrong]!r:.30}: {type(error).__name__}: {error}"
    return None


@pytest.mark.timeout(120)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name: str, good: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("speechcmp.fingerprint.store.sqlite.SqliteStore.retry_delays_s", ())
    function = getattr(speechcmp, name)
    assert [said for case in calls(name, good) if (said := foreign(function, *case))] == []


@pytest.mark.parametrize("name", [*CONSTRUCTORS, *MAKERS])
def test_constructors(name: str) -> None:
    function: Any = speechcmp
    for part in name.split("."):
        function = getattr(function, part)
    named = [x for x in inspect.signature(function).parameters.values() if x.kind != x.VAR_KEYWORD]
    needed = [parameter for parameter in named if parameter.default is parameter.empty]
    cases = [(one.name, {x.name: wrong for x in [*needed, one]}) for wrong in WRONG for one in named]
    assert [said for case in cases if (said := foreign(function, *case))] == []


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("CompareParams", {"band": "x"}, "band: 'x' is of type str; give a number or None"),
        ("SplitParams", {"min_silence_len_ms": "9"}, "min_silence_len_ms: '9' is of type str; give a whole number"),
        ("load_recording", {"path": "x", "sample_rate": "8000"}, "sample_rate: '8000' is of type str; give a whole"),
        ("Measures", {"distance": 0.1, "relative": True}, "relative: True is of type bool; give a number"),
        ("ingest", {"paths": "a.wav", "store": None}, "paths: 'a.wav' is of type str; give a list"),
        ("Curve", {"knots": (1, 10**400), "slopes": (1, 1)}, "knots: .* is of type tuple; give a tuple: a number"),
        (
            "compare",
            {"reference": "a", "take": "b"},
            r"reference: 'a' .* give a Recording of load_recording\(",
        ),
    ],
)
def test_what_is_said(name: str, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(speechcmp.ParameterError, match=said):
        getattr(speechcmp, name)(**arguments)
