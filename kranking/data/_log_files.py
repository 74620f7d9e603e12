"""The files of a log, split for training, and what their columns mean."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from kranking.features import Feature, Task, find_files, schema_hash
from kranking.features.internal import to_config


@dataclass(frozen=True)
class LogFiles:
    """The Parquet files of a log in three parts, with what their columns mean.

    Args:
        train: Parquet file, folder or glob of the rows to train on.
        valid: Rows on which the best epoch is chosen.
        test: Rows of the reported metrics.
        features: Fitted declarations.
        tasks: The actions to predict; the first is the main one.
        session: Column of session ids; HIT@k ranks the rows of a session.

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
        """Returns what identifies the log: files with their sizes, declarations, tasks and session.

        Raises: `ValueError` for a file that is missing or lacks the session column.
        """
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
        """Name of the first task."""
        return self.tasks[0].name
