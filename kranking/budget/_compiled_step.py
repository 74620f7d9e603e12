"""The cost of a training step as XLA sees it, after compiling and without running it."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

import keras
import numpy as np

from kranking._child import answer_parent, ask_child
from kranking.budget._step_request import batch_shapes, model_of, request_of
from kranking.models import RankingModel


def compiled_step(
    model: RankingModel,
    batch_size: int = 4096,
    optimizer: Any = "adam",
    modules: tuple[str, ...] = (),
) -> dict[str, float]:
    """Compiles the training step of a model on JAX's CPU backend and gives XLA's own accounts of it.

    A model of any backend is made again, untrained, by its configuration: in this process on JAX, in a
    child process otherwise. The step is the real one: forward, backward, clipping, update, with the
    state's buffers given back for the new state, as `fit` does.

    Args:
        model: The model.
        batch_size: Rows of the step.
        optimizer: Keras optimizer or its name.
        modules: Modules that register custom layers, imported by the child.

    Returns:
        `memory`: bytes at the peak, state and batch included; `state`: bytes of weights, slots and the
        batch; `temporary`: bytes above these; `flops` and `bytes_accessed`: of all operations of one step.

    >>> age = kr.features.Numeric("age", mean=40.0, std=10.0)
    >>> model = kr.RankingModel([age], [kr.layers.MLP([8])], [kr.Task("save")])
    >>> step = compiled_step(model, batch_size=100)
    >>> step["memory"] == step["state"] + step["temporary"]
    True
    """
    if find_spec("jax") is None:
        raise ImportError(
            "`compiled_step` needs JAX on every backend: pip install 'kranking[jax]'."
        )
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
