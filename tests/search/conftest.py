"""A small log and a small space that the tests of the search share, those in other processes too."""

from typing import ClassVar

import keras
import pytest

import kranking as kr
from kranking.data import LogFiles

pytest.importorskip("keras_tuner")


@pytest.fixture(scope="session")
def log(tmp_path_factory):
    return small_log(tmp_path_factory.mktemp("log"))


@pytest.fixture(scope="session")
def space(log):
    return small_space(log)


def small_log(folder):
    """Writes the log, unless it is there."""
    kr.data.write_homefeed(folder, num_rows=2000, seed=0)
    columns = [
        kr.features.Categorical("topic", side="item", embedding_dim=4),
        kr.features.Numeric("pin_saves", side="item", transform="log"),
    ]
    features = kr.features.fit(columns, folder / "train")
    parts = (folder / part for part in ("train", "valid", "test"))
    return LogFiles(*parts, features, [kr.Task("save"), kr.Task("closeup")], "session_id")


def small_space(log):
    """Models of 9 to 8,000 parameters, conditional on the architecture."""
    parameters = {
        "mlp/units": lambda hp, name: [hp.Int(name, 4, 64) or 1],
        "units": (8,),
        "dropout": 0.0,
        "depth": lambda hp, name: hp.Int(name, 1, 3),
        "low_rank": None,
        "embedding_scale": 1.0,
    }
    parameters = {name: value for name, value in parameters.items() if value is not None}
    return kr.search.SearchSpace(
        ["mlp", "dcn_v2"], log.features, log.tasks, parameters=parameters, batch_size=256
    )


class Devices(keras.callbacks.Callback):
    """Notes on how many devices the weights of each training are."""

    counts: ClassVar[list[int]] = []  # the callback is copied for each training

    def on_train_end(self, logs=None):
        weight = self.model.trainable_variables[0].value
        if keras.backend.backend() == "jax":
            self.counts.append(len(weight.sharding.device_set))
        else:
            self.counts.append(self.model.distribute_strategy.num_replicas_in_sync)


def search_on_devices(log, out, strategy=None):
    """Searches, retrains the winner, and returns the devices of each training and what was found."""
    Devices.counts.clear()
    training = kr.search.Training(callbacks=[Devices()], strategy=strategy, verbose=0)
    options = {"baseline": ("mlp", {"units": (32,)}), "trials": 2, "training": training}
    budget = kr.budget.Budget(parameters="+0 %")
    result = kr.search.search(small_space(log), log, budget, out=out, **options)
    result.retrain()
    found = [[dict(one.values), one.metric, one.reason] for one in result.found]
    return {"devices": Devices.counts, "found": found}


@pytest.fixture(scope="session")
def distributed_search():
    return search_on_devices
