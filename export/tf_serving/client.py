"""Answers one request by TensorFlow Serving over REST: needs nothing but Python.

A request is `{"inputs": {name: [value of each row, …], …}}`, the reply `{"outputs": {task: …}, …}`.
"""

import argparse
import json
import math
import sys
import urllib.error
import urllib.request
from pathlib import Path

# What a row of which nothing is known has: an id, an id in a list, a number, a text.
UNKNOWN = {"DT_INT32": (0, -1), "DT_INT64": (0, -1), "DT_FLOAT": (0.0, 0.0), "DT_STRING": ("", "")}


def ask(url: str, request: dict | None = None) -> dict:
    data = None if request is None else json.dumps(request).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data), timeout=60) as reply:
            return json.load(reply)
    except urllib.error.HTTPError as error:
        raise SystemExit(f"error: {error.read().decode()}") from error
    except urllib.error.URLError as error:
        raise SystemExit(f"error: {url} should answer. Received: {error.reason}") from error


def unknown_row(inputs: dict) -> dict:
    """Nobody, about nothing: unknown ids, empty sequences, average numbers."""
    row = {}
    for name, value in inputs.items():
        sizes = [max(1, int(dim["size"])) for dim in value["tensor_shape"]["dim"]]
        filled = [UNKNOWN[value["dtype"]][len(sizes) > 1]] * math.prod(sizes)
        for size in sizes[:0:-1]:
            filled = [filled[i : i + size] for i in range(0, len(filled), size)]
        row[name] = filled
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("request", nargs="?", type=Path, help="JSON file; default: an unknown row")
    parser.add_argument("--model", default="ranker")
    parser.add_argument("--signature", default="serving_default")
    parser.add_argument("--url", default="http://127.0.0.1:8501")
    args = parser.parse_args()
    url = f"{args.url}/v1/models/{args.model}"
    known = ask(f"{url}/metadata")["metadata"]["signature_def"]["signature_def"]
    if args.signature not in known:
        names = sorted(name for name in known if not name.startswith("__"))
        raise SystemExit(f"error: the model has the signatures {names}")
    signature = known[args.signature]
    if args.request:
        inputs = json.loads(args.request.read_text("utf-8"))["inputs"]
    else:
        inputs = unknown_row(signature["inputs"])
    body = {"signature_name": args.signature, "inputs": inputs}
    outputs = ask(f"{url}:predict", body)["outputs"]
    if isinstance(outputs, list):  # an only output comes without its name
        outputs = {next(iter(signature["outputs"])): outputs}
    outputs = {task: [[round(p, 6) for p in row] for row in rows] for task, rows in outputs.items()}
    reply = {"outputs": outputs, "keras_imported": "keras" in sys.modules}
    print(json.dumps(reply, ensure_ascii=False))


if __name__ == "__main__":
    main()
