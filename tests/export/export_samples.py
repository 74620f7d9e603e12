"""Models of the export tests: awkward names, and layers that export must refuse."""

import functools
from types import SimpleNamespace

import keras
import numpy as np
from keras import ops

from kranking.export import export_model
from kranking.features import (
    Age,
    Categorical,
    Embedding,
    Numeric,
    Sequence,
    Task,
    TimePart,
    TransAct,
    as_model_inputs,
)
from kranking.layers import MLP, CrossNetwork, ParallelMaskNet
from kranking.models import RankingModel

AWKWARD_TASKS = ["save it/é", "lambda", "MatMul:0"]


AGES = {"transform": "log", "mean": 12.0, "std": 2.0, "nulls": "mean"}


def awkward_features():
    return [
        Categorical("dense", side="item", vocabulary=("a", "b", "c")),
        Categorical("class", side="user", hash_buckets=100),
        Categorical("a/b", side="user", vocabulary=(1, 2, 3), max_length=4),
        Categorical("a_b", side="user", vocabulary=(5, 6)),  # TensorFlow makes one name of both
        Numeric("naïve é 漢字", side="item", mean=0.0, std=1.0),
        Numeric("with space", side="item", mean=2.0, std=3.0),
        Numeric("input_000001", side="item", mean=2.0, std=3.0),  # the writer's own kind of name
        Embedding("x.y", dim=6, project_to=4, side="item"),
        Sequence(
            "watched",
            of="dense",
            max_length=7,
            side="user",
            action="act",
            action_vocabulary=("like", "hide"),
            time="t",
            request_time="now",
            encoder=TransAct(first_k=2),
        ),
    ]


def awkward_model():
    blocks = [ParallelMaskNet(num_blocks=2, block_dim=12), CrossNetwork(depth=2), MLP([8])]
    return shaken(RankingModel(awkward_features(), blocks, [Task(name) for name in AWKWARD_TASKS]))


@functools.cache
def awkward_bundle(root):
    """One model with awkward names and its bundle; tests read it and copy it, never change it."""
    model = awkward_model()
    folder = root / "export" / "served" / "näme with space"
    report = export_model(
        model,
        folder,
        signatures=("serve",),
        num_check_rows=20,
        check_rows=random_inputs(model, 5, seed=3),
        seed=11,
        counts={"dense": {"rows": 10, "out_of_vocabulary": 2}},
        metadata={"cost": {"parameters": model.count_params()}},
    )
    return SimpleNamespace(model=model, folder=folder, report=report)


def sided_model():
    """One model of every side, with a history of the user and one that is encoded with the candidate."""
    features = [
        Categorical("user", side="user", hash_buckets=50),
        Categorical("country", side="user", vocabulary=("DE", "FR")),
        Numeric("age", side="user", mean=40.0, std=10.0, nulls="mean"),
        Categorical("hour", vocabulary=tuple(range(24))),
        Categorical("pin", side="item", vocabulary=("a", "b", "c")),
        Numeric("price", side="item", transform="log", mean=1.0, std=1.0, nulls="mean"),
        Embedding("cover", dim=3, side="item", nulls="zeros"),
        Categorical("weekday", column=TimePart("time", "weekday", zoned=True)),
        Numeric("pin_age", side="item", column=Age("made", at="time", zoned=True), **AGES),
        Sequence("seen", of="pin", max_length=3, side="user"),
        Sequence("fused", of="pin", column="again", max_length=3, side="item", candidate="pin"),
    ]
    return shaken(RankingModel(features, [CrossNetwork(depth=1), MLP([4])], [Task("save")]))


def plain_model(*blocks):
    features = [
        Categorical("class", side="user", vocabulary=("a", "b", "c")),
        Sequence("x.y", of="class", max_length=3, side="user"),
        Numeric("age", side="user", mean=0.0, std=1.0),
    ]
    return shaken(RankingModel(features, [*blocks, MLP([4])], [Task("click")]))


def shaken(model):
    """Gives every weight a value of its own, as training would: zeros hide mistakes."""
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if "float" in str(weight.dtype):
            weight.assign(weight + 0.1 * rng.standard_normal(weight.shape).astype("float32"))
    return model


@keras.saving.register_keras_serializable(package="export_samples")
class Forgetful(keras.layers.Layer):
    """Does not save its factor: the file is another model than the one in memory."""

    def __init__(self, factor=1.0, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, inputs):
        return inputs * self.factor

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return super().get_config()


@keras.saving.register_keras_serializable(package="export_samples")
class InverseErrorFunction(keras.layers.Layer):
    """An operation that ONNX does not have."""

    def call(self, inputs):
        return ops.erfinv(ops.tanh(inputs) * 0.5)

    def compute_output_shape(self, input_shape):
        return input_shape


@keras.saving.register_keras_serializable(package="export_samples")
class NotFinite(keras.layers.Layer):
    """Divides zero by zero where every input is zero."""

    def call(self, inputs):
        return inputs / ops.sum(ops.abs(inputs), axis=-1, keepdims=True)

    def compute_output_shape(self, input_shape):
        return input_shape


@keras.saving.register_keras_serializable(package="export_samples")
class Anchors(keras.layers.Layer):
    """Adds the mean of 64 rows of a large table, the same ones for all."""

    def build(self, input_shape):
        self.table = self.add_weight(shape=(70_000, input_shape[-1]), name="table")

    def call(self, inputs):
        return inputs + ops.mean(ops.take(self.table, ops.arange(64) * 3, axis=0), axis=0)

    def compute_output_shape(self, input_shape):
        return input_shape


@keras.saving.register_keras_serializable(package="export_samples")
class EitherWay(keras.layers.Layer):
    """Has a large weight that only a branch reads."""

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], 70_000), name="kernel")

    def call(self, inputs):
        def product():
            return inputs + ops.mean(ops.matmul(inputs, self.kernel), axis=-1, keepdims=True)

        return ops.cond(ops.sum(inputs) > 0, product, lambda: inputs * 2)

    def compute_output_shape(self, input_shape):
        return input_shape


def random_inputs(model, size, seed=0):
    """Gives rows of the model's inputs: ids around the tables, padding at the end, numbers."""
    rng = np.random.default_rng(seed)
    rows = {}
    for name, spec in model.preprocessor.inputs.items():
        shape = (size, *spec.shape)
        low = -1 if spec.shape else 0
        ids = rng.integers(low, 5, shape).astype("int32")
        rows[name] = ids if spec.dtype == "int32" else rng.standard_normal(shape).astype("float32")
    return as_model_inputs(rows)
