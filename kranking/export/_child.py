"""The TensorFlow process that exports or verifies a bundle when Keras uses another backend."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from kranking._child import answer_parent
from kranking.export._error import ExportError
from kranking.export._rows import Case
from kranking.export._write_artefacts import write_artefacts
from kranking.export.checks._check_artefacts import check_artefacts
from kranking.export.checks._expected_answers import ExpectedAnswers
from kranking.export.functions._signature import Signature

TASKS = {task.__name__: task for task in (write_artefacts, check_artefacts)}


def do(request: dict[str, Any], arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Runs the requested task and returns its findings, or the message of the error under `"refused"`."""
    expectations = {}
    for key, described in request.pop("expectations").items():
        signature, cases, answers = Signature.from_json(described["signature"]), [], []
        for i, case in enumerate(described["cases"]):
            rows = {v.name: arrays[f"{key} {i} rows {j}"] for j, v in enumerate(signature.inputs)}
            cases.append(Case(case, rows))
            answers.append(
                {v.name: arrays[f"{key} {i} answers {j}"] for j, v in enumerate(signature.outputs)}
            )
        expectations[key] = ExpectedAnswers(signature, cases, answers, described["tolerance"])
    task, folder = TASKS[request.pop("task")], Path(request.pop("folder"))
    try:
        found = task(folder=folder, expectations=expectations, **request)
    except ExportError as error:
        return {"refused": str(error)}
    return {"found": [asdict(finding) for finding in found]}


if __name__ == "__main__":
    answer_parent(do)
