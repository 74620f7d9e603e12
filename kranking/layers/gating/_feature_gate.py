"""Feature selection of FinalMLP."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from kranking import ops as kops
from kranking._core import check_known_width, check_positive_ints, fresh, serializable
from kranking.layers._contract._flow import gives_of
from kranking.layers._contract._open_arguments import required_argument
from kranking.layers._contract._shapes import shapes_of
from kranking.layers._contract._work import Work, dense_work, table_work, work_of
from kranking.layers.core._mlp import MLP


@serializable
class FeatureGate(keras.layers.Layer):
    """Feature selection of FinalMLP: context-dependent gates on a flat vector, before a block.

    `h = 2σ(g) ⊙ e` and `y = block(h)`. Without a context, `g` is a learned vector of the width of
    `e`, the same for every row. With a context, `g = MLP(c) A + b`, where `c` concatenates the
    embeddings of the context columns, from separate tables. `g` is initialized to 0, so that the
    gates start at 1.

    In contrast, FuxiCTR, which this layer otherwise follows, initializes `A` randomly and computes
    a gate without context by an MLP of a zero-initialized vector, of which only the last bias can
    ever be trained.

    Args:
        block: Layer that reads the gated fields, such as one stream of FinalMLP. `None` returns
            `h`.
        context: Positions of the context columns in the ids.
        context_dims: Embedding width of each context column, in the order of `context`.
        hidden_units: Hidden widths of the MLP between context and gate.
        id_sizes: Number of table rows of each id column. `None` lets `RankingModel` fill it in.
        kernel_initializer: Initializer of the hidden kernels.
        embeddings_initializer: Initializer of the context tables, or a list of one per table.
        embeddings_regularizer: Regularizer of the context tables, or a list of one per table.
            Tables that are regularized less than those of the fields can overfit to single users.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Attributes:
        takes: `"flat"`, or `("flat", "ids")` with a context.

    Input shape: `(batch, width)`; with a context, a list of it and of ids `(batch, columns)`.
    Output shape: `(batch, width)`, or the output shape of `block`.

    >>> gate = kr.layers.FeatureGate(context=(1,), context_dims=(4,), id_sizes=(10, 20))
    >>> e, ids = np.ones((2, 6), "float32"), np.array([[3, 0], [4, 19]])
    >>> keras.ops.convert_to_numpy(gate([e, ids]))[0].tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0, 1.0]

    Reference: [Mao et al., 2023, feature selection](https://arxiv.org/abs/2304.00902)
    """

    def __init__(
        self,
        block: keras.layers.Layer | None = None,
        context: Sequence[int] = (),
        context_dims: Sequence[int] = (),
        hidden_units: Sequence[int] = (64,),
        id_sizes: Sequence[int] | None = None,
        kernel_initializer="glorot_uniform",
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        **kwargs,
    ):
        if block is not None and not isinstance(block, keras.layers.Layer):
            raise ValueError(f"`block` must be a Keras layer or None. Received: block={block!r}")
        context = _check_context(context)
        context_dims = check_positive_ints("context_dims", context_dims, empty=True)
        if len(context_dims) != len(context):
            raise ValueError(
                "`context_dims` must have one width per column of `context`. "
                f"Received: context={context}, context_dims={context_dims}"
            )
        super().__init__(**kwargs)
        self.block = block
        self.context = context
        self.context_dims = context_dims
        self.hidden_units = check_positive_ints("hidden_units", hidden_units, empty=True)
        self.id_sizes = None if id_sizes is None else check_positive_ints("id_sizes", id_sizes)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        initializers = _each("embeddings_initializer", embeddings_initializer, context)
        self.embeddings_initializer = [keras.initializers.get(one) for one in initializers]
        regularizers = _each("embeddings_regularizer", embeddings_regularizer, context)
        self.embeddings_regularizer = [keras.regularizers.get(one) for one in regularizers]

    @property
    def takes(self):
        """`"flat"`, or `("flat", "ids")` with a context."""
        return ("flat", "ids") if self.context else "flat"

    @property
    def gives(self):
        """The kind of tensor that the block outputs."""
        return "flat" if self.block is None else gives_of(self.block)

    @property
    def inner_layers(self):
        """The block, in which a model builder fills in attributes too."""
        return () if self.block is None else (self.block,)

    def build(self, input_shape):
        """Builds the tables, the layers of the gate and the block."""
        shape, _ = self._check(input_shape)
        self.tables, self.hidden, self.gate, self.logits = [], None, None, None
        if self.context:
            self._build_context(shape[-1])
        else:
            self.logits = self.add_weight(shape=(shape[-1],), initializer="zeros", name="logits")
        if self.block is not None and not self.block.built:
            self.block.build(shape)

    def call(self, inputs, training=None):
        """Gates the fields and applies the block."""
        fields, ids = inputs if self.context else (inputs, None)
        if ids is None:
            gate = self.logits
        else:
            pairs = zip(self.tables, self.context, strict=True)
            gate = ops.concatenate([table(ids[:, column]) for table, column in pairs], axis=-1)
            for layer in (self.hidden, self.gate):
                gate = gate if layer is None else layer(gate)
        wide = kops.wide(self.compute_dtype)  # a gate may exceed half precision even if h does not
        gated = 2 * ops.sigmoid(ops.cast(gate, wide)) * ops.cast(fields, wide)
        gated = ops.cast(gated, self.compute_dtype)
        return gated if self.block is None else self.block(gated)

    def compute_output_shape(self, input_shape):
        """Returns the shape of the fields, or the output shape of the block."""
        shape, _ = self._check(input_shape)
        return shape if self.block is None else self.block.compute_output_shape(shape)

    def work(self, input_shape) -> Work:
        """Counts `W` parameters without a context, otherwise its tables and `mlp(Σ dims; hidden, W)`."""
        shape, sizes = self._check(input_shape)
        width, inner = shape[-1], sum(self.context_dims)
        total = Work(0 if self.context else width, 0, 3 * width)
        if self.context:
            tables = sum(size * dim for size, dim in zip(sizes, self.context_dims, strict=True))
            total += table_work(tables, 2 * inner)
            if self.hidden_units:
                total += MLP(self.hidden_units).work((None, inner))
            total += dense_work(([inner, *self.hidden_units])[-1], width)
        return total if self.block is None else total + work_of(self.block, shape)

    def get_config(self):
        """Returns the constructor arguments."""
        block = self.block
        return {
            **super().get_config(),
            "block": None if block is None else keras.saving.serialize_keras_object(block),
            "context": self.context,
            "context_dims": self.context_dims,
            "hidden_units": self.hidden_units,
            "id_sizes": self.id_sizes,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "embeddings_initializer": [
                keras.initializers.serialize(one) for one in self.embeddings_initializer
            ],
            "embeddings_regularizer": [
                keras.regularizers.serialize(one) for one in self.embeddings_regularizer
            ],
        }

    @classmethod
    def from_config(cls, config):
        """Deserializes the block and creates the layer."""
        return cls(**{**config, "block": keras.saving.deserialize_keras_object(config["block"])})

    def _check(self, input_shape):
        """Returns the shape of the fields and the number of rows of each context table."""
        shapes = shapes_of(input_shape)
        if len(shapes) != 1 + bool(self.context):
            wanted = "a list of fields and ids" if self.context else "the fields alone"
            raise ValueError(f"`{self.name}` takes {wanted}. Received: input_shape={input_shape}")
        check_known_width(self, shapes[0])
        if not self.context:
            return shapes[0], ()
        sizes = required_argument(self, "id_sizes", "features")
        if shapes[1][-1] != len(sizes) or max(self.context) >= len(sizes):
            raise ValueError(
                f"`{self.name}` needs `id_sizes` for every id column, and `context` must index them. "
                f"Received: ids {shapes[1]}, {len(sizes)} sizes, context={self.context}"
            )
        return shapes[0], tuple(sizes[column] for column in self.context)

    def _build_context(self, width):
        sizes = [self.id_sizes[column] for column in self.context]  # pyright: ignore
        for index, (size, dim) in enumerate(zip(sizes, self.context_dims, strict=True)):
            table = keras.layers.Embedding(
                size,
                dim,
                fresh(self.embeddings_initializer[index], index),
                self.embeddings_regularizer[index],
                name=f"table_{index}",
                dtype=self.dtype_policy,
            )
            table.build((None,))
            self.tables.append(table)
        inner = sum(self.context_dims)
        if self.hidden_units:
            self.hidden = MLP(
                self.hidden_units,
                kernel_initializer=self.kernel_initializer,
                name="hidden",
                dtype=self.dtype_policy,
            )
            self.hidden.build((None, inner))
            inner = self.hidden_units[-1]
        self.gate = keras.layers.Dense(
            width, kernel_initializer="zeros", name="gate", dtype=self.dtype_policy
        )
        self.gate.build((None, inner))


def _each(name, given, context):
    """Returns one value per table; raises `ValueError` if a list has a different length."""
    if not isinstance(given, list | tuple):
        return [given] * len(context)
    if len(given) != len(context):
        raise ValueError(
            f"`{name}` must be a single value or a list with one per column of `context`. "
            f"Received: {len(given)} for context={context}"
        )
    return list(given)


def _check_context(context) -> tuple[int, ...]:
    good = isinstance(context, list | tuple) and len(set(context)) == len(context)
    if not good or any(type(column) is not int or column < 0 for column in context):
        raise ValueError(
            "`context` must be a list of distinct, non-negative positions in the ids. "
            f"Received: context={context!r}"
        )
    return tuple(context)
