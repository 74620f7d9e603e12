"""A search on the small log as a process that can be killed: LOG OUT TRIALS [HANG MARKER].

With HANG, the trial of that number, from 1, writes the file MARKER and then never ends.
"""

import runpy
import sys
import time
from pathlib import Path

from kranking.budget import Budget
from kranking.search import Training, _chief, _tuner, _worker, search

_chief.LOST_AFTER, _worker.BEAT = 4.0, 0.2  # nobody wants to wait a minute


def hang_in(number, marker):
    """Lets the training of a trial hang; not by a callback, which would make it another search."""
    begun, run = [], _tuner.TrainsOnLog._run

    def hanging(self, *given):
        begun.append(given)
        if len(begun) == number:
            Path(marker).touch()
            time.sleep(3600)
        return run(self, *given)

    _tuner.TrainsOnLog._run = hanging


def main(log, out, trials, hang=0, marker=""):
    small = runpy.run_path(str(Path(__file__).with_name("conftest.py")))
    log = small["small_log"](Path(log))
    hang_in(int(hang), marker)
    search(
        small["small_space"](log),
        log,
        Budget(parameters="+0 %"),
        baseline=("mlp", {"units": (32,)}),
        trials=int(trials),
        training=Training(verbose=0),
        out=out,
    )


main(*sys.argv[1:])
