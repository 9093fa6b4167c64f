"""What a comparison shows of itself: one line, a table for notebooks, a frame."""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from speechcmp.audio.recording import load_recording
from speechcmp.audio.split import split_recording
from speechcmp.cli.output import print_json
from speechcmp.comparison.compare import CompareParams, compare, distance_matrix, prepare
from speechcmp.comparison.result import Comparison, Spread
from speechcmp.comparison.serialize import to_dict
from speechcmp.dtw.warp import dtw_path
from speechcmp.errors import DependencyError
from speechcmp.scoring.model import Parts, Score


@pytest.fixture(scope="module")
def result(samples: Path) -> Comparison:
    names = {"reference.flac": "<b>ref</b>", "poor-take.flac": "take & more"}
    return compare(*(load_recording(samples / path, name=name) for path, name in names.items()))


def test_one_line(result: Comparison) -> None:
    assert repr(result) == (
        "<Comparison of 'take & more' against '<b>ref</b>': score 59, distance 0.111, 4 of 5 chunks found>"
    )


def test_the_table_of_a_notebook_is_escaped(result: Comparison) -> None:
    shown = result._repr_html_()
    assert "<b>" not in shown
    assert "take &amp; more" in shown
    assert shown.count("<tr>") == 1 + len(result.pairs)
    assert shown.count("missing") == 1


def test_a_frame_has_a_row_a_chunk(result: Comparison) -> None:
    pandas = pytest.importorskip("pandas")
    frame = result.to_frame()
    assert isinstance(frame, pandas.DataFrame)
    assert frame["index"].tolist() == list(range(5))
    assert frame["status"].tolist() == [pair.status for pair in result.pairs]
    np.testing.assert_allclose(frame["score"], [pair.score.value for pair in result.pairs if pair.score])
    assert frame["distance"].isna().sum() == 1


def test_a_matrix_is_shown_whole(samples: Path) -> None:
    pytest.importorskip("pandas")
    matrix = distance_matrix(
        *(load_recording(samples / f"{name}.flac", name=name) for name in ("reference", "good-take"))
    )
    assert repr(matrix) == "<DistanceMatrix of 'good-take' against 'reference': 5 x 6 chunks>"
    np.testing.assert_array_equal(matrix.to_frame().to_numpy(), matrix.distances)
    assert matrix._repr_html_().count("<td>") == 35


def test_without_pandas_the_remedy_is_told(result: Comparison, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(DependencyError, match=r"pip install 'speechcmp\[frames\]'"):
        result.to_frame()


def test_plain_values_are_those_of_the_function(result: Comparison) -> None:
    assert result.to_dict() == to_dict(result)


def test_json_is_what_the_command_line_prints(result: Comparison, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    print_json(to_dict(result))
    assert result.to_json() + "\n" == capsysbinary.readouterr().out.decode("utf-8")
    assert "\n" not in result.to_json(indent=None)
    assert json.loads(result.to_json(indent=None)) == to_dict(result)


def test_pairs_are_one_line(result: Comparison) -> None:
    found = {pair.status: pair for pair in result.pairs}
    spans = r"[\d.]+ – [\d.]+ with [\d.]+ – [\d.]+"
    pattern = rf"<ChunkPair \d: matched, {spans}(, out of order)?, score \d+, distance 0\.\d{{3}}>"
    assert re.fullmatch(pattern, repr(found["matched"]))
    assert ", out of order, " in repr(replace(found["matched"], reordered=True))
    assert re.fullmatch(r"<ChunkPair \d: missing, [\d.]+ – [\d.]+, score 0>", repr(found["missing"]))


def test_scores_are_one_line() -> None:
    assert repr(Score(92.53, Parts(sound=7.42, timing=0.05), (83.5, 100.0), 1.0)) == (
        "<Score 92.5, 83.5 to 100.0: lost sound 7.4, timing 0.1>"
    )
    assert repr(Score(100.0, Parts(text=0.04), (90.9, 100.0), 1.0)) == "<Score 100.0, 90.9 to 100.0: lost nothing>"


def test_a_spread_is_one_line() -> None:
    spread = Spread(("a", "b"), (70.0, 82.0), ((None, 60.0), (76.0, None)))
    assert repr(spread) == "<Spread of 2 references: the take scores 76, they score 60 to 76, place 0.75>"


def test_what_comparing_goes_through_is_one_line(samples: Path) -> None:
    recording = load_recording(samples / "reference.flac", name="ref")
    assert repr(prepare(recording, CompareParams(details="scores"))) == (
        "<Prepared 'ref', 18.77 s, by recipe 'phones': 5 chunks>"
    )
    pattern = r"<Split of 'ref': 5 chunks, level -\d\d\.\d dBFS, noise floor -\d\d\.\d dBFS>"
    assert re.fullmatch(pattern, repr(split_recording(recording)))
    path = dtw_path(np.zeros((3, 2)), np.ones((4, 2)))
    assert repr(path) == "<WarpingPath of 4 steps: total cost 8.000, distance 1.143>"
