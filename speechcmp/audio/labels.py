"""Chunks as label files: Praat TextGrid, Audacity labels, SRT and WebVTT subtitles.

Formats: Praat manual "TextGrid file formats" (the long text format); Audacity manual "Importing and Exporting
Labels"; SubRip; W3C WebVTT.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple


class Label(NamedTuple):
    """A stretch of a recording and what to call it; seconds."""

    start_s: float
    end_s: float
    text: str


def to_textgrid(labels: Sequence[Label], duration_s: float, *, tier: str = "chunks") -> str:
    """Write one interval tier that covers the recording; what lies between labels is an empty interval."""
    intervals = list(_without_gaps(labels, duration_s))
    head = [
        'File type = "ooTextFile"',
        'Object class = "TextGrid"',
        "",
        "xmin = 0",
        f"xmax = {duration_s:.6f}",
        "tiers? <exists>",
        "size = 1",
        "item []:",
        "    item [1]:",
        '        class = "IntervalTier"',
        f"        name = {_praat_string(tier)}",
        "        xmin = 0",
        f"        xmax = {duration_s:.6f}",
        f"        intervals: size = {len(intervals)}",
    ]
    for number, label in enumerate(intervals, 1):
        head += [
            f"        intervals [{number}]:",
            f"            xmin = {label.start_s:.6f}",
            f"            xmax = {label.end_s:.6f}",
            f"            text = {_praat_string(label.text)}",
        ]
    return "\n".join(head) + "\n"


def _without_gaps(labels: Sequence[Label], duration_s: float) -> Iterator[Label]:
    position = 0.0
    for label in labels:
        if label.start_s > position:
            yield Label(position, label.start_s, "")
        yield label
        position = label.end_s
    if position < duration_s or not labels:
        yield Label(position, duration_s, "")


def _praat_string(text: str) -> str:
    doubled = text.replace('"', '""')
    return f'"{doubled}"'


def to_audacity(labels: Sequence[Label]) -> str:
    """Write a label track: start, end and text, separated by tabs."""
    return "".join(f"{label.start_s:.6f}\t{label.end_s:.6f}\t{label.text}\n" for label in labels)


def to_srt(labels: Sequence[Label]) -> str:
    """Write SubRip subtitles."""
    blocks = (
        f"{number}\n{_clock(label.start_s, ',')} --> {_clock(label.end_s, ',')}\n{label.text}\n"
        for number, label in enumerate(labels, 1)
    )
    return "\n".join(blocks)


def to_vtt(labels: Sequence[Label]) -> str:
    """Write WebVTT subtitles."""
    cues = (f"\n{_clock(x.start_s, '.')} --> {_clock(x.end_s, '.')}\n{x.text}\n" for x in labels)
    return "WEBVTT\n" + "".join(cues)


def _clock(seconds: float, point: str) -> str:
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}{point}{rest % 1000:03}"
