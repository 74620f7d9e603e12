"""Trains and writes every architecture on one backend, or checks what another wrote: one process each.

`every_architecture_child.py write FOLDER NAME...` or `every_architecture_child.py check FOLDER NAME...`.
"""

import json
import sys
from pathlib import Path

import keras
import numpy as np

import kranking as kr
from kranking.features import Categorical, Embedding, Numeric, Sequence, Task

FEATURES = [
    Categorical("country", side="user", vocabulary=tuple("abcdefg"), embedding_dim=8),
    Categorical("device", side="user", vocabulary=("phone", "web"), embedding_dim=4),
    Categorical("tags", side="item", hash_buckets=9, max_length=3, embedding_dim=6),
    Numeric("age", side="item", mean=0.0, std=1.0),
    Numeric("length", side="item", mean=0.0, std=1.0),
    Embedding("cover", dim=12, project_to=8, side="item"),
    Sequence("seen", of="country", max_length=4, side="user"),
]
TASKS = [Task("save"), Task("hide", weight=0.5)]
ROWS = 48


def build(name):
    row = kr.architectures.get(name)
    return row.build(FEATURES, TASKS, **row.smallest)


def rows(model, size=ROWS):
    random = np.random.default_rng(0)
    x = {}
    for name, spec in model.preprocessor.inputs.items():
        shape = (size, *spec.shape)
        ids = spec.dtype == "int32"
        values = random.integers(-1, 12, shape) if ids else random.standard_normal(shape)
        x[name] = values.astype(spec.dtype)
    x = kr.features.as_model_inputs(x)
    y = {task.name: random.integers(0, 2, size).astype("float32") for task in TASKS}
    return x, y


def predictions(model):
    answers = model.predict(rows(model)[0], batch_size=16, verbose=0)
    return np.concatenate([answers[task.name] for task in TASKS], axis=1)


def write(folder, name):
    """Two steps of training move every weight off its start: a zero would hide a mistake."""
    keras.utils.set_random_seed(1)
    model = build(name)
    x, y = rows(model)
    model.compile(keras.optimizers.Adam(0.01), weighted_metrics=None)
    loss = model.fit(x, y, batch_size=ROWS // 2, epochs=1, verbose=0).history["loss"][0]
    assert np.isfinite(loss), f"{name}: the loss is {loss}"
    model.save(folder / f"{name}.keras")
    np.save(folder / f"{name}.npy", predictions(model))


def check(folder, name):
    """Gives the largest difference from what the writer predicted."""
    model = keras.saving.load_model(folder / f"{name}.keras")
    return float(np.abs(predictions(model) - np.load(folder / f"{name}.npy")).max())


if __name__ == "__main__":
    command, folder, *names = sys.argv[1:]
    if command == "write":
        for name in names:
            write(Path(folder), name)
    else:
        print(json.dumps({name: check(Path(folder), name) for name in names}))
