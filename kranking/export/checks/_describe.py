"""What the manifest says of a bundle: its signatures, what it was compared on, what the model costs."""

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
    """Gives by function what it takes and gives, its ONNX file, and what is left to the client."""
    return {f.name: _describe(f, formats, features) for f in functions}


def describe_check(
    expected: ExpectedAnswers, seed: int, found: Sequence[Finding]
) -> dict[str, Any]:
    """Gives the rows on model inputs, and how near every artefact came to the model."""
    tasks = {
        v.name: np.concatenate([a[v.name] for a in expected.answers])
        for v in expected.signature.outputs
    }
    return {
        "tolerance": TOLERANCE,
        "reached": {f.of: f.value for f in found if f.check == PARITY},
        "rows": {case.name: case.size for case in expected.cases},
        "seed": seed,
        # Rows with numbers of ±1e6 on which the model's own answer hangs on its last bits.
        "left_out": {task: int(np.isnan(p).sum()) for task, p in tasks.items()},
        # A model that says 0 or 1 to everything is equal to many others: see what was compared.
        "probabilities": {
            task: [float(np.nanmin(p)), float(np.nanmax(p))] for task, p in tasks.items()
        },
    }


def describe_cost(model: Any) -> dict[str, Any]:
    """Gives the cost of a model from its layers' own `work`, as `budget.analytic_cost` counts it.

    `flops` are those of matrix products, per row; `artefact` is the bytes of the weights; `unknown`
    names classes of layers that were not counted.
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
        # Encoded with the candidate, a history differs from item to item and is computed for each.
        notes["per_candidate"] = [f.name for f in features if getattr(f, "candidate", None)]
    return {**function.signature.to_json(), **file, **notes}
