"""A `fit` that goes on ends with the weights of one that was never stopped, whatever it reads."""

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import kranking as kr
from kranking.models._fit_start import FitStart
from kranking.training import load_state, save_state


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    path = tmp_path_factory.mktemp("log") / "rows.parquet"
    labels = np.random.default_rng(0).integers(0, 2, 40)
    pq.write_table(pa.table({"a": np.arange(40.0) / 40, "save": labels}), path)
    return path


def made(dropout=0.0):
    keras.utils.set_random_seed(3)
    blocks = [kr.layers.MLP([4]), keras.layers.Dropout(dropout)]
    model = kr.RankingModel([kr.features.Numeric("a", transform="none")], blocks, [kr.Task("save")])
    model.compile(keras.optimizers.Adam(0.1), weighted_metrics=None)
    return model


def fit(log, model, epochs, **options):
    reader = kr.data.read_parquet(log, model, batch_size=8, shuffle=True, seed=1)
    model.fit(reader, epochs=epochs, verbose=0, **options)
    return model.get_weights()


def test_a_shuffled_reader_and_dropout_go_on(log, tmp_path):
    expected = fit(log, made(0.5), 4)
    model = made(0.5)
    fit(log, model, 2)
    save_state(model, tmp_path / "state.npz")
    model = made(0.5)
    keras.utils.set_random_seed(99)
    load_state(model, tmp_path / "state.npz")
    for one, another in zip(expected, fit(log, model, 4, initial_epoch=2), strict=True):
        np.testing.assert_array_equal(one, another)


def test_a_backup_of_keras_goes_on(log, tmp_path):
    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    expected = fit(log, made(), 4)
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    with pytest.raises(KeyboardInterrupt):
        fit(log, made(), 4, callbacks=[backup, Stop()])
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    for one, another in zip(expected, fit(log, made(), 4, callbacks=[backup]), strict=True):
        np.testing.assert_array_equal(one, another)


def test_the_same_reader_goes_on(log):
    model = made()
    reader = kr.data.read_parquet(log, model, batch_size=8, shuffle=True, seed=1)
    model.fit(reader, epochs=2, verbose=0)
    model.fit(reader, epochs=4, initial_epoch=2, verbose=0)
    for one, another in zip(fit(log, made(), 4), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, another)


@pytest.mark.once
def test_epochs_that_are_parts_of_a_pass(log):
    """Five batches in epochs of three: a pass takes two epochs."""
    model = made()
    reader = kr.data.read_parquet(log, model, batch_size=8, shuffle=True, seed=1)
    start = FitStart(reader, 3)
    start.on_epoch_begin(4)
    assert reader.epoch == 2
    with pytest.raises(ValueError, match=r"must be a multiple of 2, .*Received: initial_epoch=3"):
        fit(log, model, 4, initial_epoch=3, steps_per_epoch=3)


@pytest.mark.parametrize("batch_size", [20, 40])
def test_a_reader_of_few_batches_starts_with_its_first_epoch(log, batch_size):
    """Keras looks at two batches before the first epoch, which are all that there are."""
    epochs = []
    model = made()
    reader = kr.data.read_parquet(log, model, batch_size=batch_size, shuffle=True, seed=1)
    note = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda e, logs: epochs.append(reader.epoch)
    )
    model.fit(reader, epochs=3, verbose=0, callbacks=[note])
    assert epochs == [0, 1, 2]
