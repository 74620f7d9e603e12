"""Measured cost of training steps, run in a separate process."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kranking._child import answer_parent, ask_child
from kranking._core import check_instance, check_positive_int
from kranking.budget._step_request import batch_shapes, model_of, request_of
from kranking.features import as_model_inputs
from kranking.models import RankingModel


def measured_step(
    model: RankingModel,
    batch_size: int = 4096,
    optimizer: Any = "adam",
    steps: int = 5,
    modules: tuple[str, ...] = (),
) -> dict[str, Any]:
    """Measures a few training steps on synthetic rows in a child process with the same backend.

    The model is recreated from its configuration without its weights. On a GPU, `memory` is the peak
    reported by the allocator of the backend. On the CPU it is the peak of the resident set minus that of
    the process with Keras loaded but no model; it includes tracing and compiling, so it is meaningful only
    for large models.

    Args:
        model: The model.
        batch_size: Number of rows in a step.
        optimizer: Keras optimizer or its name.
        steps: Number of timed steps, after one step that traces and compiles.
        modules: Modules that register custom layers, to be imported by the child process.

    Returns:
        A dict: `memory` in bytes (NaN on a CPU without Linux's `/proc`), the median `seconds` per step,
        `rows_per_second`, `device`, and `source`, the origin of the memory figure.

    Raises:
        ChildError: If the process fails, for example by running out of memory.
    """
    check_instance("model", model, RankingModel)
    check_positive_int("batch_size", batch_size)
    check_positive_int("steps", steps)
    request = request_of(model, batch_size, optimizer, steps=steps, modules=list(modules))
    return ask_child(__name__, request, keras.backend.backend(), accelerators=True)


def _measure(request: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    keras.ops.sum(keras.ops.ones((8, 8)) @ keras.ops.ones((8, 8)))  # starts the backend
    before = _resident_peak()
    model = model_of(request)
    random = np.random.default_rng(0)
    x, y = (
        {name: _made_up(random, *spec) for name, spec in part.items()}
        for part in batch_shapes(model, request["batch_size"])
    )
    x = as_model_inputs(x)
    model.train_on_batch(x, y)
    seconds = []
    for _ in range(request["steps"]):
        start = time.perf_counter()
        float(model.train_on_batch(x, y, return_dict=True)["loss"])  # waits for the step to finish
        seconds.append(time.perf_counter() - start)
    device = _device_peak()
    memory = _resident_peak() - before if device is None else device
    step = float(np.median(seconds))
    return {
        "memory": float(memory),
        "seconds": step,
        "rows_per_second": request["batch_size"] / step,
        "device": "cpu" if device is None else "gpu",
        "source": "resident set" if device is None else "allocator",
    }


def _made_up(random: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    if dtype.startswith("int"):
        return random.integers(0, 2, shape).astype(dtype)
    return (random.random(shape) < 0.5).astype(dtype)  # numbers and labels, with both classes


def _resident_peak() -> float:
    # Not `ru_maxrss`: on Linux it starts from the peak of the parent process.
    try:
        status = Path("/proc/self/status").read_text("ascii")
    except OSError:
        return float("nan")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return 1024.0 * int(line.split()[1])


def _device_peak() -> int | None:
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        stats = jax.devices()[0].memory_stats()
        return stats.get("peak_bytes_in_use") if stats else None
    if backend == "torch":
        import torch

        return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None
    import tensorflow as tf

    if not tf.config.list_physical_devices("GPU"):
        return None
    return tf.config.experimental.get_memory_info("GPU:0")["peak"]


if __name__ == "__main__":
    answer_parent(_measure)
