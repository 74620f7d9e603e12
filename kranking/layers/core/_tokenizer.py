"""Projection of fields of different widths to tokens of equal width."""

from collections.abc import Sequence

import keras
from keras import ops

from kranking._core import check_positive_int, check_positive_ints, fresh, serializable
from kranking.layers._contract._work import Work, dense_work
from kranking.layers.core._concatenate import check_fields
from kranking.layers.core._mlp import MLP

KINDS = ("field", "numeric", "sequence")


@serializable
class Tokenizer(keras.layers.Layer):
    """Projects fields of different widths to tokens of equal width.

    `t_f = e_f A_f + b_f` for each field. All numeric fields are concatenated and projected to C =
    `num_numeric_tokens` tokens, and each pooled sequence is projected to U = `num_sequence_tokens`
    tokens. The tokens are ordered fields, numeric fields, sequences, independent of the order of
    the inputs.

    Args:
        dim: Width of every token.
        kinds: Kind of each input, in order: `"field"`, `"numeric"` or `"sequence"`. `None` lets
            `RankingModel` fill it in; required if the layer is used on its own.
        num_numeric_tokens: Number of tokens C for all numeric fields together.
        num_sequence_tokens: Number of tokens U for each sequence.
        numeric_units: Hidden widths of an MLP that maps all numeric fields to one token instead, as
            in DHEN. Its last projection, to `dim`, has no activation.
        kernel_initializer: Initializer of every kernel.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: a list of fields `(batch, d_i)`, one per entry of `kinds`.
    Output shape: `(batch, S + C + sequences · U, dim)`.

    >>> layer = kr.layers.Tokenizer(8, ("field", "numeric", "numeric", "field"))
    >>> widths = (16, 1, 1, 4)
    >>> tuple(layer([np.ones((2, width), "float32") for width in widths]).shape)
    (2, 6, 8)

    Reference: Malreddy et al., CIKM 2024, section 5.3.1
    """

    takes = "fields"
    gives = "tokens"

    def __init__(
        self,
        dim: int,
        kinds: Sequence[str] | None = None,
        num_numeric_tokens: int = 4,
        num_sequence_tokens: int = 4,
        numeric_units: Sequence[int] | None = None,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        good = isinstance(kinds, list | tuple) and len(kinds) > 0
        if kinds is not None and (not good or any(kind not in KINDS for kind in kinds)):
            raise ValueError(
                f"`kinds` must be a list of {list(KINDS)}, one per input. Received: kinds={kinds!r}"
            )
        check_positive_int("dim", dim)
        check_positive_int("num_numeric_tokens", num_numeric_tokens)
        check_positive_int("num_sequence_tokens", num_sequence_tokens)
        if numeric_units is not None:
            numeric_units = check_positive_ints("numeric_units", numeric_units)
        super().__init__(**kwargs)
        self.kinds = None if kinds is None else tuple(kinds)
        self.dim = dim
        self.num_numeric_tokens = num_numeric_tokens
        self.num_sequence_tokens = num_sequence_tokens
        self.numeric_units = numeric_units
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        """Builds the projections of every group of inputs."""
        groups = self._groups(input_shape)
        self.chains = [self._chain(index, group) for index, group in enumerate(groups)]
        for chain, (_, _, width) in zip(self.chains, groups, strict=True):
            for layer in chain:
                layer.build((None, width))
                width = layer.units if isinstance(layer.units, int) else layer.units[-1]

    def call(self, inputs, training=None):
        """Projects the fields and stacks their tokens."""
        shapes = [tuple(value.shape) for value in inputs]
        outputs = []
        for chain, (members, count, _) in zip(self.chains, self._groups(shapes), strict=True):
            values = [inputs[member] for member in members]
            value = values[0] if len(values) == 1 else ops.concatenate(values, axis=-1)
            for layer in chain:
                value = layer(value)
            outputs.append(ops.reshape(value, (-1, count, self.dim)))
        return outputs[0] if len(outputs) == 1 else ops.concatenate(outputs, axis=1)

    def compute_output_shape(self, input_shape):
        """Returns `(batch, tokens, dim)`."""
        groups = self._groups(input_shape)
        return (input_shape[0][0], sum(count for _, count, _ in groups), self.dim)

    def work(self, input_shape) -> Work:
        """Counts `Σ (d_f·d + d) + n·C·d + C·d + s·U·d + U·d` parameters."""
        groups = self._groups(input_shape)
        total = Work(saved_elements=sum(count for _, count, _ in groups) * self.dim)
        for members, count, width in groups:
            if self.numeric_units and self._are_numeric(members):
                total += MLP(self.numeric_units).work((None, width))
                width = self.numeric_units[-1]
            total += dense_work(width, count * self.dim)
        return total

    def get_config(self):
        """Returns the constructor arguments."""
        return {
            **super().get_config(),
            "dim": self.dim,
            "kinds": self.kinds,
            "num_numeric_tokens": self.num_numeric_tokens,
            "num_sequence_tokens": self.num_sequence_tokens,
            "numeric_units": self.numeric_units,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }

    def _groups(self, input_shape):
        """Returns (inputs, number of tokens, width) of each projection, in the order of the tokens."""
        shapes = check_fields(self, input_shape)
        if self.kinds is None:
            raise ValueError(
                f"`{self.name}` needs `kinds`; a `RankingModel` fills it in from its features. "
                "Received: kinds=None"
            )
        if len(shapes) != len(self.kinds):
            raise ValueError(
                f"`{self.name}` needs one input per entry of `kinds`, {len(self.kinds)}. "
                f"Received: input_shape={shapes}"
            )
        of_kind = {
            kind: [i for i, given in enumerate(self.kinds) if given == kind] for kind in KINDS
        }
        numerics = of_kind["numeric"]
        groups = [([i], 1, shapes[i][-1]) for i in of_kind["field"]]
        if numerics:
            count = 1 if self.numeric_units else self.num_numeric_tokens
            groups.append((numerics, count, sum(shapes[i][-1] for i in numerics)))
        sequences = [([i], self.num_sequence_tokens, shapes[i][-1]) for i in of_kind["sequence"]]
        return groups + sequences

    def _are_numeric(self, members):
        return self.kinds is not None and self.kinds[members[0]] == "numeric"

    def _chain(self, index, group):
        """Returns the layers that project one group of inputs."""
        members, count, _ = group
        shared = {"dtype": self.dtype_policy}
        chain = []
        if self.numeric_units and self._are_numeric(members):
            offset = 1000 * (index + 1)  # distinct from the seeds of the projections
            initializer = fresh(self.kernel_initializer, offset)
            chain.append(
                MLP(self.numeric_units, kernel_initializer=initializer, name="mlp", **shared)
            )
        initializer = fresh(self.kernel_initializer, index)
        chain.append(
            keras.layers.Dense(
                count * self.dim,
                kernel_initializer=initializer,
                name=f"projection_{index}",
                **shared,
            )
        )
        return chain
