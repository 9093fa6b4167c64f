"""``speechcmp compare``: one reference, one or more takes, a distance for every chunk."""

from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from speechcmp.cli import options
from speechcmp.cli.inputs import as_label, as_source, expand_inputs
from speechcmp.errors import ParameterError, SpeechcmpError

if TYPE_CHECKING:
    from speechcmp.comparison import CompareParams, Prepared
    from speechcmp.findings import Comparison, DistanceMatrix

BELOW = 4


def compare(
    reference: Annotated[str, typer.Argument(help="The recording to be compared with; - for stdin.")],
    takes: Annotated[list[str], typer.Argument(help="Recordings, quoted globs, folders, or - for stdin.")],
    *,
    output_format: options.FormatOption = "table",
    recipe: Annotated[
        str,
        typer.Option("--recipe", envvar="SPEECHCMP_RECIPE", help="default, or classic: librosa's MFCC and L1."),
    ] = "default",
    by: Annotated[
        Literal["time", "index", "matrix"],
        typer.Option(
            "--by",
            envvar="SPEECHCMP_BY",
            help="Match chunks by what is said when, by number, or all with all.",
        ),
    ] = "time",
    dtw: Annotated[
        Literal["exact", "fastdtw"],
        typer.Option("--dtw", envvar="SPEECHCMP_DTW", help="Exact, or the fastdtw package."),
    ] = "exact",
    band: Annotated[
        float | None,
        typer.Option("--band", envvar="SPEECHCMP_BAND", metavar="FRACTION", help="Limit the warping of a chunk."),
    ] = None,
    fail_under: Annotated[
        float | None,
        typer.Option("--fail-under", metavar="SCORE", help="Exit 4 if a take's score is below this."),
    ] = None,
    pitch: Annotated[
        bool, typer.Option("--pitch", envvar="SPEECHCMP_PITCH", help="Compare the melody, too; takes seconds longer.")
    ] = False,
    calibration: Annotated[
        Path | None,
        typer.Option("--calibration", envvar="SPEECHCMP_CALIBRATION", help="A score model of your own."),
    ] = None,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Also where to listen, rates, pauses and what points are lost to.")
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
    min_silence_len: options.MinSilenceOption = 500,
    silence_thresh: options.SilenceThreshOption = "auto",
    keep_silence: options.KeepSilenceOption = 100,
    seek_step: options.SeekStepOption = 1,
    min_chunk: options.MinChunkOption = None,
    max_chunk: options.MaxChunkOption = None,
    target_dbfs: options.TargetOption = -20.0,
    normalize: options.NormalizeOption = True,
) -> int:
    """Compare takes with a reference, chunk by chunk."""
    from speechcmp.cli import comparison_view, matrix_view
    from speechcmp.cli.output import complain
    from speechcmp.cli.progress import track
    from speechcmp.comparison import CompareParams
    from speechcmp.findings import Comparison
    from speechcmp.score import load_model

    names = expand_inputs(takes, recursive=recursive)
    _check(reference, names, matrix=by == "matrix", flag_copies=flag_copies, fail_under=fail_under)
    split = options.split_params(
        min_silence_len, silence_thresh, keep_silence, seek_step, min_chunk, max_chunk, target_dbfs, normalize
    )
    params = CompareParams(
        recipe=recipe,
        by="index" if by == "index" else "time",
        dtw=dtw,
        band=band,
        split=split,
        details="pitch" if pitch else "all",
        model=load_model(calibration) if calibration else None,
    )
    prepared = _prepare(reference, params)
    results, n_failed = [], 0
    for name in track(names, total=len(names), what="Comparing"):
        try:
            results.append(_compare_one(prepared, name, params, matrix=by == "matrix", flag_copies=flag_copies))
        except SpeechcmpError as error:
            if len(names) == 1 or isinstance(error, ParameterError):
                raise
            complain(str(error))
            n_failed += 1
    _print(results, matrix_view if by == "matrix" else comparison_view, output_format, single=len(names) == 1)
    compared = [result for result in results if isinstance(result, Comparison)]
    if verbose and output_format == "table":
        for result in compared:
            comparison_view.print_details(result)
    if n_failed:
        return 3 if results else 1
    if fail_under is not None and any(not r.score or r.score.value < fail_under for r in compared):
        return BELOW
    return 0


def _check(reference: str, takes: list[str], *, matrix: bool, flag_copies: bool, fail_under: float | None) -> None:
    """Refuse what does not go together before any work is done."""
    if fail_under is not None and not 0 <= fail_under <= 100:
        raise ParameterError(f"--fail-under: {fail_under} is no score; give 0 to 100")
    if matrix and (flag_copies or fail_under is not None):
        raise ParameterError("--by matrix: has no score and no place for copies; use --by time or index")
    if reference == "-" and "-" in takes:
        raise ParameterError("-: standard input can be read only once; name a file for the other side")


def _prepare(name: str, params: "CompareParams") -> "Prepared":
    from speechcmp.audio import load_recording
    from speechcmp.comparison import prepare

    return prepare(load_recording(as_source(name), mono=False, name=as_label(name)), params)


def _compare_one(
    reference: "Prepared", name: str, params: "CompareParams", *, matrix: bool, flag_copies: bool
) -> "Comparison | DistanceMatrix":
    from speechcmp.comparison import compare_prepared, matrix_prepared

    take = _prepare(name, params)
    if matrix:
        table = matrix_prepared(reference, take, params=params)
        _warn(table.warnings)
        return table
    result = compare_prepared(reference, take, params=params)
    if flag_copies:
        result = _flag_copy(result, reference, take)
    _warn(result.warnings)
    return result


def _warn(warnings: tuple[str, ...]) -> None:
    from speechcmp.cli.output import warn

    for warning in warnings:
        warn(warning)


def _flag_copy(result: "Comparison", reference: "Prepared", take: "Prepared") -> "Comparison":
    from speechcmp.findings import Copy
    from speechcmp.identification import find_copy

    match = find_copy(reference.recording, take.recording)
    if match is None:
        return result
    start_s = round(match.offset_s, 2) + 0.0  # no -0.00
    text = f"{take.recording.name}: is a copy of {reference.recording.name}, from {start_s:.2f} s on"
    return replace(result, copy=Copy(match.offset_s, match.confidence), warnings=(*result.warnings, text))


def _print(results: list[Any], view: ModuleType, output_format: str, *, single: bool) -> None:
    from speechcmp.cli import output

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
