"""Predicted latency of a served model, from the work of its layers."""

import json
from functools import cache
from importlib.resources import files
from typing import Any

from kranking.budget._cost import Figure
from kranking.layers import Work


def predicted_latency(work: Work, batch: int) -> Figure:
    """Predicts the median latency of a model on ONNX Runtime with one thread.

    A request of `B` rows takes `d · P + Σ_c (s_c · steps_c + B · (f_c · flops_c + e_c · saved_c))`, summed
    over layer classes `c`: the time to read the `P` weights outside of tables, to start operators, to
    multiply and to write. The factors were fitted to measured latencies of other models.

    Args:
        work: The work of the model.
        batch: Number of rows in a request.
    """
    factors = latency_factors()
    classes = factors["classes"]
    nanoseconds = factors["weight"] * (work.parameters - work.table_parameters)
    for name, (steps, flops, saved) in work.by_class.items():
        step, flop, element = classes.get(name, classes[""])
        nanoseconds += step * steps + batch * (flop * flops + element * saved)
    conditions = f"ONNX Runtime, {batch} rows, 1 thread, as on {factors['machine']}"
    return Figure(nanoseconds / 1e6, "ms", "analytic", conditions)


@cache
def latency_factors() -> dict[str, Any]:
    """Reads the fitted factors in nanoseconds; class "" is for classes in no fitted model."""
    path = files("kranking.budget").joinpath("latency_factors.json")
    return json.loads(path.read_text("utf-8"))
