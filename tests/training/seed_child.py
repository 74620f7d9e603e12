"""Trains a small ranking model from each seed, and prints a hash of all its weights and slots."""

import hashlib
import sys

import keras
import numpy as np

import kranking as kr


def main(seed: int) -> None:
    kr.training.set_seed(seed)
    features = [
        kr.features.Categorical("country", vocabulary=tuple(range(40)), embedding_dim=4),
        kr.features.Numeric("age", mean=0.0, std=1.0),
    ]
    blocks = [kr.layers.CrossNetwork(2), kr.layers.MLP([32], dropout=0.3)]
    model = kr.RankingModel(features, blocks, [kr.Task("save"), kr.Task("hide")])
    model.compile(keras.optimizers.Adam(0.01))
    random = np.random.default_rng(0)  # the same rows, whatever the seed
    x = {"country": random.integers(0, 40, 2048).astype("int32")}
    x["age"] = random.normal(size=2048).astype("float32")
    y = {name: random.integers(0, 2, 2048).astype("float32") for name in ("save", "hide")}
    model.fit(kr.features.as_model_inputs(x), y, batch_size=512, epochs=2, verbose=0)
    digest = hashlib.sha256()
    for variable in [*model.variables, *model.optimizer.variables]:
        digest.update(np.asarray(keras.ops.convert_to_numpy(variable.value)).tobytes())
    print(digest.hexdigest())


if __name__ == "__main__":
    for seed in sys.argv[1:]:
        main(int(seed))
