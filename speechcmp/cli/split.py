"""``speechcmp split``: where the pauses are, as a table, JSON, label files or chunk recordings."""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import typer

from speechcmp.cli import options
from speechcmp.cli.inputs import EachInput, as_label, as_source, expand_inputs
from speechcmp.errors import ParameterError, SpeechcmpError
from speechcmp.files import irregular, written_whole

if TYPE_CHECKING:
    from speechcmp.audio.decode import AudioFile
    from speechcmp.audio.split import Split, SplitParams

SCHEMA = "speechcmp.split/1"
LABEL_SUFFIXES = {"textgrid": ".TextGrid", "audacity": ".txt", "srt": ".srt", "vtt": ".vtt"}
SplitFormat = Literal["table", "json", "jsonl", "csv", "textgrid", "audacity", "srt", "vtt"]
Codec = Literal["wav", "flac"]
CSV_COLUMNS = ("path", "index", "start_s", "end_s", "duration_s", "chunk_path")


class Outcome(NamedTuple):
    """What became of one input: its chunks, and where they were written."""

    split: "Split[AudioFile]"
    chunk_paths: Sequence[Path]


@options.with_max_duration
@options.with_split_options
def split(
    inputs: Annotated[list[str], typer.Argument(help="Recordings, quoted globs, folders, or - for stdin.")],
    *,
    output_format: Annotated[
        SplitFormat,
        typer.Option("--format", "-f", envvar="SPEECHCMP_FORMAT", help="How to print the chunks."),
    ] = "table",
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write every chunk into this folder.")] = None,
    codec: Annotated[Codec, typer.Option("--codec", help="What chunks are written as.")] = "wav",
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Write no file, only print what was found.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are not from here.")] = False,
    recursive: options.RecursiveOption = False,
    split: "SplitParams",
) -> int:
    """Split recordings at their pauses."""
    names = expand_inputs(inputs, recursive=recursive)
    folder = None if dry_run else out
    _check_outputs(names, output_format, folder)
    work = EachInput(names, what="Splitting", prints=output_format not in LABEL_SUFFIXES)

    def split_one(name: str) -> Outcome:
        outcome = _split_one(name, split, folder, codec, force=force)
        if output_format in LABEL_SUFFIXES:
            _put_labels(outcome, output_format, folder, printed=len(names) == 1, force=force)
        return outcome

    _print(work.outcomes(split_one), output_format, single=len(names) == 1)
    return work.exit_code


def _check_outputs(names: Sequence[str], output_format: str, folder: Path | None) -> None:
    """Refuse what would mix up or overwrite results before any work is done."""
    if output_format in LABEL_SUFFIXES and len(names) > 1 and folder is None:
        raise ParameterError(
            f"--format {output_format}: {len(names)} inputs need a folder for their files; give --out DIR"
        )
    if folder is None:
        return
    if folder.exists() and not folder.is_dir():
        raise ParameterError(f"--out {folder}: is a file; name a folder")
    stems = Counter(Path(as_label(name)).stem for name in names)
    for name in names:
        path = Path(as_label(name))
        labels = path.suffix == LABEL_SUFFIXES.get(output_format)
        chunk = any(path.name[: found.start()] in stems for found in re.finditer("-chunk", path.name))
        if (labels or chunk) and os.path.realpath(path.parent) == os.path.realpath(folder):
            raise ParameterError(f"--out {folder}: {path.name}, an input, could be overwritten; name another folder")
    stem, count = stems.most_common(1)[0]
    if count > 1:
        raise ParameterError(f"--out {folder}: {count} inputs are called {stem!r}; split them into different folders")


def _check_replaceable(path: Path, is_ours: Callable[[Path], bool]) -> None:
    """Refuse to replace what was not written here: hours of somebody's work may be in a file of that name.

    A chunk says in its header who wrote it, and a digest of what; labels can't, so they are ours if they are what would
    be written.
    """
    if path.is_symlink() or (path.exists() and not is_ours(path)):
        raise SpeechcmpError(f"{path}: is there already, and not from here; --force replaces it")


def _split_one(name: str, params: "SplitParams", folder: Path | None, codec: Codec, *, force: bool) -> Outcome:
    from speechcmp.audio.decode import open_audio
    from speechcmp.audio.split import split_recording
    from speechcmp.cli.output import warn

    result = split_recording(open_audio(as_source(name), name=as_label(name)), params)
    for warning in result.warnings:
        warn(f"{result.source.name}: {warning}")
    paths = [] if folder is None else _write_chunks(result, folder, Path(result.source.name).stem, codec, force=force)
    return Outcome(result, paths)


def _write_chunks(result: "Split[AudioFile]", folder: Path, stem: str, codec: Codec, *, force: bool) -> list[Path]:
    from speechcmp.audio.origin import was_saved_here
    from speechcmp.audio.recording import save_pcm

    make_folder(folder)
    paths = [folder / f"{stem}-chunk{chunk.index:03}.{codec}" for chunk in result.chunks]
    if not force:
        for path in paths:
            _check_replaceable(path, was_saved_here)
    for chunk, path in zip(result.chunks, paths, strict=True):
        save_pcm(path, result.source, chunk.start, chunk.stop)
    _remove_old_chunks(folder, stem, len(paths))
    return paths


def _remove_old_chunks(folder: Path, stem: str, n_chunks: int) -> None:
    """Remove what an earlier run, with more chunks, has left behind: it would be taken for this one's."""
    from speechcmp.audio.origin import was_saved_here
    from speechcmp.cli.output import warn

    name = re.compile(re.escape(stem) + r"-chunk(\d{3,})\.(wav|flac)")
    numbers = {path: name.fullmatch(path.name) for path in folder.iterdir()}
    beyond = sorted(path for path, match in numbers.items() if match and int(match[1]) >= n_chunks)
    old = [path for path in beyond if not path.is_symlink() and was_saved_here(path)]
    for path in old:
        path.unlink(missing_ok=True)
    if old:
        names = old[0].name if len(old) == 1 else f"{old[0].name} to {old[-1].name}"
        warn(f"{folder}: removed {names}, written by an earlier run with more chunks")


def make_folder(folder: Path) -> None:
    """Make a folder for results where there is none.

    Raises
    ------
    SpeechcmpError
        It can't be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SpeechcmpError(f"{folder}: can't be made ({error.strerror}); name another folder") from error


def _put_labels(outcome: Outcome, output_format: str, folder: Path | None, *, printed: bool, force: bool) -> None:
    from speechcmp.audio.labels import Label, to_audacity, to_srt, to_textgrid, to_vtt
    from speechcmp.cli.output import print_text

    rate = outcome.split.source.sample_rate
    labels = [Label(x.start / rate, x.stop / rate, f"chunk {x.index}") for x in outcome.split.chunks]
    if output_format == "textgrid":
        text = to_textgrid(labels, outcome.split.source.duration_s)
    else:
        text = {"audacity": to_audacity, "srt": to_srt, "vtt": to_vtt}[output_format](labels)
    if printed:
        print_text(text)
    if folder is not None:
        make_folder(folder)
        path = folder / (Path(outcome.split.source.name).stem + LABEL_SUFFIXES[output_format])
        data = text.encode()
        try:
            if not force:
                _check_replaceable(path, lambda there: not irregular(there) and there.read_bytes() == data)
            with written_whole(path) as file:
                file.write(data)
        except OSError as error:
            raise SpeechcmpError(f"{path}: can't be written ({error.strerror}); check the folder") from error


def _print(outcomes: Iterable[Outcome], output_format: str, *, single: bool) -> None:
    from speechcmp.cli import output

    if output_format == "json" and single:
        output.print_json(as_json(next(iter(outcomes))))
    elif output_format == "json":
        output.print_json_array(as_json(outcome) for outcome in outcomes)
    elif output_format == "csv":
        output.print_csv(CSV_COLUMNS, (row for outcome in outcomes for row in _csv_rows(outcome)))
    else:
        for outcome in outcomes:
            if output_format == "jsonl":
                output.print_json_line(as_json(outcome))
            elif output_format == "table":
                _print_table(outcome)


def as_json(outcome: Outcome) -> dict[str, Any]:
    """Return the object of the ``speechcmp.split/1`` contract."""
    result, file, params = outcome.split, outcome.split.source, outcome.split.params
    return {
        "schema": SCHEMA,
        "recording": {
            "path": file.name,
            "duration_s": file.duration_s,
            "sample_rate": file.sample_rate,
            "channels": file.channels,
            "dbfs": result.level.dbfs,
            "peak_dbfs": result.level.peak_dbfs,
            "noise_floor_dbfs": result.noise_floor_dbfs,
        },
        "params": {
            "min_silence_len_ms": params.min_silence_len_ms,
            "silence_thresh_dbfs": result.silence_thresh_dbfs,
            "keep_silence_ms": params.keep_silence_ms,
            "seek_step_ms": params.seek_step_ms,
            "target_dbfs": params.target_dbfs,
        },
        "chunks": list(_chunk_rows(outcome)),
        "warnings": list(result.warnings),
    }


def _chunk_rows(outcome: Outcome) -> Iterator[dict[str, Any]]:
    rate = outcome.split.source.sample_rate
    for chunk in outcome.split.chunks:
        start_s, end_s = chunk.start / rate, chunk.stop / rate
        row: dict[str, Any] = {"index": chunk.index, "start_s": start_s, "end_s": end_s, "duration_s": end_s - start_s}
        if outcome.chunk_paths:
            row["path"] = str(outcome.chunk_paths[chunk.index])
        yield row


def _csv_rows(outcome: Outcome) -> Iterator[dict[str, Any]]:
    for row in _chunk_rows(outcome):
        yield {**row, "path": outcome.split.source.name, "chunk_path": row.get("path")}


def _print_table(outcome: Outcome) -> None:
    from speechcmp.cli.output import bar, console, new_table, number, shown

    rows = list(_chunk_rows(outcome))
    longest = max((row["duration_s"] for row in rows), default=1.0)
    table = new_table(("chunk", "right"), ("start", "right"), ("end", "right"), ("seconds", "right"), ("", "left"))
    if outcome.chunk_paths:
        table.add_column("written to", overflow="fold")
    for row in rows:
        times = [number(row[key]) for key in ("start_s", "end_s", "duration_s")]
        written = [shown(row["path"])] if "path" in row else []
        table.add_row(str(row["index"]), *times, f"[cyan]{bar(row['duration_s'] / longest)}[/]", *written)
    out = console()
    out.print(table)
    out.print(_summary(outcome), "\n", soft_wrap=True)


def _summary(outcome: Outcome) -> str:
    from speechcmp.cli.output import number, shown

    result, file, target = outcome.split, outcome.split.source, outcome.split.params.target_dbfs
    leveled = "" if target is None else f" at {target:g} dBFS"
    return (
        f"[bold]{shown(file.name)}[/]: {len(result.chunks)} chunks in {file.duration_s:.1f} s\n"
        f"{result.level.dbfs:.1f} dBFS, noise floor {number(result.noise_floor_dbfs, 0)} dBFS; "
        f"silence is below {number(result.silence_thresh_dbfs, 0)} dBFS{leveled}"
    )
