"""Label files, read back by their own rules."""

import re
from itertools import pairwise

import pytest
from hypothesis import given, strategies as st

from speechcmp.audio.labels import Label, to_audacity, to_srt, to_textgrid, to_vtt

LABELS = [Label(0.5, 1.25, "chunk 0"), Label(1.25, 3.0, 'say "ah"'), Label(3661.0004, 3661.5, "chunk 2")]


def read_textgrid(text: str) -> list[Label]:
    """Read the long text format back: its numbers and strings, in order."""
    body = text[text.index("item [1]:") :]
    pattern = r'intervals \[\d+\]:\s+xmin = (\S+)\s+xmax = (\S+)\s+text = "((?:[^"]|"")*)"'
    return [Label(float(a), float(b), c.replace('""', '"')) for a, b, c in re.findall(pattern, body)]


def test_textgrid_covers_the_recording() -> None:
    text = to_textgrid(LABELS, 4000.0)
    assert text.startswith('File type = "ooTextFile"\nObject class = "TextGrid"\n\nxmin = 0\nxmax = 4000.0')
    intervals = read_textgrid(text)
    assert f"intervals: size = {len(intervals)}" in text
    assert [x for x in intervals if x.text] == [label._replace(start_s=round(label.start_s, 6)) for label in LABELS]
    assert intervals[0] == Label(0.0, 0.5, "")
    assert intervals[-1] == Label(3661.5, 4000.0, "")


@given(st.lists(st.floats(0.001, 5.0), max_size=12))
def test_textgrid_intervals_join(steps: list[float]) -> None:
    edges = [0.0]
    for step in steps:
        edges.append(edges[-1] + step)
    labels = [Label(a, b, "x") for a, b in zip(edges[1::2], edges[2::2], strict=False)]
    intervals = read_textgrid(to_textgrid(labels, edges[-1] + 1))
    assert intervals[0].start_s == 0
    assert intervals[-1].end_s == pytest.approx(edges[-1] + 1, abs=1e-6)
    assert all(one.end_s == two.start_s for one, two in pairwise(intervals))


def test_textgrid_without_chunks_is_one_empty_interval() -> None:
    assert read_textgrid(to_textgrid([], 2.0)) == [Label(0.0, 2.0, "")]


def test_audacity() -> None:
    assert to_audacity(LABELS[:1]) == "0.500000\t1.250000\tchunk 0\n"


def test_srt() -> None:
    want = "1\n00:00:00,500 --> 00:00:01,250\nchunk 0\n\n2\n01:01:01,000 --> 01:01:01,500\nchunk 2\n"
    assert to_srt([LABELS[0], LABELS[2]]) == want


def test_vtt() -> None:
    want = "WEBVTT\n\n00:00:00.500 --> 00:00:01.250\nchunk 0\n\n01:01:01.000 --> 01:01:01.500\nchunk 2\n"
    assert to_vtt([LABELS[0], LABELS[2]]) == want
