"""Feature interaction of DLRM."""

from collections.abc import Sequence

import keras
from keras import ops

from kranking._core import (
    check_choice,
    check_known_width,
    check_positive_ints,
    fresh,
    serializable,
)
from kranking.layers._contract._shapes import shapes_of
from kranking.layers._contract._tokens import check_tokens
from kranking.layers._contract._work import Work
from kranking.layers.core._mlp import MLP
from kranking.layers.dot._dot_interaction import DotInteraction

INTERACTIONS = ("dot", "cat")


@serializable
class DLRMInteraction(keras.layers.Layer):
    """Feature interaction of DLRM: pairwise dot products of the embeddings and a bottom MLP's output.

    `d₀ = MLP(numeric)`, which has the dim of the embeddings, `T = [d₀; E]`, and
    `y = d₀ ‖ (⟨T_i, T_j⟩ for i > j)`, with the pairs row by row as in `DotInteraction`. Both orders
    are those of the authors' code; other implementations put `d₀` last.

    Args:
        bottom_units: Hidden widths of the bottom MLP. A last layer with the dim of the embeddings
            is added.
        interaction_op: `"dot"`, or `"cat"` for `y = d₀ ‖ E₁ ‖ … ‖ E_n`.
        self_interaction: Whether to include `⟨T_i, T_i⟩`, at the end of each row.
        activation: Activation of every layer of the MLP, including the last.
        kernel_initializer: Initializer of the kernels of the MLP.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: a list of numeric features `(batch, n)` and embeddings `(batch, tokens, dim)`.
    Output shape: `(batch, dim + t(t − 1) / 2)` with `t = tokens + 1`; with `self_interaction`,
        `(batch, dim + t(t + 1) / 2)`; for `"cat"`, `(batch, t · dim)`.

    >>> layer = kr.layers.DLRMInteraction(bottom_units=[8])
    >>> tuple(layer([np.ones((2, 5), "float32"), np.ones((2, 3, 4), "float32")]).shape)
    (2, 10)

    Reference: [Naumov et al., 2019](https://arxiv.org/abs/1906.00091)
    """

    takes = ("numeric", "embeddings")
    gives = "flat"

    def __init__(
        self,
        bottom_units: Sequence[int] = (512, 256),
        interaction_op: str = "dot",
        self_interaction: bool = False,
        activation="relu",
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        bottom_units = check_positive_ints("bottom_units", bottom_units, empty=True)
        check_choice("interaction_op", interaction_op, INTERACTIONS)
        super().__init__(**kwargs)
        self.bottom_units = bottom_units
        self.interaction_op = interaction_op
        self.self_interaction = bool(self_interaction)
        self.activation = keras.activations.get(activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        """Builds the MLP and the products."""
        numbers, (_, tokens, dim) = self._split(input_shape)
        self.bottom = self._bottom(dim)
        self.bottom.build(numbers)
        self.dots = None
        if self.interaction_op == "dot":
            self.dots = self._dots()
            self.dots.build((None, tokens + 1, dim))

    def call(self, inputs, training=None):
        """Embeds the numeric features and computes their interactions with the embeddings."""
        numbers, embeddings = inputs
        first = self.bottom(numbers)
        tokens, dim = embeddings.shape[1:]
        if self.dots is None:
            rest = ops.reshape(embeddings, (-1, tokens * dim))
        else:
            rest = self.dots(ops.concatenate([ops.expand_dims(first, 1), embeddings], axis=1))
        return ops.concatenate([first, rest], axis=-1)

    def compute_output_shape(self, input_shape):
        """Returns `(batch, width)`."""
        _, (batch, tokens, dim) = self._split(input_shape)
        if self.interaction_op == "cat":
            return (batch, (tokens + 1) * dim)
        return (batch, dim + self._dots().compute_output_shape((batch, tokens + 1, dim))[1])

    def work(self, input_shape) -> Work:
        """Counts the work of the MLP and `2(n + 1)²D` FLOPs of the products."""
        numbers, (batch, tokens, dim) = self._split(input_shape)
        total = self._bottom(dim).work(numbers)
        if self.interaction_op == "dot":
            total += self._dots().work((batch, tokens + 1, dim))
            total += Work(saved_elements=(tokens + 1) * dim)
        return total + Work(saved_elements=self.compute_output_shape(input_shape)[1])

    def get_config(self):
        """Returns the constructor arguments."""
        return {
            **super().get_config(),
            "bottom_units": self.bottom_units,
            "interaction_op": self.interaction_op,
            "self_interaction": self.self_interaction,
            "activation": keras.activations.serialize(self.activation),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }

    def _split(self, input_shape):
        """Returns the shapes of the numeric features and of the embeddings."""
        shapes = shapes_of(input_shape)
        if len(shapes) != 2 or len(shapes[0]) != 2:
            raise ValueError(
                f"`{self.name}` takes numeric features (batch, n) and embeddings (batch, tokens, dim). "
                f"Received: input_shape={shapes}"
            )
        check_known_width(self, shapes[0])
        check_tokens(self, shapes[1])
        return shapes

    def _bottom(self, dim):
        return MLP(
            (*self.bottom_units, dim),
            activation=self.activation,
            kernel_initializer=fresh(self.kernel_initializer),
            name="bottom",
            dtype=self.dtype_policy,
        )

    def _dots(self):
        return DotInteraction(self.self_interaction, name="dots", dtype=self.dtype_policy)
