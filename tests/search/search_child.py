"""A search on the small log as a process that can be killed: LOG OUT TRIALS [HANG MARKER].

With HANG, the training of that number, from 1, writes the file MARKER and then never ends.
"""

import runpy
import sys
import time
from pathlib import Path

import keras

from kranking.budget import Budget
from kranking.search import Training, _chief, _worker, search

_chief.LOST_AFTER, _worker.BEAT = 4.0, 0.2  # nobody wants to wait a minute


class Hang(keras.callbacks.Callback):
    """Hangs in a training; the callback is copied for each, so its class counts them."""

    begun = 0

    def __init__(self, number, marker):
        super().__init__()
        self.number, self.marker = number, marker

    def on_train_begin(self, logs=None):
        Hang.begun += 1
        if Hang.begun == self.number:
            Path(self.marker).touch()
            time.sleep(3600)


def main(log, out, trials, hang=0, marker=""):
    small = runpy.run_path(str(Path(__file__).with_name("conftest.py")))
    log = small["small_log"](Path(log))
    search(
        small["small_space"](log),
        log,
        Budget(parameters="+0 %"),
        baseline=("mlp", {"units": (32,)}),
        trials=int(trials),
        training=Training(callbacks=[Hang(int(hang), marker)], verbose=0),
        out=out,
    )


main(*sys.argv[1:])
