"""Answers one request by a Triton server, over HTTP or gRPC: needs tritonclient and NumPy, no Keras.

A request is `{"inputs": {name: [value of each row, …], …}}`, the reply `{"outputs": {task: …}, …}`.
"""

import argparse
import importlib
import json
import sys
from pathlib import Path

import numpy as np

DTYPES = {
    "TYPE_INT32": ("INT32", "int32"),
    "TYPE_INT64": ("INT64", "int64"),
    "TYPE_FP32": ("FP32", "float32"),
    "TYPE_FP64": ("FP64", "float64"),
    "TYPE_STRING": ("BYTES", "object"),
}
NULL = {"TYPE_INT64": -(2**63), "TYPE_FP64": float("nan"), "TYPE_STRING": ""}


def unknown_row(inputs: list[dict], batched: bool) -> dict:
    """Nobody, about nothing: unknown ids, empty sequences, average numbers, nulls."""
    empty = {**NULL, "TYPE_INT32": -1, "TYPE_FP32": 0.0}
    row = {}
    for value in inputs:
        shape = [abs(int(n)) for n in value["dims"]]
        single = "reshape" in value or (not batched and len(shape) == 1)
        kind = value["data_type"]
        fill = 0 if single and kind in ("TYPE_INT32", "TYPE_FP32") else empty[kind]
        row[value["name"]] = np.full(
            [1, *shape] if batched else shape, fill, DTYPES[kind][1]
        ).tolist()
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("request", nargs="?", type=Path, help="JSON file; default: an unknown row")
    parser.add_argument("--model", default="ranker")
    parser.add_argument("--protocol", choices=("http", "grpc"), default="grpc")
    parser.add_argument("--url", help="default: 127.0.0.1 and the protocol's usual port")
    args = parser.parse_args()
    triton = importlib.import_module(f"tritonclient.{args.protocol}")
    url = args.url or {"http": "127.0.0.1:8000", "grpc": "127.0.0.1:8001"}[args.protocol]
    client = triton.InferenceServerClient(url)
    try:
        print(json.dumps(answer(client, triton, args.model, args.request), ensure_ascii=False))
    except triton.InferenceServerException as error:
        raise SystemExit(f"error: {error.message()}") from error


def answer(client, triton, model: str, request: Path | None) -> dict:
    config = configuration(client, model)
    batched = int(config.get("max_batch_size", 0)) > 0  # else a request has the rows that it has
    inputs = (
        json.loads(request.read_text("utf-8"))["inputs"]
        if request
        else unknown_row(config["input"], batched)
    )
    tensors = []
    for value in config["input"]:
        if value["name"] in inputs:  # the server says what is missing
            name, dtype = DTYPES[value["data_type"]]
            column = np.asarray(inputs[value["name"]], dtype)
            if "reshape" in value:
                column = column.reshape(-1, 1)
            tensors.append(triton.InferInput(value["name"], column.shape, name))
            tensors[-1].set_data_from_numpy(column)
    reply = client.infer(model, tensors)
    tasks = [value["name"] for value in config["output"]]
    answers = {task: reply.as_numpy(task).astype("float64") for task in tasks}
    outputs = {task: np.round(p, 6).tolist() for task, p in answers.items()}
    response = reply.get_response()
    version = response["model_version"] if isinstance(response, dict) else response.model_version
    return {"outputs": outputs, "version": int(version), "keras_imported": "keras" in sys.modules}


def configuration(client, model: str) -> dict:
    """Returns the model's `config.pbtxt` as the server tells it: the same by both protocols, nearly."""
    if client.__module__.startswith("tritonclient.grpc"):
        return client.get_model_config(model, as_json=True)["config"]
    return client.get_model_config(model)


if __name__ == "__main__":
    main()
