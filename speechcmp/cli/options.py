"""The options that several verbs share, each written once."""

from typing import Annotated, Literal

import typer

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
