"""``speechcmp compare``: one reference, one or more takes, a distance for every chunk."""

import os
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from speechcmp.cli import options
from speechcmp.cli.inputs import EachInput, as_label, as_source, expand_inputs
from speechcmp.errors import ParameterError

if TYPE_CHECKING:
    from collections.abc import Callable

    from speechcmp.audio.split import SplitParams
    from speechcmp.comparison.compare import CompareParams, Prepared
    from speechcmp.comparison.result import Comparison, DistanceMatrix

BELOW = 4


@options.with_max_duration
@options.with_split_options
def compare(
    reference: Annotated[str, typer.Argument(help="The recording to be compared with; - for stdin.")],
    takes: Annotated[list[str], typer.Argument(help="Recordings, quoted globs, folders, or - for stdin.")],
    *,
    output_format: options.FormatOption = "table",
    also_reference: Annotated[
        list[str] | None,
        typer.Option(
            "--also-reference",
            metavar="REF",
            help="Another reading of the text, or a folder of them; repeatable. Each take is then placed among them.",
        ),
    ] = None,
    recipe: options.RecipeOption = "phones",
    by: Annotated[
        Literal["time", "index", "matrix"],
        typer.Option(
            "--by",
            envvar="SPEECHCMP_BY",
            help="Match chunks by time and sound, by number, or each with every other.",
        ),
    ] = "time",
    dtw: options.DtwOption = "exact",
    band: options.BandOption = None,
    fail_under: Annotated[
        float | None,
        typer.Option("--fail-under", metavar="SCORE", help="Exit 4 if a take's score is below this."),
    ] = None,
    pitch: Annotated[
        bool, typer.Option("--pitch", envvar="SPEECHCMP_PITCH", help="Compare the melody, too; takes seconds longer.")
    ] = False,
    calibration: options.CalibrationOption = None,
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose", "-v", help="Also show where to listen, speaking rates, pauses, and what points were lost to."
        ),
    ] = False,
    flag_copies: Annotated[
        bool,
        typer.Option(
            "--flag-copies",
            envvar="SPEECHCMP_FLAG_COPIES",
            help="Say when a take is a copy of the reference.",
        ),
    ] = False,
    recursive: options.RecursiveOption = False,
    split: "SplitParams",
) -> int:
    """Compare takes with a reference, chunk by chunk."""
    from speechcmp.comparison.compare import CompareParams
    from speechcmp.comparison.result import Comparison
    from speechcmp.scoring.model import load_model

    names = expand_inputs(takes, recursive=recursive)
    others = expand_inputs(also_reference or [], recursive=recursive)
    _check(reference, names, matrix=by == "matrix", flag_copies=flag_copies, fail_under=fail_under)
    _check_references(reference, others, names, matrix=by == "matrix")
    params = CompareParams(
        recipe=recipe,
        by="index" if by == "index" else "time",
        dtw=dtw,
        band=band,
        split=split,
        details="pitch" if pitch else "all",
        model=load_model(calibration) if calibration else None,
    )
    compare_one = _comparer(reference, others, params, matrix=by == "matrix", flag_copies=flag_copies)
    work = EachInput(names, what="Comparing")
    results = list(work.outcomes(lambda name: compare_one(_prepare(name, params))))
    _print(results, output_format, matrix=by == "matrix", single=len(names) == 1, verbose=verbose)
    compared = [result for result in results if isinstance(result, Comparison)]
    if (
        not work.n_failed
        and fail_under is not None
        and any(not r.score or r.score.value < fail_under for r in compared)
    ):
        return BELOW
    return work.exit_code


def _check(reference: str, takes: list[str], *, matrix: bool, flag_copies: bool, fail_under: float | None) -> None:
    """Refuse what does not go together before any work is done."""
    if fail_under is not None and not 0 <= fail_under <= 100:
        raise ParameterError(f"--fail-under: {fail_under} is no score; give 0 to 100")
    if matrix and (flag_copies or fail_under is not None):
        raise ParameterError("--by matrix: has no score and does not look for copies; use --by time or index")
    if reference == "-" and "-" in takes:
        raise ParameterError("-: standard input can be read only once; name a file for the other side")


def _check_references(reference: str, others: list[str], takes: list[str], *, matrix: bool) -> None:
    """Refuse readings that would be held against themselves."""
    if not others:
        return
    if matrix:
        raise ParameterError("--by matrix: has one reference; leave out --also-reference, or use --by time or index")
    if "-" in others:
        raise ParameterError("--also-reference -: standard input is for the reference or a take; name a file")
    seen = set[str]()
    for name in (reference, *others):
        if os.path.realpath(name) in seen:
            raise ParameterError(f"--also-reference {name}: is a reference already; give each reading once")
        seen.add(os.path.realpath(name))
    for name in takes:
        if os.path.realpath(name) in seen:
            raise ParameterError(f"{name}: is a reference, too; it can't be placed among itself: leave it out")


def _prepare(name: str, params: "CompareParams") -> "Prepared":
    from speechcmp.audio.decode import open_audio
    from speechcmp.comparison.compare import prepare

    return prepare(open_audio(as_source(name), name=as_label(name)), params)


def _comparer(
    reference: str, others: list[str], params: "CompareParams", *, matrix: bool, flag_copies: bool
) -> "Callable[[Prepared], Comparison | DistanceMatrix]":
    """Prepare what all takes are held against; return what is done with each of them."""
    from speechcmp.comparison.compare import compare_prepared, matrix_prepared
    from speechcmp.comparison.references import compare_among, score_references

    references = [_prepare(name, params) for name in (reference, *others)]
    among = score_references(references, params=params) if others else None

    def compare_one(take: "Prepared") -> "Comparison | DistanceMatrix":
        result: Comparison | DistanceMatrix
        if matrix:
            result = matrix_prepared(references[0], take, params=params)
        elif among:
            result = compare_among(references, take, params=params, among=among, flag_copies=flag_copies)
        else:
            result = compare_prepared(references[0], take, params=params, flag_copies=flag_copies)
        _warn(result.warnings)
        return result

    return compare_one


def _warn(warnings: tuple[str, ...]) -> None:
    from speechcmp.cli.output import warn

    for warning in warnings:
        warn(warning)


def _print(results: list[Any], output_format: str, *, matrix: bool, single: bool, verbose: bool) -> None:
    from speechcmp.cli import output
    from speechcmp.cli.views import comparison as comparison_view, matrix as matrix_view

    view: Any = matrix_view if matrix else comparison_view
    if output_format == "json":
        objects = [view.as_json(result) for result in results]
        output.print_json(objects[0] if single else objects)
    elif output_format == "jsonl":
        for result in results:
            output.print_json_line(view.as_json(result))
    elif output_format == "csv":
        output.print_csv(view.CSV_COLUMNS, (row for result in results for row in view.csv_rows(result)))
    else:
        for result in results:
            view.print_table(result)
            if verbose and not matrix:
                comparison_view.print_details(result)
        if len(results) > 1 and not matrix:
            comparison_view.print_ranking(results)
