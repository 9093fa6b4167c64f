"""Chunks as label files: Praat TextGrid, Audacity labels, SRT and WebVTT subtitles.

Formats: Praat manual "TextGrid file formats" (the long text format); Audacity manual "Importing and Exporting
Labels"; SubRip; W3C WebVTT.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from speechcmp.checks import checked


class Label(NamedTuple):
    """A stretch of a recording and what to call it.

    Attributes
    ----------
    start_s, end_s : float
        Seconds from the start of the recording.
    text : str
        What the label says.

    Examples
    --------
    >>> import speechcmp
    >>> speechcmp.Label(0.5, 1.75, "good morning").text
    'good morning'
    """

    start_s: float
    end_s: float
    text: str


@checked
def to_textgrid(labels: Sequence[Label], duration_s: float, *, tier: str = "chunks") -> str:
    """Write a Praat TextGrid, in the long text format, with one interval tier that covers the recording.

    Parameters
    ----------
    labels : sequence of Label
        Ascending, not overlapping; seconds. What lies between them becomes an empty interval.
    duration_s : float
        Length of the recording, seconds.
    tier : str
        Name of the tier.

    Returns
    -------
    str
        Text of the file, its last newline included.

    References
    ----------
    Boersma and Weenink, Praat manual, "TextGrid file formats".

    Examples
    --------
    >>> import speechcmp
    >>> text = speechcmp.to_textgrid([speechcmp.Label(0.5, 1.75, "good morning")], 2.0)
    >>> [line.strip() for line in text.splitlines() if "text" in line]
    ['text = ""', 'text = "good morning"', 'text = ""']
    """
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


@checked
def to_audacity(labels: Sequence[Label]) -> str:
    r"""Write an Audacity label track: a line a label, with start, end and text separated by tabs.

    Parameters
    ----------
    labels : sequence of Label
        Ascending, not overlapping; seconds.

    Returns
    -------
    str
        Text of the file.

    References
    ----------
    Audacity manual, "Importing and Exporting Labels".

    Examples
    --------
    >>> import speechcmp
    >>> speechcmp.to_audacity([speechcmp.Label(0.5, 1.75, "good morning")])
    '0.500000\t1.750000\tgood morning\n'
    """
    return "".join(f"{label.start_s:.6f}\t{label.end_s:.6f}\t{label.text}\n" for label in labels)


@checked
def to_srt(labels: Sequence[Label]) -> str:
    """Write SubRip subtitles.

    Parameters
    ----------
    labels : sequence of Label
        Ascending, not overlapping; seconds.

    Returns
    -------
    str
        Text of the file; times are rounded to milliseconds.

    Examples
    --------
    >>> import speechcmp
    >>> print(speechcmp.to_srt([speechcmp.Label(0.5, 1.75, "good morning")]), end="")
    1
    00:00:00,500 --> 00:00:01,750
    good morning
    """
    blocks = (
        f"{number}\n{_clock(label.start_s, ',')} --> {_clock(label.end_s, ',')}\n{label.text}\n"
        for number, label in enumerate(labels, 1)
    )
    return "\n".join(blocks)


@checked
def to_vtt(labels: Sequence[Label]) -> str:
    """Write WebVTT subtitles.

    Parameters
    ----------
    labels : sequence of Label
        Ascending, not overlapping; seconds.

    Returns
    -------
    str
        Text of the file; times are rounded to milliseconds.

    References
    ----------
    W3C, "WebVTT: The Web Video Text Tracks Format".

    Examples
    --------
    >>> import speechcmp
    >>> speechcmp.to_vtt([speechcmp.Label(0.5, 1.75, "good morning")]).splitlines()
    ['WEBVTT', '', '00:00:00.500 --> 00:00:01.750', 'good morning']
    """
    cues = (f"\n{_clock(x.start_s, '.')} --> {_clock(x.end_s, '.')}\n{x.text}\n" for x in labels)
    return "WEBVTT\n" + "".join(cues)


def _clock(seconds: float, point: str) -> str:
    milliseconds = round(seconds * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}{point}{rest % 1000:03}"
