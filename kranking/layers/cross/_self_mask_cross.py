"""Base class of the cross networks of SDCNv3: a projection to half the width with a self-mask."""

import keras
from keras import ops

from kranking import ops as kops
from kranking._core import Shape, check_known_width, check_number, check_positive_int
from kranking.layers._contract._work import Work, dense_work, rows
from kranking.layers.cross._cross_steps import CrossSteps

_LEAST_WIDTH = 4  # The mask normalizes half of it, and normalizing one value gives a constant.


class SelfMaskCross(CrossSteps):
    """Base class: `x[l+1] = dropout(m ⊙ (c ‖ c ⊙ mask + b[l]) + x[l])`, where `m` is `x[0]` or `x[l]`."""

    def __init__(
        self,
        depth: int = 3,
        dropout: float = 0.0,
        layer_norm: bool = True,
        epsilon: float = 1e-5,
        seed: int | None = None,
        kernel_initializer="glorot_uniform",
        bias_initializer="zeros",
        **kwargs,
    ):
        check_number("dropout", dropout, low=0.0, high=0.999)
        check_number("epsilon", epsilon, low=0.0)
        check_positive_int("seed", seed, optional=True, minimum=0)
        super().__init__(depth, kernel_initializer, bias_initializer, **kwargs)
        self.dropout = dropout
        self.layer_norm = bool(layer_norm)
        self.epsilon = epsilon
        self.seed = seed

    def build(self, input_shape: Shape):
        """Creates a kernel, a bias, a norm and a dropout per step."""
        width = self._check(input_shape)
        masked = width // 2
        self.kernels, self.biases, self.norms, self.dropouts = [], [], [], []
        for step in range(self.depth):
            shape = (width, width - masked)
            self.kernels.append(self._add_kernel(shape, f"kernel_{step}", step))
            self.biases.append(self._add_bias(width, step))
            if self.layer_norm:
                norm = keras.layers.LayerNormalization(
                    epsilon=self.epsilon, name=f"norm_{step}", dtype=self._wide
                )
                norm.build((*input_shape[:-1], masked))
                self.norms.append(norm)
            if self.dropout:
                self.dropouts.append(self._dropout(step))
        self.input_spec = keras.layers.InputSpec(min_ndim=2, axes={-1: width})

    def call(self, inputs, training=None):
        """Applies `depth` cross steps; Keras passes `training` to dropout."""
        first = outputs = ops.cast(inputs, self._wide)
        for step, bias in enumerate(self.biases):
            factor = self._factor(outputs, step) + ops.cast(bias, self._wide)
            outputs = self._multiplied(first, outputs) * factor + outputs
            if self.dropouts:
                outputs = self.dropouts[step](outputs)
        return ops.cast(outputs, self.compute_dtype)

    def work(self, input_shape: Shape) -> Work:
        """Counts `depth · (W²/2 + 2W)` parameters and `depth · W²` FLOPs per vector of even width."""
        width, count = self._check(input_shape), rows(input_shape)
        masked = width // 2
        step = dense_work(width, width - masked, count, bias=False)
        step += Work(width + 2 * masked * self.layer_norm)
        # The norm, the mask, both concatenated halves, the output of the step, and its dropout.
        kept = masked * self.layer_norm + masked + 2 * width + width * bool(self.dropout)
        total = Work()
        for _ in range(self.depth):
            total += step + Work(saved_elements=kept * count)
        return total

    def get_config(self):
        """Returns the constructor arguments."""
        return {
            **super().get_config(),
            "dropout": self.dropout,
            "layer_norm": self.layer_norm,
            "epsilon": self.epsilon,
            "seed": self.seed,
        }

    @property
    def _wide(self) -> str:
        # Dropout and norms too: they sit between sums that grow with the degree.
        return kops.wide(self.compute_dtype)

    def _multiplied(self, first, current):
        """Returns the factor `m` of a step: the first input or the current one."""
        raise NotImplementedError

    def _factor(self, current, step):
        """Returns `c ‖ c ⊙ mask`; for an odd width, the last column of `c` has no mask."""
        kernel = self.kernels[step]
        # In float32 too: the degree doubles with each step, so that values overflow half precision.
        half = ops.matmul(ops.cast(current, self._wide), ops.cast(kernel, self._wide))
        masked = half[..., : current.shape[-1] // 2]
        mask = ops.relu(self.norms[step](masked) if self.layer_norm else masked)
        return ops.concatenate([half, masked * mask], axis=-1)

    def _check(self, input_shape) -> int:
        width = check_known_width(self, input_shape)
        if width < _LEAST_WIDTH:
            raise ValueError(
                f"`{self.name}` masks half of its input and needs a width of at least {_LEAST_WIDTH}. "
                f"Received: input_shape={tuple(input_shape)}"
            )
        return width

    def _dropout(self, step):
        seed = None if self.seed is None else self.seed + step
        return keras.layers.Dropout(
            self.dropout, seed=seed, name=f"dropout_{step}", dtype=self._wide
        )
