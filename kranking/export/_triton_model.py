"""Answers Triton's requests with ONNX Runtime, for servers that have the Python backend only.

`write_triton` copies this file as `model.py` beside `model.onnx`. There it runs in Triton's own
Python, without kranking: ONNX Runtime, NumPy and Triton's module are imported where they are used.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np


class TritonPythonModel:
    """One loaded version of a model; Triton calls the methods."""

    def initialize(self, args: dict[str, str]) -> None:
        """Loads the ONNX file of this version."""
        import onnxruntime

        parameters = json.loads(args["model_config"])["parameters"]
        threads = parameters.get("intra_op_thread_count", {"string_value": "0"})
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = int(threads["string_value"])
        folder = Path(args["model_repository"]) / args["model_version"]
        self.session = onnxruntime.InferenceSession(
            str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )
        self.inputs = {value.name: tuple(value.shape[1:]) for value in self.session.get_inputs()}
        self.outputs = [value.name for value in self.session.get_outputs()]

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answers the requests of one batch by one run; a request that is wrong fails alone."""
        import triton_python_backend_utils as triton

        rows = [self._rows(request, triton) for request in requests]
        responses = [self._refusal(r, triton) for r in rows]
        good = [i for i, response in enumerate(responses) if response is None]
        if good:
            batch = {name: np.concatenate([rows[i][name] for i in good]) for name in self.inputs}
            answers = self.session.run(self.outputs, batch)
            ends = np.cumsum([len(next(iter(rows[i].values()))) for i in good])
            for i, parts in zip(good, zip(*(np.split(a, ends[:-1]) for a in answers))):
                tensors = [
                    triton.Tensor(n, np.ascontiguousarray(p)) for n, p in zip(self.outputs, parts)
                ]
                responses[i] = triton.InferenceResponse(tensors)
        return responses

    def _rows(self, request: Any, triton: Any) -> dict[str, np.ndarray]:
        columns = {name: triton.get_input_tensor_by_name(request, name) for name in self.inputs}
        return {name: columns[name].as_numpy().reshape(-1, *self.inputs[name]) for name in columns}

    def _refusal(self, rows: dict[str, np.ndarray], triton: Any) -> Any:
        """Gives the error response to rows with a number that is not finite, or nothing."""
        for name, column in rows.items():
            if column.dtype.kind == "f" and not np.isfinite(column).all():
                row = int(np.argwhere(~np.isfinite(column))[0][0])
                message = f"Input `{name}` should be finite. Received: {column[row].tolist()} in row {row}"
                error = triton.TritonError(message, triton.TritonError.INVALID_ARG)
                return triton.InferenceResponse(error=error)
        return None
