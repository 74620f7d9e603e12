"""Exact ranking metrics of a scored log."""

import itertools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from kranking._core import as_tuple
from kranking._rows import Origin, Source, as_arrow, open_rows, plain_type
from kranking.features import Task
from kranking.features.internal import (
    check_label_type,
    check_label_types,
    check_tasks,
    label_column,
    label_values,
    weight_values,
)
from kranking.metrics import HitAtK, group_index
from kranking.metrics.internal import EvaluationMetrics
from kranking.serving._score_parquet import Scores
from kranking.serving._score_parts import SCORES_FILE, kept_column

_ROWS = 65_536  # read at a time


def evaluate_scores(
    scores: Any,
    tasks: str | Task | Sequence[str | Task],
    *,
    session: str | None = None,
    metrics: Sequence[str | HitAtK] = ("auc", "gauc", "hit@3"),
    group: str | None = None,
    sample_weight: str | None = None,
) -> dict[str, float]:
    """Computes the metrics of `kranking.training.RankingEvaluation` of rows that `score_parquet` scored.

    The rows have the probabilities of each task in the column with its name, and its labels, or the columns
    of its rule, which `score_parquet` copies with `keep=task.columns`. A column of the log with the name of
    a task is called `<name>_label`. Only the columns that are needed are read, in batches.

    Args:
        scores: Result or folder of `score_parquet`, or other rows with these columns.
        tasks: The tasks, or their names, which then are the names of the labels in the log.
        session: Column of the sessions.
        metrics: As in `RankingEvaluation`: `"auc"`, `"gauc"`, `"hit@3"`, `"ne"`, `"logloss"`,
            `"calibration"`, or `HitAtK` objects.
        group: Column of the groups for `"gauc"`; `None` uses the sessions.
        sample_weight: Column of sample weights.

    Returns:
        The metrics by name, such as `"save_auc"`. An undefined one is NaN.

    Raises:
        ValueError: If a column is missing, a label, weight or probability is wrong, or the folder does not
            have all parts yet.

    >>> rows = {
    ...     "save": [0.9, 0.8, 0.3, 0.1],
    ...     "save_label": [1, 0, 1, 0],
    ...     "session": ["a", "a", "b", "b"],
    ... }
    >>> evaluate_scores(rows, ["save"], session="session", metrics=["auc", "gauc", "hit@1"])
    {'save_auc': 0.75, 'save_gauc': 1.0, 'save_hit@1': 1.0}
    """
    listed = (
        [tasks] if isinstance(tasks, str | Task) else as_tuple("tasks", tasks, "tasks or names")
    )
    declared = [task if isinstance(task, Task) else Task(task) for task in listed]
    check_tasks(declared)
    ids = {"session": session, "group": group}
    columns = _Columns(declared, sample_weight, [name for name in ids.values() if name is not None])
    scores = scores.directory if isinstance(scores, Scores) else scores
    source = open_rows(scores, columns.names)
    _check_schemas(source, columns)
    _check_complete(scores, sum(unit.rows for unit in source.units))
    for unit in source.units:
        for batch, origin in source.read(unit, columns.names, _ROWS):
            arrays = {name: as_arrow(batch[name], name) for name in columns.names}
            columns.add({c: arrays[name] for c, name in columns.of_log.items()}, arrays, origin)
    index = {
        argument: None if name is None else group_index(_joined(columns.ids[name]), argument)[1]
        for argument, name in ids.items()
    }
    rows: Any = {task: tuple(map(_joined, parts)) for task, parts in columns.rows.items()}
    return EvaluationMetrics(metrics, index["session"], index["group"])(rows, from_logits=False)


class _Columns:
    """The columns that metrics need, batch by batch.

    Args:
        tasks: The tasks.
        sample_weight: Column of weights, or `None`.
        ids: Columns of sessions and groups.
    """

    def __init__(self, tasks: Sequence[Task], sample_weight: str | None, ids: Sequence[str]):
        self.tasks, self.sample_weight = tasks, sample_weight
        scored = [task.name for task in tasks]
        weights = [] if sample_weight is None else [sample_weight]
        log = [*itertools.chain(*(task.columns for task in tasks)), *weights, *ids]
        self.of_log = {column: kept_column(column, scored) for column in log}
        self.numbers = [*scored, *(self.of_log[name] for name in weights)]
        self.ids: dict[str, list[np.ndarray]] = {name: [] for name in ids}
        self.names = list(dict.fromkeys([*scored, *self.of_log.values()]))
        self.rows: dict[str, Any] = {task.name: ([], [], []) for task in tasks}

    def add(
        self, arrays: Mapping[str, pa.Array], scores: Mapping[str, pa.Array], origin: Origin
    ) -> None:
        """Adds a batch of rows after checking it: columns by their names in the log, and probabilities."""
        weight: Any = 1.0
        if self.sample_weight is not None:
            weight = weight_values(arrays[self.sample_weight], self.sample_weight, origin)
        for task in self.tasks:
            label, observed = label_values(task, label_column(task, arrays, origin), origin)
            found = label, _probabilities(scores[task.name], task.name, origin), observed * weight
            for parts, values in zip(self.rows[task.name], found):
                parts.append(values)
        for name, parts in self.ids.items():
            parts.append(arrays[name].to_numpy(zero_copy_only=False))


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.zeros(0)


def _probabilities(array: pa.Array, column: str, origin: Origin) -> np.ndarray:
    values = np.asarray(array.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)
    bad = ~((values >= 0) & (values <= 1))
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(
            f"Column {column!r} must contain probabilities in [0, 1]. Received: {values[row]}, "
            f"{origin.at(row)}"
        )
    return values


def _check_schemas(source: Source, columns: _Columns) -> None:
    """Raises `ValueError` if a column is missing, no number, or an id of several types."""
    for file, schema in source.schemas.items():
        missing = [name for name in columns.names if name not in schema.names]
        if missing:
            raise ValueError(
                f"Scores must have the columns {columns.names}; `keep` of score_parquet copies those of "
                f"the log. Received: {file} without {missing}, with {schema.names}"
            )
        log = pa.schema([(c, schema.field(name).type) for c, name in columns.of_log.items()])
        for task in columns.tasks:
            check_label_types(task, log, Origin(file))
        for name in columns.numbers:
            check_label_type("Evaluation", name, schema.field(name).type, Origin(file))
    for name in columns.ids:
        column = columns.of_log[name]
        kinds = {plain_type(schema.field(column).type) for schema in source.schemas.values()}
        if len(kinds) > 1:
            raise ValueError(
                f"Column {name!r} must have one type in all files. Received: {sorted(map(str, kinds))}"
            )


def _check_complete(scores: Any, rows: int) -> None:
    """Raises `ValueError` if a folder of `score_parquet` does not have all rows yet."""
    if not isinstance(scores, str | Path) or not (Path(scores) / SCORES_FILE).is_file():
        return
    noted = json.loads((Path(scores) / SCORES_FILE).read_text("utf-8")).get("rows")
    if noted != rows:
        raise ValueError(
            f"{str(scores)!r} must have the {noted} rows of its {SCORES_FILE}; the same call of "
            f"score_parquet writes what is missing. Received: {rows} rows"
        )
