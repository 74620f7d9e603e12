"""Reading a log block by block into `fit`, `evaluate` and `predict`."""

import os
from collections.abc import Iterable
from typing import Any

from kranking._core import check_positive_int
from kranking.data._csv_source import CsvSource
from kranking.data._log_reader import LogReader
from kranking.data._parquet_source import ParquetSource

Paths = str | os.PathLike | Iterable[str | os.PathLike]


def read_parquet(
    paths: Paths,
    model: Any,
    batch_size: int = 4096,
    *,
    shuffle: bool = False,
    seed: int = 0,
    shard: tuple[int, int] = (0, 1),
    sample_weight: str | None = None,
    labels: bool = True,
    block_rows: int = 65_536,
    drop_remainder: bool = False,
) -> LogReader:
    """Reads Parquet files, block by block, as batches for `fit`, `evaluate` and `predict`.

    Memory holds a few blocks. With `shuffle` an epoch mixes four files or row groups at a time and
    permutes `block_rows` rows: a log sorted by time wants many row groups, or files. A task not
    observed on a row has weight 0 there.

    Args:
        paths: Path, folder, glob, or a list of them.
        model: A `RankingModel`, or anything with `features` and `tasks`.
        batch_size: Rows of a batch.
        shuffle: Whether rows come in another order each epoch, a function of seed and epoch.
            Leave it off for `evaluate` and `predict`.
        seed: Seed of the order.
        shard: `(index, count)`: reads one of `count` disjoint parts that cover the log.
        sample_weight: Column of weights, finite and not negative.
        labels: `False` gives `(x,)`, for a log to score that has no labels.
        block_rows: Rows read, and shuffled, at a time.
        drop_remainder: Whether a last, smaller batch is left out, as `tf.distribute` wants it; all
            shards then have the same number of batches.

    Returns:
        A `LogReader`: a `keras.utils.PyDataset` that also has `column(name)`, a whole column in the
        order of the files, `num_rows` and `tf_dataset()`.

    Raises:
        ValueError: For a file that is missing, damaged, without rows, or lacks a column, for a
            column of the wrong type or width, for a label or number that is not finite.

    >>> import tempfile, types
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     log = kr.data.write_homefeed(folder, num_rows=500, num_users=20, num_pins=60)
    ...     model = types.SimpleNamespace(
    ...         features=[kr.features.Embedding("cover", dim=32)], tasks=[kr.features.Task("save")]
    ...     )
    ...     reader = kr.data.read_parquet(folder, model, batch_size=200)
    ...     [len(y["save"]) for x, y, sample_weight in reader]
    [200, 200, 100]
    """
    check_positive_int("block_rows", block_rows)
    return LogReader(
        ParquetSource(paths, unit_rows=max(block_rows // 4, 1)),
        model,
        batch_size,
        shuffle=shuffle,
        seed=seed,
        shard=shard,
        sample_weight=sample_weight,
        labels=labels,
        block_rows=block_rows,
        drop_remainder=drop_remainder,
    )


def read_csv(
    paths: Paths,
    model: Any,
    batch_size: int = 4096,
    *,
    delimiter: str = ",",
    list_separator: str = " ",
    shuffle: bool = False,
    seed: int = 0,
    shard: tuple[int, int] = (0, 1),
    sample_weight: str | None = None,
    labels: bool = True,
    block_rows: int = 65_536,
    drop_remainder: bool = False,
) -> LogReader:
    """Reads CSV files with a header, like `read_parquet`.

    What a column holds follows from its declaration, or for hashed ids from the first file. Rows
    are counted in a pass over the files before the first step. A shuffled epoch mixes four files at
    a time.

    Args:
        paths: Path, folder, glob, or a list of them.
        model: A `RankingModel`, or anything with `features` and `tasks`.
        batch_size: Rows of a batch.
        delimiter: Between columns.
        list_separator: Between the values of a list, in columns of vectors and sequences.
        shuffle: As in `read_parquet`, as are all that follow.
        seed: Seed of the order.
        shard: `(index, count)`.
        sample_weight: Column of weights.
        labels: Whether to give labels.
        block_rows: Rows read, and shuffled, at a time.
        drop_remainder: Whether a last, smaller batch is left out.

    >>> import pathlib, tempfile, types
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = pathlib.Path(folder, "log.csv").write_text("age,save\\n20,1\\n40,0\\n")
    ...     model = types.SimpleNamespace(
    ...         features=[kr.features.Numeric("age", mean=30.0, std=10.0)],
    ...         tasks=[kr.features.Task("save")],
    ...     )
    ...     [x["age"].tolist() for x, y, sample_weight in kr.data.read_csv(folder, model)]
    [[-1.0, 1.0]]
    """
    tasks, weight = (model.tasks, sample_weight) if labels else ((), None)
    return LogReader(
        CsvSource(paths, model.features, tasks, weight, delimiter, list_separator),
        model,
        batch_size,
        shuffle=shuffle,
        seed=seed,
        shard=shard,
        sample_weight=sample_weight,
        labels=labels,
        block_rows=block_rows,
        drop_remainder=drop_remainder,
    )
