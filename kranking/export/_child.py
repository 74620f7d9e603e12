"""The TensorFlow process of an export from another backend."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kranking._child import answer_parent
from kranking.export._check_rows import Case
from kranking.export._error import ExportError
from kranking.export._write import write_artefacts


def write(request: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Writes the artefacts that were asked for, or says why they are refused."""
    inputs, tasks = request.pop("inputs"), request.pop("tasks")
    cases, wanted = [], []
    for i, name in enumerate(request.pop("cases")):
        rows = {name: arrays[f"{i} rows {j}"] for j, name in enumerate(inputs)}
        cases.append(Case(name, rows))
        wanted.append({task: arrays[f"{i} wanted {j}"] for j, task in enumerate(tasks)})
    folder = Path(request.pop("folder"))
    try:
        reached = write_artefacts(folder=folder, cases=cases, wanted=wanted, **request)
    except ExportError as error:
        return {"refused": str(error)}
    return {"reached": reached}


if __name__ == "__main__":
    answer_parent(write)
