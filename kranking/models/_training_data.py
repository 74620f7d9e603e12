"""Rows, labels and weights for `fit` and `evaluate`: encoded and checked before Keras sees them."""

from collections.abc import Mapping, Sequence
from typing import Any

from kranking._rows import columns_of
from kranking.features import Preprocessor, Task
from kranking.features.internal import (
    ModelInput,
    check_no_label_is_read,
    column_types,
    label_column,
)
from kranking.models._checked_batches import CheckBatch, checked_batches, is_dataset
from kranking.models._rows import check_order, encoded_inputs, is_tensor
from kranking.models._single_class import LabelsRead, warn_of_single_classes
from kranking.models._targets import ROWS, Targets


class TrainingData:
    """The door of a model for rows with labels.

    Args:
        preprocessor: The transform of the model.
        tasks: The tasks of the model.

    Attributes:
        batches: The check of batches of datasets; `error` is its last error.
        unlabeled: The same for batches without labels.
    """

    def __init__(self, preprocessor: Preprocessor, tasks: Sequence[Task]):
        self.preprocessor, self.tasks = preprocessor, tuple(tasks)
        self.batches = CheckBatch(self.encode, self.targets, self.tasks, labeled=True)
        self.unlabeled = CheckBatch(self.encode, self.targets, self.tasks, labeled=False)

    def arguments(self, inputs: Any) -> Any:
        """Returns the argument of a call of the model: tensors as they are, other rows encoded."""
        tensors = isinstance(inputs, Mapping) and all(map(is_tensor, inputs.values()))
        return inputs if tensors else self.encode(inputs)

    def inputs(self, x: Any) -> Any:
        """Returns the model inputs of rows, or a dataset whose batches are encoded, in their order."""
        check_order(x)
        if is_dataset(x):
            return checked_batches(x, self.unlabeled)
        inputs = self.encode(x)
        _check_not_empty(len(next(iter(inputs.values()))))
        return inputs

    def encode(self, rows: Any) -> Mapping[str, Any]:
        """Returns the model inputs of rows."""
        return encoded_inputs(rows, self.preprocessor)

    def targets(self, y: Any, sample_weight: Any = None, class_weight: Any = None) -> Targets:
        """Returns checked labels and weights."""
        return Targets(self.tasks, y, sample_weight, class_weight)

    def of_fit(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the arguments of `fit` with encoded rows and checked labels."""
        readers = []
        given = self._checked(given, "training", readers)
        validation = given.get("validation_data")
        if validation is not None:
            parts = validation if isinstance(validation, tuple) else (validation,)
            names: dict[str, Any] = dict(zip(("x", "y", "sample_weight"), parts))
            names = self._checked(names, "validation", readers)
            kept = [names.get(name) for name in ("x", "y", "sample_weight")]
            given["validation_data"] = kept[0] if kept[1] is None else tuple(kept)
        return _with_warnings(given, readers)

    def of_evaluate(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the arguments of `evaluate` with encoded rows and checked labels."""
        if given.get("_use_cached_eval_dataset"):  # within `fit`, which has checked them
            return dict(given)
        readers = []
        return _with_warnings(self._checked(given, "given", readers), readers)

    def of_batch(self, x: Any, y: Any, sample_weight: Any, class_weight: Any = None) -> tuple:
        """Returns inputs, labels and weights of one batch."""
        inputs = self.encode(x)
        targets = self.targets(self._labels(x) if y is None else y, sample_weight, class_weight)
        _check_rows(inputs, targets)
        return dict(inputs), targets.y, targets.sample_weight

    def _checked(self, given: Mapping[str, Any], where: str, readers: list) -> dict[str, Any]:
        given, x = dict(given), given.get("x")
        if is_dataset(x):
            if given.get("class_weight") is not None:
                raise ValueError(
                    "`class_weight` needs labels in arrays. A reader takes the weight of each row from the "
                    "column `sample_weight`; other datasets yield (x, y, sample_weight). Received: "
                    f"class_weight={given['class_weight']!r} and {type(x).__name__}"
                )
            if hasattr(x, "label_counts"):
                readers.append((x, where))
            given["x"] = checked_batches(x, self.batches)
            return given
        y = self._labels(x) if given.get("y") is None else given["y"]
        given["x"] = dict(self.encode(x))
        targets = self.targets(y, given.get("sample_weight"), given.pop("class_weight", None))
        _check_rows(given["x"], targets)
        warn_of_single_classes(targets.counts, where)
        return {**given, "y": targets.y, "sample_weight": targets.sample_weight}

    def _labels(self, rows: Any) -> Any:
        """Returns the labels from the columns of the log; raises `ValueError` for encoded inputs."""
        encoded = isinstance(rows, Mapping) and any(
            isinstance(values, ModelInput) or is_tensor(values) for values in rows.values()
        )
        names = list(dict.fromkeys(name for task in self.tasks for name in task.columns))
        columns = {} if encoded else columns_of(rows, names, lambda: column_types((), self.tasks))
        missing = [name for name in names if name not in columns]
        if missing:
            raise ValueError(
                f"`y` must contain the labels of the tasks {[task.name for task in self.tasks]}, or the "
                f"rows their columns. Received: y=None, and rows without {missing}"
            )
        check_no_label_is_read(self.preprocessor.columns, self.tasks)
        return {
            task.name: columns[task.columns[0]]
            if task.rule is None
            else label_column(task, columns, ROWS)
            for task in self.tasks
        }


def _check_rows(inputs: Mapping[str, Any], targets: Targets) -> None:
    rows = {name: len(values) for name, values in inputs.items()}
    labels = len(next(iter(targets.y.values())))
    if set(rows.values()) != {labels}:
        raise ValueError(
            f"`x` and `y` must have equally many rows. Received: {labels} labels, and inputs with {rows}"
        )
    _check_not_empty(labels)


def _check_not_empty(rows: int) -> None:
    if not rows:
        raise ValueError("`x` must have at least one row. Received: 0 rows")


def _with_warnings(given: dict[str, Any], readers: list) -> dict[str, Any]:
    callbacks = given.get("callbacks")
    if not readers or not isinstance(callbacks, list | tuple):
        return given
    return {**given, "callbacks": [LabelsRead(readers), *callbacks]}
