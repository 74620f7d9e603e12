"""Trains one small model for a few steps with every Keras optimizer; writes the weights to a file.

`optimizers_across_backends_child.py FILE`
"""

import sys

import keras
import numpy as np

import kranking as kr

k = keras.optimizers
OPTIMIZERS = {
    "SGD": lambda **o: k.SGD(0.1, **o),
    "nesterov": lambda **o: k.SGD(0.1, momentum=0.9, nesterov=True, **o),
    "Adam": lambda **o: k.Adam(0.01, **o),
    "amsgrad": lambda **o: k.Adam(0.01, amsgrad=True, **o),
    "AdamW": lambda **o: k.AdamW(0.01, **o),
    "RMSprop": lambda **o: k.RMSprop(0.01, **o),
    "Adagrad": lambda **o: k.Adagrad(0.05, **o),
    "Adadelta": lambda **o: k.Adadelta(1.0, **o),
    "Adamax": lambda **o: k.Adamax(0.01, **o),
    "Nadam": lambda **o: k.Nadam(0.01, **o),
    "Ftrl": lambda **o: k.Ftrl(0.05, **o),
    "Lion": lambda **o: k.Lion(0.01, **o),
    "Lamb": lambda **o: k.Lamb(0.01, **o),
    "Adafactor": lambda **o: k.Adafactor(0.01, **o),
    "Muon": lambda **o: k.Muon(0.01, **o),
}
# Of one kind of model: dtype of the encoder, L2 of its tables, options of the optimizer.
PLANS = {
    "plain": ("float32", None, {}),
    "clipnorm": ("float32", None, {"clipnorm": 0.02}),
    "global_clipnorm": ("float32", None, {"global_clipnorm": 0.02}),
    "clipvalue": ("float32", None, {"clipvalue": 0.01}),
    "accumulation": ("float32", None, {"gradient_accumulation_steps": 2}),
    "average": ("float32", None, {"use_ema": True, "weight_decay": 0.01}),
    "regularizer": ("float32", 0.01, {}),
    "mixed_float16": ("mixed_float16", None, {"clipnorm": 0.02}),
    "mixed_bfloat16": ("mixed_bfloat16", None, {"clipnorm": 0.02}),
}
STEPS = 3
IDS = np.array([1, 2, 1, 1, 0, 2, 1, 1], "int32")
LISTS = np.array(
    [[3, 3, -1], [3, 1, 3], [2, -1, -1], [3, 3, 3], [1, 2, 3], [0, 3, -1], [3, 3, 2], [1, -1, -1]]
)
LABELS = np.array([1, 0, 1, 1, 0, 0, 1, 0], "float32")


def model_of(dtype, l2):
    regularizer = keras.regularizers.L2(l2) if l2 else None
    options = {"embedding_dim": 4, "regularizer": regularizer}
    features = [
        kr.features.Categorical("country", vocabulary=("DE", "FR"), **options),
        kr.features.Categorical("tags", hash_buckets=5, max_length=3, pooling="sum", **options),
    ]
    # No block with a kernel: in half precision, backends round its products differently.
    return kr.RankingModel(features, [keras.layers.Identity()], [kr.Task("save")], dtype=dtype)


def weights_after(model, start, optimizer, steps):
    model.set_weights(start)
    model.compile(optimizer, weighted_metrics=None, run_eagerly=True)
    for _ in range(steps):
        model.train_on_batch({"country": IDS, "tags": LISTS.astype("int32")}, {"save": LABELS})
    optimizer.finalize_variable_values(model.trainable_variables)
    return np.concatenate([w.ravel() for w in model.get_weights()])


def main(file):
    found = {}
    for plan, (dtype, l2, options) in PLANS.items():
        model = model_of(dtype, l2)
        rng = np.random.default_rng(0)
        start = [rng.normal(0, 0.5, w.shape).astype("float32") for w in model.get_weights()]
        steps = 4 if plan == "accumulation" else STEPS
        for name, make in OPTIMIZERS.items():
            found[f"{plan} {name}"] = weights_after(model, start, make(**options), steps)
        found[f"{plan} start"] = np.concatenate([w.ravel() for w in start])
    np.savez(file, **found)


if __name__ == "__main__":
    main(sys.argv[1])
