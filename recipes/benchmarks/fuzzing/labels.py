"""Labels and weights, in rows that a reader reads and in arrays; raw columns in place of inputs."""

import functools
import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

import kranking as kr
from fuzzing.draw import Draw
from fuzzing.judge import Call
from fuzzing.older import read_rows

TASKS, SHARES = ("save", "closeup"), (1.0, 0.5)
GOOD = (0.0, 1.0, 1.0, 0.0, 0.5)
BAD_LABELS = (-1.0, 2.0, 100.0, math.nan, math.inf, None, "1")
BAD_WEIGHTS = (-1.0, math.nan, math.inf, 1e39, None, "1")
ARRAYS = "labels outside [0, 1], NaN or null in arrays (train04, attack03)"
WEIGHTS = "weights that are negative, NaN or overflow (attack03, attack11)"
ODDITIES = (
    "none",
    "none",
    "label",
    "label",
    "weight",
    "weight",
    "list",
    "length",
    "task",
    "class_weight",
)
FAULTS = {
    "none": "losses of tasks are means over rows",
    "list": "labels as a list reach other tasks (train03)",
    "length": "labels of another length",
    "task": "labels of other tasks",
    "class_weight": "class_weight with one task (train10)",
}


@functools.cache
def ranker(tasks: int = 2) -> Any:
    """Returns a compiled model whose steps change nothing."""
    keras.utils.set_random_seed(tasks)
    declared = [kr.Task(n, weight=s) for n, s in zip(TASKS[:tasks], SHARES)]
    feature = kr.features.Numeric("a", mean=0.0, std=1.0)
    model = kr.RankingModel([feature], [kr.layers.MLP([4])], declared)
    model.compile(keras.optimizers.SGD(0.0), weighted_metrics=None)
    first_weights(model)
    return model


@functools.cache
def first_weights(model: Any) -> list[np.ndarray]:
    return model.get_weights()


def renewed(model: Any) -> Any:
    """Returns the model with its first weights: bad rows may have made them NaN."""
    model.set_weights(first_weights(model))
    return model


def losses(model: Any, x: dict, y: dict, weights: dict) -> dict[str, float]:
    """Returns the losses of a model by hand: means over all rows."""
    found, total = {}, 0.0
    renewed(model)
    for task, share in zip(TASKS, SHARES):
        if task in y:
            z = np.asarray(keras.ops.convert_to_numpy(model(x)[task]), float)[:, 0]
            label = np.asarray(y[task], float).ravel()
            each = np.logaddexp(0, z) - label * z
            found[f"{task}_loss"] = float(np.mean(each * weights[task]))
            total += share * found[f"{task}_loss"]
    return {**found, "loss": total}


def _dressed(draw: Draw, values: list) -> Any:
    """Returns labels as an array or a list of some type."""
    if any(v is None or isinstance(v, str) for v in values):
        return np.array(values, object)
    ways: list[Callable[[list], Any]] = [
        np.array,
        lambda v: np.array(v, "float32"),
        lambda v: np.array(v)[:, None],
    ]
    if all(v in (0.0, 1.0) for v in values):
        ways += [lambda v: np.array(v, "int64"), lambda v: np.array(v, bool)]
    return draw.pick(ways)(values)


def array_call(draw: Draw) -> Call:
    """Labels and weights in arrays, for `fit`, `evaluate` and validation rows."""
    oddity, rows = draw.pick(ODDITIES), draw.pick((1, 3, 6))
    way = draw.pick(("evaluate", "fit", "validation"))
    x = {"a": draw.random.normal(size=rows).astype("float32")}
    y = {task: [draw.pick(GOOD) for _ in range(rows)] for task in TASKS}
    w = {task: [draw.pick((1.0, 2.0, 0.0, 0.5)) for _ in range(rows)] for task in TASKS}
    weighted = oddity == "weight" or draw.chance(0.5)
    if not weighted:
        w = {task: [1.0] * rows for task in TASKS}
    if oddity == "class_weight":
        return _class_weight(draw, x, y)
    right_y, right_w = dict(y), dict(w)
    task = draw.pick(TASKS)
    if oddity == "label":
        y[task] = _with(draw, y[task], BAD_LABELS)
    elif oddity == "weight":
        w[task] = _with(draw, w[task], BAD_WEIGHTS)
    given_y: Any = {t: _dressed(draw, v) for t, v in y.items()}
    given_w: Any = {t: _dressed(draw, v) for t, v in w.items()} if weighted else None
    if oddity == "list":
        given_y = [given_y[t] for t in TASKS]
        given_w = None if given_w is None else [given_w[t] for t in TASKS]
    elif oddity == "length":
        given_y[task] = np.concatenate([given_y[task], given_y[task]])
    elif oddity == "task":
        given_y["other" if draw.chance(0.5) else task] = given_y.pop(task)
        if draw.chance(0.5):
            given_y.popitem()
    batch = draw.pick((32, 4, 1))
    refusal = {"label": "must", "weight": "must", "length": "must", "list": "may"}.get(
        oddity, "never"
    )
    if oddity == "task" and set(given_y) != set(TASKS):
        refusal = "must"
    fault = {"label": ARRAYS, "weight": WEIGHTS}.get(oddity) or FAULTS[oddity]
    model = ranker()

    def right(found: dict) -> str | None:
        expected = losses(model, x, right_y, right_w)
        for name, value in expected.items():
            if not math.isclose(found[name], value, rel_tol=1e-4, abs_tol=1e-5):
                return f"{name} is {found[name]}, right is {value}"
        return None

    names = (*TASKS, "label", "weight", "`y`", "`sample_weight`", "length", "rows")
    what = f"{way} of {oddity}, {rows} rows by {batch}: {given_y} weights {given_w}"
    run = functools.partial(_run, model, way, x, given_y, given_w, batch)
    return Call(f"arrays, {way}", fault, what, run, right, refusal, names)


def _with(draw: Draw, values: list, bad: tuple) -> list:
    at = draw.whole(0, len(values))
    return [draw.pick(bad) if i == at else v for i, v in enumerate(values)]


def _run(model: Any, way: str, x: dict, y: Any, w: Any, batch: int) -> dict:
    renewed(model)
    options = {"batch_size": batch, "verbose": 0}
    if way == "evaluate":
        return model.evaluate(x, y, sample_weight=w, return_dict=True, **options)
    if way == "fit":
        history = model.fit(x, y, sample_weight=w, shuffle=False, **options).history
        return {name: values[-1] for name, values in history.items()}
    rows = len(x["a"])
    good = {task: np.zeros(rows, "float32") for task in TASKS}
    held = (x, y) if w is None else (x, y, w)
    history = model.fit(
        x, good, validation_data=held, validation_batch_size=batch, verbose=0
    ).history
    return {n.removeprefix("val_"): v[-1] for n, v in history.items() if n.startswith("val_")}


def _class_weight(draw: Draw, x: dict, y: dict) -> Call:
    model, labels = ranker(1), {"save": np.round(y["save"])}
    heavy = {0: 1.0, 1: draw.pick((2.0, 10.0))}

    def run():
        return renewed(model).fit(x, labels, class_weight=heavy, verbose=0).history["loss"][-1]

    def right(found: float) -> str | None:
        weights = {"save": np.where(labels["save"] == 1, heavy[1], heavy[0])}
        expected = losses(model, x, labels, weights)["loss"]
        same = math.isclose(found, expected, rel_tol=1e-4, abs_tol=1e-5)
        return None if same else f"loss is {found}, right is {expected}"

    fault = FAULTS["class_weight"]
    return Call("arrays, fit", fault, f"{labels}", run, right, "may", ("sample_weight",))


def row_call(draw: Draw) -> Call:
    """Labels and weights in columns of a log."""
    rows = draw.whole(1, 7)
    oddity = draw.pick(("none", "label", "weight", "mask", "strange"))
    labels = [draw.pick(GOOD) for _ in range(rows)]
    weights: list[Any] = [draw.pick((1.0, 0.0, 2.5)) for _ in range(rows)]
    nulls = "mask" if oddity == "mask" else "refuse"
    if oddity == "label":
        labels = _with(draw, labels, BAD_LABELS)
    elif oddity == "weight":
        weights = _with(draw, weights, BAD_WEIGHTS)
    elif oddity == "mask":
        labels = [None if draw.chance(0.4) else v for v in labels]
    elif oddity == "strange":
        labels = draw.pick((["1"] * rows, [b"1"] * rows, [[1.0]] * rows, [True] * rows, [1] * rows))
    columns = {"a": [0.5] * rows, "save": labels, "w": weights}
    observed = [v is not None for v in labels]
    tasks = [kr.Task("save", nulls=nulls)]
    features = [kr.features.Numeric("a", mean=0.0, std=1.0)]
    batch = draw.whole(1, 5)
    refusal = {"label": "must", "weight": "must", "strange": "may"}.get(oddity, "never")

    def run():
        return list(read_rows(columns, features, tasks, batch_size=batch, sample_weight="w"))

    def right(batches: list) -> str | None:
        y = np.concatenate([b[1]["save"] for b in batches]).ravel()
        w = np.concatenate([b[2]["save"] for b in batches]).ravel()
        seen = np.array(observed)
        expected = np.array([float(v) if v is not None else 0.0 for v in labels], "float32")
        if not np.allclose(w, np.where(seen, weights, 0.0)):
            return f"weights {w}"
        return None if np.allclose(y[seen], expected[seen]) else f"labels {y}"

    fault = {"label": "labels in a log", "weight": WEIGHTS}.get(
        oddity, f"labels in a log: {oddity}"
    )
    names = ("save", "weight", "'w'", "w")
    return Call("rows with labels, read", fault, f"{columns}", run, right, refusal, names)


@functools.cache
def encoded_ranker() -> Any:
    keras.utils.set_random_seed(5)
    feature = kr.features.Categorical("c", vocabulary=(7, 2, 1, 0, 3), embedding_dim=4)
    model = kr.RankingModel([feature], [kr.layers.MLP([4])], [kr.Task("save")])
    model.set_weights(
        [w + 0.3 * np.arange(w.size, dtype="float32").reshape(w.shape) for w in model.get_weights()]
    )
    model.compile(keras.optimizers.SGD(0.0), weighted_metrics=None)
    first_weights(model)
    return model


def raw_call(draw: Draw) -> Call:
    """Raw ids, or table rows, in arrays."""
    model, rows = encoded_ranker(), draw.whole(1, 6)
    ids = np.array([draw.pick((7, 2, 1, 0, 3)) for _ in range(rows)])
    mark = getattr(kr.features, "as_model_inputs", dict)  # for runs on older commits
    encoded = mark({"c": np.array([1 + (7, 2, 1, 0, 3).index(i) for i in ids], "int32")})
    raw = draw.chance(0.7)
    given: dict[str, Any] = (
        {"c": draw.pick((ids, ids.tolist(), ids.astype("int32")))} if raw else encoded
    )
    y = {"save": np.array([draw.pick((0.0, 1.0)) for _ in range(rows)], "float32")}
    way = draw.pick(("evaluate", "fit"))

    def run():
        if way == "evaluate":
            return model.evaluate(given, y, verbose=0, return_dict=True)["loss"]
        return model.fit(given, y, verbose=0).history["loss"][-1]

    def right(found: float) -> str | None:
        expected = losses(model, encoded, y, {"save": np.ones(rows)})["loss"]
        same = math.isclose(found, expected, rel_tol=1e-4, abs_tol=1e-5)
        return None if same else f"loss is {found}, right is {expected}"

    fault = "raw ids are taken for table rows" if raw else "table rows in arrays"
    refusal = "may" if raw else "never"
    return Call(f"arrays, {way}", fault, f"{way} of {given}", run, right, refusal, ("'c'",))
