"""A real Triton server, started on what `write_triton` wrote.

`TRITON_PYTHON` names the Python that has nvidia-pytriton, tritonclient and onnxruntime; see
export/triton/README.md.
"""

import json
import os
import re
import socket
import subprocess
import time
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import export_samples
import numpy as np
import pytest

from kranking.export import load_bundle, write_triton

SCRIPTS = Path(__file__).parents[2] / "export" / "triton"
PYTHON = os.environ.get("TRITON_PYTHON")

pytestmark = pytest.mark.skipif(not PYTHON, reason="TRITON_PYTHON names no Python with Triton")


def free_ports(number):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def http(server, path, method="GET"):
    url = f"http://127.0.0.1:{server.ports['http']}/v2/{path}"
    with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=60) as reply:
        return reply.status


def is_ready(server):
    try:
        return http(server, "health/ready") == 200
    except OSError:
        return False


@pytest.fixture(scope="module")
def server(awkward, tmp_path_factory):
    repository = tmp_path_factory.mktemp("models")
    write_triton(awkward.folder, repository, name="ranker", backend="python")
    ports = dict(zip(("http", "grpc", "metrics"), free_ports(3)))
    command = [PYTHON, SCRIPTS / "serve.py", repository]
    command += [f"--{name}-port={port}" for name, port in ports.items()]
    with (repository.parent / "triton.log").open("w+") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        server = SimpleNamespace(repository=repository, ports=ports, process=process)
        try:
            for _ in range(300):
                if process.poll() is not None or is_ready(server):
                    break
                time.sleep(0.2)
            log.seek(0)
            assert is_ready(server), log.read()
            yield server
        finally:
            process.terminate()
            process.wait(timeout=60)


def ask(server, tmp_path, rows, protocol="grpc"):
    request = tmp_path / "request.json"
    request.write_text(json.dumps({"inputs": {k: v.tolist() for k, v in rows.items()}}), "utf-8")
    url = f"--url=127.0.0.1:{server.ports[protocol]}"
    return subprocess.run(
        [PYTHON, SCRIPTS / "client.py", request, url, f"--protocol={protocol}"],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize("size", [1, 5])
def test_answers_are_the_models(server, awkward, tmp_path, protocol, size):
    rows = export_samples.random_inputs(awkward.model, size, seed=size)
    done = ask(server, tmp_path, rows, protocol)
    assert done.returncode == 0, done.stderr
    reply = json.loads(done.stdout)
    assert reply["keras_imported"] is False
    for task, p in load_bundle(awkward.folder).predict(rows).items():
        np.testing.assert_allclose(reply["outputs"][task], p, atol=1e-5)


def test_the_new_version_answers(server, awkward, tmp_path):
    rows = export_samples.random_inputs(awkward.model, 2)
    before = json.loads(ask(server, tmp_path, rows).stdout)["version"]
    write_triton(awkward.folder, server.repository, name="ranker", backend="python")
    assert http(server, "repository/models/ranker/load", "POST") == 200
    assert json.loads(ask(server, tmp_path, rows).stdout)["version"] == before + 1


WRONG = {
    "missing": (lambda r: {k: r[k] for k in r if k != "a/b"}, "expected 11 inputs but got 10"),
    "width": (lambda r: {**r, "x.y": r["x.y"][:, :5]}, r"'x.y'.*\[-1,6\]"),
    "rows": (lambda r: {**r, "dense": r["dense"][:1]}, "batch size"),
    "nan": (lambda r: {**r, "x.y": r["x.y"] * np.nan}, "Input `x.y` should be finite. Received:"),
    "none": (lambda r: {k: v[:0] for k, v in r.items()}, "Expected .* got"),
    "many": (lambda r: {k: np.repeat(v, 1000, 0) for k, v in r.items()}, "<= 1024"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_request_is_refused_and_the_server_lives_on(server, awkward, tmp_path, name):
    change, message = WRONG[name]
    rows = export_samples.random_inputs(awkward.model, 3)
    done = ask(server, tmp_path, change(rows))
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert re.search(message, done.stderr), done.stderr
    assert ask(server, tmp_path, rows).returncode == 0
