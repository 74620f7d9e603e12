"""Does a Triton server answer correctly under load, during an update and with malformed requests?

Paper:    none; a load test before production.
Command:  TRITON_PYTHON=.venv-triton/bin/python python recipes/benchmarks/triton_load.py
          (export/triton/README.md makes that Python; needs psutil, which the extra `test` has)
Cost:     10 minutes; `--smoke` 15 seconds and two exports.
Expected: `errors` 0, `wrong_answers` 0, `clear_refusals` equal to `malformed`; in 10 minutes `rss_growth`
          at most 0.05.

64 clients ask over gRPC as fast as they are answered, 1 to 50 rows a request; each answer is compared with
what the bundle of the answering version gives. Half-way a second version with other weights takes over.
Each second a malformed request has to get an error that says what is wrong. The exit code is 1 if not.
"""

import argparse
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import keras
import numpy as np
import psutil
import rich.progress

import kranking as kr

HERE = Path(__file__).parent
SERVE = HERE.parents[1] / "export" / "triton" / "serve.py"
NAME = "ranker"
ROWS = 2000


def main() -> int:
    args = parsed()
    out = Path(args.out or f"runs/triton_load-{time.strftime('%Y%m%d-%H%M%S')}").absolute()
    out.mkdir(parents=True, exist_ok=True)
    for version in (1, 2):
        model = ranker(version)
        print(
            kr.export.export_model(model, out / f"bundle{version}", formats=["onnx"], signatures=())
        )
    write_rows(out)
    put(out, 1)
    with serving(args.python, out) as (server, ports):
        figures = load(args, out, server, ports)
    for name, value in figures.items():
        print(f"{name:20} {value:,.4g}")
    kr.comparison.write_files(out, {"result.json": figures})
    failed = figures["errors"] + figures["wrong_answers"] + figures["malformed"]
    return int(failed != figures["clear_refusals"] or not figures["answers_2"])


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--python", default=os.environ.get("TRITON_PYTHON"))
    parser.add_argument("--smoke", action="store_true", help="15 seconds")
    parser.add_argument("--out")
    args = parser.parse_args()
    if not args.python:
        parser.error("--python or TRITON_PYTHON should name the Python that has nvidia-pytriton")
    args.seconds = 15 if args.smoke else args.seconds
    return args


def ranker(seed: int) -> kr.RankingModel:
    """A model of a home feed's kinds of features; its answers depend on the seed."""
    keras.utils.set_random_seed(seed)
    features = [
        kr.features.Categorical("user_id", side="user", hash_buckets=50_000),
        kr.features.Categorical("country", side="user", vocabulary=tuple("ABCDEFGH")),
        kr.features.Categorical("pin_id", side="item", hash_buckets=50_000),
        kr.features.Numeric("pin_age_days", side="item", mean=30.0, std=20.0),
        kr.features.Embedding("cover", dim=64, project_to=32, side="item"),
        kr.features.Sequence("watched", of="pin_id", max_length=50, side="user"),
    ]
    blocks = [kr.layers.CrossNetwork(depth=3), kr.layers.MLP([256, 128])]
    model = kr.RankingModel(features, blocks, [kr.Task("save"), kr.Task("closeup")])
    random = np.random.default_rng(seed)
    for weight in model.weights:  # an untrained model says nearly the same of every row
        weight.assign(weight + 0.05 * random.standard_normal(weight.shape).astype("float32"))
    return model


def write_rows(out: Path) -> None:
    """Writes requests' rows, and what each version has to answer."""
    random = np.random.default_rng(0)
    rows, answers = {}, {}
    for version in (1, 2):
        bundle = kr.export.load_bundle(out / f"bundle{version}")
        for value in bundle.signature.inputs:
            shape = (ROWS, *value.shape)
            numbers = random.standard_normal(shape).astype("float32")
            ids = random.integers(0, 50_000, shape).astype("int32")
            rows.setdefault(value.name, numbers if value.dtype == "float32" else ids)
        for task, p in bundle.predict(rows).items():
            answers[f"{version}/{task}"] = p
    np.savez(out / "rows.npz", **{f"in/{name}": column for name, column in rows.items()}, **answers)


def put(out: Path, version: int) -> None:
    kr.serving.write_triton(
        out / f"bundle{version}", out / "models", name=NAME, version=version, backend="python"
    )


@contextlib.contextmanager
def serving(python: str, out: Path):
    """Runs a server on free ports until the block ends."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    ports = dict(zip(("http", "grpc", "metrics"), [s.getsockname()[1] for s in sockets]))
    for s in sockets:
        s.close()
    command = [python, str(SERVE), str(out / "models")]
    command += [f"--{name}-port={port}" for name, port in ports.items()]
    with (out / "server.log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        for _ in range(600):
            with contextlib.suppress(OSError):
                post(ports, "health/ready", "GET")
                break
            if server.poll() is not None:
                raise RuntimeError(f"Triton did not start; see {out / 'server.log'}")
            time.sleep(0.1)
        yield server, ports
    finally:
        server.terminate()
        server.wait(60)


def post(ports: dict[str, int], path: str, method: str = "POST") -> None:
    url = f"http://127.0.0.1:{ports['http']}/v2/{path}"
    urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=60).close()


def load(args, out: Path, server, ports: dict[str, int]) -> dict[str, float]:
    """Runs the clients and the change of versions, and watches the server's memory meanwhile."""
    found = out / "clients.json"
    command = [args.python, str(HERE / "triton_clients.py"), f"127.0.0.1:{ports['grpc']}", NAME]
    command += [str(out / "rows.npz"), str(found), str(args.seconds), str(args.clients)]
    clients = subprocess.Popen(command)
    memory: list[list[int]] = [[], []]
    version, start = 1, time.monotonic()
    for second in rich.progress.track(range(args.seconds), "under load"):
        if second == args.seconds // 2:
            put(out, 2)
            begin = time.monotonic()
            post(ports, f"repository/models/{NAME}/load")
            version, swap_seconds = 2, time.monotonic() - begin
        memory[version - 1].append(resident(server))
        time.sleep(max(0.0, start + second + 1 - time.monotonic()))
    if clients.wait(120):
        raise RuntimeError(f"The clients failed; the server's side is in {out / 'server.log'}")
    kr.comparison.write_files(out, {"memory.json": memory})
    largest = max(map(max, memory)) / 2**20
    extra = {"swap_seconds": swap_seconds, "rss_mib": largest, "rss_growth": growth(memory)}
    return json.loads(found.read_text()) | extra


def resident(server: subprocess.Popen) -> int:
    """Returns the bytes in memory of the server and of what it started."""
    total = 0
    for process in psutil.Process(server.pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += process.memory_info().rss
    return total


def growth(memory: list[list[int]]) -> float:
    """Returns the larger growth of both versions' halves, from their second fifth to their last.

    A half begins with pages that are touched for the first time: its first fifth does not count.
    """

    def fifth(samples, i):
        return np.median(samples[i * len(samples) // 5 : (i + 1) * len(samples) // 5 or None])

    return float(max(fifth(samples, 4) / fifth(samples, 1) - 1 for samples in memory))


if __name__ == "__main__":
    sys.exit(main())
