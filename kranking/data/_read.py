"""Block-wise reading of logs for `fit`, `evaluate` and `predict`."""

from collections.abc import Sequence
from typing import Any

from kranking._core import check_positive_int
from kranking._rows import CSV, PARQUET, Paths, open_rows
from kranking.data._log_reader import LogReader
from kranking.features.internal import column_types


def read(
    rows: Any,
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
    """Reads rows of any kind as batches for `fit`, `evaluate` and `predict`.

    Args:
        rows: A dict of columns, an Arrow table or record batch, a pandas or polars frame, a list of dicts,
            a `pyarrow.dataset.Dataset`, or paths, folders, globs or URLs of Parquet or CSV files. The
            names of files tell their format, as in `.parquet` and `.csv.gz`.
        model: A `RankingModel`, or any object with `features` and `tasks`.
        batch_size: Number of rows per batch.
        shuffle: Whether to shuffle; this and the following arguments are as in `read_parquet`.
        seed: Seed of the shuffling.
        shard: `(index, count)`.
        sample_weight: Name of the column of sample weights.
        labels: Whether to yield labels.
        block_rows: Number of rows read and shuffled at a time.
        drop_remainder: Whether to drop a last, smaller batch.

    Raises:
        ValueError: If the rows are of another kind, or cannot be read or encoded.

    >>> import types
    >>> features = [kr.features.Numeric("age", mean=30.0, std=10.0)]
    >>> model = types.SimpleNamespace(features=features, tasks=[kr.features.Task("save")])
    >>> rows = [{"age": 20, "save": 1}, {"age": 40, "save": 0}]
    >>> [x["age"].tolist() for x, y, sample_weight in kr.data.read(rows, model)]
    [[-1.0, 1.0]]
    """
    return _reader(
        rows,
        model,
        batch_size,
        {},
        shuffle=shuffle,
        seed=seed,
        shard=shard,
        sample_weight=sample_weight,
        labels=labels,
        block_rows=block_rows,
        drop_remainder=drop_remainder,
    )


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
    """Reads Parquet files block by block as batches for `fit`, `evaluate` and `predict`.

    Only a few blocks are in memory at a time. With `shuffle`, an epoch mixes four files or row
    groups at a time and permutes `block_rows` rows at a time, so a log sorted by time should have
    many row groups or files. A task that is not observed in a row has weight 0 there.

    Args:
        paths: Path, folder, glob, or a list of them.
        model: A `RankingModel`, or any object with `features` and `tasks`.
        batch_size: Number of rows per batch.
        shuffle: Whether to shuffle the rows in each epoch, depending on seed and epoch only. Keep it
            off for `evaluate` and `predict`.
        seed: Seed of the shuffling.
        shard: `(index, count)`; reads part `index` of `count` disjoint parts that cover the log.
        sample_weight: Name of the column of sample weights, finite and non-negative.
        labels: Whether to yield labels; `False` yields `(x,)`, to score a log without labels.
        block_rows: Number of rows read and shuffled at a time.
        drop_remainder: Whether to drop a last, smaller batch, as `tf.distribute` requires; all shards
            then have the same number of batches.

    Returns:
        A `LogReader`, which is a `keras.utils.PyDataset` with the additional members
        `column(name)`, a full column in the order of the files, `num_rows` and `tf_dataset()`.

    Raises:
        ValueError: If a file is missing, damaged, empty or lacks a column, if a column has the
            wrong type or width, or if a label or number is not finite.

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
    return _reader(
        paths,
        model,
        batch_size,
        {"suffixes": PARQUET},
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
    """Reads CSV files with a header as batches, like `read_parquet`.

    The type of a column follows from its declaration or, for hashed ids, from the first file. The
    rows are counted in a pass over the files before the first step. A shuffled epoch mixes four
    files at a time.

    Args:
        paths: Path, folder, glob, or a list of them.
        model: A `RankingModel`, or any object with `features` and `tasks`.
        batch_size: Number of rows per batch.
        delimiter: Separator of columns.
        list_separator: Separator of the values of a list, in columns of vectors and sequences.
        shuffle: Whether to shuffle; this and the following arguments are as in `read_parquet`.
        seed: Seed of the shuffling.
        shard: `(index, count)`.
        sample_weight: Name of the column of sample weights.
        labels: Whether to yield labels.
        block_rows: Number of rows read and shuffled at a time.
        drop_remainder: Whether to drop a last, smaller batch.

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
    return _reader(
        paths,
        model,
        batch_size,
        {"suffixes": CSV, "delimiter": delimiter, "list_separator": list_separator},
        shuffle=shuffle,
        seed=seed,
        shard=shard,
        sample_weight=sample_weight,
        labels=labels,
        block_rows=block_rows,
        drop_remainder=drop_remainder,
    )


def _reader(
    rows: Any, model: Any, batch_size: int, how: dict[str, Any], **options: Any
) -> LogReader:
    check_positive_int("block_rows", options["block_rows"])
    if isinstance(model, type) or not (hasattr(model, "features") and hasattr(model, "tasks")):
        raise ValueError(
            "`model` must be a RankingModel, or an object with `features` and `tasks`. "
            f"Received: model={model!r}"
        )
    weight = options["sample_weight"]
    if weight is not None and (not isinstance(weight, str) or not weight):
        raise ValueError(
            f"`sample_weight` must be the name of a column or None. Received: sample_weight={weight!r}"
        )
    tasks: Sequence[Any] = model.tasks if options["labels"] else ()
    weight = weight if options["labels"] else None
    source = open_rows(
        rows,
        _columns(model.features, tasks, weight),
        declared=column_types(model.features, tasks, weight),
        unit_rows=max(options["block_rows"] // 4, 1),
        **how,
    )
    return LogReader(source, model, batch_size, **options)


def _columns(features: Any, tasks: Sequence[Any], weight: str | None) -> list[str]:
    columns = [column for feature in features for column in feature.columns]
    labels = [column for task in tasks for column in task.columns]
    return [*columns, *labels, *([weight] if weight else [])]
