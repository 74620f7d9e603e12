"""A search is its space, optimizer, callbacks and code: a folder of another one is refused by name."""

import keras
import pytest

from kranking.budget import Budget
from kranking.search import SearchSpace, Training
from kranking.search._objective import Objective
from kranking.search._settings import check_same_search, search_settings, write_settings

pytestmark = pytest.mark.once
QUIET = Training(verbose=0)


class Still(keras.callbacks.Callback):
    def on_train_batch_begin(self, batch, logs=None):
        self.model.optimizer.learning_rate = 0.0


def widths(factor):
    return lambda hp, name: [factor * hp.Int(name, 8, 16)]


def settings(log, optimizer="adam", units=1, training=QUIET, confirm=None):
    space = SearchSpace(
        ["mlp"], log.features, log.tasks, parameters={"units": widths(units)}, optimizer=optimizer
    )
    objective = Objective("val_save_auc", "max")
    options = {"log": log, "training": training, "objective": objective, "confirm": confirm}
    return search_settings(space, Budget(), None, seed=0, method="random", **options)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            {"optimizer": keras.optimizers.Adam(beta_1=0.5)},
            r"space: optimizer: config: beta_1 \(0.9 before, now 0.5\)",
        ),
        ({"optimizer": "sgd"}, r"space: optimizer: class_name \('Adam' before, now 'SGD'\)"),
        ({"training": Training(callbacks=[Still()])}, r"training: callbacks \(\[\] before"),
        ({"units": 2}, r"space: parameters: units \('"),
        ({"confirm": lambda hp: None}, r"confirm \(None before, now '"),
    ],
    ids=["settings", "optimizer", "callbacks", "function", "confirm"],
)
def test_another_search_is_named(log, tmp_path, other, message):
    write_settings(tmp_path, settings(log))
    check_same_search(tmp_path, settings(log))
    with pytest.raises(ValueError, match=f"which differs in {message}"):
        check_same_search(tmp_path, settings(log, **other))


def test_a_rate_that_is_tuned_and_a_file_that_is_written_do_not_matter(log, tmp_path):
    write_settings(tmp_path, settings(log, keras.optimizers.Adam(0.1)))
    logger = Training(callbacks=[keras.callbacks.CSVLogger(tmp_path / "log.csv")])
    check_same_search(tmp_path, settings(log, keras.optimizers.Adam(0.2), training=logger))
