"""``speechcmp calibrate``: the score fitted to the user's own ratings, or to good and wrong takes."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from speechcmp.errors import ParameterError, SpeechcmpError
from speechcmp.files import irregular, written_whole

if TYPE_CHECKING:
    from speechcmp.calibration.ratings import Joined, Result


def calibrate(
    results: Annotated[
        Path, typer.Argument(help="What batch wrote, or compare --format json: takes of the right text.")
    ],
    ratings: Annotated[
        Path | None, typer.Argument(help="CSV with columns id (or take), rating and maybe speaker.")
    ] = None,
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="MODEL",
            help="Write the model to this file, for --calibration; by default only print the figures.",
        ),
    ] = None,
    wrong: Annotated[
        Path | None,
        typer.Option("--wrong", metavar="RESULTS", help="Results of deliberate mismatches: takes of another text."),
    ] = None,
    rating_column: Annotated[
        str, typer.Option("--rating-column", metavar="NAME", help="The column of the ratings.")
    ] = "rating",
    scale: Annotated[
        str, typer.Option("--scale", metavar="LOW,HIGH", help="The worst and the best rating there can be.")
    ] = "0,100",
    refuse: Annotated[
        float,
        typer.Option("--refuse", metavar="PERCENT", help="How many of the wrong takes must score below 20."),
    ] = 95.0,
    output_format: Annotated[
        Literal["table", "json"], typer.Option("--format", "-f", help="How to print the figures.")
    ] = "table",
) -> int:
    """Fit the score to your own ratings of takes, to good and wrong takes of your own, or to both."""
    from speechcmp.calibration.fit import Examples, calibrate as fit
    from speechcmp.calibration.ratings import all_takes, read_results
    from speechcmp.cli.output import warn
    from speechcmp.cli.views import calibration as calibration_view

    sources = {"results": results, "ratings": ratings, "wrong": wrong}
    _check(sources, out, refuse)
    good = read_results(results)
    joined = _join(good, ratings, rating_column, _scale(scale)) if ratings else None
    speakers = joined.speakers if joined else {}
    done = fit(
        joined.examples if joined else Examples(),
        good=all_takes(good, speakers) if wrong else None,
        wrong=all_takes(read_results(wrong), speakers) if wrong else None,
        refused_share=refuse / 100,
    )
    origin = _origin(sources, {"rating_column": rating_column, "scale": scale} if ratings else {})
    done = done._replace(model=replace(done.model, fitted={**origin, **done.model.fitted}))
    if out is not None:
        _write(out, done.model.to_json())
    calibration_view.print_calibrated(done, joined, sources, out, as_json=output_format == "json")
    for text in calibration_view.doubts(done, joined, all_takes(good, speakers)):
        warn(text)
    return 0


def _check(sources: Mapping[str, Path | None], out: Path | None, refuse: float) -> None:
    if sources["ratings"] is None and sources["wrong"] is None:
        raise ParameterError("nothing to fit to: give RATINGS, or --wrong with results of deliberate mismatches")
    if not 0 < refuse < 100:
        raise ParameterError(f"--refuse: {refuse:g} is out of range; give a percentage, such as 95")
    inputs = [Path(os.path.realpath(path)) for path in sources.values() if path]
    if out is not None and any(path.exists() and out.exists() and path.samefile(out) for path in inputs):
        raise ParameterError(f"--out {out}: is read from, too; give the model another name")
    if out is not None:
        _check_target(out)
    if len(set(inputs)) < len(inputs):
        raise ParameterError("results, ratings and wrong takes: two of them are one file; name three different ones")


def _scale(text: str) -> tuple[float, float]:
    try:
        low, high = (float(end) for end in text.split(","))
    except ValueError:
        raise ParameterError(
            f"--scale: {text!r} is no scale; give the worst and the best rating, such as 1,5"
        ) from None
    return low, high


def _join(results: "list[Result]", path: Path, column: str, scale: tuple[float, float]) -> "Joined":
    from speechcmp.calibration.ratings import join, read_ratings

    return join(results, read_ratings(path, column=column, scale=scale))


def _origin(sources: Mapping[str, Path | None], options: Mapping[str, str]) -> dict[str, Any]:
    """Say what a model was fitted to, and by what; no folders, which may be nobody's business."""
    from datetime import UTC, datetime
    from importlib.metadata import version

    kinds = [f"{kind} {path.name}" for kind, path in sources.items() if path]
    made_at = datetime.now(UTC).isoformat(timespec="seconds")
    return {"on": ", ".join(kinds), **options, "by": f"speechcmp {version('speechcmp')} calibrate", "made_at": made_at}


def _check_target(path: Path) -> None:
    """Refuse to replace what is no model: recordings and results have taken longer to make."""
    from speechcmp.scoring.model import SCHEMA

    try:
        if path.is_fifo():
            raise ParameterError(f"--out {path}: is a pipe; name a file")
        if path.is_symlink() and not path.exists():
            raise ParameterError(f"--out {path}: is a link to nothing; name a file")
        if path.is_file() and path.stat().st_size:
            with path.open("rb") as file:
                if SCHEMA.rpartition("/")[0].encode() not in file.read(200):  # also an earlier version's
                    raise ParameterError(f"--out {path}: is there, and is no score model; give another name")
    except (OSError, RuntimeError) as error:  # a link to itself, say
        reason = getattr(error, "strerror", None) or error
        raise ParameterError(f"--out {path}: can't be written ({reason}); give another name") from error


def _write(path: Path, text: str) -> None:
    """Write a model; to a device, such as ``/dev/stdout``, directly."""
    try:
        if irregular(path):
            path.write_text(text, encoding="utf-8")
            return
        with written_whole(Path(os.path.realpath(path))) as file:  # a link leads to a model: that was looked at
            file.write(text.encode())
    except OSError as error:
        raise SpeechcmpError(
            f"{path}: can't be written ({error.strerror}); check the folder and the space left"
        ) from error
