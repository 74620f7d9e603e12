"""The baseline of a search: its cost, its metric and the noise of the metric."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from kranking import architectures
from kranking._files import write_json
from kranking._identity import read_settings
from kranking.budget import Cost
from kranking.data import LogFiles
from kranking.search._objective import Objective
from kranking.search._search_space import Configuration, SearchSpace, arguments_of
from kranking.search._training import Training, fit_best
from kranking.training.internal import reset_session


@dataclass(frozen=True)
class Baseline:
    """An architecture with its arguments.

    Args:
        architecture: Name of the architecture.
        arguments: Arguments of the function of the architecture.
    """

    architecture: str
    arguments: Mapping[str, Any]

    @classmethod
    def of(cls, given: Any, space: SearchSpace) -> "Baseline":
        """Creates a baseline from a name or `(name, arguments)`."""
        pair = (given, {}) if isinstance(given, str) else given
        if not isinstance(pair, tuple | list) or len(pair) != 2 or not isinstance(pair[1], Mapping):
            raise ValueError(
                "`baseline` must be the name of an architecture or (name, arguments). "
                f"Received: baseline={given!r}"
            )
        row = architectures.get(pair[0])
        known = sorted(arguments_of(row))
        for name in pair[1]:
            if name not in known:
                near = get_close_matches(str(name), known, n=1, cutoff=0.4)
                hint = f" Did you mean {near[0]!r}?" if near else ""
                raise ValueError(
                    f"`baseline` must only have arguments of {row.name!r}: {known}. "
                    f"Received: {name!r}.{hint}"
                )
        return cls(row.name, dict(pair[1]))

    def cost(self, space: SearchSpace) -> Cost:
        """Returns the analytic cost."""
        return space.cost(self.chosen(space))

    def chosen(self, space: SearchSpace) -> Configuration:
        """Returns the configuration of the baseline, with the common settings of the space."""
        return space.fixed(self.architecture, self.arguments)

    def to_json(self) -> dict[str, Any]:
        """Returns the baseline as a JSON-serializable dict."""
        return asdict(self)


def _made_by(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings of a search that the results of its baseline depend on."""
    space = ("declarations", "tasks", "optimizer", "batch_size", "parameters")
    others = ("baseline", "log", "training", "objective", "seed", "backend", "versions")
    return {name: settings["space"][name] for name in space} | {n: settings[n] for n in others}


def train_baseline(
    baseline: Baseline,
    space: SearchSpace,
    out: Path,
    *,
    log: LogFiles,
    training: Training,
    objective: Objective,
    seed: int,
    settings: Mapping[str, Any],
) -> dict[str, Any]:
    """Trains the baseline with at least two seeds, or reads the results of an earlier run."""
    path = out / "baseline.json"
    known = read_settings(path) or {}
    wanted = _made_by(settings)
    runs = known.get("runs", []) if known.get("made_by") == wanted else []
    for execution in range(len(runs), max(2, training.executions)):
        reset_session(seed + execution)
        with training.strategy.scope() if training.strategy is not None else nullcontext():
            model = space.compiled(baseline.chosen(space))
        options: dict[str, Any] = {"batch_size": space.batch_size, "seed": seed + execution}
        try:
            runs.append(fit_best(model, log, training, objective, **options))
        except FloatingPointError as error:
            raise FloatingPointError(
                f"The baseline {baseline.architecture!r} must train with finite metrics, since trials are "
                f"compared to it. Received: {error}"
            ) from error
        write_json(path, {"made_by": wanted, "runs": runs}, indent=None, fsync=True)
    values = [run[objective.name] for run in runs]
    return {
        "name": baseline.architecture,
        "metric": float(np.mean(values)),
        "spread": float(np.std(values, ddof=1)),
        "runs": runs,
        "cost": baseline.cost(space).to_json(),
    }
