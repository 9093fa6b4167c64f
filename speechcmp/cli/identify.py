"""``speechcmp identify``: which stored recording a clip is from, and where."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from speechcmp.cli import options
from speechcmp.cli.inputs import EachInput, as_label, as_source, expand_inputs

if TYPE_CHECKING:
    from speechcmp.fingerprint.identify import Identified
    from speechcmp.fingerprint.store.base import LibraryInfo, Store

SCHEMA = "speechcmp.identify/1"
CSV_COLUMNS = ("query", "recording_id", "name", "path", "offset_s", "votes", "confidence", "query_share")
NO_MATCH = 4


@dataclass(frozen=True, slots=True)
class Answer:
    """A clip, what it is from, and how long that took."""

    name: str
    duration_s: float
    identified: "Identified"
    elapsed_ms: float


@options.with_max_duration
def identify(
    clips: Annotated[list[str], typer.Argument(help="Clips, quoted globs, folders, or - for stdin.")],
    *,
    db: options.DbOption = None,
    output_format: options.FormatOption = "table",
    every: Annotated[bool, typer.Option("--all", help="Every place where a clip, or a part of it, is found.")] = False,
    recursive: options.RecursiveOption = False,
) -> int:
    """Tell which recording of the library a clip is from, and where; exit 4 if one is from none."""
    from speechcmp.cli import output
    from speechcmp.cli.library import open_library

    names = expand_inputs(clips, recursive=recursive)
    work, answers = EachInput(names, what="Identifying"), []
    with open_library(db) as store:
        info = store.info()
        for answer in work.outcomes(lambda name: _identify_one(name, store, info, every=every)):
            answers.append(answer)
            if output_format == "jsonl":
                output.print_json_line(as_json(answer))
    _print(answers, output_format, single=len(names) == 1)
    if not work.n_failed and not all(answer.identified.matches for answer in answers):
        return NO_MATCH
    return work.exit_code


def _identify_one(name: str, store: "Store", info: "LibraryInfo", *, every: bool) -> Answer:
    from speechcmp.audio.recording import load_recording
    from speechcmp.audio.split import loss_warning
    from speechcmp.cli.output import warn
    from speechcmp.fingerprint.identify import identify

    clip = load_recording(as_source(name), mono=True, name=as_label(name))
    for warning in loss_warning(clip):
        warn(f"{clip.name}: {warning}")
    start = time.perf_counter()
    found = identify(clip, store, every=every, info=info)
    return Answer(clip.name, clip.duration_s, found, 1000 * (time.perf_counter() - start))


def _print(answers: list[Answer], output_format: str, *, single: bool) -> None:
    from speechcmp.cli import output

    if output_format == "json":
        objects = [as_json(answer) for answer in answers]
        output.print_json(objects[0] if single else objects)
    elif output_format == "csv":
        output.print_csv(CSV_COLUMNS, (row for answer in answers for row in _csv_rows(answer)))
    elif output_format == "table":
        _print_lines(answers)


def as_json(answer: Answer) -> dict[str, Any]:
    """Return the object of the ``speechcmp.identify/1`` contract."""
    return {
        "schema": SCHEMA,
        "query": {
            "path": answer.name,
            "duration_s": answer.duration_s,
            "hashes": answer.identified.n_hashes,
        },
        "matches": list(_match_rows(answer)),
        "elapsed_ms": answer.elapsed_ms,
    }


def _match_rows(answer: Answer) -> Iterator[dict[str, Any]]:
    for match, path in answer.identified.matches:
        yield {
            "recording_id": match.recording_id,
            "name": match.name,
            "path": path,
            "offset_s": match.offset_s,
            "votes": match.votes,
            "confidence": match.confidence,
            "query_share": match.query_share,
        }


def _csv_rows(answer: Answer) -> Iterator[dict[str, Any]]:
    for row in _match_rows(answer) if answer.identified.matches else [{}]:
        yield {"query": answer.name, **row}


def _print_lines(answers: list[Answer]) -> None:
    from speechcmp.cli.output import console, shown

    out = console()
    for answer in answers:
        if not answer.identified.matches:
            out.print(f"[bold]{shown(answer.name)}[/]: [yellow]unknown[/]", soft_wrap=True)
        for match, _path in answer.identified.matches:
            start_s = round(match.offset_s, 2) + 0.0  # no -0.00
            out.print(
                f"[bold]{shown(answer.name)}[/]: [green]{shown(match.name)}[/] at {start_s:.2f} s "
                f"({match.votes} votes, {100 * match.query_share:.0f} % of the clip's hashes)",
                soft_wrap=True,
            )
