"""What workers do in the tests of the schedule: give a row's number back, be slow, or be killed."""

import os
import signal
import time
from pathlib import Path

from speechcmp.batch.manifest import Row
from speechcmp.batch.worker import Done


def number(rows: list[Row]) -> Done:
    """Do as the take says: ``die``, ``die-once:FILE``, ``slow``, or nothing special."""
    started = time.perf_counter()
    for row in rows:
        if row.take == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        elif row.take.startswith("die-once:"):
            mark = Path(row.take.removeprefix("die-once:"))
            if not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        elif row.take == "slow":
            time.sleep(0.3)
    return Done([row.number for row in rows], time.perf_counter() - started)
