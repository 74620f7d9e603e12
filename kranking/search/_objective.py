"""The objective of a search."""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from kranking.features import Task
from kranking.metrics import HitAtK

_DIRECTIONS = {"auc": "max", "ne": "min", "logloss": "min"}


@dataclass(frozen=True)
class Objective:
    """A metric of a task on the validation rows, to maximize or minimize.

    Args:
        name: Name in the Keras logs: `val_` + task + `_` + metric.
        direction: `"max"` or `"min"`.
    """

    name: str
    direction: str

    @classmethod
    def of(cls, given: str | None, tasks: Sequence[Task], hit: HitAtK) -> "Objective":
        """Creates an objective from a name such as `"save_auc"`.

        Args:
            given: Task and metric: `auc`, `ne`, `logloss` or the name of `hit`; `None` selects the AUC of
                the first task.
            tasks: All tasks.
            hit: The HIT@k metric that is computed.

        Raises:
            ValueError: If there is no such task or metric.

        >>> Objective.of("save_ne", [kr.Task("save")], kr.metrics.HitAtK()).direction
        'min'
        """
        directions = {**_DIRECTIONS, hit.name: "max"}
        known = {f"{task.name}_{m}": d for task in tasks for m, d in directions.items()}
        name = f"{tasks[0].name}_auc" if given is None else str(given).removeprefix("val_")
        if name not in known:
            near = get_close_matches(name, known, n=1, cutoff=0.4)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ValueError(
                f"`objective` must be one of {list(known)}. Received: objective={given!r}.{hint}"
            )
        return cls(f"val_{name}", known[name])

    def better(self, a: float, b: float) -> bool:
        """Whether `a` is better than `b`."""
        return a > b if self.direction == "max" else a < b
