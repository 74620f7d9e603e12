"""Writes a model with one backend, waits for a line, and checks the models that the others wrote.

`across_backends_child.py FOLDER OTHER...`
"""

import json
import sys
from pathlib import Path

import keras
import numpy as np

import kranking as kr
from kranking.features import Categorical, Embedding, Numeric, Sequence, Task, TransAct

FEATURES = [
    Categorical("dense", side="user", vocabulary=("a", "ü"), embedding_dim=4, l2_normalize=True),
    Categorical("a/b", hash_buckets=9, embedding_dim=4, regularizer=keras.regularizers.L2(1e-3)),
    Categorical("tags", hash_buckets=9, max_length=3, embedding_dim=6, pooling="max"),
    Numeric("naïve 漢字", mean=1.0, std=2.0),
    Numeric("cut", transform="bucketize", boundaries=(0, 1), embedding_dim=4),
    Embedding("class", dim=5, project_to=3),
    Sequence(
        "x.y",
        of="dense",
        max_length=4,
        action="act",
        action_vocabulary=("like", "hide"),
        time="t",
        request_time="now",
        candidate="dense",
        encoder=TransAct(num_layers=1, first_k=2, time_window=100.0),
    ),
]


def build():
    blocks = [
        kr.layers.Parallel(
            [
                kr.layers.ParallelMaskNet(num_blocks=2, block_dim=8),
                kr.layers.LowRankCrossNetwork(),
                keras.Sequential([keras.layers.Dense(4), keras.layers.BatchNormalization()]),
            ]
        ),
        kr.layers.Residual(kr.layers.CrossNetwork(2)),
        kr.layers.MLP([8]),
    ]
    heads = kr.layers.SharedBottom(tower_units=(4,))
    return kr.RankingModel(FEATURES, blocks, [Task("save it/é", weight=2.0), Task("dense")], heads)


def rows(model, size=64):
    rng = np.random.default_rng(0)
    x = {}
    for name, spec in model.preprocessor.inputs.items():
        shape = (size, *spec.shape)
        ids = spec.dtype == "int32"
        values = rng.integers(-2, 12, shape) if ids else rng.standard_normal(shape)
        x[name] = values.astype(spec.dtype)
        x[name][0] = -1 if ids else 0
    x["x.y.age"] = np.abs(x["x.y.age"]) * 1e5
    x = kr.features.as_model_inputs(x)
    y = {task.name: rng.integers(0, 2, size).astype("float32") for task in model.tasks}
    return x, y


def write(folder):
    keras.utils.set_random_seed(1)
    model = build()
    x, y = rows(model)
    model.compile(keras.optimizers.Adam(0.01), weighted_metrics=None)
    model.train_on_batch(x, y)
    name = keras.backend.backend()
    model.save(folder / f"{name}.keras")
    np.savez(folder / f"{name}.npz", *model.predict(x, verbose=0).values())


def check(folder, writers):
    report = {}
    for writer in writers:
        model = keras.saving.load_model(folder / f"{writer}.keras")
        x, _ = rows(model)
        written = np.load(folder / f"{writer}.npz")
        got = model.predict(x, verbose=0)
        pairs = zip(got.values(), (written[name] for name in written.files), strict=True)
        report[writer] = {
            "difference": max(float(np.abs(a - b).max()) for a, b in pairs),
            "spread": float(np.std(list(got.values()))),
            "iterations": int(np.asarray(keras.ops.convert_to_numpy(model.optimizer.iterations))),
            "hash": kr.features.schema_hash(model.features),
            "tasks": [task.name for task in model.tasks],
        }
    print(json.dumps(report))


if __name__ == "__main__":
    folder, *others = sys.argv[1:]
    write(Path(folder))
    print("written", flush=True)
    sys.stdin.readline()  # until all have written
    check(Path(folder), others)
