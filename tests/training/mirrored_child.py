"""Trains a model on one device, or mirrored on two logical ones, and prints what came out as JSON."""

import json
import sys
from contextlib import nullcontext

import keras
import numpy as np

import kranking as kr


def main(folder: str, replicas: int) -> None:
    strategy = kr.training.mirrored_strategy(num_logical_cpus=2) if replicas == 2 else None
    keras.utils.set_random_seed(7)
    features, tasks = kr.data.homefeed_declarations()
    features = kr.features.fit(features, folder)
    refused = []
    with strategy.scope() if strategy else nullcontext():
        model = kr.architectures.pinterest_baseline(features, tasks, depth=1, scale=0.02)
        for options in ({"jit_compile": True}, {"steps_per_execution": 4}):
            refused += refusal(model, "adam", options) if strategy else []
        accumulating = keras.optimizers.Adam(gradient_accumulation_steps=2)
        refused += refusal(model, accumulating, {}) if strategy else []
        model.compile(keras.optimizers.Adam(1e-3))
    rows = kr.data.read_parquet(folder, model, batch_size=256, drop_remainder=True)
    history = model.fit(rows, epochs=2, verbose=0, shuffle=False)
    scores = model.evaluate(rows, verbose=0, return_dict=True)
    probabilities = model.predict(rows, verbose=0)
    out = {
        "replicas": strategy.num_replicas_in_sync if strategy else 1,
        "loss": history.history["loss"],
        "scores": scores,
        "save": np.asarray(probabilities["save"]).ravel()[:50].tolist(),
        "weights": float(sum(np.abs(np.asarray(w)).sum() for w in model.get_weights())),
        "refused": refused,
    }
    print(json.dumps(out))


def refusal(model, optimizer, options) -> list[str]:
    try:
        model.compile(optimizer, **options)
    except ValueError as error:
        return [str(error)]
    return []


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
