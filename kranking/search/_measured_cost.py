"""Measured cost of a configuration before training."""

import hashlib
import json
import shutil
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import keras

from kranking._child import ChildError
from kranking._core import versions
from kranking._files import write_json
from kranking._paths import make_folder
from kranking.budget import Budget, Cost, Figure, compiled_step, measured_step
from kranking.comparison import served_latencies
from kranking.models import without_weights
from kranking.search._search_space import Configuration, SearchSpace

_BATCH = 100  # rows of a request if the space has no `latency_batch`
_PERCENTILES = ("latency_p50", "latency_p90", "latency_p99")


class MeasuredCost:
    """Measures the limited figures of a configuration, which takes about half a minute for each.

    Latency is measured on the exported ONNX file with one thread, for requests of `latency_batch` rows
    (100 if the space has none), alternating with the baseline. It is reported as the latency of the
    baseline times the measured ratio, so that the load of the machine cancels out. Memory is the peak of
    the allocator over training steps on a GPU. On a CPU, where the resident set size is not meaningful, it
    is XLA's estimate for the compiled step if JAX is installed, and the analytic estimate otherwise. All
    other figures are analytic.

    Args:
        space: The search space.
        budget: The budget, which determines whether latency and memory are measured.
        folder: Cache of measurements, for the same declarations and versions.
        baseline: Configuration to alternate latency measurements with; `None` measures each alone.
    """

    def __init__(
        self,
        space: SearchSpace,
        budget: Budget,
        folder: Path,
        baseline: Configuration | None = None,
    ):
        self._space, self._folder, self._baseline = space, folder, baseline
        self._limited = {limit.name for limit in budget.limits}
        self._setting = [
            {k: v for k, v in space.to_json().items() if k not in ("space", "parameters")},
            versions("keras", "onnxruntime", "tensorflow"),
        ]

    def __call__(self, hp: Any) -> Cost:
        """Returns the cost of a configuration.

        Args:
            hp: `keras_tuner.HyperParameters`, or the output of `SearchSpace.chosen`.

        Raises:
            ValueError: If the model cannot be exported, served or trained.
        """
        chosen = hp if isinstance(hp, Configuration) else self._space.chosen(hp)
        cost = self._space.cost(chosen)
        if "latency" in self._limited:
            cost = cost.with_figures(**self._latency(chosen))
        if "memory" in self._limited:
            cost = cost.with_figures(memory=self._memory(chosen) or cost["memory"])
        return cost

    def _latency(self, chosen: Configuration) -> dict[str, Figure]:
        base = self._baseline or chosen
        names = [self._name(one) for one in (base, chosen)]
        models = dict(zip(names, (partial(self._space.compiled, one) for one in (base, chosen))))
        batch = self._space.latency_batch or _BATCH
        found = served_latencies(models, names[0], self._folder, batch)
        if chosen is not self._baseline and (self._baseline is None or names[0] != names[1]):
            shutil.rmtree(self._folder / "served" / names[1], ignore_errors=True)
        alone, turns = (found[name] for name in names)
        if isinstance(turns, str) or isinstance(alone, str):
            reason = turns if isinstance(turns, str) else alone
            raise ValueError(
                f"The latency of this configuration cannot be measured. Received: {reason}"
            )
        ratios = {
            name: turns[name].value / turns[f"baseline_{name}"].value for name in _PERCENTILES
        }
        if names[0] == names[1]:
            return {name: alone[name] for name in _PERCENTILES}
        return {n: replace(alone[n], value=alone[n].value * ratio) for n, ratio in ratios.items()}

    def _memory(self, chosen: Configuration) -> Figure | None:
        path = self._folder / "memory.json"
        kept = json.loads(path.read_text("utf-8")) if path.exists() else {}
        name = self._name(chosen)
        if name not in kept:
            try:
                figure = self._peak(chosen)
            except ChildError as error:
                raise ValueError(
                    f"The memory of this configuration cannot be measured. Received: {error}"
                ) from error
            if figure is None:
                return None
            kept[name] = figure.to_json()
            make_folder(path.parent)
            write_json(path, kept, indent=None)
        return Figure(**kept[name])

    def _peak(self, chosen: Configuration) -> Figure | None:
        with without_weights():
            model = self._space.compiled(chosen)
        step = (model, self._space.batch_size, self._space.optimizer)
        if _has_gpu():
            found = measured_step(*step)
            return Figure(found["memory"], "bytes", "measured", f"peak of the {found['source']}")
        if find_spec("jax") is None:
            return None
        return Figure(compiled_step(*step)["memory"], "bytes", "compiled", "XLA on a CPU")

    def _name(self, chosen: Configuration) -> str:
        """Returns the cache key, which does not depend on the learning rate."""
        common = {k: v for k, v in chosen.common.items() if k != "learning_rate"}
        settings = [chosen.architecture, chosen.arguments, common, *self._setting]
        text = json.dumps(settings, sort_keys=True, default=str)
        return f"{chosen.architecture}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def _has_gpu() -> bool:
    if keras.backend.backend() == "torch":
        import torch

        return torch.cuda.is_available()
    devices = keras.distribution.list_devices()
    return any(device.lower().startswith(("gpu", "cuda", "rocm")) for device in devices)
