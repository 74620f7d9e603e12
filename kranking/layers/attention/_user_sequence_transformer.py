"""Transformer over a user's recent actions (TransAct)."""

import keras
from keras import ops

from kranking import ops as kops
from kranking._core import check_known_width, check_number, check_positive_int, serializable
from kranking.layers._contract._shapes import shapes_of
from kranking.layers._contract._work import Work, dense_work
from kranking.layers.attention._transformer_encoder_layer import TransformerEncoderLayer


@serializable
class UserSequenceTransformer(keras.layers.Layer):
    """Encodes a user's recent actions with a Transformer and pools them to one vector (TransAct).

    The actions are ordered newest first. `O = encoder(S)` in `num_layers` post-norm layers without
    positional encoding, then `z = dense(max over valid s of O_s) ‖ O_0 ‖ … ‖ O_{first_k - 1}`.
    Invalid positions are masked out, and their output is 0. Position 0 is always treated as valid,
    so that the output is finite for a user without actions.

    In training with a `time_window`, each call draws `T ~ U(0, time_window)` seconds, the same for
    the whole batch, and masks actions younger than `T`, so that the model does not rely only on the
    last few minutes. At inference only actions from the future (`age < 0`) are masked.

    Args:
        num_layers: Number of encoder layers.
        num_heads: Number of attention heads; divides the tokens' dim.
        feedforward_dim: Hidden width of each layer's feed-forward network.
        dropout: Dropout rate.
        first_k: Number of newest positions concatenated with the maximum; at most the length.
        time_window: Largest random window in seconds; 86,400 in the paper. 0 ignores the ages.
        seed: Seed of the time windows and of the dropout layers.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: a list of tokens `(batch, length, dim)`, a mask `(batch, length)`, true where there
        is an action, and, with a `time_window`, ages `(batch, length)`: seconds from the action to
        the request.
    Output shape: `(batch, (first_k + 1) · dim)`.

    >>> layer = kr.layers.UserSequenceTransformer(first_k=2)
    >>> tuple(layer([np.ones((3, 5, 8), "float32"), np.ones((3, 5), "bool")]).shape)
    (3, 24)

    Reference: [Xia et al., 2023](https://arxiv.org/abs/2306.00248)
    """

    takes = "tokens"
    gives = "flat"

    def __init__(
        self,
        num_layers: int = 2,
        num_heads: int = 1,
        feedforward_dim: int = 32,
        dropout: float = 0.1,
        first_k: int = 10,
        time_window: float = 0.0,
        seed: int | None = None,
        **kwargs,
    ):
        check_positive_int("num_layers", num_layers)
        check_positive_int("first_k", first_k, minimum=0)
        check_number("time_window", time_window, low=0.0)
        # Without autocast: ages in seconds do not fit in half precision.
        super().__init__(autocast=False, **kwargs)
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.feedforward_dim = feedforward_dim
        self.dropout = dropout
        self.first_k = first_k
        self.time_window = time_window
        self.seed = seed
        self.encoders = [self._encoder(index) for index in range(num_layers)]
        self.seed_generator = keras.random.SeedGenerator(seed) if time_window else None

    def build(self, input_shape):
        """Builds every encoder layer and the projection of the maximum."""
        shapes = self._check(input_shape)
        dim = shapes[0][-1]
        for encoder in self.encoders:
            encoder.build(shapes[:2])
        self.pooled = keras.layers.Dense(dim, name="pooled", dtype=self.dtype_policy)
        self.pooled.build((None, dim))

    def call(self, inputs, training=None):
        """Encodes the valid actions and pools them."""
        tokens = ops.cast(inputs[0], self.compute_dtype)
        valid = self._valid(inputs, training)
        for encoder in self.encoders:
            tokens = encoder([tokens, valid])
        pooled = self.pooled(kops.masked_max(tokens, valid, axis=1))
        if not self.first_k:
            return pooled
        newest = tokens[:, : self.first_k]
        newest = ops.where(ops.expand_dims(valid[:, : self.first_k], -1), newest, 0.0)
        newest = ops.reshape(newest, (-1, self.first_k * tokens.shape[-1]))
        return ops.concatenate([pooled, ops.cast(newest, pooled.dtype)], axis=-1)

    def compute_output_shape(self, input_shape):
        """Returns `(batch, (first_k + 1) · dim)`."""
        shape = shapes_of(input_shape)[0]
        return (shape[0], (self.first_k + 1) * shape[-1])

    def work(self, input_shape) -> Work:
        """Sums the encoder layers' work and the projection's `d² + d` parameters."""
        shapes = self._check(input_shape)
        dim = shapes[0][-1]
        total = dense_work(dim, dim) + Work(saved_elements=dim + (self.first_k + 1) * dim)
        return sum((encoder.work(shapes[:2]) for encoder in self.encoders), total)

    def get_config(self):
        """Returns the constructor arguments."""
        return {
            **super().get_config(),
            "num_layers": self.num_layers,
            "num_heads": self.num_heads,
            "feedforward_dim": self.feedforward_dim,
            "dropout": self.dropout,
            "first_k": self.first_k,
            "time_window": self.time_window,
            "seed": self.seed,
        }

    def _encoder(self, index):
        return TransformerEncoderLayer(
            num_heads=self.num_heads,
            feedforward_dim=self.feedforward_dim,
            dropout=self.dropout,
            norm_first=False,
            # Each layer has four dropout layers; the time window uses the seed itself.
            seed=None if self.seed is None else self.seed + 1 + 4 * index,
            name=f"encoder_{index}",
            dtype=self.dtype_policy,
        )

    def _check(self, input_shape):
        """Returns the shapes of the inputs; raises `ValueError` unless they are valid."""
        shapes = shapes_of(input_shape)
        needed = 3 if self.time_window else 2
        if not needed <= len(shapes) <= 3:
            what = "tokens, mask and age" if self.time_window else "tokens and mask"
            raise ValueError(
                f"`{self.name}` takes a list of {what} with time_window={self.time_window}. "
                f"Received: input_shape={shapes}"
            )
        check_known_width(self, shapes[0])
        length = shapes[0][1]
        if length is None or length < self.first_k:
            raise ValueError(
                f"`first_k` must be at most the sequence's length, {length}. "
                f"Received: first_k={self.first_k}"
            )
        return shapes

    def _valid(self, inputs, training):
        """Returns the mask of the positions to attend to, (batch, length)."""
        valid = ops.cast(inputs[1], "bool")
        if self.time_window:
            youngest = 0.0
            if training:
                youngest = keras.random.uniform(
                    (), 0.0, self.time_window, dtype="float32", seed=self.seed_generator
                )
            valid = ops.logical_and(valid, ops.cast(inputs[2], "float32") >= youngest)
        first = ops.arange(valid.shape[1]) == 0
        return ops.logical_or(valid, ops.expand_dims(first, 0))
