"""Answers one request from a bundle with ONNX Runtime and NumPy alone: no Keras, no TensorFlow.

A request is `{"inputs": {name: [value of each row, …], …}}`, the reply `{"outputs": {task: …}}`.
"""

import argparse
import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime  # the one thing this file is about


def load(bundle: Path) -> tuple[dict, onnxruntime.InferenceSession]:
    manifest = json.loads((bundle / "manifest.json").read_text("utf-8"))
    for name in {"model.onnx", "weights.bin"} & manifest["files"].keys():
        expected = manifest["files"][name]["sha256"]
        with (bundle / name).open("rb") as file:
            received = hashlib.file_digest(file, "sha256").hexdigest()
        if received != expected:
            raise SystemExit(f"{name} should have SHA-256 {expected}. Received: {received}")
    session = onnxruntime.InferenceSession(
        str(bundle / "model.onnx"), providers=["CPUExecutionProvider"]
    )
    return manifest, session


def unknown_row(inputs: list[dict]) -> dict:
    """Nobody, about nothing: unknown ids, empty sequences, average numbers."""
    empty = {"int32": -1, "float32": 0.0}
    return {
        value["name"]: np.full(
            [1, *value["shape"][1:]], 0 if len(value["shape"]) == 1 else empty[value["dtype"]]
        ).tolist()
        for value in inputs
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path, help="the directory that export_model wrote")
    parser.add_argument("request", nargs="?", type=Path, help="JSON file; default: an unknown row")
    args = parser.parse_args()
    manifest, session = load(args.bundle)
    signature = manifest["signature"]
    if args.request:
        inputs = json.loads(args.request.read_text("utf-8"))["inputs"]
    else:
        inputs = unknown_row(signature["inputs"])
    dtypes = {value["name"]: value["dtype"] for value in signature["inputs"]}
    missing = [name for name in dtypes if name not in inputs]
    if missing:
        raise SystemExit(f"The request should hold every input. Received: missing {missing}")
    feed = {name: np.asarray(inputs[name], dtype) for name, dtype in dtypes.items()}
    tasks = [value["name"] for value in signature["outputs"]]
    answers = session.run(tasks, feed)
    outputs = {task: np.round(p, 6).tolist() for task, p in zip(tasks, answers, strict=True)}
    reply = {"outputs": outputs, "keras_imported": "keras" in sys.modules}
    print(json.dumps(reply, ensure_ascii=False))


if __name__ == "__main__":
    main()
