"""Datasets of the user whose batches are encoded and checked like arrays."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import keras

from kranking.features import Task
from kranking.models._checked_tensors import with_checked_labels

Check = Callable[[Any], Any]


def is_dataset(x: Any) -> bool:
    """Whether `x` yields batches, rather than being rows in memory or in files."""
    kinds = ("element_spec", "epoch_batches", "batch_sampler")  # TensorFlow, a reader, PyTorch
    batches = isinstance(x, keras.utils.PyDataset | Iterator) or any(hasattr(x, k) for k in kinds)
    return batches and not isinstance(x, Mapping)


def checked_batches(x: Any, check: "CheckBatch") -> Any:
    """Returns a dataset of the same kind that applies `check` to each of its batches on the host.

    Readers are returned as they are, since they encode and check their rows themselves. Of datasets of
    TensorFlow, which hold tensors, the dtypes of the inputs are checked, and labels and weights per batch.

    Args:
        x: A reader, a `PyDataset`, a PyTorch `DataLoader`, a `tf.data.Dataset` or an iterator.
        check: Function from a batch to the batch that the model gets.
    """
    if hasattr(x, "element_spec"):
        check.check_spec(x.element_spec)
        return check.with_checked_labels(x)
    if hasattr(x, "epoch_batches"):
        return x
    if isinstance(x, keras.utils.PyDataset):
        return _CheckedDataset(x, check)
    if hasattr(x, "batch_sampler"):
        loader = copy.copy(x)
        loader.collate_fn = _Collate(x.collate_fn, check)
        return loader
    return (check(batch) for batch in x)


class _CheckedDataset(keras.utils.PyDataset):
    """A `PyDataset` whose batches are checked."""

    def __init__(self, inner: keras.utils.PyDataset, check: Check):
        super().__init__(inner.workers, inner.use_multiprocessing, inner.max_queue_size)
        self._inner, self._check = inner, check

    @property
    def num_batches(self):
        return self._inner.num_batches

    def __getitem__(self, index: int) -> Any:
        return self._check(self._inner[index])

    def on_epoch_begin(self) -> None:
        self._inner.on_epoch_begin()

    def on_epoch_end(self) -> None:
        self._inner.on_epoch_end()


class _Collate:
    """Joins examples to a batch and checks it, in the process of a worker."""

    def __init__(self, inner: Check, check: Check):
        self._inner, self._check = inner, check

    def __call__(self, examples: Any) -> Any:
        import torch

        batch = self._check(self._inner(examples))
        return tuple({name: torch.as_tensor(v) for name, v in part.items()} for part in batch)


class CheckBatch:
    """Encodes and checks one batch `(x, y, sample_weight)` of a dataset.

    Args:
        encode: Function from rows or inputs to inputs.
        targets: Function from labels and weights to checked `Targets`.
        tasks: The tasks.
        labeled: Whether batches have labels; otherwise they are `x` or `(x,)`.

    Attributes:
        error: The last error of a batch; TensorFlow raises one of its own types instead.
    """

    def __init__(
        self,
        encode: Check,
        targets: Callable[[Any, Any], Any],
        tasks: Sequence[Task],
        labeled: bool,
    ):
        self._encode, self._targets, self._tasks = encode, targets, tasks
        self._labeled = labeled
        self.error: Exception | None = None

    def __call__(self, batch: Any) -> Any:
        with self._noted():
            return self._checked(*_parts(batch))

    @contextmanager
    def _noted(self) -> Iterator[None]:
        try:
            yield
        except ValueError as error:
            self.error = error
            raise

    def _checked(self, x: Any, y: Any, weight: Any) -> Any:
        x = dict(self._encode(x))
        if y is None or not self._labeled:
            return (x,)
        checked = self._targets(y, weight)
        if weight is None and not any(task.nulls == "mask" for task in self._tasks):
            return x, checked.y
        return x, checked.y, checked.weights()

    def check_spec(self, spec: Any) -> None:
        """Checks the dtypes of the inputs of a `tf.data.Dataset`."""
        x = spec[0] if isinstance(spec, tuple) else spec
        if isinstance(x, Mapping):
            self._encode(x)

    def with_checked_labels(self, data: Any) -> Any:
        """Returns a `tf.data.Dataset` whose labels and weights are checked."""

        def targets(y: Any, weight: Any) -> Any:
            with self._noted():
                return self._targets(y, weight)

        return with_checked_labels(data, self._tasks, targets) if self._labeled else data


def _parts(batch: Any) -> tuple[Any, Any, Any]:
    """Returns the parts of a batch; a loader of PyTorch joins tuples to lists."""
    parts = tuple(batch) if isinstance(batch, list | tuple) else (batch,)
    x, y, weight = (*parts, None, None)[:3]
    return x, y, weight
