"""Doing TensorFlow's part of an export in a process of its own, from the other backends."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from kranking._child import ChildError, ask_child
from kranking.export._error import ExportError
from kranking.export._write import Check


def write_in_child(
    folder: Path,
    formats: Sequence[str],
    opset: int,
    checks: Mapping[str, Check],
    modules: Sequence[str] = (),
) -> dict[str, float]:
    """Does what `write_artefacts` does, in a child process on TensorFlow's backend."""
    request = {
        "folder": str(folder),
        "formats": list(formats),
        "opset": opset,
        "modules": list(modules),
        # Names of features may not be names of files inside an archive: they travel in the JSON.
        "checks": {
            name: {
                "cases": [case.name for case in cases],
                "inputs": list(cases[0].rows),
                "outputs": list(wanted[0]),
            }
            for name, (cases, wanted) in checks.items()
        },
    }
    arrays = {}
    for name, (cases, wanted) in checks.items():
        for i, (case, answers) in enumerate(zip(cases, wanted, strict=True)):
            rows = enumerate(map(_without_objects, case.rows.values()))
            arrays |= {f"{name} {i} rows {j}": column for j, column in rows}
            arrays |= {f"{name} {i} wanted {j}": p for j, p in enumerate(answers.values())}
    try:
        answer = ask_child("kranking.export._child", request, "tensorflow", arrays)
    except ChildError as error:
        raise ExportError(
            f"The TensorFlow process that exports the model failed: {error}"
        ) from error
    if "refused" in answer:
        raise ExportError(answer["refused"])
    return answer["reached"]


def _without_objects(column: np.ndarray) -> np.ndarray:
    """Gives strings as NumPy's own: nothing that needs unpickling goes from one process to another."""
    return column.astype(str) if column.dtype == object else column
