"""Steps of optimizers over batches in which ids repeat, against dense gradients by hand."""

import functools
from typing import Any

import keras
import numpy as np

import kranking as kr
from fuzzing.draw import Draw
from fuzzing.judge import Call

ROWS, DIM, UNITS, RATE = 6, 3, 4, 0.01
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "SGD": {},
    "SGD with momentum": {"momentum": 0.9, "nesterov": True},
    "Adam": {},
    "AdamW": {"weight_decay": 0.01},
    "RMSprop": {},
    "Adagrad": {},
    "Adadelta": {},
    "Adamax": {},
    "Nadam": {},
    "Ftrl": {},
    "Lion": {},
    "Lamb": {},
    "Adafactor": {},
}
CLIPS: tuple[dict[str, Any], ...] = (
    *({}, {}, {"clipnorm": 0.01}, {"clipvalue": 0.005}, {"global_clipnorm": 0.02}),
    {"gradient_accumulation_steps": 2},
)


@functools.cache
def ranker(l2: float) -> Any:
    keras.utils.set_random_seed(2)
    feature = kr.features.Categorical(
        "c",
        vocabulary=tuple("abcde"),
        embedding_dim=DIM,
        regularizer=keras.regularizers.L2(l2) if l2 else None,
    )
    return kr.RankingModel(
        [feature], [kr.layers.MLP([UNITS], activation="tanh")], [kr.Task("save")]
    )


def gradients(values: dict[str, np.ndarray], ids, y, w, l2: float) -> dict[str, np.ndarray]:
    """Returns the gradients of the loss by hand, the table's through a one-hot product."""
    hot = np.eye(ROWS)[ids]
    x = hot @ values["table"]
    hidden = np.tanh(x @ values["kernel"] + values["bias"])
    z = (hidden @ values["head"] + values["offset"])[:, 0]
    dz = (w * (1 / (1 + np.exp(-z)) - y) / len(y))[:, None]
    dh = dz @ values["head"].T * (1 - hidden**2)
    return {
        "table": hot.T @ (dh @ values["kernel"].T) + 2 * l2 * values["table"],
        "kernel": x.T @ dh,
        "bias": dh.sum(0),
        "head": hidden.T @ dz,
        "offset": dz.sum(0),
    }


def named(model: Any) -> dict[str, Any]:
    """Returns the variables of the model by what they are, told by their shapes."""
    shapes = {
        "table": (ROWS, DIM),
        "kernel": (DIM, UNITS),
        "bias": (UNITS,),
        "head": (UNITS, 1),
        "offset": (1,),
    }
    found = {tuple(v.shape): v for v in model.trainable_variables}
    return {name: found[shape] for name, shape in shapes.items()}


def make_optimizer(name: str, clip: dict[str, Any]) -> Any:
    kind = getattr(keras.optimizers, name.split()[0])
    return kind(learning_rate=RATE, **OPTIMIZERS[name], **clip)


def step_call(draw: Draw) -> Call:
    """One to three steps, each on a batch with ids that repeat."""
    name, clip = draw.pick(tuple(OPTIMIZERS)), draw.pick(CLIPS)
    l2 = draw.pick((0.0, 0.0, 0.01))
    steps = 2 if "gradient_accumulation_steps" in clip else draw.whole(1, 4)
    rows = draw.pick((1, 2, 8, 32))
    pool = draw.some(range(ROWS), ROWS) if draw.chance(0.7) else [draw.whole(0, ROWS)]
    batches = [
        (
            np.array([draw.pick(pool) for _ in range(rows)], "int32"),
            np.array([draw.pick((0.0, 1.0)) for _ in range(rows)]),
            np.array([draw.pick((1.0, 1.0, 2.0, 0.0)) for _ in range(rows)]),
        )
        for _ in range(steps)
    ]
    model = ranker(l2)
    start = {
        n: draw.random.normal(0, 0.5, v.shape).astype("float32") for n, v in named(model).items()
    }

    def run():
        variables = named(model)
        for key, value in start.items():
            variables[key].assign(value)
        model.compile(make_optimizer(name, clip), weighted_metrics=None, run_eagerly=True)
        for ids, y, w in batches:
            model.train_on_batch({"c": ids}, {"save": y}, sample_weight={"save": w})
        return {key: keras.ops.convert_to_numpy(v) for key, v in variables.items()}

    def right(found: dict) -> str | None:
        expected = dense(name, clip, start, batches, l2)
        for key, value in found.items():
            off = np.abs(value - expected[key]).max()
            if off > 5e-5:
                moved = np.abs(value - start[key]).max()
                return f"{key} moved {moved:.5f}, off by {off:.5f}"
        return None

    what = f"{name} {clip} l2={l2} steps={steps} rows={rows} ids {batches[0][0].tolist()}"
    return Call("optimizer steps", "gradients of ids that repeat (train01)", what, run, right)


def dense(name: str, clip: dict, start: dict, batches: list, l2: float) -> dict[str, np.ndarray]:
    """Returns the weights after the same steps of plain variables and dense gradients."""
    variables = {key: keras.Variable(value, name=key) for key, value in start.items()}
    optimizer = make_optimizer(name, clip)
    optimizer.build(list(variables.values()))
    for ids, y, w in batches:
        values = {k: np.asarray(keras.ops.convert_to_numpy(v), float) for k, v in variables.items()}
        by_name = gradients(values, ids, y, w, l2)
        given = [keras.ops.convert_to_tensor(by_name[key].astype("float32")) for key in variables]
        optimizer.apply(given, list(variables.values()))
    return {key: keras.ops.convert_to_numpy(v) for key, v in variables.items()}
