"""The cost of a layer, computed from its configuration and an input shape without building it."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import keras

Counts = tuple[int, int, int]


@dataclass(frozen=True)
class Work:
    """Parameters, matrix-product FLOPs and saved activations of a layer for one input shape.

    Attributes:
        parameters: Number of trainable scalars.
        matmul_flops: FLOPs per sample in matrix products, counting a multiply-accumulate as 2.
            Elementwise operations, norms and softmax are excluded, so the number is exact on every
            backend.
        saved_elements: Elements per sample that this layer computes and the backward pass reads,
            including outputs but not the layer's input (the layer that computed it counts it). An
            estimate: a compiler may keep fewer.
        unknown: Names of layer classes whose cost is unknown, instead of counting them as zero.
        table_parameters: The part of `parameters` in lookup tables, of which each sample reads a
            few rows: they take memory but hardly any time.
        steps: Number of computations, such as a dense product or a norm. It approximates the number
            of operators that a runtime launches, which dominates the latency of small batches.
        by_class: `steps`, `matmul_flops` and `saved_elements` by layer class, innermost first.
            Filled in by `work_of`.

    >>> kr.layers.Work(2, 3, 4) + kr.layers.Work(1, 1, 1)
    Work(parameters=3, matmul_flops=4, saved_elements=5, unknown=(), table_parameters=0)
    """

    parameters: int = 0
    matmul_flops: int = 0
    saved_elements: int = 0
    unknown: tuple[str, ...] = ()
    table_parameters: int = 0
    steps: int = field(default=1, compare=False, repr=False)
    by_class: Mapping[str, Counts] = field(default_factory=dict, compare=False, repr=False)

    @property
    def saved_by(self) -> Mapping[str, int]:
        """`saved_elements` by class."""
        return {name: saved for name, (_, _, saved) in self.by_class.items() if saved}

    @property
    def counts(self) -> Counts:
        """Steps, FLOPs and saved activations; a layer without computation counts no step."""
        ran = self.matmul_flops or self.saved_elements
        return (self.steps if ran else 0, self.matmul_flops, self.saved_elements)

    def __add__(self, other: "Work") -> "Work":
        return Work(
            self.parameters + other.parameters,
            self.matmul_flops + other.matmul_flops,
            self.saved_elements + other.saved_elements,
            self.unknown + other.unknown,
            self.table_parameters + other.table_parameters,
            self.counts[0] + other.counts[0],
            _added(self.by_class, other.by_class),
        )


def work_of(layer: keras.layers.Layer, input_shape: Any) -> Work:
    """Returns the work of any layer, from its `work` method or the table of Keras layers.

    Args:
        layer: A Keras layer, built or not. The work of an unknown class lists it in `unknown`.
        input_shape: The shape passed to `layer.build`, batch axis first; a list of shapes for a
            layer with several inputs.

    >>> kr.layers.work_of(keras.layers.Dense(3), (None, 4))
    Work(parameters=15, matmul_flops=24, saved_elements=3, unknown=(), table_parameters=0)
    """
    name = type(layer).__name__
    # The exact class: a user's subclass may add weights that the table does not count.
    count = _KERAS_WORK.get(type(layer))
    if hasattr(layer, "work"):
        work = layer.work(input_shape)  # pyright: ignore
    elif count is None:
        return Work(unknown=(name,))
    else:
        work = count(layer, input_shape)
    children = [sum(column) for column in zip((0, 0, 0), *work.by_class.values(), strict=True)]
    own = tuple(all_ - theirs for all_, theirs in zip(work.counts, children, strict=True))
    return replace(work, by_class=_added(work.by_class, {name: own})) if any(own) else work


def _added(some: Mapping[str, Any], others: Mapping[str, Any]) -> Mapping[str, Counts]:
    none = (0, 0, 0)
    return {
        name: tuple(map(sum, zip(some.get(name, none), others.get(name, none), strict=True)))
        for name in {**some, **others}
    }  # pyright: ignore


def work_of_chain(layers: Iterable[keras.layers.Layer], input_shape: Any) -> Work:
    """Returns the total work of layers applied in sequence."""
    total = Work()
    for layer in layers:
        total += work_of(layer, input_shape)
        input_shape = layer.compute_output_shape(input_shape)
    return total


def elements(shape: Any) -> int:
    """Returns the number of elements per sample of a shape whose first axis is the batch."""
    if any(axis is None for axis in shape[1:]):
        raise ValueError(
            f"`input_shape` must be fully known except for the batch axis. Received: {tuple(shape)}"
        )
    return math.prod(shape[1:])


def rows(shape: Any) -> int:
    """Returns the number of vectors per sample: the product of all axes but the first and the last."""
    return elements(shape[:-1])


def dense_work(inputs: int, outputs: int, count: int = 1, bias: bool = True) -> Work:
    """Returns the work of one dense kernel applied to `count` vectors per sample."""
    parameters = inputs * outputs + outputs * bool(bias)
    return Work(parameters, 2 * inputs * outputs * count, outputs * count)


def table_work(parameters: int, saved_elements: int = 0) -> Work:
    """Returns the work of a lookup table, which has no matrix products."""
    return Work(parameters, 0, saved_elements, table_parameters=parameters)


def _dense(layer: Any, shape: Any) -> Work:
    count = rows(shape)
    work = dense_work(shape[-1], layer.units, count, layer.use_bias)
    # The gradient of these needs only their output; other activations also save their input.
    slim = ("linear", "relu", "sigmoid", "tanh")
    name = getattr(layer.activation, "__name__", "")
    return work if name in slim else work + Work(saved_elements=layer.units * count)


def _attention(layer: Any, shape: Any) -> Work:
    config = layer.get_config()
    shapes = shape if isinstance(shape[0], list | tuple) else [shape, shape]
    query, value = shapes[0], shapes[1]
    key = shapes[2] if len(shapes) > 2 else value
    heads, key_dim = config["num_heads"], config["key_dim"]
    value_dim = config["value_dim"] or key_dim
    output = config["output_shape"]
    output = query[-1] if output is None else math.prod([output] if type(output) is int else output)
    bias, n_query, n_key = config["use_bias"], rows(query), rows(key)
    projections = (
        dense_work(query[-1], heads * key_dim, n_query, bias)
        + dense_work(key[-1], heads * key_dim, n_key, bias)
        + dense_work(value[-1], heads * value_dim, n_key, bias)
        + dense_work(heads * value_dim, output, n_query, bias)
    )
    scores = heads * n_query * n_key
    return projections + Work(
        0, 2 * scores * (key_dim + value_dim), 2 * scores + heads * value_dim * n_query
    )


def _norm(layer: Any, shape: Any) -> Work:
    axes = layer.axis if isinstance(layer.axis, list | tuple) else [layer.axis]
    width = math.prod(shape[axis] for axis in axes)
    return Work(width * (bool(layer.center) + bool(layer.scale)), 0, elements(shape))


def _embedding(layer: Any, shape: Any) -> Work:
    return table_work(layer.input_dim * layer.output_dim, elements(shape) * layer.output_dim)


def _sequential(layer: Any, shape: Any) -> Work:
    return work_of_chain(layer.layers, shape)


def _output(layer: Any, shape: Any) -> Work:
    return Work(0, 0, elements(layer.compute_output_shape(shape)))


def _nothing(layer: Any, shape: Any) -> Work:
    return Work()


_k = keras.layers
_KERAS_WORK: dict[type, Callable[[Any, Any], Work]] = {
    _k.Dense: _dense,
    _k.Embedding: _embedding,
    _k.MultiHeadAttention: _attention,
    _k.LayerNormalization: _norm,
    _k.BatchNormalization: _norm,
    keras.Sequential: _sequential,
}
_MAKES_ITS_OUTPUT = (
    *(_k.Activation, _k.ReLU, _k.LeakyReLU, _k.ELU, _k.Softmax, _k.UnitNormalization),
    *(_k.Dropout, _k.SpatialDropout1D, _k.GaussianNoise, _k.GaussianDropout),
    *(_k.Add, _k.Average, _k.Concatenate, _k.Maximum, _k.Minimum, _k.Multiply, _k.Subtract),
    *(_k.GlobalAveragePooling1D, _k.GlobalMaxPooling1D, _k.RepeatVector, _k.ZeroPadding1D),
)
_VIEWS = (_k.Flatten, _k.Reshape, _k.Permute, _k.Identity, _k.InputLayer, _k.Masking)
_KERAS_WORK |= dict.fromkeys(_MAKES_ITS_OUTPUT, _output) | dict.fromkeys(_VIEWS, _nothing)
