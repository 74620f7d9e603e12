"""Log reader as a `keras.utils.PyDataset`."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from kranking._core import check_positive_int
from kranking._rows import Origin, as_arrow, shard_of, source_contents
from kranking.data._encoder import RowEncoder
from kranking.data._passes import Passes
from kranking.data._prefetcher import Prefetcher
from kranking.data._stream import EpochStream
from kranking.data._tf_dataset import tf_dataset
from kranking.features.internal import check_no_label_is_read

_PEEK = 64  # rows of each file that are encoded as a check before the first step


class LogReader(keras.utils.PyDataset):
    """A log as batches `(x, y, sample_weight)`, prefetched in a thread and never fully in memory.

    Returned by `read`, `read_parquet` and `read_csv`. Pass it to `fit`, `evaluate` and `predict`, or
    iterate over it. A complete pass is an epoch, which yields every row of the shard once. The
    order of the rows depends only on the seed and the epoch. On TensorFlow, Keras converts the
    reader to a `tf.data.Dataset`, which `tf.distribute` can split. A reading error is then raised
    as an `InvalidArgumentError` with the same text; the attribute `error` holds the original
    exception, which a `RankingModel` raises.

    Args:
        source: Source of the rows.
        model: A `RankingModel`, or any object with `features` and `tasks`.
        batch_size: Number of rows per batch.
        shuffle: Whether to shuffle the rows in each epoch, instead of keeping the order of the
            files.
        seed: Seed of the shuffling.
        shard: `(index, count)`; reads part `index` of `count` disjoint parts.
        sample_weight: Name of the column of sample weights.
        labels: Whether to yield labels and weights; otherwise batches are `(x,)`.
        block_rows: Number of rows read and shuffled at a time.
        drop_remainder: Whether to drop a last, smaller batch; all shards then have the same number
            of batches.

    Attributes:
        num_rows: Number of rows per epoch.
        shuffled: Whether the rows are shuffled in each epoch.
        files: The files that are read.
        counts: Numbers of rows, nulls and out-of-vocabulary values read so far, per feature.
        label_counts: Numbers of rows with a positive and with a negative label read so far, by task.
        inputs: Shape and dtype of each model input, by name.
        tasks: Names of the tasks.

    >>> import tempfile, types
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     log = kr.data.write_homefeed(folder, num_rows=500, num_users=20, num_pins=60)
    ...     model = types.SimpleNamespace(
    ...         features=[kr.features.Embedding("cover", dim=32)], tasks=[kr.features.Task("save")]
    ...     )
    ...     reader = kr.data.read_parquet(folder, model, shard=(0, 2))
    ...     reader.num_rows, len(np.unique(reader.column("session_id")))
    (250, 14)
    """

    def __init__(
        self,
        source: Any,
        model: Any,
        batch_size: int,
        *,
        shuffle: bool,
        seed: int,
        shard: tuple[int, int],
        sample_weight: str | None,
        labels: bool,
        block_rows: int,
        drop_remainder: bool,
    ):
        super().__init__()
        check_positive_int("batch_size", batch_size)
        check_positive_int("block_rows", block_rows)
        check_positive_int("seed", seed, minimum=0)
        tasks = tuple(model.tasks) if labels else ()
        encoder = RowEncoder(model.features, tasks, sample_weight if labels else None)
        check_no_label_is_read(encoder.preprocessor.columns, tasks)
        _check_files(source, RowEncoder(model.features, tasks, encoder.sample_weight))
        self.files = list(source.files)
        self._source, self._units = source, shard_of(source.units, *_checked_shard(shard))
        rows = sum(unit.rows for unit in self._units)
        # Shard sizes can differ by a row, but all hosts of a training job must take the same steps.
        least = sum(unit.rows for unit in source.units) // shard[1]
        self._batches = least // batch_size if drop_remainder else -(-rows // batch_size)
        if not self._batches:
            raise ValueError(
                f"`rows` must contain at least {batch_size if drop_remainder else 1} rows for shard "
                f"{tuple(shard)}. Received: {rows} rows in {_some(self.files)}"
            )
        self.num_rows = self._batches * batch_size if drop_remainder else rows
        self.batch_size = batch_size
        self.counts, self.inputs = encoder.preprocessor.counts, encoder.preprocessor.inputs
        self.tasks, self.label_counts = tuple(t.name for t in tasks), encoder.label_counts
        self.shuffled = bool(shuffle)
        order = seed if shuffle else None
        self._stream = EpochStream(source, self._units, encoder, batch_size, block_rows, order)
        self._passes = Passes(self._batches, self._stream.batches)

    def __repr__(self) -> str:
        order = "shuffled" if self.shuffled else "in order"
        rows = f"{self.num_rows:,} rows in {self._batches:,} batches of {self.batch_size:,}"
        return f"LogReader({rows}, {order}, of {_some(self.files)})"

    @property
    def epoch(self) -> int:
        """The epoch number of the next pass. Set it to resume training."""
        return self._passes.epoch

    @epoch.setter
    def epoch(self, number: int) -> None:
        self._passes.epoch = number

    @property
    def error(self) -> BaseException | None:
        """The last exception raised while reading."""
        return self._passes.error

    def column(self, name: str) -> np.ndarray:
        """Returns a full column of the log for the rows of this shard, in the order of the files."""
        for file in self.files:
            if name not in self._source.schemas[file].names:
                raise ValueError(
                    f"`name` must be a column of every file. Received: name={name!r}, which {file} "
                    f"does not have; it has {sorted(self._source.schemas[file].names)}"
                )
        parts = [
            as_arrow(batch.column(0), name).to_numpy(zero_copy_only=False)
            for unit in self._units
            for batch, _ in self._source.read(unit, [name], 65_536)
        ]
        return np.concatenate(parts)[: self.num_rows]

    def contents(self) -> list[dict[str, Any]]:
        """Returns name, SHA-256 and values of folder names of each file of the log."""
        return source_contents(self._source)

    def epoch_batches(self) -> Iterator[tuple[dict[str, Any], ...]]:
        """Yields the batches of the next epoch, without prefetching."""
        epoch = self.epoch
        try:
            for _, batch in zip(range(self._batches), self._stream.batches(epoch)):
                yield batch
        except Exception as error:
            self._passes.error = error
            raise
        self.epoch = max(self.epoch, epoch + 1)

    def tf_dataset(self) -> Any:
        """Returns a `tf.data.Dataset` of the same batches, for custom training loops."""
        return tf_dataset(self)

    def __iter__(self) -> Iterator[tuple[dict[str, Any], ...]]:
        return iter(Prefetcher(self.epoch_batches))

    def __len__(self) -> int:
        return self._batches

    @property
    def num_batches(self) -> int:
        """Number of batches. Keras reads it at the start of each pass, which begins a new pass."""
        self._passes.begin()
        return self._batches

    def __getitem__(self, index: int) -> tuple[dict[str, Any], ...]:
        return self._passes.take(index)


def _check_files(source, encoder):
    for file in source.files:
        encoder.check_schema(source.schemas[file], Origin(file))
    first_units = {unit.file: unit for unit in reversed(source.units)}
    for unit in first_units.values():
        for batch, origin in source.read(unit, encoder.columns, _PEEK):
            encoder(batch, origin)
            break


def _checked_shard(shard):
    if not isinstance(shard, list | tuple) or len(shard) != 2:
        raise ValueError(f"`shard` must be (index, count). Received: shard={shard!r}")
    index, count = shard
    check_positive_int("count", count)
    check_positive_int("index", index, minimum=0)
    if index >= count:
        raise ValueError(
            f"`shard` must be (index, count), index < count. Received: shard={shard!r}"
        )
    return index, count


def _some(files):
    return repr(files[0]) if len(files) == 1 else f"{files[0]!r} and {len(files) - 1} more"
