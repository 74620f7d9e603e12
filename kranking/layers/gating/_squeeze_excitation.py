"""Squeeze and excitation over fields: FiBiNET's SENET layer."""

import keras
from keras import ops

from kranking import ops as kops
from kranking._core import check_number, fresh, serializable
from kranking.layers._contract._tokens import check_tokens
from kranking.layers._contract._work import Work, work_of_chain


@serializable
class SqueezeExcitation(keras.layers.Layer):
    """Multiplies each field by a gate that is computed from the means of all fields.

    `z_f = (1/D) Σ_d E_fd` (squeeze), `a = σ₂(σ₁(z W₁) W₂)` (excitation) and `V_f = a_f E_f`. `W₁` maps
    the F means to `max(1, ⌊F/r⌋)` values and `W₂` maps them back to F; neither has a bias. With ReLU as
    `σ₂`, as in the paper, a gate of 0 removes its field from the row.

    Args:
        reduction_ratio: Ratio `r`, 1 or more.
        activation: Activation `σ₁` of the reduced values.
        gate_activation: Activation `σ₂` of the gates. `"sigmoid"` bounds them.
        kernel_initializer: Initializer of both kernels.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, tokens, dim)`.
    Output shape: the input shape.

    >>> layer = kr.layers.SqueezeExcitation(kernel_initializer="ones")
    >>> fields = np.array([[[1.0, 3.0], [4.0, 0.0]]], "float32")  # means of 2 and 2: gates of 4
    >>> keras.ops.convert_to_numpy(layer(fields)).tolist()
    [[[4.0, 12.0], [16.0, 0.0]]]

    Reference: [Huang et al., 2019, SENET layer](https://arxiv.org/abs/1905.09433)
    """

    takes = "tokens"
    gives = "tokens"

    def __init__(
        self,
        reduction_ratio: float = 3,
        activation="relu",
        gate_activation="relu",
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        check_number("reduction_ratio", reduction_ratio, low=1.0)
        super().__init__(**kwargs)
        self.reduction_ratio = reduction_ratio
        self.activation = keras.activations.get(activation)
        self.gate_activation = keras.activations.get(gate_activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        """Builds both dense layers."""
        tokens, _ = check_tokens(self, input_shape)
        self.reduction, self.excitation = self._dense_layers(tokens)
        self.reduction.build((None, tokens))
        self.excitation.build((None, self.reduction.units))
        self.input_spec = keras.layers.InputSpec(ndim=3, axes={1: tokens})

    def call(self, inputs):
        """Computes the gates and multiplies the fields by them."""
        wide = kops.wide(self.compute_dtype)  # a sum over channels may leave half precision
        values = ops.cast(inputs, wide)
        gates = self.excitation(self.reduction(ops.mean(values, axis=-1)))
        outputs = values * ops.expand_dims(ops.cast(gates, wide), -1)
        return ops.cast(outputs, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        """Returns the input shape."""
        check_tokens(self, input_shape)
        return tuple(input_shape)

    def work(self, input_shape) -> Work:
        """Counts `2FR` parameters and `4FR` FLOPs, where R is the number of reduced values."""
        tokens, dim = check_tokens(self, input_shape)
        gates = work_of_chain(self._dense_layers(tokens), (None, tokens))
        return gates + Work(saved_elements=tokens * (dim + 1))  # the means and the output

    def get_config(self):
        """Returns the constructor arguments."""
        return {
            **super().get_config(),
            "reduction_ratio": self.reduction_ratio,
            "activation": keras.activations.serialize(self.activation),
            "gate_activation": keras.activations.serialize(self.gate_activation),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }

    def _dense_layers(self, tokens):
        """Returns both dense layers, not built yet."""
        reduced = max(1, int(tokens / self.reduction_ratio))
        sizes = [
            ("reduction", reduced, self.activation),
            ("excitation", tokens, self.gate_activation),
        ]
        return [
            keras.layers.Dense(
                units,
                activation=activation,
                use_bias=False,
                kernel_initializer=fresh(self.kernel_initializer, index),
                name=name,
                dtype=self.dtype_policy,
            )
            for index, (name, units, activation) in enumerate(sizes)
        ]
