"""TensorBoard's log of a search: a folder for each training, with what the trial was."""

from importlib.util import find_spec

import keras
import pytest

from kranking.budget import Budget
from kranking.search import Training, search

pytestmark = pytest.mark.usefixtures("eager_training")
on_tensorflow = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="KerasTuner logs HParams on TensorFlow only"
)


@on_tensorflow
@pytest.mark.extra
@pytest.mark.skipif(find_spec("tensorboard") is None, reason="tensorboard is not here")
def test_every_training_has_its_hyperparameters(space, log, tmp_path):
    callback = keras.callbacks.TensorBoard(tmp_path / "log", write_graph=False)
    training = Training(executions=2, callbacks=[callback], verbose=0)
    budget = Budget(parameters=1_000)
    result = search(space, log, budget, trials=2, training=training, out=tmp_path / "out")
    assert len(result.trained) == 2
    for one in result.found:
        for execution in range(2):
            folder = tmp_path / "log" / one.name / f"execution{execution}"
            events = b"".join(file.read_bytes() for file in folder.rglob("events.*"))
            assert b"_hparams_/session_start_info" in events
            assert one.values["architecture"].encode() in events
            assert b"val_save_auc" in events or b"save_auc" in events


@pytest.mark.each_backend
@pytest.mark.skipif(keras.backend.backend() == "tensorflow", reason="it works there")
def test_other_backends_are_refused(tmp_path):
    callback = keras.callbacks.TensorBoard(tmp_path)
    with pytest.raises(ValueError, match="requires KERAS_BACKEND=tensorflow"):
        Training(callbacks=[callback])


@on_tensorflow
def test_a_missing_package_is_said_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr("kranking.search._training.find_spec", lambda name: None)
    with pytest.raises(ValueError, match="pip install tensorboard"):
        Training(callbacks=[keras.callbacks.TensorBoard(tmp_path)])
