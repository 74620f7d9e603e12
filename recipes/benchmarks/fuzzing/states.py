"""States of trainings: of other models, damaged, and resumed."""

import functools
import io
import json
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np

import kranking as kr
from fuzzing.bundles import _changed
from fuzzing.draw import Draw
from fuzzing.judge import Call
from fuzzing.older import read_rows

OTHER, DAMAGED = "a state of another model (train02)", "a damaged state (attack06)"
VARIANTS: tuple[dict[str, Any], ...] = (
    {},
    {"country": ("FR", "DE")},
    {"country": ("DE", "FR", "IT"), "device": ("ios",)},
    {"country": ("DE", "XX")},
    {"tasks": ("hide", "save")},
    {"tasks": ("save", "other")},
    {"activation": "tanh"},
    {"mean": 30.0},
    {"transform": "log"},
    {"pooling": "sum"},
    {"normalize": True},
    {"optimizer": "rmsprop"},
    {"beta": 0.5},
    {"weight": 0.2},
)


def variant(
    country=("DE", "FR"),
    device=("ios", "web"),
    tasks=("save", "hide"),
    activation="relu",
    mean=0.0,
    transform="standardize",
    pooling="mean",
    normalize=False,
    optimizer="adam",
    beta=0.9,
    weight=1.0,
) -> Any:
    """Creates a compiled model; all variants have variables of the same shapes but for one."""
    features = kr.features
    keras.utils.set_random_seed(1)
    model = kr.RankingModel(
        [
            features.Categorical(
                "country", vocabulary=country, embedding_dim=4, l2_normalize=normalize
            ),
            features.Categorical(
                "device", vocabulary=device, embedding_dim=4, max_length=2, pooling=pooling
            ),
            features.Numeric("age", mean=mean, std=1.0, transform=transform),
        ],
        [kr.layers.MLP([4], activation=activation)],
        [kr.Task(t, weight=weight) for t in tasks],
    )
    adam = keras.optimizers.Adam(beta_1=beta)
    model.compile(adam if optimizer == "adam" else optimizer, weighted_metrics=None)
    return model


@functools.cache
def cached(number: int) -> tuple[Any, bytes]:
    """Returns a model, and its state with weights of its own."""
    model = variant(**VARIANTS[number])
    random = np.random.default_rng(number)
    model.set_weights([random.normal(size=w.shape).astype(w.dtype) for w in model.get_weights()])
    path = tempfile.mkdtemp(prefix="fuzz") + "/state.npz"
    kr.training.save_state(model, path)
    return model, Path(path).read_bytes()


def values_of(model: Any) -> list[np.ndarray]:
    variables = [*model.variables, *model.optimizer.variables]
    return [np.array(keras.ops.convert_to_numpy(v)) for v in variables]


def _edited(draw: Draw, data: bytes) -> bytes:
    """Returns a state with a changed head, or an array that is lost, short or of another type."""
    with np.load(io.BytesIO(data)) as file:
        arrays = {name: file[name] for name in file.files}
    if draw.chance(0.6):
        head = json.loads(str(arrays["head"]))
        _changed(draw, head, 3)
        arrays["head"] = np.array(json.dumps(head))
    else:
        name = draw.pick(tuple(arrays))
        if draw.chance(0.4):
            del arrays[name]
        else:
            array = arrays[name]
            arrays[name] = draw.pick(
                (array.ravel()[:1], np.array("x"), array.astype("U"), array[None])
            )
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


def _flipped(draw: Draw, data: bytes) -> bytes:
    changed = bytearray(data)
    changed[draw.whole(0, len(data))] ^= 1 << draw.whole(0, 8)
    return bytes(changed)


def _renamed(draw: Draw, data: bytes) -> bytes:
    names = zipfile.ZipFile(io.BytesIO(data)).namelist()
    name = draw.pick(names).encode()
    return data.replace(name, name[:-5] + b"~.npy")


DAMAGES: tuple[Callable[[Draw, bytes], bytes], ...] = (
    _edited,
    _edited,
    _flipped,
    _renamed,
    lambda draw, data: data[: draw.whole(0, len(data))],
    lambda draw, data: draw.pick((b"", b"PK\x03\x04", b"{}", data * 2)),
)


def state_call(draw: Draw) -> Call:
    """Loading a state: of the same model, of another one, or damaged."""
    number, other = draw.whole(0, len(VARIANTS)), draw.whole(0, len(VARIANTS))
    damaged = draw.chance(0.5)
    if damaged or draw.chance(0.2):
        other = number
    model, data = cached(number)[0], cached(other)[1]
    data = draw.pick(DAMAGES)(draw, data) if damaged else data
    path = tempfile.mkdtemp(prefix="fuzz") + "/state.npz"
    Path(path).write_bytes(data)
    for value in model.trainable_variables:
        value.assign(keras.ops.full(value.shape, 0.5))

    def run():
        before = values_of(model)
        try:
            kr.training.load_state(model, path)
        except ValueError:
            same = all(map(np.array_equal, before, values_of(model)))
            if not same:
                return "refused, and the model is changed"
            raise
        random = np.random.default_rng(other)
        weights = [random.normal(size=w.shape).astype(w.dtype) for w in model.get_weights()]
        same = all(map(np.array_equal, weights, model.get_weights()))
        return "" if same else "loaded, with other weights than were saved"

    refusal = "may" if damaged else "never" if other == number else "must"
    what = f"state of {VARIANTS[other]}{' damaged' if damaged else ''} into {VARIANTS[number]}"
    fault = DAMAGED if damaged else OTHER
    return Call("states, load", fault, what, run, lambda found: found or None, refusal)


def resume_call(draw: Draw) -> Call:
    """A training that goes on after a stop, against one that never stopped."""
    rows, stop, seed = draw.whole(6, 12), draw.whole(1, 3), draw.whole(0, 9)
    columns = {"a": [i / rows for i in range(rows)], "save": [i % 2 for i in range(rows)]}
    path = tempfile.mkdtemp(prefix="fuzz") + "/state.npz"
    log = _written(columns)

    def make():
        kr.training.set_seed(seed)
        feature = kr.features.Numeric("a", transform="none")
        model = kr.RankingModel([feature], [kr.layers.MLP([4])], [kr.Task("save")])
        model.compile(keras.optimizers.Adam(0.1), weighted_metrics=None, run_eagerly=True)
        return model

    def fit(model, epochs, first=0):
        reader = read_rows(log, model.features, model.tasks, batch_size=4, shuffle=True, seed=1)
        model.fit(reader, epochs=epochs, initial_epoch=first, verbose=0)

    def run():
        whole = make()
        fit(whole, 3)
        first = make()
        fit(first, stop)
        kr.training.save_state(first, path)
        second = make()
        kr.training.load_state(second, path)
        fit(second, 3, stop)
        pairs = zip(whole.get_weights(), second.get_weights())
        return max(float(np.abs(a - b).max()) for a, b in pairs)

    def right(found: float) -> str | None:
        return None if found < 1e-6 else f"weights differ by {found}"

    fault = "the order of rows after a resume (train11)"
    return Call("states, resumed fit", fault, f"{rows} rows, stop after {stop}", run, right)


def _written(columns: dict[str, list]) -> str:
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tempfile.mkdtemp(prefix="fuzz") + "/x.parquet"
    pq.write_table(pa.table(columns), path)
    return path
