"""Sections of the manifest: signatures, results of the comparison, and cost of the model."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from kranking.export._finding import Finding
from kranking.export._parity import PARITY, TOLERANCE
from kranking.export.checks._expected_answers import ExpectedAnswers
from kranking.export.functions._served_function import ONNX_FILES, RANK, ServedFunction
from kranking.features import Feature
from kranking.features.internal import host_side

_BYTES = 4  # served weights are float32


def describe_signatures(
    functions: Sequence[ServedFunction], formats: Collection[str], features: Sequence[Feature]
) -> dict[str, Any]:
    """Returns, by function, its inputs and outputs, its ONNX file, and the encoding left to the client."""
    return {f.name: _describe(f, formats, features) for f in functions}


def describe_check(
    expected: ExpectedAnswers, seed: int, found: Sequence[Finding]
) -> dict[str, Any]:
    """Returns the check rows on model inputs and the largest difference of each artefact."""
    tasks = {
        v.name: np.concatenate([a[v.name] for a in expected.answers])
        for v in expected.signature.outputs
    }
    return {
        "tolerance": TOLERANCE,
        "reached": {f.of: f.value for f in found if f.check == PARITY},
        "rows": {case.name: case.size for case in expected.cases},
        "seed": seed,
        # Rows with numbers of ±1e6 on which rounding dominates the output of the model itself.
        "left_out": {task: int(np.isnan(p).sum()) for task, p in tasks.items()},
        # Shows what was compared: models that always predict 0 or 1 are easily equal.
        "probabilities": {
            task: [float(np.nanmin(p)), float(np.nanmax(p))] for task, p in tasks.items()
        },
    }


def describe_cost(model: Any) -> dict[str, Any]:
    """Returns the cost of a model from the `work` of its layers, as `budget.analytic_cost` counts it.

    `flops` are FLOPs of matrix products per row, `artefact` is the size of the weights in bytes, and
    `unknown` are classes of layers that were not counted.
    """
    work = model.work()
    return {
        "table_parameters": work.table_parameters,
        "dense_parameters": work.parameters - work.table_parameters,
        "flops": work.matmul_flops,
        "artefact": _BYTES * work.parameters,
        "unknown": sorted(set(work.unknown)),
    }


def _describe(
    function: ServedFunction, formats: Collection[str], features: Sequence[Feature]
) -> Mapping[str, Any]:
    file = {"onnx": ONNX_FILES[function.name]} if "onnx" in formats else {}
    if not function.parts:
        return {**function.signature.to_json(), **file}
    read = {f.name for part in function.parts for f in part.columns.features}
    notes = {"host_side": [name for name in host_side(features) if name in read]}
    if function.name == RANK:
        # A history encoded with the candidate differs between items and is computed for each of them.
        notes["per_candidate"] = [f.name for f in features if getattr(f, "candidate", None)]
    return {**function.signature.to_json(), **file, **notes}
