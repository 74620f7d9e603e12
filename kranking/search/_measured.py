"""Measuring a configuration before it is trained."""

import hashlib
import json
import shutil
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from kranking.budget import Budget, Cost, Figure, compiled_step, measured_step
from kranking.comparison import served_latencies
from kranking.models import without_weights
from kranking.search._space import Chosen, SearchSpace


class Measured:
    """Finds out what a budget limits by running it: half a minute for each configuration.

    Latency is that of the exported ONNX file with one thread, in turns with the baseline's, and told as
    the baseline's latency times the ratio, so that a busy machine does not decide. Memory is the
    allocator's peak of real steps on a GPU; on a processor, where a resident set says little, it is XLA's
    account of the compiled step if JAX is installed, and else stays what the formula gives. Other figures
    are by formula.

    Args:
        space: What configurations are from.
        budget: Which of latency and memory are limited.
        folder: Keeps what was measured.
        baseline: What latencies are measured beside; `None` takes the first configuration asked for.
    """

    def __init__(
        self, space: SearchSpace, budget: Budget, folder: Path, baseline: Chosen | None = None
    ):
        self._space, self._folder, self._baseline = space, folder, baseline
        self._limited = {limit.name for limit in budget.limits}
        self._on_gpu: bool | None = None

    def __call__(self, hp: Any) -> Cost:
        """Gives the cost of a configuration.

        Args:
            hp: `keras_tuner.HyperParameters`, or what `SearchSpace.chosen` gave.

        Raises:
            ValueError: It cannot be served.
        """
        chosen = hp if isinstance(hp, Chosen) else self._space.chosen(hp)
        cost = self._space.cost(chosen)
        if "latency" in self._limited:
            cost = cost.with_figures(**self._latency(chosen))
        if "memory" in self._limited:
            cost = cost.with_figures(memory=self._memory(chosen) or cost["memory"])
        return cost

    def _latency(self, chosen: Chosen) -> dict[str, Figure]:
        if self._baseline is None:
            self._baseline = chosen
        self._folder.mkdir(parents=True, exist_ok=True)
        own, base = _name(chosen), _name(self._baseline)
        models = {
            _name(one): partial(self._space.compiled, one) for one in (self._baseline, chosen)
        }
        found = served_latencies(models, base, self._folder, self._space.latency_batch or 100)
        if own != base:
            shutil.rmtree(self._folder / "served" / own, ignore_errors=True)
        turns, alone = found[own], found[base]
        if isinstance(turns, str) or isinstance(alone, str):
            reason = turns if isinstance(turns, str) else alone
            raise ValueError(f"A configuration must be served to be measured. Received: {reason}")
        return {
            name: replace(
                alone[name],
                value=alone[name].value * turns[name].value / turns[f"baseline_{name}"].value,
            )
            for name in ("latency_p50", "latency_p90", "latency_p99")
        }

    def _memory(self, chosen: Chosen) -> Figure | None:
        with without_weights():
            model = self._space.compiled(chosen)
        step = (model, self._space.batch_size, self._space.optimizer)
        if self._on_gpu is not False:
            found = measured_step(*step)
            self._on_gpu = found["device"] == "gpu"
            if self._on_gpu:
                return Figure(found["memory"], "bytes", "measured", "peak of the allocator")
        if find_spec("jax") is None:
            return None
        return Figure(compiled_step(*step)["memory"], "bytes", "compiled", "XLA on a processor")


def _name(chosen: Chosen) -> str:
    """Gives a name to a configuration's folder: equal ones have one, whatever else the space holds."""
    settings = [chosen.architecture, chosen.arguments, chosen.common]
    text = json.dumps(settings, sort_keys=True, default=str)
    return f"{chosen.architecture}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
