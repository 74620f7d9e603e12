"""Trains TFRS models, converts them and reports what was found: `tfrs_child.py FOLDER`.

A process of its own: TFRS needs Keras 2, and TensorFlow decides about that once, when it is imported.
"""

import json
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs

import kranking as kr

layers2 = tf.keras.layers
CITIES = [f"city {i}" for i in range(12)]


def make_rows(count, seed):
    """Rows of a log; one city in eight is new, and so is one age."""
    random = np.random.default_rng(seed)
    city = random.integers(0, len(CITIES), count)
    age = random.integers(20, 30, count)
    hour = random.uniform(0.0, 24.0, count).astype("float32")
    price = random.normal(10.0, 3.0, count).astype("float32")
    logit = np.sin(city * 2.0) + np.cos(age * 1.0) + (hour > 12) * (price - 10.0) / 3.0
    label = (random.uniform(size=count) < 1 / (1 + np.exp(-logit))).astype("float32")
    names = np.array([*CITIES, "elsewhere"])
    city = np.where(random.uniform(size=count) < 1 / 8, len(CITIES), city)
    return {"city": names[city], "age": age, "hour": hour, "price": price}, label


def lookup_towers():
    """The towers of the ranking and DCN tutorials: a lookup and an Embedding; two of other kinds."""
    price = layers2.Normalization(axis=None)
    price.adapt(make_rows(500, 5)[0]["price"])
    ages = layers2.IntegerLookup(vocabulary=list(range(21, 30)), mask_token=None)
    hours = [6.0, 12.0, 18.0]
    return {
        "city": tf.keras.Sequential(
            [layers2.StringLookup(vocabulary=CITIES, mask_token=None), layers2.Embedding(13, 6)]
        ),
        "age": tf.keras.Sequential([ages, layers2.Embedding(11, 4)]),
        "hour": tf.keras.Sequential([layers2.Discretization(hours), layers2.Embedding(4, 6)]),
        "price": tf.keras.Sequential([price]),
    }


class Ranking(tfrs.Model):
    """A model of the shape that TFRS's tutorials have."""

    def __init__(self, towers, interaction=(), deep=(), logit=None, chained=True):
        super().__init__()
        self.towers = towers
        self.interaction = list(interaction)
        self.chained = chained
        self.deep = list(deep)
        self.logit = logit
        self.task = tfrs.tasks.Ranking(loss=tf.keras.losses.BinaryCrossentropy(from_logits=True))

    def call(self, features):
        embedded = [tower(features[name]) for name, tower in self.towers.items()]
        embedded = [e if len(e.shape) == 2 else tf.reshape(e, (-1, 1)) for e in embedded]
        x = x0 = tf.concat(embedded, axis=1)
        for layer in self.interaction:
            x = layer(x0, x) if self.chained else layer(x)
        for layer in self.deep:
            x = layer(x)
        return self.logit(x)

    def compute_loss(self, inputs, training=False):
        features, labels = inputs
        return self.task(labels=labels, predictions=self(features))


def trained(model):
    """Trains for a while; gives the first and the last epoch's loss as well."""
    rows, label = make_rows(1024, 0)
    data = tf.data.Dataset.from_tensor_slices((rows, label)).batch(128)
    model.compile(optimizer=tf.keras.optimizers.Adam(0.03))
    losses = model.fit(data, epochs=4, verbose=0).history["loss"]
    return model, [losses[0], losses[-1]]


def crosses(*configs):
    return [tfrs.layers.dcn.Cross(**config) for config in configs]


def dense(*units, activation="relu", **kwargs):
    return [layers2.Dense(count, activation, **kwargs) for count in units]


CASES = {
    "ranking tutorial": {"deep": dense(16, 8), "logit": layers2.Dense(1)},
    "full": {"interaction": crosses({}, {}, {}), "deep": dense(16, 8), "logit": layers2.Dense(1)},
    "full, no bias, diagonal": {
        "interaction": crosses({"use_bias": False, "diag_scale": 0.5}, {"diag_scale": 0.1}),
        "deep": dense(16, use_bias=False),
        "logit": layers2.Dense(1, use_bias=False),
    },
    "low rank": {
        "interaction": crosses({"projection_dim": 3}, {"projection_dim": 3, "use_bias": False}),
        "deep": [*dense(16, activation="tanh"), *dense(8, activation="gelu")],
        "logit": layers2.Dense(1),
    },
    "MultiLayerDCN": {
        "interaction": [tfrs.layers.feature_interaction.MultiLayerDCN(projection_dim=3)],
        "chained": False,
        "deep": [layers2.Dense(8), layers2.BatchNormalization(), layers2.ReLU(), layers2.Dropout(0.2)],
        "logit": layers2.Dense(1),
    },
    "MultiLayerDCN as wide": {
        "interaction": [tfrs.layers.feature_interaction.MultiLayerDCN(projection_dim=17)],
        "chained": False,
        "logit": layers2.Dense(1),
    },
    "own x0": {
        "interaction": [tf.keras.Sequential(crosses({}, {"projection_dim": 2}))],
        "chained": False,
        "logit": tfrs.layers.blocks.MLP([8, 1]),
    },
}  # fmt: skip


def converted(model, rows, tasks=("save",), **changes):
    parts = {
        "interaction": model.interaction[0] if not model.chained else model.interaction or None,
        "deep": model.deep,
        "logits": model.logit,
        **changes,
    }
    towers = parts.pop("towers", model.towers)
    predict = parts.pop("predict", model)
    tasks = [kr.Task(name) for name in tasks]
    return kr.interop.from_tfrs(predict, towers, tasks, rows=rows, **parts)


def report_case(name, folder):
    model, losses = trained(Ranking(lookup_towers(), **CASES[name]))
    rows, _ = make_rows(64, 1)
    made = converted(model, rows, sides={"city": "user"})
    path = folder / f"{name}.keras"
    made.save(path)
    new, _ = make_rows(200, 2)  # rows that from_tfrs has not compared
    wanted = model(new).numpy()
    np.savez(path.with_suffix(".npz"), wanted=wanted, **new)
    return {
        "difference": kr.interop.check_same_predictions(keras.models.load_model(path), model, new),
        "spread": float(np.std(wanted)),
        "unknown": float(np.mean(new["city"] == "elsewhere")),
        "losses": losses,
        "blocks": [type(block).__name__ for block in made.blocks],
        "sides": [feature.side for feature in made.features],
        "parameters": [made.count_params(), model.count_params()],
    }


def dot_towers():
    city = [layers2.StringLookup(vocabulary=CITIES, mask_token=None), layers2.Embedding(13, 5)]
    hour = [layers2.Discretization([6.0, 12.0, 18.0]), layers2.Embedding(4, 5)]
    chains = {"city": tf.keras.Sequential(city), "hour": tf.keras.Sequential(hour)}
    return {"age": layers2.Embedding(30, 5), **chains}


class Dots(Ranking):
    """Inner products of the embeddings, then the dense layers."""

    def call(self, features):
        x = self.interaction[0]([tower(features[name]) for name, tower in self.towers.items()])
        for layer in self.deep:
            x = layer(x)
        return self.logit(x)


class Joined(tf.keras.layers.Layer):
    """The dict of embeddings that TFRS's own `Ranking` takes."""

    def __init__(self, towers):
        super().__init__()
        self.towers = towers

    def call(self, features):
        return {name: tower(features[name]) for name, tower in self.towers.items()}


def dlrm(**options):
    """TFRS's own DLRM: numbers through an MLP, products with the embeddings, dense layers."""
    towers = dot_towers()
    bottom = tfrs.layers.blocks.MLP([8, 5], final_activation="relu")
    top = tfrs.layers.blocks.MLP([12, 1], final_activation="sigmoid")
    dots = tfrs.layers.feature_interaction.DotInteraction(**options)
    model = tfrs.experimental.models.Ranking(Joined(towers), bottom, dots, top)

    def nested(rows):
        numbers = np.stack([rows["hour"] / 24, rows["price"] / 10], axis=1).astype("float32")
        sparse = {name: rows[name] for name in towers}
        return {"dense_features": numbers, "sparse_features": sparse}

    rows, label = make_rows(1024, 0)
    model.compile(optimizer=tf.keras.optimizers.Adam(0.03))
    data = tf.data.Dataset.from_tensor_slices((nested(rows), label)).batch(128)
    model.fit(data, epochs=6, verbose=0)
    numbers = [
        kr.features.Numeric("exact hour", column="hour", mean=0.0, std=24.0),
        kr.features.Numeric("price", mean=0.0, std=10.0),
    ]
    made = kr.interop.from_tfrs(
        lambda rows: model(nested(rows)),
        {"exact hour": numbers[0], **towers, "price": numbers[1]},
        [kr.Task("save")],
        rows=make_rows(64, 1)[0],
        interaction=dots,
        bottom=bottom,
        deep=top,
    )
    new, _ = make_rows(200, 2)
    wanted = model(nested(new)).numpy()
    return {
        "difference": kr.interop.check_same_predictions(made, lambda _: wanted, new),
        "spread": float(np.std(wanted)),
        "blocks": [type(block).__name__ for block in made.blocks],
    }


def report_dots():
    options = [
        {"self_interaction": own, "skip_gather": skip}
        for own in (False, True)
        for skip in (False, True)
    ]
    found = {}
    for option in options:
        dots = tfrs.layers.feature_interaction.DotInteraction(**option)
        deep = dense(6, activation="tanh")
        model, _ = trained(Dots(dot_towers(), [dots], deep=deep, logit=layers2.Dense(1)))
        rows = make_rows(64, 1)[0]
        made = converted(model, rows, interaction=dots)
        found[f"dot {option}"] = {
            "difference": kr.interop.check_same_predictions(made, model, make_rows(200, 2)[0]),
            "spread": float(np.std(model(rows).numpy())),
            "blocks": [type(block).__name__ for block in made.blocks],
        }
        if option["self_interaction"] == option["skip_gather"]:
            found[f"DLRM {option}"] = dlrm(**option)
    return found


def report_tasks():
    """Two tasks: one Dense for both, a chain for each, and probabilities instead of logits."""
    rows, _ = make_rows(64, 1)
    found = {}
    both = Ranking(lookup_towers(), deep=dense(8), logit=layers2.Dense(2))
    heads = {
        name: tf.keras.Sequential([*dense(4), *dense(1, activation="sigmoid")]) for name in "ab"
    }
    shared = Ranking(
        lookup_towers(), deep=dense(8), logit=lambda x: {n: h(x) for n, h in heads.items()}
    )
    for name, model, logits in (("one", both, both.logit), ("each", shared, heads)):
        made = converted(model, rows, tasks=("b", "a"), logits=logits)
        found[name] = [kr.interop.check_same_predictions(made, model, rows), len(made.heads.towers)]
    strings = {**rows, "city": np.array([[c.encode()] for c in rows["city"]])}  # as tfds gives them
    flat = Ranking(lookup_towers(), deep=dense(8), logit=layers2.Dense(1))
    predict = lambda r: tf.reshape(flat({**r, "city": tf.reshape(r["city"], (-1,))}), (-1,))  # noqa: E731
    made = converted(flat, strings, predict=predict)
    found["bytes"] = [kr.interop.check_same_predictions(made, predict, strings), 0]
    return found


def report_errors():
    """What is refused, with the message."""
    rows, _ = make_rows(32, 1)
    text = layers2.StringLookup(vocabulary=CITIES, num_oov_indices=2, mask_token=None)
    hashed = layers2.Hashing(num_bins=5)
    broken = {
        "preactivation": {"interaction": crosses({"preactivation": "relu"})},
        "diag_scale": {"interaction": crosses({"projection_dim": 2, "diag_scale": 0.5})},
        "projection_dim": {"interaction": crosses({}, {"projection_dim": 2})},
        "deep": {"deep": [layers2.Dense(4), layers2.GaussianNoise(0.1)]},
        "activation": {"deep": dense(4, activation="hard_sigmoid")},
        "ending": {"logit": layers2.Dense(1, "softplus")},
        "units": {"logit": layers2.Dense(3)},
        "order": {"change": lambda m: {"towers": dict(sorted(m.towers.items()))}},
        "width": {
            "interaction": crosses({}),
            "change": lambda m: {"towers": {n: t for n, t in m.towers.items() if n != "age"}},
        },
        "forgotten": {"interaction": crosses({}), "change": lambda m: {"interaction": None}},
        "bottom": {"change": lambda m: {"bottom": dense(4)}},
        "oov": {"tower": tf.keras.Sequential([text, layers2.Embedding(14, 6)])},
        "hashing": {"tower": tf.keras.Sequential([hashed, layers2.Embedding(5, 6)])},
    }
    found = {}
    for name, case in broken.items():
        tower, change = case.pop("tower", None), case.pop("change", lambda m: {})
        towers = lookup_towers()
        towers["city"] = tower or towers["city"]
        model = Ranking(towers, **{"logit": layers2.Dense(1), **case})
        try:
            converted(model, rows, **change(model))
            found[name] = ""
        except ValueError as error:
            found[name] = str(error)
    return found


def main(folder):
    assert keras.__version__.startswith("3."), "Keras 3 stays Keras 3 beside Keras 2"
    keras.utils.set_random_seed(0)
    tf.keras.utils.set_random_seed(0)
    report = {name: report_case(name, folder) for name in CASES}
    parts = {"dots": report_dots(), "tasks": report_tasks(), "errors": report_errors()}
    print(json.dumps({"cases": report, **parts}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
