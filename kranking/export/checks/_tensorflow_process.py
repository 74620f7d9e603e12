"""Running the TensorFlow part of an export or a check, in this process or in a child process."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kranking._child import ChildError, ask_child
from kranking.export._error import ExportError
from kranking.export._finding import Finding
from kranking.export.checks._expected_answers import ExpectedAnswers


def in_tensorflow(
    task: Callable[..., list[Finding]],
    folder: Path,
    formats: Sequence[str],
    opset: int,
    expectations: Mapping[str, ExpectedAnswers],
    modules: Sequence[str] = (),
    **options: Any,
) -> list[Finding]:
    """Runs `write_artefacts` or `check_artefacts` in this process if possible, otherwise in a child."""
    if _is_here():
        return task(folder, formats, opset, expectations, modules, **options)
    request = {
        "task": task.__name__,
        "folder": str(folder),
        "formats": list(formats),
        "opset": opset,
        "modules": list(modules),
        **options,
        # Names of features may be invalid as file names inside an archive, so they are passed as JSON.
        "expectations": {
            name: {
                "signature": expected.signature.to_json(),
                "cases": [case.name for case in expected.cases],
                "tolerance": expected.tolerance,
            }
            for name, expected in expectations.items()
        },
    }
    try:
        answer = ask_child("kranking.export._child", request, "tensorflow", _arrays(expectations))
    except ChildError as error:
        raise ExportError(f"The TensorFlow process of the export failed: {error}") from error
    if "refused" in answer:
        raise ExportError(answer["refused"])
    return [Finding(**finding) for finding in answer["found"]]


def _is_here() -> bool:
    """Whether the backend is TensorFlow and no strategy is active, whose graphs cannot be served."""
    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow as tf

    return not tf.distribute.has_strategy()


def _arrays(expectations: Mapping[str, ExpectedAnswers]) -> dict[str, np.ndarray]:
    arrays = {}
    for name, expected in expectations.items():
        inputs, outputs = expected.signature.inputs, expected.signature.outputs
        for i, (case, answers) in enumerate(zip(expected.cases, expected.answers, strict=True)):
            for j, value in enumerate(inputs):
                arrays[f"{name} {i} rows {j}"] = _without_objects(case.rows[value.name])
            for j, value in enumerate(outputs):
                arrays[f"{name} {i} answers {j}"] = answers[value.name]
    return arrays


def _without_objects(column: np.ndarray) -> np.ndarray:
    """Converts objects to NumPy strings, so that no data between processes must be unpickled."""
    return column.astype(str) if column.dtype == object else column
