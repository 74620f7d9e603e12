"""Doing TensorFlow's part of an export in a process of its own, from the other backends."""

from collections.abc import Sequence
from pathlib import Path

from kranking._child import ChildError, ask_child
from kranking.export._check_rows import Case, Rows
from kranking.export._error import ExportError


def write_in_child(
    folder: Path,
    formats: Sequence[str],
    opset: int,
    cases: Sequence[Case],
    wanted: Sequence[Rows],
    modules: Sequence[str] = (),
) -> dict[str, float]:
    """Does what `write_artefacts` does, in a child process on TensorFlow's backend."""
    request = {
        "folder": str(folder),
        "formats": list(formats),
        "opset": opset,
        "modules": list(modules),
        # Names of features may not be names of files inside an archive: they travel in the JSON.
        "cases": [case.name for case in cases],
        "inputs": list(cases[0].rows),
        "tasks": list(wanted[0]),
    }
    arrays = {}
    for i, (case, answers) in enumerate(zip(cases, wanted, strict=True)):
        arrays |= {f"{i} rows {j}": column for j, column in enumerate(case.rows.values())}
        arrays |= {f"{i} wanted {j}": column for j, column in enumerate(answers.values())}
    try:
        answer = ask_child("kranking.export._child", request, "tensorflow", arrays)
    except ChildError as error:
        raise ExportError(
            f"The TensorFlow process that exports the model failed: {error}"
        ) from error
    if "refused" in answer:
        raise ExportError(answer["refused"])
    return answer["reached"]
