"""Rows and declarations of a log, split into training, validation and test rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kranking._core import as_tuple
from kranking._rows import file_contents, open_rows, repeatable
from kranking.features import Feature, Task, schema_hash
from kranking.features.internal import to_config

_PARTS = ("train", "valid", "test")


@dataclass(frozen=True)
class LogFiles:
    """Rows of a log, split into training, validation and test rows, with its declarations.

    Args:
        train: Training rows of any kind that `kranking.data.read` accepts, such as a path or a table.
        valid: The same for the validation rows, which select the best epoch.
        test: The same for the test rows, on which metrics are reported.
        features: Fitted declarations.
        tasks: Tasks to predict; the first is the main one.
        session: Name of the column of session ids. HIT@k ranks the rows within a session.

    Raises:
        ValueError: If `tasks` is empty, or declarations are no list.

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
        # Both are read several times.
        features = as_tuple("features", self.features, "fitted declarations", Feature)
        tasks = as_tuple("tasks", self.tasks, "kranking.Task, such as [kr.Task('save')]", Task)
        object.__setattr__(self, "features", features)
        object.__setattr__(self, "tasks", tasks)
        if not tasks:
            raise ValueError("`tasks` must contain at least one task. Received: none")
        for part in _PARTS:
            object.__setattr__(self, part, repeatable(getattr(self, part)))

    def to_json(self) -> dict[str, Any]:
        """Returns a JSON-serializable dict that identifies the log by declarations and contents.

        Raises:
            ValueError: If a file is missing or does not have the session column.
        """
        test = open_rows(self.test)
        for file, schema in test.schemas.items():
            if self.session not in schema.names:
                raise ValueError(
                    f"`session` must be a column of {file!r}, one of {schema.names}. "
                    f"Received: session={self.session!r}"
                )
        files = {part: file_contents(getattr(self, part)) for part in _PARTS}
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
