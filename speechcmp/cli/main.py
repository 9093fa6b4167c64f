"""The command line: one file a verb; each parses, calls the library, and prints.

Verbs import what they work with when they run, so that ``--help`` and ``--version`` need not load numpy. This file
loads next to nothing, so that Ctrl-C is minded from the first moment on.
"""

import contextlib
import os
import signal
import sys
from types import FrameType

INTERRUPTED = 128 + signal.SIGINT
ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))  # as Ctrl-C does
READER_LEFT = 128 + 13  # SIGPIPE, as a shell shows it


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    told: list[int] = []

    def end(number: int, _frame: FrameType | None) -> None:
        told.append(number)
        raise KeyboardInterrupt

    for ending in ENDING:
        if signal.getsignal(ending) is signal.SIG_DFL:  # nohup has HUP ignored
            signal.signal(ending, end)
    try:
        code = run(sys.argv[1:] if arguments is None else arguments)
        for ending in (signal.SIGINT, *ENDING):  # all is done: no traceback from the interpreter's own end
            if signal.getsignal(ending) is not signal.SIG_IGN:
                signal.signal(ending, signal.SIG_DFL)
    except KeyboardInterrupt:
        code = INTERRUPTED
    if code == INTERRUPTED:
        # At once: compiled code that was interrupted may bring the interpreter's own end to a crash.
        os._exit(128 + told[0] if told else INTERRUPTED)
    sys.exit(code)


def run(arguments: list[str]) -> int:
    """Run the command line; errors become one line on stderr and an exit code."""
    # One line of BLAS threads would cost more CPU to wake than these small products take.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        from speechcmp.cli.root import answer
        from speechcmp.cli.streams import prepare_streams

        prepare_streams()
        code = answer(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output, `head` say, has had enough
        return _leave_quietly()
    except SystemExit as error:
        if isinstance(error.__context__, BrokenPipeError):  # so rich and typer put it
            return _leave_quietly()
        raise
    return code


def _leave_quietly() -> int:
    """Send what is still to be written nowhere; return the code that `cat` would."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is None:  # closed by the caller
            continue
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError, ValueError):
                os.dup2(nowhere, stream.fileno())
    return READER_LEFT
