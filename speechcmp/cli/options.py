"""The options that several verbs share, each written once."""

import functools
import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from speechcmp.errors import ParameterError

if TYPE_CHECKING:
    from speechcmp.audio.split import SplitParams

Format = Literal["table", "json", "jsonl", "csv"]

FormatOption = Annotated[
    Format, typer.Option("--format", "-f", envvar="SPEECHCMP_FORMAT", help="How to print the result.")
]
MinSilenceOption = Annotated[
    int,
    typer.Option(
        "--min-silence-len",
        envvar="SPEECHCMP_MIN_SILENCE_LEN",
        metavar="MS",
        help="A pause at least this long ends a chunk.",
        rich_help_panel="Splitting",
    ),
]
SilenceThreshOption = Annotated[
    str,
    typer.Option(
        "--silence-thresh",
        envvar="SPEECHCMP_SILENCE_THRESH",
        metavar="auto|DBFS",
        help="What counts as silence: found from the recording's own noise, or a level such as -40, "
        "which gives exactly pydub's ranges.",
        rich_help_panel="Splitting",
    ),
]
KeepSilenceOption = Annotated[
    int,
    typer.Option(
        "--keep-silence",
        envvar="SPEECHCMP_KEEP_SILENCE",
        metavar="MS",
        help="Silence left at both ends of a chunk.",
        rich_help_panel="Splitting",
    ),
]
SeekStepOption = Annotated[
    int,
    typer.Option(
        "--seek-step",
        envvar="SPEECHCMP_SEEK_STEP",
        metavar="MS",
        help="Step of the search for silence, with a fixed threshold.",
        rich_help_panel="Splitting",
    ),
]
TargetOption = Annotated[
    float,
    typer.Option(
        "--target-dbfs",
        envvar="SPEECHCMP_TARGET_DBFS",
        metavar="DBFS",
        help="Loudness every recording is brought to first.",
        rich_help_panel="Splitting",
    ),
]
NormalizeOption = Annotated[
    bool,
    typer.Option(
        "--normalize/--no-normalize",
        envvar="SPEECHCMP_NORMALIZE",
        help="Bring recordings to one loudness, or leave them as they are.",
        rich_help_panel="Splitting",
    ),
]
MinChunkOption = Annotated[
    int | None,
    typer.Option(
        "--min-chunk",
        envvar="SPEECHCMP_MIN_CHUNK",
        metavar="MS",
        help="Join shorter chunks to their nearer neighbor.",
        rich_help_panel="Splitting",
    ),
]
MaxChunkOption = Annotated[
    int | None,
    typer.Option(
        "--max-chunk",
        envvar="SPEECHCMP_MAX_CHUNK",
        metavar="MS",
        help="Cut longer chunks at their quietest places.",
        rich_help_panel="Splitting",
    ),
]
RecursiveOption = Annotated[
    bool, typer.Option("--recursive", "-r", help="Look for recordings in the folders of a folder, too.")
]
RecipeOption = Annotated[
    str,
    typer.Option("--recipe", envvar="SPEECHCMP_RECIPE", help="phones; mfcc: no network; classic: librosa's MFCC, L1."),
]
DtwOption = Annotated[
    Literal["exact", "fastdtw"],
    typer.Option("--dtw", envvar="SPEECHCMP_DTW", help="Exact, or the fastdtw package."),
]
BandOption = Annotated[
    float | None,
    typer.Option("--band", envvar="SPEECHCMP_BAND", metavar="FRACTION", help="Limit the warping of a chunk."),
]
CalibrationOption = Annotated[
    Path | None,
    typer.Option(
        "--calibration",
        envvar="SPEECHCMP_CALIBRATION",
        metavar="MODEL",
        help="Score by a model of your own, which speechcmp calibrate has written.",
    ),
]
DbOption = Annotated[
    str | None,
    typer.Option(
        "--db",
        envvar="SPEECHCMP_DB",
        metavar="URL",
        help="sqlite:///FILE or mysql://user@host/name; by default SPEECHCMP_DB, or a file in your data folder. "
        "A password comes from SPEECHCMP_DB_PASSWORD or ~/.my.cnf.",
    ),
]
JobsOption = Annotated[
    int | None,
    typer.Option("--jobs", "-j", envvar="SPEECHCMP_JOBS", metavar="N", help="Processes; all cores by default."),
]
DaskOption = Annotated[
    str | None,
    typer.Option(
        "--dask",
        envvar=["SPEECHCMP_DASK", "DASK_SCHEDULER_ADDRESS"],
        metavar="ADDRESS",
        show_envvar=True,
        help="Run on a Dask cluster: the address of its scheduler, or a scheduler file. --jobs runs here.",
    ),
]


def _by_environment(name: str, annotation: Any) -> Callable[[Callable[..., int]], Callable[..., int]]:  # noqa: ANN401
    """Make what gives commands an option that the library reads from the environment: other processes have it, too."""
    variable = "SPEECHCMP_" + name.upper()

    def with_option(command: Callable[..., int]) -> Callable[..., int]:
        @functools.wraps(command)
        def run(**values: Any) -> int:  # noqa: ANN401 - whatever the command has
            given, before = values.pop(name), os.environ.pop(variable, None)
            if given is not None and given is not False:
                os.environ[variable] = str(given)
            try:
                return command(**values)
            finally:
                os.environ.pop(variable, None)
                if before is not None:
                    os.environ[variable] = before

        own = inspect.signature(command).parameters.values()
        _take(run, [*own, inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)])
        return run

    return with_option


with_max_duration = _by_environment(  # `speechcmp.audio.decode.DURATION_VARIABLE`
    "max_duration",
    Annotated[
        float | None,
        typer.Option(
            "--max-duration",
            metavar="HOURS",
            help="Refuse longer recordings; 4 hours by default.",
            rich_help_panel="Limits",
        ),
    ],
)
with_allow_private = _by_environment(  # `speechcmp.audio.url.PRIVATE_VARIABLE`
    "allow_private",
    Annotated[
        bool | None,
        typer.Option(
            "--allow-private",
            help="Let a URL's server redirect to a private address.",
            rich_help_panel="Limits",
        ),
    ],
)


def _take(function: Callable[..., int], parameters: list[inspect.Parameter]) -> None:
    """Let typer see these parameters."""
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    function.__annotations__ = {x.name: x.annotation for x in parameters}


def with_split_options(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command the splitting options, which it gets as one argument: ``split``, the `SplitParams`."""
    shared = inspect.signature(split_params).parameters
    own = [x for x in inspect.signature(command).parameters.values() if x.name != "split"]

    @functools.wraps(command)
    def with_options(**values: Any) -> int:  # noqa: ANN401 - whatever the command has
        given = {name: values.pop(name) for name in shared}
        return command(**values, split=split_params(**given))

    _take(with_options, [*own, *(x.replace(kind=x.KEYWORD_ONLY) for x in shared.values())])
    return with_options


def split_params(
    *,
    min_silence_len: MinSilenceOption = 500,
    silence_thresh: SilenceThreshOption = "auto",
    keep_silence: KeepSilenceOption = 100,
    seek_step: SeekStepOption = 1,
    min_chunk: MinChunkOption = None,
    max_chunk: MaxChunkOption = None,
    target_dbfs: TargetOption = -20.0,
    normalize: NormalizeOption = True,
) -> "SplitParams":
    """Turn the splitting options into parameters.

    Raises
    ------
    ParameterError
        One is out of range, or the threshold is neither ``auto`` nor a number.
    """
    from speechcmp.audio.split import SplitParams

    return SplitParams(
        min_silence_len_ms=min_silence_len,
        silence_thresh_dbfs="auto" if silence_thresh == "auto" else _to_level(silence_thresh),
        keep_silence_ms=keep_silence,
        seek_step_ms=seek_step,
        min_chunk_ms=min_chunk,
        max_chunk_ms=max_chunk,
        target_dbfs=target_dbfs if normalize else None,
    )


def _to_level(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ParameterError(f"--silence-thresh: {text!r} is no level; give auto, or dBFS such as -40") from None
