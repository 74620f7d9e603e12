"""Doing TensorFlow's part of an export in a process of its own, from the other backends."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

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
    request = {"folder": str(folder), "formats": formats, "opset": opset, "modules": modules}
    with tempfile.TemporaryDirectory(prefix="kranking-export-") as exchange:
        _write_request(Path(exchange), request, cases, wanted)
        child = subprocess.run(
            [sys.executable, "-P", "-m", "kranking.export._child", exchange],
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        result = Path(exchange, "result.json")
        answer = json.loads(result.read_text("utf-8")) if result.is_file() else {}
    if "reached" in answer:
        return answer["reached"]
    if "refused" in answer:
        raise ExportError(answer["refused"])
    message = answer.get("error") or f"exit status {child.returncode}"
    raise ExportError(
        f"The TensorFlow process that exports the model failed: {message}\n"
        f"The end of its output:\n{child.stdout[-2000:]}"
    )


def _environment() -> dict[str, str]:
    # Flags meant for JAX's compiler can be unknown to TensorFlow's, which then aborts.
    inherited = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    return {
        **inherited,
        "KERAS_BACKEND": "tensorflow",
        # The parent may hold the accelerator's memory, and artefacts are checked on the CPU.
        "CUDA_VISIBLE_DEVICES": "-1",
        "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3"),
        # The caller's modules (custom layers) are found where the caller finds them.
        "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
    }


def _write_request(
    exchange: Path, request: dict[str, Any], cases: Sequence[Case], wanted: Sequence[Rows]
) -> None:
    arrays = {}
    for i, (case, answers) in enumerate(zip(cases, wanted, strict=True)):
        arrays |= {f"{i} rows {j}": column for j, column in enumerate(case.rows.values())}
        arrays |= {f"{i} wanted {j}": column for j, column in enumerate(answers.values())}
    # Names of features may not be names of files inside an archive: they travel in the JSON.
    names = {
        "cases": [case.name for case in cases],
        "inputs": list(cases[0].rows),
        "tasks": list(wanted[0]),
    }
    np.savez(exchange / "rows.npz", **arrays)
    (exchange / "request.json").write_text(json.dumps(request | names), "utf-8")
