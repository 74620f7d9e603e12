"""Interacting layer (AutoInt)."""

import keras
from keras import ops

from kranking import ops as kops
from kranking._core import (
    Shape,
    check_choice,
    check_number,
    check_positive_int,
    fresh,
    serializable,
)
from kranking.layers._contract._tokens import check_tokens
from kranking.layers._contract._work import Work, dense_work

RESIDUALS = ("projection", "identity", "none")
LAYER_NORMS = ("none", "before", "after")
_EPSILON = 1e-5


@serializable
class InteractingLayer(keras.layers.Layer):
    """Multi-head self-attention over fields with a residual projection and ReLU (AutoInt).

    `Q, K, V = X W_Q, X W_K, X W_V` for each head; `Y = relu(‖_heads softmax(Q Kᵀ / √a) V + X W_R)`,
    where `a` is `head_dim`. There is no output projection, no feed-forward network and no
    positional encoding, so a permutation of the fields permutes the output. AutoInt is a stack of
    these layers.

    Implementations of AutoInt differ. The projections of the paper are linear; the authors' later
    code uses `projection_activation="relu", layer_norm="after"`. FuxiCTR, whose `attention_dim` is
    `num_heads · head_dim`, uses `residual="identity", use_scale=False`, and offers
    `layer_norm="before"`. Whether the paper scales the scores is unverified; without scaling, large
    heads saturate the softmax.

    Args:
        num_heads: Number of attention heads.
        head_dim: Width `a` of each head; the output dim is `num_heads · head_dim`.
        use_scale: Whether to divide the scores by `√a`.
        residual: `"projection"` adds `X W_R`; `"identity"` adds `X` if the output has the same dim,
            otherwise `X W_R`; `"none"` adds nothing.
        layer_norm: `"before"` or `"after"` the ReLU, or `"none"`.
        dropout: Fraction of attention weights dropped in training.
        projection_activation: Activation of all projections. If set, the projections have a bias.
        kernel_initializer: Initializer of every kernel.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, fields, dim)`.
    Output shape: `(batch, fields, num_heads · head_dim)`.

    >>> layer = kr.layers.InteractingLayer(num_heads=2, head_dim=8)
    >>> tuple(layer(np.ones((2, 5, 4), "float32")).shape)
    (2, 5, 16)

    Reference: [Song et al., 2019, equations 5 to 8](https://arxiv.org/abs/1810.11921)
    """

    takes = "tokens"
    gives = "tokens"

    def __init__(
        self,
        num_heads: int = 2,
        head_dim: int = 16,
        use_scale: bool = True,
        residual: str = "projection",
        layer_norm: str = "none",
        dropout: float = 0.0,
        projection_activation=None,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        check_positive_int("num_heads", num_heads)
        check_positive_int("head_dim", head_dim)
        check_choice("residual", residual, RESIDUALS)
        check_choice("layer_norm", layer_norm, LAYER_NORMS)
        check_number("dropout", dropout, low=0.0, high=0.999)
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.head_dim = head_dim
        self.use_scale = bool(use_scale)
        self.residual = residual
        self.layer_norm = layer_norm
        self.dropout = dropout
        self.projection_activation = keras.activations.get(projection_activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape: Shape):
        """Builds the projections and the norm."""
        fields, dim = check_tokens(self, input_shape)
        self.projections = {}
        for index, name in enumerate(self._names(dim)):
            self.projections[name] = keras.layers.Dense(
                self._width,
                activation=self.projection_activation,
                use_bias=self._has_bias,
                kernel_initializer=fresh(self.kernel_initializer, index),
                name=name,
                dtype=self.dtype_policy,
            )
            self.projections[name].build((None, fields, dim))
        self.drop = keras.layers.Dropout(self.dropout, name="drop", dtype=self.dtype_policy)
        self.norm = None
        if self.layer_norm != "none":
            self.norm = keras.layers.LayerNormalization(
                epsilon=_EPSILON, name="norm", dtype=self.dtype_policy
            )
            self.norm.build((None, fields, self._width))
        self.input_spec = keras.layers.InputSpec(ndim=3, axes={1: fields, 2: dim})

    def call(self, inputs, training=None):
        """Computes attention, the residual and the ReLU."""
        outputs = self._attend(inputs)
        if "residual" in self.projections:
            outputs = outputs + self.projections["residual"](inputs)
        elif self.residual != "none":
            outputs = outputs + inputs
        if self.norm is not None and self.layer_norm == "before":
            outputs = self.norm(outputs)
        outputs = ops.relu(outputs)
        return self.norm(outputs) if self.norm and self.layer_norm == "after" else outputs

    def compute_output_shape(self, input_shape: Shape):
        """Returns `(batch, fields, num_heads · head_dim)`."""
        fields, _ = check_tokens(self, input_shape)
        return (input_shape[0], fields, self._width)

    def work(self, input_shape: Shape) -> Work:
        """Counts `4·d·A` parameters and `8·F·d·A + 4·F²·A` FLOPs, `A = num_heads · head_dim`."""
        fields, dim = check_tokens(self, input_shape)
        made = fields * self._width
        # Attention weights, their product with the values, the rectified sum.
        total = Work(0, 4 * fields * made, self.num_heads * fields**2 + 2 * made)
        for _ in self._names(dim):
            total += dense_work(dim, self._width, fields, self._has_bias)
        if self.layer_norm != "none":
            total += Work(2 * self._width, 0, made)
        return total

    def get_config(self):
        """Returns the constructor arguments."""
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "head_dim": self.head_dim,
            "use_scale": self.use_scale,
            "residual": self.residual,
            "layer_norm": self.layer_norm,
            "dropout": self.dropout,
            "projection_activation": keras.activations.serialize(self.projection_activation),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }

    @property
    def _width(self):
        return self.num_heads * self.head_dim

    @property
    def _has_bias(self):
        return self.projection_activation is not keras.activations.linear

    def _names(self, dim):
        """Returns the names of the projections; an identity residual has none."""
        same = self.residual == "identity" and dim == self._width
        without = same or self.residual == "none"
        return ("query", "key", "value") + (() if without else ("residual",))

    def _attend(self, inputs):
        query, key, value = (
            self._heads(self.projections[name](inputs)) for name in ("query", "key", "value")
        )
        if self.use_scale:
            query = query * self.head_dim**-0.5
        scores = ops.matmul(query, ops.transpose(key, (0, 1, 3, 2)))  # (B, heads, F, F)
        weights = ops.softmax(ops.cast(scores, kops.wide(self.compute_dtype)), axis=-1)
        context = ops.matmul(self.drop(ops.cast(weights, self.compute_dtype)), value)
        context = ops.transpose(context, (0, 2, 1, 3))
        return ops.reshape(context, (-1, inputs.shape[1], self._width))

    def _heads(self, values):
        """Splits (batch, fields, A) into (batch, heads, fields, A / heads)."""
        values = ops.reshape(values, (-1, values.shape[1], self.num_heads, self.head_dim))
        return ops.transpose(values, (0, 2, 1, 3))
