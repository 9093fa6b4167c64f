"""What a comparison shows of itself: one line, a table for notebooks, a frame."""

import sys
from pathlib import Path

import numpy as np
import pytest

from speechcmp.audio.recording import load_recording
from speechcmp.comparison.compare import compare, distance_matrix
from speechcmp.comparison.result import Comparison
from speechcmp.errors import DependencyError


@pytest.fixture(scope="module")
def result(samples: Path) -> Comparison:
    names = {"reference.flac": "<b>ref</b>", "poor-take.flac": "take & more"}
    return compare(*(load_recording(samples / path, name=name) for path, name in names.items()))


def test_one_line(result: Comparison) -> None:
    assert repr(result) == (
        "<Comparison of 'take & more' against '<b>ref</b>': score 68, distance 0.125, 4 of 5 chunks found>"
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
