"""Field gate of FINAL."""

import keras
from keras import ops

from kranking import ops as kops
from kranking._core import fresh, serializable
from kranking.layers._contract._tokens import check_tokens
from kranking.layers._contract._work import Work


@serializable
class FieldGate(keras.layers.Layer):
    """Field gate of FINAL: concatenates the fields and their products with linear gates.

    `G_f = Σ_g A_gf E_g + b_f` for every channel, and `Y = E ‖ E ⊙ G` along the token axis. As in
    the authors' code, `A = 0` and `b = 1` initially, so that the output is the fields twice. There
    is no sigmoid, so a gate may change a sign.

    Args:
        kernel_initializer: Initializer of `A`.
        bias_initializer: Initializer of `b`.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, tokens, dim)`.
    Output shape: `(batch, 2 · tokens, dim)`.

    >>> gate = kr.layers.FieldGate(kernel_initializer="ones")
    >>> keras.ops.convert_to_numpy(gate(np.array([[[1.0], [2.0]]])))[0, :, 0].tolist()  # G = 1 + 2 + 1
    [1.0, 2.0, 4.0, 8.0]

    Reference: [Zhu et al., 2023](https://doi.org/10.1145/3539618.3591988)
    """

    takes = "tokens"
    gives = "tokens"

    def __init__(self, kernel_initializer="zeros", bias_initializer="ones", **kwargs):
        super().__init__(**kwargs)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.bias_initializer = keras.initializers.get(bias_initializer)

    def build(self, input_shape):
        """Creates the kernel, `(tokens, tokens)`, and the bias, one per token."""
        tokens, _ = check_tokens(self, input_shape)
        self.kernel = self.add_weight(
            shape=(tokens, tokens), initializer=fresh(self.kernel_initializer), name="kernel"
        )
        self.bias = self.add_weight(
            shape=(tokens,), initializer=fresh(self.bias_initializer, 1), name="bias"
        )
        self.input_spec = keras.layers.InputSpec(ndim=3, axes={1: tokens})

    def call(self, inputs):
        """Concatenates the fields and the gated fields."""
        wide = kops.wide(self.compute_dtype)  # gated fields are of degree two
        values, kernel, bias = (ops.cast(x, wide) for x in (inputs, self.kernel, self.bias))
        gates = ops.matmul(ops.transpose(values, (0, 2, 1)), kernel) + bias  # (B, D, F)
        gated = values * ops.transpose(gates, (0, 2, 1))
        return ops.cast(ops.concatenate([values, gated], axis=1), self.compute_dtype)

    def compute_output_shape(self, input_shape):
        """Returns `(batch, 2 · tokens, dim)`."""
        tokens, dim = check_tokens(self, input_shape)
        return (input_shape[0], 2 * tokens, dim)

    def work(self, input_shape) -> Work:
        """Counts `F² + F` parameters and `2F²D` FLOPs."""
        tokens, dim = check_tokens(self, input_shape)
        return Work(tokens**2 + tokens, 2 * tokens**2 * dim, 3 * tokens * dim)

    def get_config(self):
        """Returns the constructor arguments."""
        return {
            **super().get_config(),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
        }
