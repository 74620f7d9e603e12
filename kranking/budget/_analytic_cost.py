"""Analytic cost of a model, without running it and without weights."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from kranking._core import check_instance, check_positive_int
from kranking.budget._cost import Cost, Figure
from kranking.budget._latency_model import predicted_latency
from kranking.budget._optimizer_slots import slots_per_parameter
from kranking.budget._peak_shares import peak_elements, peak_share
from kranking.models import RankingModel

_BYTES = (
    4  # weights, gradients and slots are float32 under every dtype policy that kranking supports
)


def analytic_cost(
    model: RankingModel,
    batch_size: int = 4096,
    optimizer: Any = "adam",
    hyperparameters: int | None = None,
    latency_batch: int | None = None,
) -> Cost:
    """Computes the cost of a model from the `work` of its layers; takes a few milliseconds.

    The peak memory of a training step, with `P` parameters of which `P_t` are in tables, batch size `B`,
    `s` slots per parameter and `a` bytes per activation, is

    `M = 4 P (1 + s) + B · inputs + B a Σ_c k_c · saved_c + g · 4 (P - P_t) + t · 4 P_t`

    in bytes. `saved` is from the `work` of the layers; the factors `k`, `g` and `t`, the fraction that XLA
    has in memory at the peak, were fitted on models of the registry (`recipes/benchmarks/cost_model.py`).
    The figure applies to one device with XLA; TensorFlow graphs and PyTorch use more. The data loader and
    the runtime are not included. Under mixed precision, activations are counted at half size. This has not
    been validated: products kept in float32 and casts of kernels are ignored, so the figure is too low.

    Args:
        model: The model; its weights need not exist, see `kranking.models.without_weights`.
        batch_size: Number of rows in a training step.
        optimizer: Keras optimizer or its name.
        hyperparameters: Number of settings to tune, such as `len(architecture.hyperparameters)`.
        latency_batch: Number of rows in a request, to predict `latency_p50` on ONNX Runtime with one
            thread. The factors were fitted on one machine: on another, rely on the order of models, not on
            the milliseconds.

    Returns:
        The cost with the figures `table_parameters`, `dense_parameters`, `flops`, `artefact`, `memory` and,
        if requested, `hyperparameters` and `latency_p50`.

    >>> age = kr.features.Numeric("age", mean=40.0, std=10.0)
    >>> model = kr.RankingModel([age], [kr.layers.MLP([8])], [kr.Task("save")])
    >>> cost = analytic_cost(model, batch_size=100)
    >>> cost["dense_parameters"].value, cost["flops"].value
    (25, 32)
    >>> analytic_cost(model, latency_batch=100)["latency_p50"].fidelity
    'analytic'
    """
    check_instance("model", model, RankingModel)
    check_positive_int("batch_size", batch_size)
    check_positive_int("latency_batch", latency_batch, optional=True)
    total = model.work()
    dense = total.parameters - total.table_parameters
    conditions = "one device, XLA" + (", mixed precision not validated" if _half(model) else "")
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
    """Returns the number of bytes of one row of inputs and labels on a device."""
    inputs = sum(
        int(np.prod(spec.shape)) * _itemsize(spec.dtype)
        for spec in model.preprocessor.inputs.values()
    )
    return inputs + _BYTES * len(model.tasks)


def _itemsize(dtype: Any) -> int:
    size = np.dtype(keras.backend.standardize_dtype(dtype)).itemsize
    return min(size, 4)  # JAX stores 64-bit ids in 32 bits
