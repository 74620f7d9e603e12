"""Trains heads with each auxiliary loss on one device, or mirrored on two; prints JSON."""

import json
import sys
from contextlib import nullcontext

import keras
import numpy as np

import kranking as kr

ROWS = 64


def main(replicas: int) -> None:
    strategy = kr.training.mirrored_strategy(num_logical_cpus=2) if replicas == 2 else None
    print(json.dumps({loss: train(loss, strategy) for loss in ("tri_bce", "distillation")}))


def train(auxiliary_loss: str, strategy) -> dict:
    keras.utils.set_random_seed(7)
    features = [kr.features.Numeric(name, mean=0.0, std=1.0) for name in "abcd"]
    tasks = [kr.Task("save", weight=2.0), kr.Task("hide")]
    with strategy.scope() if strategy else nullcontext():
        blocks = [kr.layers.Parallel([kr.layers.MLP([4]), kr.layers.MLP([4])])]
        heads = kr.layers.MeanHeads(auxiliary_loss=auxiliary_loss)
        model = kr.RankingModel(features, blocks, tasks, heads=heads)
        model.compile(keras.optimizers.SGD(0.5), weighted_metrics=None)
    rng = np.random.default_rng(0)
    x = {name: rng.standard_normal(ROWS).astype("float32") for name in "abcd"}
    y = {name: rng.integers(0, 2, ROWS).astype("float32") for name in ("save", "hide")}
    weights = {name: rng.integers(0, 2, ROWS).astype("float32") for name in ("save", "hide")}
    history = model.fit(
        x, y, sample_weight=weights, batch_size=32, epochs=1, shuffle=False, verbose=0
    ).history
    return {
        "replicas": strategy.num_replicas_in_sync if strategy else 1,
        "loss": history["loss"],
        "save_loss": history["save_loss"],
        "weights": np.concatenate([np.ravel(w) for w in model.get_weights()]).tolist(),
        "evaluated": model.evaluate(x, y, sample_weight=weights, verbose=0, return_dict=True),
        "kept": len(model.heads.auxiliary),
    }


if __name__ == "__main__":
    main(int(sys.argv[1]))
