"""``speechcmp batch``: a manifest of references and takes, a line of results for each row."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from speechcmp.cli import options
from speechcmp.cli.inputs import STDIN, exit_code, expand_inputs
from speechcmp.cli.main import ENDING, INTERRUPTED
from speechcmp.errors import ParameterError

if TYPE_CHECKING:
    from speechcmp.audio.split import SplitParams
    from speechcmp.batch.failures import FailureFile
    from speechcmp.batch.manifest import Manifest
    from speechcmp.batch.run import Batch, Outcome
    from speechcmp.parallel.processes import Workers


@options.with_allow_private
@options.with_max_duration
@options.with_split_options
def batch(
    context: typer.Context,
    manifest: Annotated[
        str | None,
        typer.Argument(help="CSV, TSV, JSONL or Parquet with columns reference and take; or use --takes."),
    ] = None,
    *,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="RESULTS",
            help="Write results to .jsonl, .csv or .parquet; else print JSONL.",
        ),
    ] = None,
    reference: Annotated[
        str | None, typer.Option("--reference", metavar="REF", help="Without a manifest: the reference.")
    ] = None,
    takes: Annotated[
        list[str] | None,
        typer.Option("--takes", metavar="FOLDER", help="Without a manifest: the takes."),
    ] = None,
    jobs: options.JobsOption = None,
    dask: options.DaskOption = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with RESULTS: score what is missing or has changed.")
    ] = False,
    failures: Annotated[
        Path | None,
        typer.Option("--failures", metavar="FILE", help="Rows that failed; RESULTS.failures.jsonl by default."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=1, help="Score only the first N rows.")
    ] = None,
    max_failures: Annotated[
        int | None, typer.Option("--max-failures", metavar="N", min=1, help="Stop after N failures.")
    ] = None,
    unordered: Annotated[
        bool, typer.Option("--unordered", help="Write results as they come, not in the manifest's order.")
    ] = False,
    by: Annotated[
        str | None, typer.Option("--by", metavar="COLUMN", help="Summarize each value of a column, too.")
    ] = None,
    output_format: Annotated[
        Literal["table", "json"], typer.Option("--format", "-f", help="How to print the summary.")
    ] = "table",
    recipe: options.RecipeOption = "phones",
    match: Annotated[
        Literal["time", "index"],
        typer.Option("--match", help="Match chunks by time and sound, or by number."),
    ] = "time",
    dtw: options.DtwOption = "exact",
    band: options.BandOption = None,
    calibration: options.CalibrationOption = None,
    flag_copies: Annotated[
        bool,
        typer.Option(
            "--flag-copies",
            envvar="SPEECHCMP_FLAG_COPIES",
            help="Say when a take is a copy of its reference, or of another row's take.",
        ),
    ] = False,
    recursive: options.RecursiveOption = False,
    split: "SplitParams",
) -> int:
    """Compare many takes with their references; goes on past bad files, and resumes after a kill."""
    from speechcmp.batch.run import Batch, open_files
    from speechcmp.comparison.compare import CompareParams
    from speechcmp.scoring.model import load_model

    rows = _manifest(manifest, reference, takes, recursive=recursive)
    if resume and out is None:
        raise ParameterError("--resume: needs the results to go on with; name them by --out")
    if jobs is not None and jobs < 1:
        raise ParameterError(f"--jobs: {jobs} is too few; give at least 1")
    checked = rows.check()
    if by is not None and by not in {"reference", "take", *checked.carried}:
        raise ParameterError(f"--by: no column {by!r}; choose one of reference, take, {', '.join(checked.carried)}")
    model = load_model(calibration) if calibration else None
    params = CompareParams(recipe, match, dtw, band, split, details="scores", model=model)
    n_rows = min(checked.n_rows, limit or checked.n_rows)
    with contextlib.ExitStack() as stack:
        workers = stack.enter_context(_workers(context, dask, jobs, n_rows))
        files = open_files(out, failures, checked.carried, copies=flag_copies, resume=resume)
        results, noted = stack.enter_context(files)
        work = Batch(rows, results, params=params, limit=limit, ordered=not unordered, copies=flag_copies)
        run = _Run(work, noted, n_rows, max_failures, by, prints=out is None)
        stopped = run.go(workers)
        if not stopped and limit is None:
            noted.settle_all()
    return run.finish(out, stopped=stopped, as_json=output_format == "json")


def _manifest(path: str | None, reference: str | None, takes: list[str] | None, *, recursive: bool) -> "Manifest":
    from speechcmp.audio.url import is_url, without_secrets
    from speechcmp.batch.manifest import open_manifest, pair_with

    if path is not None:
        if is_url(path):
            raise ParameterError(
                f"{without_secrets(path)}: a manifest must be a file here; the recordings it names may be URLs"
            )
        if reference is not None or takes:
            raise ParameterError(f"{path}: give a manifest, or --reference and --takes, not both")
        if path == STDIN:
            raise ParameterError("-: a manifest is read more than once; save it as a file first")
        return open_manifest(path)
    if reference is None or not takes:
        raise ParameterError("no manifest: name one, or give --reference and --takes")
    own = Path(reference).absolute()
    return pair_with(reference, [x for x in expand_inputs(takes, recursive=recursive) if Path(x).absolute() != own])


def _workers(context: typer.Context, dask: str | None, jobs: int | None, n_rows: int) -> "Workers":
    """Find who does the work: a cluster if one is named, and not by an environment that --jobs speaks against."""
    from speechcmp.cli.output import tell
    from speechcmp.cli.views.batch import quiet_dask
    from speechcmp.parallel.processes import Workers

    named = {option for option in ("dask", "jobs") if _is_flag(context, option)}
    if len(named) == 2:
        raise ParameterError("--jobs and --dask: either processes here, or a cluster; leave one out")
    if dask is None or named == {"jobs"}:
        return Workers(min(jobs or os.cpu_count() or 1, n_rows))
    from speechcmp.parallel.dask import ClusterWorkers

    quiet_dask()
    return ClusterWorkers(dask, notice=tell)


def _is_flag(context: typer.Context, option: str) -> bool:
    source = context.get_parameter_source(option)
    return source is not None and source.name == "COMMANDLINE"


class _Run:
    """A batch as the user sees it: lines, failures, progress, Ctrl-C, a summary."""

    def __init__(
        self,
        work: "Batch",
        failures: "FailureFile",
        n_rows: int,
        max_failures: int | None,
        by: str | None,
        *,
        prints: bool,
    ) -> None:
        from speechcmp.batch.summary import Summary

        self._work = work
        self._failures = failures
        self._n_rows = n_rows
        self._max_failures = max_failures
        self._prints = prints
        self._interrupted = False
        self._n_known = 0
        self.summary: Summary = Summary(by)

    def go(self, workers: "Workers") -> bool:
        """Do the work; say whether it was stopped."""
        from speechcmp.cli.progress import BatchProgress

        with self._interruptible(), BatchProgress(self._n_rows) as progress:
            for outcome in self._work.run(workers, stopped=self._is_stopped, looked=progress.look):
                self._take(outcome)
                progress.show(self.summary.n_scored + self.summary.n_failed, self.summary.n_failed, self._n_known)
        return self._is_stopped()

    def finish(self, out: Path | None, *, stopped: bool, as_json: bool) -> int:
        """Print the summary and what there is to say; return the exit code."""
        from speechcmp.cli.output import complain, warn
        from speechcmp.cli.views import batch as batch_view

        kept = self._work.kept
        if self._work.n_dropped:
            warn(
                f"{self._work.n_dropped} of the earlier results belong to no row of the manifest as it is now, and "
                f"were left out; all of them are kept in {kept}"
            )
        elif kept is not None:
            warn(f"{out}: its end was damaged and is made anew; the file as it was is {kept}")
        batch_view.print_summary(self.summary, as_json=as_json, stderr=self._prints)
        if self.summary.n_failed and self._failures.path is not None:
            warn(f"{self.summary.n_failed} rows failed; why is in {self._failures.path}")
        if stopped:
            left = self._n_rows - self.summary.n_scored - self.summary.n_failed
            again = "the same command with --resume goes on" if out is not None else "run it again with --out"
            why = "interrupted" if self._interrupted else f"stopped after {self.summary.n_failed} failures"
            complain(f"{why}: {self.summary.n_scored} rows are done, {left} are left; {again}")
            return INTERRUPTED if self._interrupted else 1
        return exit_code(self.summary.n_failed, self.summary.n_scored)

    def _is_stopped(self) -> bool:
        many = self._max_failures is not None and self.summary.n_failed >= self._max_failures
        return self._interrupted or many

    def _take(self, outcome: "Outcome") -> None:
        from speechcmp.batch.layout import SCHEMA
        from speechcmp.batch.run import Known
        from speechcmp.batch.worker import Failure
        from speechcmp.cli import output

        if isinstance(outcome, Failure):
            self.summary.add_failure(outcome.file, outcome.reason)
            self._failures.add(outcome)
            if self._prints:
                output.complain(f"row {outcome.row.id}: {outcome.reason}")
            return
        self._failures.settle(outcome.row)
        self._n_known += isinstance(outcome, Known)
        self.summary.add(outcome.record)
        if self._prints:
            output.print_json_line({"schema": SCHEMA, **outcome.record})

    @contextlib.contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Let the first Ctrl-C finish what is in hand, and the second one end it."""

        def note(_signal: int, _frame: FrameType | None) -> None:
            if self._interrupted:
                raise KeyboardInterrupt
            self._interrupted = True
            os.write(2, b"\nspeechcmp: finishing what is in hand; Ctrl-C again to stop at once\n")

        before = {number: signal.getsignal(number) for number in (signal.SIGINT, *ENDING)}
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, note)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
