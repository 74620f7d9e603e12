"""The cost of a model from formulas: no run, no weights."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from kranking._core import check_positive_int
from kranking.budget._cost import Cost, Figure
from kranking.budget._latency_model import predicted_latency
from kranking.budget._optimizer_slots import slots_per_parameter
from kranking.budget._peak_shares import peak_elements, peak_share
from kranking.models import RankingModel

_BYTES = 4  # weights, gradients and slots are float32 under every policy that kranking trains with


def analytic_cost(
    model: RankingModel,
    batch_size: int = 4096,
    optimizer: Any = "adam",
    hyperparameters: int | None = None,
    latency_batch: int | None = None,
) -> Cost:
    """Gives what a model costs from its layers' own `work`, in milliseconds.

    Peak memory of a training step, with `P` parameters of which `P_t` stand in tables, batch `B`, `s` slots
    per parameter and `a` bytes per activation:

    `M = 4 P (1 + s) + B · inputs + B a Σ_c k_c · saved_c + g · 4 (P - P_t) + t · 4 P_t`

    `saved` is from the layer's `work`; `k`, `g` and `t` say how much of it XLA holds at its peak, and were
    fitted on models of the registry (`recipes/benchmarks/cost_model.py`). The figure is that of one device
    and XLA; TensorFlow's graph and PyTorch hold more. Loader and runtime are not in it.
    Under mixed precision activations are counted in half, which nothing has judged: products kept in
    float32 and casts of kernels are left out, so that the figure is too low.

    Args:
        model: The model; its weights need not exist, see `kranking.models.without_weights`.
        batch_size: Rows of a training step.
        optimizer: Keras optimizer or its name.
        hyperparameters: Number of settings to tune, such as `len(architecture.hyperparameters)`.
        latency_batch: Rows of a request, to predict `latency_p50` on ONNX Runtime with one thread. Its
            factors are those of one machine: on another, read the order and not the milliseconds.

    >>> age = kr.features.Numeric("age", mean=40.0, std=10.0)
    >>> model = kr.RankingModel([age], [kr.layers.MLP([8])], [kr.Task("save")])
    >>> cost = analytic_cost(model, batch_size=100)
    >>> cost["dense_parameters"].value, cost["flops"].value
    (25, 32)
    >>> analytic_cost(model, latency_batch=100)["latency_p50"].fidelity
    'analytic'
    """
    check_positive_int("batch_size", batch_size)
    check_positive_int("latency_batch", latency_batch, optional=True)
    total = model.work()
    dense = total.parameters - total.table_parameters
    conditions = "one device, XLA" + (", mixed precision not judged" if _half(model) else "")
    parts, unknown = _memory(model, total, batch_size, optimizer)
    figures = {
        "table_parameters": Figure(total.table_parameters, "parameters", "analytic"),
        "dense_parameters": Figure(dense, "parameters", "analytic"),
        "flops": Figure(total.matmul_flops, "flops", "analytic"),
        "artefact": Figure(_BYTES * total.parameters, "bytes", "analytic", "weights in float32"),
        "memory": Figure(sum(parts.values()), "bytes", "analytic", conditions),
    }
    if hyperparameters is not None:
        figures["hyperparameters"] = Figure(hyperparameters, "settings", "analytic")
    if latency_batch is not None:
        figures["latency_p50"] = predicted_latency(total, latency_batch)
    name, policy = type(keras.optimizers.get(optimizer)).__name__, model.dtype_policy.name
    return Cost(batch_size, name, policy, figures, parts, (*total.unknown, *unknown))


def _memory(model, total, batch_size, optimizer) -> tuple[Mapping[str, float], list[str]]:
    slots = slots_per_parameter(optimizer)
    unknown = (
        [] if slots is not None else [f"slots of {type(keras.optimizers.get(optimizer)).__name__}"]
    )
    dense = total.parameters - total.table_parameters
    itemsize = 2 if _half(model) else 4
    parts = {
        "parameters": _BYTES * total.parameters,
        "slots": _BYTES * total.parameters * (slots or 0.0),
        "inputs": float(batch_size * row_bytes(model)),
        "activations": batch_size * itemsize * peak_elements(total),
        "gradients": _BYTES
        * (
            peak_share("gradients") * dense + peak_share("table_gradients") * total.table_parameters
        ),
    }
    return parts, unknown


def _half(model: RankingModel) -> bool:
    return model.compute_dtype in ("bfloat16", "float16")


def row_bytes(model: RankingModel) -> int:
    """Gives the bytes of one row of inputs and labels, as they lie on a device."""
    inputs = sum(
        int(np.prod(spec.shape)) * _itemsize(spec.dtype)
        for spec in model.preprocessor.inputs.values()
    )
    return inputs + _BYTES * len(model.tasks)


def _itemsize(dtype: Any) -> int:
    size = np.dtype(keras.backend.standardize_dtype(dtype)).itemsize
    return min(size, 4)  # JAX holds 64-bit ids in 32
