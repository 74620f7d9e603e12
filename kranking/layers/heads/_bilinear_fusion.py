"""Bilinear fusion of FinalMLP."""

from collections.abc import Sequence

import keras
from keras import ops

from kranking import ops as kops
from kranking._core import (
    check_known_width,
    check_positive_int,
    check_positive_ints,
    fresh,
    serializable,
)
from kranking.layers._contract._open_arguments import required_argument
from kranking.layers._contract._shapes import shapes_of
from kranking.layers._contract._work import Work, dense_work


@serializable
class BilinearFusion(keras.layers.Layer):
    """Bilinear fusion of FinalMLP: logits from two vectors and their pairwise products.

    `z_t = b_t + o₁ w₁ₜ + o₂ w₂ₜ + Σ_j o₁ⱼ W_tj o₂ⱼᵀ`: both vectors are split into `num_heads`
    parts, and part `j` of one is multiplied by part `j` of the other. Each task has its own
    weights. One head is the full bilinear form; `k` heads have `1/k` of its weights.

    Args:
        num_tasks: Number of tasks, T. `None` lets `RankingModel` fill it in; required if the layer
            is used on its own.
        num_heads: Number of parts, k; divides both widths.
        widths: Widths `(d₁, d₂)` if the two vectors are concatenated in one input. `None` splits it
            in halves.
        kernel_initializer: Initializer of every kernel, drawn separately for each task. The fan-in
            of the bilinear kernel is the number of products in a logit, `d₁ d₂ / k`.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, d₁ + d₂)`, or a list of `(batch, d₁)` and `(batch, d₂)`.
    Output shape: `(batch, num_tasks)`, logits.
    Raises: `ValueError` at build time if `num_heads` does not divide both widths.

    >>> layer = kr.layers.BilinearFusion(num_tasks=1, num_heads=2, widths=(4, 2))
    >>> tuple(layer(np.ones((3, 6), "float32")).shape), layer.count_params()
    ((3, 1), 11)

    Reference: [Mao et al., 2023, interaction aggregation](https://arxiv.org/abs/2304.00902)
    """

    takes = "flat"
    gives = "flat"

    def __init__(
        self,
        num_tasks: int | None = None,
        num_heads: int = 1,
        widths: Sequence[int] | None = None,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        check_positive_int("num_tasks", num_tasks, optional=True)
        check_positive_int("num_heads", num_heads)
        if widths is not None:
            widths = check_positive_ints("widths", widths)
            if len(widths) != 2:
                raise ValueError(f"`widths` must have two entries. Received: widths={widths}")
        super().__init__(**kwargs)
        self.num_tasks = num_tasks
        self.num_heads = num_heads
        self.widths = widths
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        """Creates the linear and the bilinear kernels."""
        (first, second), tasks = self._check(input_shape)
        self.linear = [self._dense(index, tasks) for index in range(2)]
        self.linear[0].build((None, first))
        self.linear[1].build((None, second))
        heads, rows, columns = self.num_heads, first // self.num_heads, second // self.num_heads

        def initialize(shape, dtype=None):
            # The fan-in of a logit is the number of products that it sums. With the fan-in of one
            # head's matrix, the initial logits of two wide streams would be far from 0.
            flat = (heads * rows * columns, 1)
            draws = [fresh(self.kernel_initializer, 2 + task) for task in range(tasks)]
            kernels = [draw(flat, dtype=dtype) for draw in draws]
            kernels = ops.reshape(ops.stack(kernels), (tasks, heads, rows, columns))
            return ops.reshape(ops.transpose(kernels, (1, 2, 0, 3)), shape)

        # The kernels of all tasks are concatenated per head, so that all tasks share one product.
        shape = (heads, rows, tasks * columns)
        self.kernel = self.add_weight(shape=shape, initializer=initialize, name="kernel")

    def call(self, inputs):
        """Adds the linear and the bilinear terms."""
        (width, _), tasks = self._check(_shape_of(inputs))
        joined = not isinstance(inputs, list | tuple)
        first, second = (inputs[:, :width], inputs[:, width:]) if joined else inputs
        wide = kops.wide(self.compute_dtype)
        logits = ops.cast(self.linear[0](first) + self.linear[1](second), wide)
        projected = ops.cast(self._project(first, tasks), wide)
        products = ops.matmul(projected, ops.expand_dims(ops.cast(second, wide), -1))
        return ops.cast(logits + ops.squeeze(products, -1), self.compute_dtype)

    def compute_output_shape(self, input_shape):
        """Returns `(batch, num_tasks)`."""
        return (shapes_of(input_shape)[0][0], self._check(input_shape)[1])

    def work(self, input_shape) -> Work:
        """Counts `T(d₁ + d₂ + 1 + d₁d₂/k)` parameters, `T(2(d₁ + d₂) + 2d₁d₂/k + 2d₂)` FLOPs."""
        (first, second), tasks = self._check(input_shape)
        kernel = tasks * first * second // self.num_heads
        linear = dense_work(first, tasks) + dense_work(second, tasks, bias=False)
        return linear + Work(kernel, 2 * (kernel + tasks * second), tasks * (second + 2))

    def get_config(self):
        """Returns the constructor arguments."""
        return {
            **super().get_config(),
            "num_tasks": self.num_tasks,
            "num_heads": self.num_heads,
            "widths": self.widths,
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }

    def _check(self, input_shape) -> tuple[tuple[int, int], int]:
        """Returns the widths of the two vectors and the number of tasks."""
        sizes = [check_known_width(self, shape) for shape in shapes_of(input_shape)]
        halves = [sizes[0] // 2] * 2 if self.widths is None else list(self.widths)
        widths = halves if len(sizes) == 1 else sizes
        if len(widths) != 2 or sum(widths) != sum(sizes) or self.widths not in (None, (*widths,)):
            raise ValueError(
                f"`{self.name}` takes two vectors, or their concatenation; pass `widths` unless both have "
                f"the same width. Received: input_shape={input_shape}, widths={self.widths}"
            )
        if any(width % self.num_heads for width in widths):
            raise ValueError(
                f"`num_heads` must divide the widths of both vectors, {tuple(widths)}. "
                f"Received: num_heads={self.num_heads}"
            )
        return (widths[0], widths[1]), required_argument(self, "num_tasks", "tasks")

    def _project(self, first, tasks):
        """Returns `o₁ⱼ W_tj` of all heads, concatenated to `(batch, tasks, d₂)`."""
        heads, rows, columns = self.kernel.shape
        first = ops.transpose(ops.reshape(first, (-1, heads, rows)), (1, 0, 2))
        products = ops.matmul(first, self.kernel)  # (heads, batch, tasks · d₂ / heads)
        products = ops.reshape(products, (heads, -1, tasks, columns // tasks))
        products = ops.transpose(products, (1, 2, 0, 3))
        return ops.reshape(products, (-1, tasks, heads * columns // tasks))

    def _dense(self, index, tasks):
        return keras.layers.Dense(
            tasks,
            use_bias=index == 0,
            kernel_initializer=fresh(self.kernel_initializer, index),
            name=f"linear_{index}",
            dtype=self.dtype_policy,
        )


def _shape_of(inputs):
    many = isinstance(inputs, list | tuple)
    return [tuple(i.shape) for i in inputs] if many else tuple(inputs.shape)
