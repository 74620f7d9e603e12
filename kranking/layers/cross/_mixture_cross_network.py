"""Cross network of DCN-Mix: a mixture of low-rank experts."""

from functools import partial

import keras
from keras import ops

from kranking import ops as kops
from kranking._core import (
    Shape,
    check_choice,
    check_known_width,
    check_positive_int,
    fresh,
    serializable,
)
from kranking.layers._contract._work import Work, dense_work, rows
from kranking.layers.cross._cross_steps import CrossSteps

GATES = ("softmax", "sigmoid")
_KERNELS_PER_EXPERT = 3


@serializable
class MixtureCrossNetwork(CrossSteps):
    """Cross network of DCN-Mix: a gated mixture of low-rank cross experts per step.

    Step `l` computes
    `x[l+1] = Σ_k G_k(x[l]) (x[0] ⊙ (U[l,k] · g(C[l,k] · g(V[l,k]ᵀ x[l])) + b[l])) + x[l]` with `V`
    and `U` of shape `(width, rank)`, `C` of shape `(rank, rank)` and gates `G(x) = softmax(x W)` or
    `sigmoid(x W)`, without bias. The gates are applied to the low-rank vectors of the experts, so
    that all experts share one product with the concatenated `U` and one with `x[0]`. The bias is
    scaled by the sum of the gates, which is 1 for `"softmax"`. Products and sums are computed in
    float32 under mixed precision.

    Args:
        depth: Number of cross steps.
        num_experts: Number of experts per step. A single expert has no gate with `"softmax"`, where
            it would always be 1.
        rank: Rank of every expert.
        inner_activation: Activation function `g`, applied before and after `C`; `None` for linear.
        gate: `"softmax"` or `"sigmoid"`.
        gate_per_layer: Whether each step has its own gates. Public implementations share one `W`
            among all steps; the paper does not specify it.
        kernel_initializer: Initializer of every kernel, drawn separately for each expert.
        bias_initializer: Initializer of every bias.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, ..., width)`, where all axes except the batch are known at build time.
    Output shape: the input shape.

    >>> layer = kr.layers.MixtureCrossNetwork(depth=2, num_experts=2, rank=4)
    >>> tuple(layer(np.ones((8, 16), "float32")).shape)
    (8, 16)

    Reference: [Wang et al., 2021, equations 3 and 4](https://arxiv.org/abs/2008.13535)
    """

    def __init__(
        self,
        depth: int = 2,
        num_experts: int = 4,
        rank: int = 32,
        inner_activation="tanh",
        gate: str = "softmax",
        gate_per_layer: bool = False,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        **kwargs,
    ):
        check_positive_int("num_experts", num_experts)
        check_positive_int("rank", rank)
        check_choice("gate", gate, GATES)
        super().__init__(depth, kernel_initializer, bias_initializer, **kwargs)
        self.num_experts = num_experts
        self.rank = rank
        self.inner_activation = keras.activations.get(inner_activation)
        self.gate = gate
        self.gate_per_layer = bool(gate_per_layer)

    def build(self, input_shape: Shape):
        """Creates the concatenated kernels of the experts, a bias per step, and the gates."""
        width = check_known_width(self, input_shape)
        rows(input_shape)  # raises unless all axes except the batch are known
        self.downs, self.cores, self.ups, self.biases = [], [], [], []
        for step in range(self.depth):
            self._add_experts(step, width)
            self.biases.append(self._add_bias(width, step))
        first = self.depth * self.num_experts * _KERNELS_PER_EXPERT
        self.gates = [
            self.add_weight(
                shape=(width, self.num_experts),
                initializer=fresh(self.kernel_initializer, first + index),
                name=f"gate_{index}",
            )
            for index in range(self._num_gates())
        ]
        self.input_spec = keras.layers.InputSpec(min_ndim=2, axes={-1: width})

    def call(self, inputs):
        """Applies `depth` cross steps."""
        wide = kops.wide(self.compute_dtype)
        # Flatten to (n, width).
        first = outputs = ops.cast(ops.reshape(inputs, (-1, inputs.shape[-1])), wide)
        for step in range(self.depth):
            current = ops.cast(outputs, self.compute_dtype)
            gates = self._gates_of(current, step, wide)
            bias = ops.cast(self.biases[step], wide)
            if gates is not None and self.gate == "sigmoid":
                bias = bias * ops.sum(gates, axis=-1, keepdims=True)
            projected = ops.cast(self._experts(current, gates, step), wide)
            outputs = first * (projected + bias) + outputs
        outputs = ops.cast(outputs, self.compute_dtype)
        return ops.reshape(outputs, (-1, *inputs.shape[1:]))

    def work(self, input_shape: Shape) -> Work:
        """Counts `L(K(2Wr + r²) + W) + WK` parameters and `L(K(4Wr + 2r²) + 2WK)` FLOPs per vector.

        The last `WK` parameters count once per step with `gate_per_layer`; without gates, both `WK`
        terms vanish.
        """
        width, count = check_known_width(self, input_shape), rows(input_shape)
        inner, gated = self.num_experts * self.rank, self._num_gates() > 0
        step = dense_work(width, inner, count, bias=False) + dense_work(inner, width, count)
        step += Work(inner * self.rank, 2 * inner * self.rank * count, inner * count)
        # The output of the step; the gates and the vectors that they scale; the activations.
        step += Work(saved_elements=width * count)
        if gated:
            step += Work(
                0, 2 * width * self.num_experts * count, (self.num_experts + inner) * count
            )
        if self.inner_activation is not keras.activations.linear:
            step += Work(saved_elements=2 * inner * count)
        total = Work(parameters=self._num_gates() * width * self.num_experts)
        for _ in range(self.depth):
            total += step
        return total

    def get_config(self):
        """Returns the constructor arguments."""
        return {
            **super().get_config(),
            "num_experts": self.num_experts,
            "rank": self.rank,
            "inner_activation": keras.activations.serialize(self.inner_activation),
            "gate": self.gate,
            "gate_per_layer": self.gate_per_layer,
        }

    def _num_gates(self) -> int:
        if self.gate == "softmax" and self.num_experts == 1:
            return 0
        return self.depth if self.gate_per_layer else 1

    def _gates_of(self, current, step, wide):
        """Returns the gates of the experts (n, experts), or `None` if there are none."""
        if not self.gates:
            return None
        kernel = self.gates[step if self.gate_per_layer else 0]
        scores = ops.cast(ops.matmul(current, kernel), wide)
        return ops.softmax(scores, axis=-1) if self.gate == "softmax" else ops.sigmoid(scores)

    def _experts(self, current, gates, step):
        """Returns the gated sum of the expert outputs, without bias: (n, width)."""
        inner = self.inner_activation(ops.matmul(current, self.downs[step]))
        inner = ops.reshape(inner, (-1, self.num_experts, self.rank))
        core = ops.cast(self.cores[step], self.compute_dtype)
        inner = self.inner_activation(ops.einsum("nkr,krs->nks", inner, core))
        if gates is not None:
            inner = inner * ops.cast(ops.expand_dims(gates, -1), self.compute_dtype)
        return ops.matmul(ops.reshape(inner, (-1, self.num_experts * self.rank)), self.ups[step])

    def _add_experts(self, step, width):
        """Adds the expert kernels of one step."""
        count, rank, beside = self.num_experts, self.rank, partial(ops.concatenate, axis=1)
        first = step * count * _KERNELS_PER_EXPERT
        for offset, (kind, kernels, shape, joined, join) in enumerate(
            [
                ("down", self.downs, (width, rank), (width, count * rank), beside),
                ("core", self.cores, (rank, rank), (count, rank, rank), ops.stack),
                ("up", self.ups, (rank, width), (count * rank, width), ops.concatenate),
            ]
        ):
            name = f"{kind}_{step}"
            kernels.append(self._add_kernels(name, first + offset, shape, joined, join))

    def _add_kernels(self, name, first, shape, joined, join):
        """Adds one weight that concatenates a kernel of `shape` per expert."""
        draws = [
            fresh(self.kernel_initializer, first + expert * _KERNELS_PER_EXPERT)
            for expert in range(self.num_experts)
        ]

        def initialize(_, dtype=None):
            # One by one: the fan-in of the concatenated shape differs from that of an expert.
            return join([draw(shape, dtype=dtype) for draw in draws])

        return self.add_weight(shape=joined, initializer=initialize, name=name)
