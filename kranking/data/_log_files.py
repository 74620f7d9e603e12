"""Files and declarations of a log, split into training, validation and test rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from kranking.features import Feature, Task, find_files, schema_hash
from kranking.features.internal import to_config


@dataclass(frozen=True)
class LogFiles:
    """Parquet files of a log, split into training, validation and test rows, with its declarations.

    Args:
        train: Parquet file, folder or glob of the training rows.
        valid: The same for the validation rows, which select the best epoch.
        test: The same for the test rows, on which metrics are reported.
        features: Fitted declarations.
        tasks: Tasks to predict; the first is the main one.
        session: Name of the column of session ids. HIT@k ranks the rows within a session.

    Raises:
        ValueError: If `tasks` is empty.

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
            raise ValueError("`tasks` must contain at least one task. Received: none")

    def to_json(self) -> dict[str, Any]:
        """Returns a JSON-serializable dict that identifies the log by file sizes and declarations.

        Raises:
            ValueError: If a file is missing or does not have the session column.
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
