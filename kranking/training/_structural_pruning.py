"""Structural pruning of DeepLight: embeddings, hidden kernels and field pairs, during training."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from kranking._core import check_number, check_positive_int
from kranking.layers import MLP, FieldWeightedFactorizationMachine
from kranking.models import RankingModel
from kranking.training._layers_in import layers_in

# Base of the schedule: after each `decay_steps`, 0.99 of the remaining distance to the target is left.
_BASE = 0.99


class StructuralPruning(keras.callbacks.Callback):
    """Sets a growing fraction of the smallest weights of a `RankingModel` to 0 during training.

    After `k` steps beyond the warm-up, the fraction

        S(k) = sparsity · (1 − 0.99^(k / decay_steps))

    of the entries of each of these groups, those smallest in magnitude, is set to 0:

    - each kernel of an `MLP`, and of a `keras.layers.Dense` named `"linear"` (vectors per field of FwFM);
    - all embedding tables together, times `embedding_ratio`. One threshold applies to all, so a table
      with short rows loses a larger fraction;
    - the pair weights `r` of a `FieldWeightedFactorizationMachine`, times `pair_ratio`.

    Output kernels, biases, norms and first-order weights per value are not pruned. Masks are not kept: a
    weight may grow again between two prunings, so only the last one is final. At S = 0.9, the
    `embedding_ratio` of the reference, 0.444, prunes 40 % of the tables.

    It prunes every `interval` steps, before a validation in `fit`, and at the end of each epoch: place it
    *before* the callbacks that read or save the weights. An `EarlyStopping` that restores an earlier epoch
    also restores its lower sparsity. The schedule depends on the epoch number, so a training resumed by
    `BackupAndRestore` or `initial_epoch` continues the schedule. The weights remain dense arrays: files
    compress better, but only a runtime with sparse kernels is faster.

    Args:
        sparsity: Limit of the schedule. `S` is within 0.1 % of it at `k = 700 · decay_steps`.
        warmup_epochs: Number of epochs before the first pruning.
        embedding_ratio: Ratio of the sparsity of the tables to that of the kernels.
        pair_ratio: Ratio of the sparsity of the pair weights to that of the kernels.
        interval: Steps between two prunings.
        decay_steps: Time scale of the schedule. The default suits 100,000 steps, as on Criteo.

    >>> pruning = kr.training.StructuralPruning(sparsity=0.9)
    >>> [round(pruning.sparsity_at(step), 3) for step in (0, 100, 10_000, 100_000)]
    [0.0, 0.009, 0.571, 0.9]

    Reference: [Deng et al., 2021](https://arxiv.org/abs/2002.06987)
    """

    def __init__(
        self,
        sparsity: float = 0.9,
        warmup_epochs: int = 2,
        embedding_ratio: float = 0.444,
        pair_ratio: float = 1.0,
        interval: int = 10,
        decay_steps: float = 100.0,
    ):
        check_number("sparsity", sparsity, low=0.0, high=1.0)
        check_positive_int("warmup_epochs", warmup_epochs, minimum=0)
        for name, ratio in (("embedding_ratio", embedding_ratio), ("pair_ratio", pair_ratio)):
            check_number(name, ratio, low=0.0)
            if sparsity * ratio > 1.0:
                raise ValueError(
                    f"`{name}` times `sparsity` must be at most 1. "
                    f"Received: {name}={ratio}, sparsity={sparsity}"
                )
        check_positive_int("interval", interval)
        check_number("decay_steps", decay_steps, low=1e-6)
        super().__init__()
        self.sparsity = sparsity
        self.warmup_epochs = warmup_epochs
        self.embedding_ratio = embedding_ratio
        self.pair_ratio = pair_ratio
        self.interval = interval
        self.decay_steps = decay_steps
        self.step = 0
        self._epoch: int | None = None
        self._next_epoch: int | None = None
        self._pruned_at = 0

    def sparsity_at(self, step: int) -> float:
        """Returns `S(step)`, the fraction of zeros in a hidden kernel after `step` steps."""
        return self.sparsity * (1.0 - _BASE ** (step / self.decay_steps))

    def report(self) -> dict[str, float]:
        """Returns the current fraction of zeros, measured on the weights.

        The keys are `"model"` for all trainable weights, `"embeddings"` for all tables, and the path of
        each pruned kernel and pair weight.
        """
        groups = {name: weights for name, weights, _ in _groups(self.model, 1.0, 1.0)}
        self._synchronize()
        return {
            name: sum(int(np.sum(a == 0)) for a in arrays) / max(1, sum(a.size for a in arrays))
            for name, weights in {"model": self.model.trainable_weights, **groups}.items()
            if (arrays := [_array(weight) for weight in weights])
        }

    def on_train_begin(self, logs=None):
        self._groups = _groups(self.model, self.embedding_ratio, self.pair_ratio)
        self._next_epoch = None

    def on_epoch_begin(self, epoch, logs=None):
        if epoch != self._next_epoch:  # a training begins or is resumed
            self.step = max(0, epoch - self.warmup_epochs) * self._steps_per_epoch(epoch)
            self._pruned_at = self.step
        self._epoch, self._next_epoch = epoch, epoch + 1
        self._batches = 0

    def on_train_batch_end(self, batch, logs=None):
        if self._epoch is None or self._epoch < self.warmup_epochs:
            return
        done = batch + 1 - self._batches  # several, with `steps_per_execution`
        self._batches = batch + 1
        due = (self.step + done) // self.interval > self.step // self.interval
        self.step += done
        if due:
            self._prune()

    def on_test_begin(self, logs=None):
        # The validation in `fit` runs before the end of the epoch; it should see the pruned weights.
        if self._epoch is not None:
            self._prune()

    def on_epoch_end(self, epoch, logs=None):
        self._prune()
        self._epoch = None
        if logs is not None:
            logs["sparsity"] = self.sparsity_at(self.step)

    def _steps_per_epoch(self, epoch: int) -> int:
        steps = (self.params or {}).get("steps")
        if steps or not epoch:
            return steps or 0
        # The length of the stream is unknown; the restored optimizer has counted the steps.
        return int(keras.ops.convert_to_numpy(self.model.optimizer.iterations.value)) // epoch

    def _prune(self) -> None:
        if self.step == self._pruned_at:
            return
        self._pruned_at = self.step
        self._synchronize()
        for _, weights, ratio in self._groups:
            zero_smallest(weights, self.sparsity_at(self.step) * ratio)

    def _synchronize(self) -> None:
        """Copies the weights from the state of `fit` on JAX into the variables."""
        if hasattr(self.model, "jax_state_sync"):
            self.model.jax_state_sync()


def zero_smallest(weights: Sequence[Any], share: float) -> None:
    """Sets exactly the given share of the entries of all variables, smallest in magnitude, to 0."""
    arrays = [_array(weight) for weight in weights]
    sizes = np.concatenate([np.abs(array).ravel() for array in arrays])
    count = round(share * sizes.size)
    if not count:
        return
    kept = np.ones(sizes.size, bool)
    # By index rather than by threshold, which would remove all entries equal to it.
    kept[np.argpartition(sizes, count - 1)[:count]] = False
    parts = np.split(kept, np.cumsum([array.size for array in arrays])[:-1])
    for weight, array, part in zip(weights, arrays, parts, strict=True):
        if not part.all():
            weight.assign(np.where(part.reshape(array.shape), array, np.zeros_like(array)))


def _groups(
    model: Any, embedding_ratio: float, pair_ratio: float
) -> list[tuple[str, list[Any], float]]:
    """Returns the groups to prune: name, variables with one threshold, and ratio to S(k)."""
    if not isinstance(model, RankingModel):
        raise ValueError(
            "`StructuralPruning` requires a kranking.RankingModel. "
            f"Received: a model of class {type(model).__name__!r}"
        )
    groups = []
    if model.encoder.tables:
        groups.append(("embeddings", list(model.encoder.tables), embedding_ratio))
    for layer in layers_in(model.stack):
        if isinstance(layer, FieldWeightedFactorizationMachine):
            groups.append((layer.pair_weights.path, [layer.pair_weights], pair_ratio))
        elif isinstance(layer, MLP):
            denses = [step for step in layer.steps if isinstance(step, keras.layers.Dense)]
            groups += [(dense.kernel.path, [dense.kernel], 1.0) for dense in denses]
        elif isinstance(layer, keras.layers.Dense) and layer.name == "linear":
            groups.append((layer.kernel.path, [layer.kernel], 1.0))
    return groups


def _array(weight: Any) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(weight.value))
