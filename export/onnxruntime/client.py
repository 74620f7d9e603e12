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


def load(bundle: Path) -> dict:
    """Reads the manifest, and checks the files that an answer comes from."""
    manifest = json.loads((bundle / "manifest.json").read_text("utf-8"))
    for name, expected in manifest["files"].items():
        if Path(name).suffix not in {".onnx", ".bin", ".npy"} and name != "tables.json":
            continue
        with (bundle / name).open("rb") as file:
            received = hashlib.file_digest(file, "sha256").hexdigest()
        if received != expected["sha256"]:
            raise SystemExit(
                f"{name} should have SHA-256 {expected['sha256']}. Received: {received}"
            )
    return manifest


def session(path: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])


def with_rows(bundle: Path, files: dict, feed: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Looks up the rows of tables that lie beside the graph: what `tables.json` is for."""
    split = json.loads((bundle / "tables.json").read_text("utf-8"))["signatures"]["serve_ids"]
    unknown = {split["indices"], *(one["table"] for one in split["lookups"])} - set(files)
    if unknown:
        raise SystemExit(f"tables.json should name files of the manifest. Received: {unknown}")
    asking = session(bundle / split["indices"])
    given = {value.name: feed[value.name] for value in asking.get_inputs()}
    found = asking.run([one["indices"] for one in split["lookups"]], given)
    taken = {name: feed[name] for name in split["inputs"]}
    for one, indices in zip(split["lookups"], found, strict=True):
        taken[one["rows"]] = np.load(bundle / one["table"], mmap_mode="r")[indices]
    return taken


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
    manifest = load(args.bundle)
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
    if "tables.json" in manifest["files"]:
        feed = with_rows(args.bundle, manifest["files"], feed)
    answers = session(args.bundle / "model.onnx").run(tasks, feed)
    outputs = {task: np.round(p, 6).tolist() for task, p in zip(tasks, answers, strict=True)}
    reply = {"outputs": outputs, "keras_imported": "keras" in sys.modules}
    print(json.dumps(reply, ensure_ascii=False))


if __name__ == "__main__":
    main()
