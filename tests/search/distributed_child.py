"""A search whose trials train on two devices each; prints the devices of each and the metrics: LOG OUT."""

import json
import runpy
import sys
from pathlib import Path

import keras

import kranking as kr
from kranking.search import Training, search

devices = []


class Devices(keras.callbacks.Callback):
    """Notes on how many devices the weights of each training lie."""

    def on_train_end(self, logs=None):
        weight = self.model.trainable_variables[0].value
        if keras.backend.backend() == "jax":
            devices.append(len(weight.sharding.device_set))
        else:
            devices.append(self.model.distribute_strategy.num_replicas_in_sync)


def main(log, out):
    strategy = None
    if keras.backend.backend() == "jax":
        keras.distribution.set_distribution(keras.distribution.DataParallel())
    else:
        strategy = kr.training.mirrored_strategy(2)
    small = runpy.run_path(str(Path(__file__).with_name("conftest.py")))
    log = small["small_log"](Path(log))
    space, budget = small["small_space"](log), kr.budget.Budget(parameters="+0 %")
    training = Training(callbacks=[Devices()], strategy=strategy, verbose=0)
    options = {"baseline": ("mlp", {"units": (32,)}), "trials": 2, "training": training}
    result = search(space, log, budget, out=out, **options)
    result.retrain()
    found = [[dict(one.values), one.metric, one.reason] for one in result.found]
    print(json.dumps({"devices": devices, "found": found}))


main(*sys.argv[1:])
