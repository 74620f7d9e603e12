"""Second-order term of a field-weighted factorization machine."""

import keras
import numpy as np
from keras import ops

from kranking import ops as kops
from kranking._core import Shape, check_positive_int, serializable
from kranking.layers._contract._open_arguments import required_argument
from kranking.layers._contract._work import Work
from kranking.layers.factorization._factorization_machine import tokens_shape


@serializable
class FieldWeightedFactorizationMachine(keras.layers.Layer):
    """Second-order term of a field-weighted factorization machine (FwFM).

    `y_t = Σ_{i<j} r_ijt ⟨E_i, E_j⟩`, one vector of `F(F−1)/2` weights per task, in the order (0,
    1), (0, 2), …, (1, 2), …. All dot products are computed as one matrix product `E Eᵀ`, which all
    tasks share. With weights of 1 the layer equals `FactorizationMachine`. The first-order term and
    the bias are separate layers: `LinearTerm`, or a `keras.layers.Dense` on the flat fields.

    Args:
        num_tasks: Number of outputs. `None` lets `RankingModel` fill it in; required if the layer
            is used on its own.
        initializer: Initializer of the weights `r`, of shape `(pairs, tasks)`. The standard
            deviation of the default decreases with the number of pairs, so that the initial sum has
            the magnitude of a single product.
        regularizer: Regularizer of the weights.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: `(batch, fields, dim)`, at least two fields.
    Output shape: `(batch, num_tasks)`.
    Raises: `ValueError` at build time unless the input has at least two fields of known width.

    >>> fields = np.array([[[1.0, 2.0], [3.0, 4.0]]], "float32")
    >>> layer = kr.layers.FieldWeightedFactorizationMachine(num_tasks=1, initializer="ones")
    >>> keras.ops.convert_to_numpy(layer(fields)).tolist()
    [[11.0]]

    Reference: [Pan et al., 2018](https://arxiv.org/abs/1806.03514)
    """

    takes = "tokens"
    gives = "flat"

    def __init__(
        self, num_tasks: int | None = None, initializer="glorot_normal", regularizer=None, **kwargs
    ):
        check_positive_int("num_tasks", num_tasks, optional=True)
        super().__init__(**kwargs)
        self.num_tasks = num_tasks
        self.initializer = keras.initializers.get(initializer)
        self.regularizer = keras.regularizers.get(regularizer)

    def build(self, input_shape: Shape):
        """Creates one weight per pair of fields and task."""
        fields, dim, tasks = self._sizes(input_shape)
        left, right = np.triu_indices(fields, 1)
        self.pair_weights = self.add_weight(
            shape=(len(left), tasks),
            initializer=self.initializer,
            regularizer=self.regularizer,
            name="pair_weights",
        )
        # Index of the weight of each entry of the square pair matrix; masked on and below the diagonal.
        self._place = np.zeros((fields, fields), "int32")
        self._place[left, right] = np.arange(len(left))
        self._above = np.triu(np.ones((fields, fields), "float32"), 1)
        self.input_spec = keras.layers.InputSpec(ndim=3, axes={1: fields, 2: dim})

    def call(self, inputs):
        """Computes the weighted sum of all pairwise dot products."""
        wide = kops.wide(self.compute_dtype)  # products of embeddings easily exceed half precision
        fields = ops.cast(inputs, wide)
        size = self._place.size
        # Expanding the weights costs nothing per row; selecting the pairs would need a gather.
        spread = ops.cast(ops.take(self.pair_weights, self._place.reshape(-1), axis=0), wide)
        spread = spread * ops.cast(self._above.reshape(-1, 1), wide)  # (fields², tasks)
        gram = ops.matmul(fields, ops.transpose(fields, (0, 2, 1)))  # (batch, fields, fields)
        outputs = ops.matmul(ops.reshape(gram, (-1, size)), spread)
        return ops.cast(outputs, self.compute_dtype)

    def compute_output_shape(self, input_shape: Shape):
        """Returns `(batch, num_tasks)`."""
        return (input_shape[0], self._sizes(input_shape)[2])

    def work(self, input_shape: Shape) -> Work:
        """Counts `T · F(F−1)/2` parameters and `2F²D + 2F²T` FLOPs."""
        fields, dim, tasks = self._sizes(input_shape)
        return Work(
            tasks * fields * (fields - 1) // 2, 2 * fields**2 * (dim + tasks), fields**2 + tasks
        )

    def get_config(self):
        """Returns the constructor arguments."""
        return {
            **super().get_config(),
            "num_tasks": self.num_tasks,
            "initializer": keras.initializers.serialize(self.initializer),
            "regularizer": keras.regularizers.serialize(self.regularizer),
        }

    def _sizes(self, input_shape):
        """Returns the number of fields, their width and the number of tasks."""
        fields, dim = tokens_shape(self, input_shape)
        if fields < 2:
            raise ValueError(
                f"`{self.name}` weights pairs of fields and needs at least two fields. "
                f"Received: input_shape={tuple(input_shape)}"
            )
        return fields, dim, required_argument(self, "num_tasks", "tasks")
