"""The harness must pass a sound layer and name each planted fault."""

import keras
import numpy as np
import pytest
from keras import ops

from kranking._core import fresh
from kranking.layers import Work
from kranking.testing import check_layer, traced_matmul_flops

register = keras.saving.register_keras_serializable(package="planted")


@register
class Sound(keras.layers.Layer):
    """y = (x A) (x B) + b, with two kernels of one shape."""

    def __init__(self, units=4, initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.initializer = keras.initializers.get(initializer)

    def build(self, input_shape):
        shape = (input_shape[-1], self.units)
        self.left = self.add_weight(shape=shape, initializer=self.copy(), name="left")
        self.right = self.add_weight(shape=shape, initializer=self.copy(), name="right")
        self.bias = self.add_weight(shape=(self.units,), initializer="zeros", name="bias")

    def copy(self):
        return fresh(self.initializer)

    def call(self, inputs):
        return ops.matmul(inputs, self.left) * ops.matmul(inputs, self.right) + self.bias

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def work(self, input_shape):
        width = input_shape[-1]
        return Work(2 * width * self.units + self.units, 4 * width * self.units, 3 * self.units)

    def get_config(self):
        initializer = keras.initializers.serialize(self.initializer)
        return {**super().get_config(), "units": self.units, "initializer": initializer}


@register
class MissingKey(Sound):
    def get_config(self):
        return {k: v for k, v in super().get_config().items() if k != "units"}


@register
class WrongValue(Sound):
    def get_config(self):
        return {**super().get_config(), "units": 4}


@register
class NameLost(Sound):
    def get_config(self):
        return {k: v for k, v in super().get_config().items() if k != "name"}


class NotRegistered(Sound):
    pass


@register
class Squeezed(Sound):
    def call(self, inputs):
        return ops.squeeze(super().call(inputs))


@register
class FixedBatch(Sound):
    def call(self, inputs):
        return ops.reshape(super().call(inputs), (5, self.units))


@register
class FailsOnOneRow(Sound):
    def call(self, inputs):
        if inputs.shape[0] == 1:
            raise RuntimeError("one row")
        return super().call(inputs)


@register
class BatchLeak(Sound):
    def call(self, inputs):
        return super().call(inputs - ops.mean(inputs, axis=0, keepdims=True))


@register
class LateBuild(Sound):
    def build(self, input_shape):
        pass

    def call(self, inputs):
        if not hasattr(self, "left"):
            Sound.build(self, inputs.shape)
        return super().call(inputs)


@register
class LateChild(Sound):
    def __init__(self, units=4, **kwargs):
        super().__init__(units, **kwargs)
        self.child = keras.layers.Dense(units)

    def build(self, input_shape):
        pass

    def call(self, inputs):
        return self.child(inputs)


@register
class DeadWeight(Sound):
    def call(self, inputs):
        return ops.matmul(inputs, self.left) + 0 * self.right[0] + self.bias


@register
class UnusedWeight(Sound):
    def call(self, inputs):
        return ops.matmul(inputs, self.left) + self.bias

    def work(self, input_shape):
        return Sound.work(self, input_shape)


@register
class IgnoredDtype(Sound):
    def call(self, inputs):
        return ops.cast(super().call(inputs), "float32")


@register
class HalfWeights(Sound):
    def build(self, input_shape):
        super().build(input_shape)
        self.half = self.add_weight(shape=(), dtype=self.compute_dtype, name="half")

    def call(self, inputs):
        return super().call(inputs) + ops.cast(self.half, self.compute_dtype)


@register
class WrongShape(Sound):
    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units + 1)


@register
class SharedInitializer(Sound):
    def copy(self):
        return self.initializer


@register
class TransposedKernel(Sound):
    """Right by shape, wrong by value: only an oracle sees it."""

    def call(self, inputs):
        return ops.matmul(inputs, self.left) * ops.matmul(inputs, self.right) - self.bias


@register
class NotFinite(Sound):
    def call(self, inputs):
        return super().call(inputs) / 0.0


@register
class LostInFile(Sound):
    def save_own_variables(self, store):
        store["left"] = ops.convert_to_numpy(self.left)

    def load_own_variables(self, store):
        self.left.assign(store["left"])


@register
class CannotLoad(Sound):
    def load_own_variables(self, store):
        raise KeyError("left")


@register
class WrongParameters(Sound):
    def work(self, input_shape):
        return super().work(input_shape) + Work(parameters=1)


@register
class WrongFlops(Sound):
    def work(self, input_shape):
        return super().work(input_shape) + Work(matmul_flops=2)


@register
class UnknownWork(Sound):
    def work(self, input_shape):
        return super().work(input_shape) + Work(unknown=("Mystery",))


@register
class WorkBuilds(Sound):
    def work(self, input_shape):
        self.build(input_shape)
        return super().work(input_shape)


@register
class NoWork(Sound):
    work = property()


@register
class Lookup(keras.layers.Layer):
    def build(self, input_shape):
        self.table = self.add_weight(shape=(7, 2), initializer="normal", name="table")

    def call(self, inputs):
        return ops.take(self.table, inputs, axis=0)

    def compute_output_shape(self, input_shape):
        return (*input_shape, 2)

    def work(self, input_shape):
        return Work(14)


def oracle(x, weights, config):
    return (x @ weights["left"]) * (x @ weights["right"]) + weights["bias"]


@pytest.mark.parametrize(
    "config", [{}, {"units": 3}, lambda: {"units": 2}], ids=["empty", "dict", "callable"]
)
def test_a_sound_layer_passes(config):
    check_layer(Sound, config, (5, 6), oracle)
    check_layer(Sound, config, (5, 2, 6), oracle, work=False)


@pytest.mark.parametrize(
    ("cls", "message"),
    [
        (MissingKey, r"'config': `get_config\(\)` does not contain the argument 'units'"),
        (WrongValue, r"'config': 'units' was passed as 3, but is 4"),
        (NameLost, r"'config': `get_config\(\)` does not contain the argument 'name'"),
        (NotRegistered, r"'registration': the class is not registered"),
        (
            Squeezed,
            r"'shapes': a (call with an unknown batch axis fails|batch of 1 returns .\(3,\))",
        ),
        (
            FixedBatch,
            r"'shapes': a (call with an unknown batch axis fails|symbolic call returns ..5)",
        ),
        (FailsOnOneRow, r"'shapes': a batch of 1 fails: .*one row"),
        (BatchLeak, r"'rows': the output of row 0 alone .*: expected .* at \(0, \d\)"),
        (LateBuild, r"'build': a call after `build` fails: .* state"),
        (LateChild, r"'build': .* created 0 of 2 variables"),
        (DeadWeight, r"'training': one training step does not change the weights \['right'\]"),
        (UnusedWeight, r"'training': one training step does not change the weights \['right'\]"),
        (IgnoredDtype, r"'dtype': under mixed_bfloat16 the output has dtype float32"),
        (HalfWeights, r"'dtype': under mixed_bfloat16 'half' has dtype bfloat16"),
        (WrongShape, r"'shapes': a symbolic call returns .*\(None, 3\).* returns .*\(None, 4\)"),
        (
            SharedInitializer,
            r"'starts': the random weights 'left' and 'right' have the same initial",
        ),
        (NotFinite, r"'finite': the output contains NaN or infinity"),
        (LostInFile, r"'file': the output changes after saving and loading"),
        (CannotLoad, r"'file': loading the saved model fails"),
        (WrongParameters, r"'work': `work` declares 40 parameters, but the built layer has 39"),
        (WrongFlops, r"'work': `work` declares 74 matmul FLOPs per row, but \w+ runs 72"),
        (UnknownWork, r"'work': `work` reports the layers \['Mystery'\] as unknown"),
        (WorkBuilds, r"'work': `work` builds the layer"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_planted_fault_is_named(cls, message):
    with pytest.raises(AssertionError, match=f"{cls.__name__} fails the check {message}"):
        check_layer(cls, {"units": 3}, (5, 6))


def test_an_oracle_that_differs_is_named():
    with pytest.raises(AssertionError, match=r"TransposedKernel .* 'oracle': .* expected"):
        check_layer(TransposedKernel, {}, (5, 6), oracle)


def test_a_missing_work_is_named():
    with pytest.raises(AssertionError, match=r"NoWork fails the check 'work': .* is missing"):
        check_layer(NoWork, {}, (5, 6))
    check_layer(NoWork, {}, (5, 6), work=False)


def test_a_weight_that_need_not_move_can_be_named():
    check_layer(DeadWeight, {"units": 3}, (5, 6), idle=("right",), work=False)


def test_made_inputs_reach_the_layer():
    def ids(random, batch):
        return random.integers(0, 7, (batch, 3)).astype("int32")

    def lookup(x, weights, config):
        return weights["table"][x]

    check_layer(Lookup, {}, (5, 3), lookup, make_inputs=ids)


def test_several_inputs():
    layer = keras.layers.Multiply
    check_layer(layer, {}, [(5, 6), (5, 6)], lambda x, *_: x[0] * x[1], work=False)


@pytest.mark.parametrize("equation", ["abc,cd->abd", "abc,acd->abd"])
def test_flops_of_products_of_three_axes(equation):
    width = (6, 4) if equation == "abc,cd->abd" else (1, 6, 4)
    layer = keras.layers.Lambda(lambda x: ops.einsum(equation, x, ops.ones(width)))
    x = np.ones((1, 5, 6), "float32")
    layer(x)
    assert traced_matmul_flops(layer, x) == 2 * 5 * 6 * 4


def test_flops_leave_elementwise_operations_out():
    layer = keras.layers.LayerNormalization()
    layer.build((None, 6))
    assert traced_matmul_flops(layer, np.ones((1, 6), "float32")) == 0
