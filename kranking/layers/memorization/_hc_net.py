"""HCNet of MemoNet: a hashed codebook shared by pairs of values."""

from typing import Any

import keras
import numpy as np
from keras import ops

from kranking import ops as kops
from kranking._core import check_choice, check_positive_int, fresh, serializable
from kranking.layers._contract._shapes import shapes_of
from kranking.layers._contract._tokens import check_tokens
from kranking.layers._contract._work import Work, dense_work, table_work

RESTORES = ("linear", "attentive")


@serializable
class HCNet(keras.layers.Layer):
    """HCNet of MemoNet: memorizes a vector per pair of values in a shared codebook with several hashes.

    For each pair of fields i < j, m = `num_hashes` hashes of `(i, x_i, j, x_j)` select codewords
    from one codebook, and `v_ij = (‖_h codeword_h) A`. Attentive restoring multiplies the codewords
    by `W₂ relu(W₁ [E_i ‖ E_j])` first. Then the pairs of each field are summed,
    `V_i = Σ_(j≠i) a_ij v_ij`, with `a = W₂' relu(W₁' vec(E))`. There are no biases.

    The output is `V` only; MemoNet uses `E ‖ V`. The hash is `kranking.ops.hash_pairs` instead of
    the string hash of the authors' code, so codebooks are not interchangeable with it.

    Args:
        num_codewords: Number of rows of the codebook, n.
        codeword_dim: Width of a codeword, l. `None` uses the dim of the embeddings.
        num_hashes: Number of codewords per pair, m.
        restore: `"linear"` or `"attentive"`, LMR and AMR in the paper.
        codebook_initializer: Initializer of the codebook.
        kernel_initializer: Initializer of every kernel.
        **kwargs: Keyword arguments of `keras.layers.Layer`.

    Input shape: a list of non-negative int32 ids `(batch, fields)` and the embeddings of the same
        fields `(batch, fields, dim)`.
    Output shape: `(batch, fields · dim)`.

    >>> layer = kr.layers.HCNet(num_codewords=1000)
    >>> ids = np.array([[1, 0, 7], [1, 4, 7]], "int32")
    >>> tuple(layer([ids, np.ones((2, 3, 4), "float32")]).shape)
    (2, 12)

    Reference: [Zhang and Zhang, 2023](https://arxiv.org/abs/2211.01334)
    """

    takes = ("ids", "categorical")
    gives = "flat"

    def __init__(
        self,
        num_codewords: int = 100_000,
        codeword_dim: int | None = None,
        num_hashes: int = 2,
        restore: str = "linear",
        codebook_initializer="uniform",
        kernel_initializer="glorot_uniform",
        **kwargs,
    ):
        check_positive_int("num_codewords", num_codewords)
        check_positive_int("codeword_dim", codeword_dim, optional=True)
        check_positive_int("num_hashes", num_hashes)
        check_choice("restore", restore, RESTORES)
        super().__init__(**kwargs)
        self.num_codewords = num_codewords
        self.codeword_dim = codeword_dim
        self.num_hashes = num_hashes
        self.restore = restore
        self.codebook_initializer = keras.initializers.get(codebook_initializer)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        """Creates the codebook, the kernels and the indices of the pairs."""
        fields, dim = self._split(input_shape)
        self._left, self._right, self._pairs_of = _pairs(fields)
        count = len(self._left)
        self._salts = np.arange(count * self.num_hashes, dtype="int32").reshape(count, -1)
        codebook = self.add_weight(
            shape=(self.num_codewords, self._codeword_dim(dim)),
            initializer=fresh(self.codebook_initializer),
            name="codebook",
            autocast=False,  # casting only the looked-up rows is cheaper
        )
        self.codebook = kops.embedding_table(codebook)
        self.kernels = {}
        for index, (name, (inputs, units, _)) in enumerate(self._sizes(fields, dim).items()):
            self.kernels[name] = keras.layers.Dense(
                units,
                use_bias=False,
                activation="relu" if name.endswith("hidden") else None,
                kernel_initializer=fresh(self.kernel_initializer, index),
                name=name,
                dtype=self.dtype_policy,
            )
            self.kernels[name].build((None, inputs))

    def call(self, inputs):
        """Looks up and restores the memory of all pairs, and sums it per field."""
        ids, embeddings = inputs
        fields, dim = embeddings.shape[1:]
        memory = self._memory(ids)
        if self.restore == "attentive":
            sides = (ops.take(embeddings, side, axis=1) for side in (self._left, self._right))
            hidden = self.kernels["attention_hidden"](ops.concatenate([*sides], axis=-1))
            memory = memory * self.kernels["attention"](hidden)
        pairs = self.kernels["restoration"](memory)  # (B, P, d)
        flat = ops.reshape(embeddings, (-1, fields * dim))
        weights = self.kernels["gate"](self.kernels["gate_hidden"](flat))  # (B, P)
        wide = kops.wide(self.compute_dtype)
        pairs = ops.cast(pairs, wide) * ops.expand_dims(ops.cast(weights, wide), -1)
        pairs = ops.reshape(ops.take(pairs, self._pairs_of, axis=1), (-1, fields, fields - 1, dim))
        outputs = ops.reshape(ops.sum(pairs, axis=2), (-1, fields * dim))
        return ops.cast(outputs, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        """Returns `(batch, fields · dim)`."""
        fields, dim = self._split(input_shape)
        return (shapes_of(input_shape)[1][0], fields * dim)

    def work(self, input_shape) -> Work:
        """Counts `n·l + m·l·d + (Fd)² + Fd·P` parameters, plus `4d² + 2d·m·l` for attentive restoring.

        With P pairs, `P·2ml·d + 2(Fd)² + 2Fd·P` FLOPs, plus `P(8d² + 4d·ml)` for attentive
        restoring.
        """
        fields, dim = self._split(input_shape)
        pairs = fields * (fields - 1) // 2
        codewords = pairs * self.num_hashes * self._codeword_dim(dim)
        # The codewords; the weighted pairs, once and again per field (twice as many); the output.
        kept = codewords + 3 * pairs * dim + fields * dim
        if self.restore == "attentive":
            kept += codewords + 2 * pairs * dim  # their product with the attention, [E_i ‖ E_j]
        total = table_work(self.num_codewords * self._codeword_dim(dim), kept)
        for inputs, units, count in self._sizes(fields, dim).values():
            total += dense_work(inputs, units, count, bias=False)
        return total

    def get_config(self):
        """Returns the constructor arguments."""
        return {
            **super().get_config(),
            "num_codewords": self.num_codewords,
            "codeword_dim": self.codeword_dim,
            "num_hashes": self.num_hashes,
            "restore": self.restore,
            "codebook_initializer": keras.initializers.serialize(self.codebook_initializer),
            "kernel_initializer": keras.initializers.serialize(self.kernel_initializer),
        }

    def _split(self, input_shape):
        """Returns the number of fields and their dim."""
        shapes = shapes_of(input_shape)
        if len(shapes) != 2 or shapes[0][1:] != shapes[1][1:2]:
            raise ValueError(
                f"`{self.name}` takes ids (batch, fields) and embeddings (batch, fields, dim). "
                f"Received: input_shape={shapes}"
            )
        fields, dim = check_tokens(self, shapes[1])
        if fields < 2:
            raise ValueError(
                f"`{self.name}` needs at least two fields, since it reads pairs. "
                f"Received: input_shape={shapes}"
            )
        return fields, dim

    def _codeword_dim(self, dim):
        return self.codeword_dim or dim

    def _sizes(self, fields, dim) -> dict[str, Any]:
        """Returns (inputs, units, vectors per row) of each kernel."""
        pairs, flat = fields * (fields - 1) // 2, fields * dim
        memory = self.num_hashes * self._codeword_dim(dim)
        sizes = {
            "restoration": (memory, dim, pairs),
            "gate_hidden": (flat, flat, 1),
            "gate": (flat, pairs, 1),
        }
        if self.restore == "attentive":
            sizes["attention_hidden"] = (2 * dim, 2 * dim, pairs)
            sizes["attention"] = (2 * dim, memory, pairs)
        return sizes

    def _memory(self, ids):
        """Returns the concatenated codewords of each pair, (B, P, m · l)."""
        left, right = (
            ops.expand_dims(ops.take(ids, side, axis=1), -1) for side in (self._left, self._right)
        )
        rows = kops.hash_pairs(left, right, self._salts, self.num_codewords)  # (B, P, m)
        codewords = ops.cast(kops.take_rows(self.codebook, rows), self.compute_dtype)
        return ops.reshape(
            codewords, (-1, len(self._left), codewords.shape[2] * codewords.shape[3])
        )


def _pairs(fields: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the two fields of each pair i < j, and the pair indices of each field, concatenated."""
    left, right = (side.astype("int32") for side in np.triu_indices(fields, 1))
    pairs_of = [np.flatnonzero((left == field) | (right == field)) for field in range(fields)]
    return left, right, np.concatenate(pairs_of).astype("int32")
