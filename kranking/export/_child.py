"""The TensorFlow process of an export from another backend: `python -m kranking.export._child DIR`.

Reads `request.json` and `rows.npz` from `DIR`, writes `result.json` there.
"""

import json
import sys
import traceback
from pathlib import Path
from typing import Any

import numpy as np

from kranking.export._check_rows import Case
from kranking.export._error import ExportError
from kranking.export._write import write_artefacts


def _read_request(exchange: Path) -> dict[str, Any]:
    request = json.loads((exchange / "request.json").read_text("utf-8"))
    inputs, tasks = request.pop("inputs"), request.pop("tasks")
    with np.load(exchange / "rows.npz") as arrays:
        cases, wanted = [], []
        for i, name in enumerate(request.pop("cases")):
            rows = {name: arrays[f"{i} rows {j}"] for j, name in enumerate(inputs)}
            cases.append(Case(name, rows))
            wanted.append({task: arrays[f"{i} wanted {j}"] for j, task in enumerate(tasks)})
    folder = Path(request.pop("folder"))
    return {"folder": folder, "cases": cases, "wanted": wanted, **request}


def main(exchange: Path) -> None:
    """Answers the request in `exchange`; every failure becomes a message there."""
    try:
        answer = {"reached": write_artefacts(**_read_request(exchange))}
    except ExportError as error:
        answer = {"refused": str(error)}
    except Exception as error:
        traceback.print_exc()
        answer = {"error": f"{type(error).__name__}: {error}"}
    (exchange / "result.json").write_text(json.dumps(answer), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
