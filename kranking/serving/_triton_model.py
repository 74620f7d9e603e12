"""Triton model that runs ONNX Runtime, for servers that only have the Python backend.

`write_triton` copies this file as `model.py` into the folder of `model.onnx`. There it runs in the Python
of Triton, without kranking: ONNX Runtime, NumPy and the module of Triton are imported where they are used.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np


class TritonPythonModel:
    """A loaded version of a model; Triton calls its methods."""

    def initialize(self, args: dict[str, str]) -> None:
        """Loads the ONNX file of this version."""
        import onnxruntime

        config = json.loads(args["model_config"])
        parameters = config["parameters"]
        self.batched = int(config.get("max_batch_size", 0)) > 0
        self.finite = (
            parameters.get("numbers", {"string_value": "finite"})["string_value"] == "finite"
        )
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
        """Runs all requests of a batch in one forward pass; an invalid request fails alone."""
        import triton_python_backend_utils as triton

        if not self.batched and len(requests) > 1:
            return [self.execute([request])[0] for request in requests]
        rows = [self._rows(request, triton) for request in requests]
        responses = [self._refusal(r, triton) if self.finite else None for r in rows]
        good = [i for i, response in enumerate(responses) if response is None]
        if good:
            batch = {name: np.concatenate([rows[i][name] for i in good]) for name in self.inputs}
            answers = self.session.run(self.outputs, batch)
            ends = np.cumsum([len(next(iter(rows[i].values()))) for i in good[:-1]])
            for i, parts in zip(good, zip(*(np.split(a, ends) for a in answers))):
                tensors = [
                    triton.Tensor(n, np.ascontiguousarray(p)) for n, p in zip(self.outputs, parts)
                ]
                responses[i] = triton.InferenceResponse(tensors)
        return responses

    def _rows(self, request: Any, triton: Any) -> dict[str, np.ndarray]:
        rows = {}
        for name, shape in self.inputs.items():
            column = triton.get_input_tensor_by_name(request, name).as_numpy().reshape(-1, *shape)
            if column.dtype == object:  # strings of Triton are bytes
                texts = [text.decode("utf-8", "replace") for text in column.ravel()]
                column = np.array(texts, object).reshape(column.shape)
            rows[name] = column
        return rows

    def _refusal(self, rows: dict[str, np.ndarray], triton: Any) -> Any:
        """Returns an error response for rows with NaN or infinity, otherwise None."""
        for name, column in rows.items():
            if column.dtype.kind == "f" and not np.isfinite(column).all():
                row = int(np.argwhere(~np.isfinite(column))[0][0])
                message = (
                    f"Input `{name}` must be finite. Received: {column[row].tolist()} in row {row}"
                )
                error = triton.TritonError(message, triton.TritonError.INVALID_ARG)
                return triton.InferenceResponse(error=error)
        return None
