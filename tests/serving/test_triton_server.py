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

from kranking.export import export_model, load_bundle
from kranking.export.functions._requests import random_columns
from kranking.serving import write_triton

SCRIPTS = Path(__file__).parents[2] / "export" / "triton"
PYTHON = os.environ.get("TRITON_PYTHON")
SIGNATURES = ("serve", "rank", "user_tower")

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
def sided(tmp_path_factory):
    """A bundle that has every signature, and columns of one user and five candidates."""
    folder = tmp_path_factory.mktemp("sided") / "bundle"
    export_model(export_samples.sided_model(), folder, formats=["onnx"], num_check_rows=4)
    bundle = load_bundle(folder)
    return SimpleNamespace(bundle=bundle, columns=random_columns(bundle.features(), 5, seed=1))


@pytest.fixture(scope="module")
def server(awkward, sided, tmp_path_factory):
    repository = tmp_path_factory.mktemp("models")
    write_triton(awkward.folder, repository, name="ranker", backend="python")
    for name in SIGNATURES:
        write_triton(
            sided.bundle.directory, repository, name=name, backend="python", signature=name
        )
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


def ask(server, tmp_path, rows, protocol="grpc", model="ranker"):
    request = tmp_path / "request.json"
    request.write_text(json.dumps({"inputs": {k: v.tolist() for k, v in rows.items()}}), "utf-8")
    url = f"--url=127.0.0.1:{server.ports[protocol]}"
    return subprocess.run(
        [PYTHON, SCRIPTS / "client.py", request, url, f"--protocol={protocol}", f"--model={model}"],
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


@pytest.mark.parametrize("protocol", ["http", "grpc"])
@pytest.mark.parametrize("name", SIGNATURES)
def test_columns_get_the_bundles_answers(server, sided, tmp_path, name, protocol):
    """Strings, nulls and values never seen among them; of `rank`, one user and five candidates."""
    rows = sided.bundle.tensors(name, sided.columns)
    done = ask(server, tmp_path, rows, protocol, model=name)
    assert done.returncode == 0, done.stderr
    outputs = json.loads(done.stdout)["outputs"]
    for output, expected in sided.bundle.run(name, rows).items():
        np.testing.assert_allclose(outputs[output], expected, atol=1e-5)


@pytest.mark.parametrize("name", SIGNATURES)
def test_a_row_of_nulls_is_answered(server, name):
    url = f"--url=127.0.0.1:{server.ports['grpc']}"
    done = subprocess.run(
        [PYTHON, SCRIPTS / "client.py", url, f"--model={name}"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for values in json.loads(done.stdout)["outputs"].values():
        assert np.isfinite(values).all()


def test_two_users_in_a_request_to_rank_are_refused(server, sided, tmp_path):
    rows = sided.bundle.tensors("rank", sided.columns)
    user = next(n for n, x in rows.items() if len(x) == 1)
    rows[user] = np.repeat(rows[user], 2, axis=0)
    done = ask(server, tmp_path, rows, model="rank")
    assert done.returncode == 1
    assert re.search(rf"{user}.*\[1\D", done.stderr), done.stderr


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
    "nan": (lambda r: {**r, "x.y": r["x.y"] * np.nan}, "Input `x.y` must be finite. Received:"),
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
