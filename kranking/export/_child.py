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
    checks = {}
    for key, names in request.pop("checks").items():
        cases, wanted = [], []
        for i, case in enumerate(names["cases"]):
            of = f"{key} {i}"
            rows = {name: arrays[f"{of} rows {j}"] for j, name in enumerate(names["inputs"])}
            cases.append(Case(case, rows))
            answers = {n: arrays[f"{of} wanted {j}"] for j, n in enumerate(names["outputs"])}
            wanted.append(answers)
        checks[key] = (cases, wanted)
    folder = Path(request.pop("folder"))
    try:
        reached = write_artefacts(folder=folder, checks=checks, **request)
    except ExportError as error:
        return {"refused": str(error)}
    return {"reached": reached}


if __name__ == "__main__":
    answer_parent(write)
