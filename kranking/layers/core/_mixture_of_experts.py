"""Dense mixture of experts."""

from collections.abc import Sequence

import keras
from keras import ops

from kranking._core import (
    Shape,
    check_known_width,
    check_positive_int,
    check_positive_ints,
    fresh,
    serializable,
)
from kranking.layers._contract._work import Work, dense_work
from kranking.layers.core._gating import softmax_gates
from kranking.layers.core._stacked_mlp import StackedMLP


@serializable
class MixtureOfExperts(keras.layers.Layer):
    """Dense mixture of experts: a softmax gate weights the outputs of several MLPs.

    `y = Σ_e softmax(x G)_e · MLP_e(x)`, with a linear gate `G` without bias. Every expert runs for
    every example. DHEN uses such a mixture as a baseline and reports that its cost grows with the
    number of experts. That the gate is dense is inferred from this cost, since the paper that DHEN
    cites for it has a sparse gate.

    Args:
        units: Layer widths of each expert.
        num_experts: Number of experts.
        activation: Activation of the experts.
        kernel_initializer: Initializer of every kernel.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, width)`.
    Output shape: `(batch, units[-1])`.

    >>> layer = kr.layers.MixtureOfExperts(units=(8, 4), num_experts=3)
    >>> tuple(layer(np.ones((2, 6), "float32")).shape)
    (2, 4)

    Reference: [Zhang et al., 2022, table 3](https://arxiv.org/abs/2203.11014), after
        [Shazeer et al., 2017](https://arxiv.org/abs/1701.06538)
    """

    takes = "flat"
    gives = "flat"

    def __init__(
        self,
        units: Sequence[int],
        num_experts: int = 4,
        activation="relu",
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        units = check_positive_ints("units", units)
        check_positive_int("num_experts", num_experts)
        super().__init__(**kwargs)
        self.units = units
        self.num_experts = num_experts
        self.activation = keras.activations.get(activation)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape: Shape):
        """Builds the experts, stacked in one layer, and the gate."""
        width = check_known_width(self, input_shape)
        self.experts = self._experts()
        self.experts.build((None, width))
        self.gate = keras.layers.Dense(
            self.num_experts,
            use_bias=False,
            kernel_initializer=fresh(self.kernel_initializer, self.experts.num_kernels),
            name="gate",
            dtype=self.dtype_policy,
        )
        self.gate.build((None, width))
        self.input_spec = keras.layers.InputSpec(ndim=2, axes={-1: width})

    def call(self, inputs):
        """Computes the gated sum of all experts."""
        weights = ops.expand_dims(softmax_gates(self.gate(inputs)), 1)
        mixed = ops.matmul(weights, self.experts(inputs))  # (B, 1, E) (B, E, width)
        return ops.reshape(mixed, (-1, self.units[-1]))

    def compute_output_shape(self, input_shape: Shape):
        """Returns `(batch, units[-1])`."""
        return (input_shape[0], self.units[-1])

    def work(self, input_shape: Shape) -> Work:
        """Counts `E · P(mlp) + W · E` parameters and `2E · units[-1]` FLOPs for the sum."""
        width, count = check_known_width(self, input_shape), self.num_experts
        total = self._experts().work((None, width)) + dense_work(width, count, bias=False)
        return total + Work(0, 2 * count * self.units[-1], count + self.units[-1])

    def get_config(self):
        """Returns the constructor arguments."""
        return {
            **super().get_config(),
            "units": self.units,
            "num_experts": self.num_experts,
            "activation": keras.activations.serialize(self.activation),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }

    def _experts(self):
        return StackedMLP(
            self.num_experts,
            self.units,
            activation=self.activation,
            kernel_initializer=self.kernel_initializer,
            name="experts",
            dtype=self.dtype_policy,
        )
