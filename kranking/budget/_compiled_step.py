"""Cost of a training step from the analysis of XLA, after compiling but without running it."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import keras
import numpy as np

from kranking._child import answer_parent, ask_child
from kranking._core import check_instance
from kranking.budget._step_request import batch_shapes, model_of, request_of
from kranking.models import RankingModel


def compiled_step(
    model: RankingModel,
    batch_size: int = 4096,
    optimizer: Any = "adam",
    modules: tuple[str, ...] = (),
) -> dict[str, float]:
    """Compiles the training step of a model on the CPU backend of JAX and returns the analysis of XLA.

    The model, of any backend, is recreated from its configuration without its weights: in this process on
    JAX, otherwise in a child process. The step is the complete one (forward, backward, clipping, update),
    and the buffers of the state are donated to the new state, as in `fit`.

    Args:
        model: The model.
        batch_size: Number of rows in the step.
        optimizer: Keras optimizer or its name.
        modules: Modules that register custom layers, to be imported by the child process.

    Returns:
        A dict: `memory`, peak bytes including state and batch; `state`, bytes of weights, slots and batch;
        `temporary`, bytes beyond the state; `flops` and `bytes_accessed` of all operations in one step.

    Raises:
        ImportError: If JAX is not installed.

    >>> age = kr.features.Numeric("age", mean=40.0, std=10.0)
    >>> model = kr.RankingModel([age], [kr.layers.MLP([8])], [kr.Task("save")])
    >>> step = compiled_step(model, batch_size=100)
    >>> step["memory"] == step["state"] + step["temporary"]
    True
    """
    if find_spec("jax") is None:
        raise ImportError(
            "`compiled_step` requires JAX, whatever the backend: pip install 'kranking[jax]'."
        )
    check_instance("model", model, RankingModel)
    request = request_of(model, batch_size, optimizer, modules=list(modules))
    if keras.backend.backend() == "jax":
        return _analyse(request, {})
    return ask_child(__name__, request, "jax")


def _analyse(request: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> dict[str, float]:
    import jax

    model = model_of(request)
    specs = [
        {name: jax.ShapeDtypeStruct(*spec) for name, spec in part.items()}
        for part in batch_shapes(model, request["batch_size"])
    ]
    state = [
        [jax.ShapeDtypeStruct(v.shape, keras.backend.standardize_dtype(v.dtype)) for v in group]
        for group in (
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
            model.metrics_variables,
        )
    ]
    step = jax.jit(model.train_step, donate_argnums=0)
    compiled = step.lower(tuple(state), (*specs, None)).compile()
    memory, costs = compiled.memory_analysis(), compiled.cost_analysis()
    held = memory.argument_size_in_bytes + memory.output_size_in_bytes - memory.alias_size_in_bytes
    return {
        "memory": float(held + memory.temp_size_in_bytes),
        "state": float(held),
        "temporary": float(memory.temp_size_in_bytes),
        "flops": float(costs.get("flops", float("nan"))),
        "bytes_accessed": float(costs.get("bytes accessed", float("nan"))),
    }


if __name__ == "__main__":
    answer_parent(_analyse)
