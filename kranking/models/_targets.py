"""Labels and sample weights in arrays, by task and under the rules of the readers."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from kranking._rows import Origin, as_arrow, columns_in
from kranking.features import Task
from kranking.features.internal import class_counts, label_values, weight_values

Arrays = dict[str, np.ndarray]
ROWS = Origin("the given rows")


class Targets:
    """Labels and sample weights of rows in memory, checked.

    Args:
        tasks: The tasks.
        y: Labels: a dict or frame by task, a list of arrays in the order of the tasks or, for one task,
            an array.
        sample_weight: Weights in the same form, or one array for all tasks. 0 means that an action was not
            observed in a row; a task without weights has weight 1.
        class_weight: Weight of each class, `{0: …, 1: …}`, for a single task.

    Attributes:
        y: float32 labels `(rows,)` by task.
        sample_weight: float32 weights `(rows,)` by task, or `None` if all are 1.
        counts: Numbers of observed rows with a positive and with a negative label, by task.

    Raises:
        ValueError: If labels or weights are of other tasks, lengths or values than expected.
    """

    def __init__(
        self, tasks: Sequence[Task], y: Any, sample_weight: Any = None, class_weight: Any = None
    ):
        given = _by_task("y", y, tasks)
        self.y: Arrays = {}
        self.sample_weight: Arrays | None = None
        observed = {}
        for task in tasks:
            labels = _column("y", given[task.name], task.name)
            self.y[task.name], observed[task.name] = label_values(task, labels, ROWS)
        rows = _check_rows(self.y)
        weights = None if sample_weight is None else _by_task("sample_weight", sample_weight, tasks)
        if class_weight is not None:
            weights = self._of_classes(class_weight, tasks, weights)
        if weights is not None or not all(seen.all() for seen in observed.values()):
            self.sample_weight = {
                task.name: _weights(weights, task.name, observed[task.name], rows) for task in tasks
            }
        self.counts = {
            name: class_counts(self.y[name], self._counted(name, observed[name])) for name in self.y
        }

    def weights(self) -> Arrays:
        """Returns the weights of all tasks, also if all are 1: batches of a dataset need equal parts."""
        ones = {name: np.ones_like(values) for name, values in self.y.items()}
        return ones if self.sample_weight is None else self.sample_weight

    def _counted(self, name: str, observed: np.ndarray) -> np.ndarray:
        return observed if self.sample_weight is None else self.sample_weight[name] > 0

    def _of_classes(self, class_weight: Any, tasks: Sequence[Task], weights: Any) -> Arrays:
        """Returns the weights of the rows of a single task by its classes."""
        if len(tasks) > 1 or weights is not None:
            what = f"{len(tasks)} tasks" if len(tasks) > 1 else "`class_weight` and `sample_weight`"
            raise ValueError(
                "`class_weight` is for models with one task and excludes `sample_weight`. Pass the weight "
                "of each row instead, as `sample_weight={task: array}`. Received: " + what
            )
        labels = self.y[tasks[0].name]
        keys = class_weight if isinstance(class_weight, Mapping) else ["no dict"]
        if not {*keys} <= {0, 1} or not np.isin(labels, (0, 1)).all():
            raise ValueError(
                "`class_weight` must be a dict with keys 0 and 1, for labels 0 and 1; otherwise pass "
                f"`sample_weight`. Received: class_weight={class_weight!r}, labels from "
                f"{labels.min(initial=1):g} to {labels.max(initial=0):g}"
            )
        zero, one = (class_weight.get(label, 1.0) for label in (0, 1))
        return {tasks[0].name: np.where(labels == 1, one, zero)}


def _by_task(argument: str, given: Any, tasks: Sequence[Task]) -> Mapping[str, Any]:
    """Returns labels or weights by task; those of a dict may be weights of some tasks only."""
    names = [task.name for task in tasks]
    several = isinstance(given, list | tuple) and any(np.ndim(part) for part in given)
    if several and len(given) == len(names):
        return dict(zip(names, given))
    columns = None if several or _is_column(given) else columns_in(given)
    if columns is None and (len(names) == 1 or (argument == "sample_weight" and not several)):
        return dict.fromkeys(names, given)
    weights = argument == "sample_weight" and columns is not None and set(columns) < set(names)
    if not weights and (columns is None or set(columns) != set(names)):
        raise ValueError(
            f"`{argument}` must be a dict with exactly the tasks {names}, or a list of one array per task "
            f"in this order. Received: {_described(given, columns)}. Use sample weight 0 where an action "
            "was not observed."
        )
    return columns or {}


def _is_column(values: Any) -> bool:
    return isinstance(values, pa.Array | pa.ChunkedArray) or len(getattr(values, "shape", ())) == 1


def _described(given: Any, columns: Mapping[str, Any] | None) -> str:
    if columns is not None:
        return str(sorted(columns))
    if isinstance(given, list | tuple):
        return f"a list of {len(given)} arrays"
    return f"{type(given).__name__} of shape {tuple(np.shape(given))}"


def _column(argument: str, values: Any, name: str) -> pa.Array:
    """Returns labels or weights `(rows,)` or `(rows, 1)` as an Arrow array."""
    if hasattr(values, "detach"):  # a tensor of torch, possibly on a GPU
        values = values.detach().cpu().numpy()
    shape = getattr(values, "shape", None)
    if shape is None and isinstance(values, list | tuple) and np.ndim(values) > 1:
        values = np.asarray(values)
        shape = values.shape
    if shape is not None and len(shape) != 1:
        if len(shape) != 2 or shape[1] != 1:
            raise ValueError(
                f"`{argument}` of task {name!r} must have shape (rows,) or (rows, 1). Received: "
                f"{tuple(shape)}"
            )
        values = np.asarray(values).reshape(-1)
    return as_arrow(values, name)


def _check_rows(labels: Arrays) -> int:
    rows = {name: len(values) for name, values in labels.items()}
    if len(set(rows.values())) > 1:
        raise ValueError(f"`y` must have equally many labels of each task. Received: {rows}")
    return next(iter(rows.values()))


def _weights(given: Any, name: str, observed: np.ndarray, rows: int) -> np.ndarray:
    """Returns the float32 weights of a task; 0 where it was not observed."""
    weights: Any = 1.0
    if given is not None and given.get(name) is not None:
        weights = weight_values(_column("sample_weight", given[name], name), name, ROWS)
        if len(weights) != rows:
            raise ValueError(
                f"`sample_weight` of task {name!r} must have one weight for each of the {rows} labels. "
                f"Received: {len(weights)}"
            )
    return (observed * weights).astype(np.float32)
