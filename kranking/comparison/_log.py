"""What is compared on: a log's rows, and how every variant is trained on them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras

from kranking._core import check_positive_int
from kranking.features import Feature, Task, find_files, schema_hash
from kranking.features.internal import to_config
from kranking.metrics import HitAtK


@dataclass(frozen=True)
class LogFiles:
    """A log in three parts, with what its columns mean.

    Args:
        train: Parquet file, folder or glob of the rows to train on.
        valid: Rows that the best epoch is chosen on.
        test: Rows that are reported, read once for each training.
        features: Fitted declarations.
        tasks: The actions; the first is the main one.
        session: Column of sessions, in which HIT@k ranks.

    >>> LogFiles("train", "valid", "test", [], [kr.Task("save")], "session_id").main_task
    'save'
    """

    train: Any
    valid: Any
    test: Any
    features: Sequence[Feature]
    tasks: Sequence[Task]
    session: str

    def __post_init__(self):
        if not self.tasks:
            raise ValueError("`tasks` must hold at least one task. Received: none")

    def to_json(self) -> dict[str, Any]:
        """Gives what makes this log another one: files with their sizes, declarations, tasks, session.

        Raises: `ValueError` for a file that is missing or lacks the session column.
        """
        import pyarrow.parquet as pq

        files = {}
        for part in ("train", "valid", "test"):
            found = find_files(getattr(self, part))
            files[part] = [[Path(f).name, Path(f).stat().st_size] for f in found]
            if part == "test" and self.session not in (names := pq.read_schema(found[0]).names):
                raise ValueError(
                    f"`session` must be a column of {str(found[0])!r}, one of {names}. "
                    f"Received: session={self.session!r}"
                )
        return {
            "files": files,
            "declarations": schema_hash(self.features),
            "tasks": [to_config(task) for task in self.tasks],
            "session": self.session,
        }

    @property
    def main_task(self) -> str:
        """Name of the task that the comparison is about."""
        return self.tasks[0].name


@dataclass(frozen=True)
class Protocol:
    """How every variant is trained: the same for all.

    Args:
        optimizer: Zero-argument callable, called for each training.
        batch_size: Rows of a step.
        epochs: At most; the best on valid, by AUC of the main task, is kept, the first worse one ends it.
        hit: The main metric.

    >>> Protocol(epochs=2).hit.name
    'hit@3'
    """

    optimizer: Callable[[], Any] = keras.optimizers.Adam
    batch_size: int = 4096
    epochs: int = 1
    hit: HitAtK = field(default_factory=HitAtK)

    def __post_init__(self):
        check_positive_int("batch_size", self.batch_size)
        check_positive_int("epochs", self.epochs)
        if isinstance(self.optimizer, keras.optimizers.Optimizer) or not callable(self.optimizer):
            raise ValueError(
                "`optimizer` must be a callable that makes a new optimizer for each training, such as "
                f"`lambda: keras.optimizers.Adam(1e-3)`. Received: {self.optimizer!r}"
            )

    def to_json(self) -> dict[str, Any]:
        """Gives the protocol as plain values."""
        made = self.optimizer()
        config = keras.saving.serialize_keras_object(made)["config"]
        del config["name"]  # numbered anew for each that is made
        return {
            "optimizer": {"class": type(made).__name__, **config},
            "batch_size": self.batch_size,
            "epochs": self.epochs,
            "hit": {"k": self.hit.k, "reduce": self.hit.reduce, "min_items": self.hit.min_items},
        }
