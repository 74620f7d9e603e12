"""The layout that TensorFlow Serving reads; its binary is not to be had here, its messages are."""

import http.server
import json
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import export_samples
import numpy as np
import pytest
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    json_format,
    message_factory,
    text_format,
    wrappers_pb2,
)

from kranking.export import load_bundle
from kranking.export.__main__ import main
from kranking.export.formats._saved_model import load_saved_model, run_saved_model
from kranking.features import RawColumns
from kranking.serving import write_tf_serving
from kranking.serving._write_tf_serving import batching_config, models_config

pytestmark = pytest.mark.once

pytest.importorskip("tensorflow_serving")
SCRIPTS = Path(__file__).parents[2] / "export" / "tf_serving"
WARMUP = Path("assets.extra") / "tf_serving_warmup_requests"


@pytest.fixture(scope="module")
def folder(awkward, tmp_path_factory):
    return write_tf_serving(awkward.folder, tmp_path_factory.mktemp("models"), name="ranker")


def parsed_models(path):
    from tensorflow_serving.config import model_server_config_pb2

    config = model_server_config_pb2.ModelServerConfig()
    return text_format.Parse(path.read_text("utf-8"), config).model_config_list.config


def batching_parameters():
    """TensorFlow Serving's BatchingParameters, whose proto is not in tensorflow-serving-api."""
    file = descriptor_pb2.FileDescriptorProto(
        name="batching.proto", package="kranking.tests", syntax="proto3"
    )
    file.dependency.append(wrappers_pb2.DESCRIPTOR.name)
    message = file.message_type.add(name="BatchingParameters")
    names = {1: "max_batch_size", 2: "batch_timeout_micros", 3: "max_enqueued_batches"}
    for number, name in {**names, 4: "num_batch_threads"}.items():
        kind = descriptor_pb2.FieldDescriptorProto
        message.field.add(
            name=name,
            number=number,
            type=kind.TYPE_MESSAGE,
            type_name=".google.protobuf.Int64Value",
            label=kind.LABEL_OPTIONAL,
        )
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(wrappers_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(file.SerializeToString())
    name = "kranking.tests.BatchingParameters"
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(name))()


def test_examples_are_up_to_date():
    examples = {
        "models.config": models_config(["ranker"], Path("/models")),
        "batching.config": batching_config(),
    }
    for name, text in examples.items():
        assert (SCRIPTS / name).read_text("utf-8") == text


def test_the_version_answers_as_the_model(awkward, folder):
    rows = export_samples.random_inputs(awkward.model, 5)
    answers = run_saved_model(load_saved_model(folder))(rows)
    for task, p in load_bundle(awkward.folder).predict(rows).items():
        np.testing.assert_allclose(answers[task], p, atol=1e-5)


def test_every_signature_is_warmed_by_a_row_that_it_answers(awkward, folder):
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    records = list(tf.data.TFRecordDataset(str(folder / WARMUP)).as_numpy_iterator())
    logs = [prediction_log_pb2.PredictionLog.FromString(record) for record in records]
    requests = [log.predict_log.request for log in logs]
    names = [r.model_spec.signature_name for r in requests]
    assert names == ["serve", "serve_ids", "serving_default"]
    assert {r.model_spec.name for r in requests} == {"ranker"}
    loaded = load_saved_model(folder)
    columns = RawColumns(awkward.model.features).inputs
    for name, request in zip(names, requests, strict=True):
        run = run_saved_model(loaded, name)
        rows = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
        specs = columns if name == "serve" else awkward.model.preprocessor.inputs
        assert {n: (a.dtype, a.shape) for n, a in rows.items()} == {
            n: (np.dtype("O" if s.dtype == "string" else s.dtype), (1, *s.shape))
            for n, s in specs.items()
        }
        assert all(np.isfinite(p).all() for p in run(rows).values())


@pytest.mark.slow
def test_saved_model_cli_reads_it(awkward, folder):
    cli = Path(sys.executable).with_name("saved_model_cli")
    command = [cli, "show", "--dir", folder, "--tag_set", "serve", "--signature_def", "serve_ids"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for name in (*awkward.model.preprocessor.inputs, *export_samples.AWKWARD_TASKS):
        assert f"puts['{name}'] tensor_info" in shown


def test_command(awkward, tmp_path, capsys):
    arguments = ["tf-serving", str(awkward.folder), str(tmp_path), "--name", "ours"]
    assert main([*arguments, "--version", "3", "--served-from", "/models"]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'ours' / '3'}\n"
    assert 'base_path: "/models/ours"' in (tmp_path / "models.config").read_text("utf-8")


def test_models_config_names_what_is_there(awkward, tmp_path):
    write_tf_serving(awkward.folder, tmp_path, name="ranker")
    write_tf_serving(awkward.folder, tmp_path, name="ranker")
    (tmp_path / "notes").mkdir()
    write_tf_serving(awkward.folder, tmp_path, name="another", served_from='/srv/a "b"')
    assert {p.name for p in (tmp_path / "ranker").iterdir()} == {"1", "2"}
    models = parsed_models(tmp_path / "models.config")
    assert [(m.name, m.base_path, m.model_platform) for m in models] == [
        ("another", '/srv/a "b"/another', "tensorflow"),
        ("ranker", '/srv/a "b"/ranker', "tensorflow"),
    ]
    assert models[0].model_version_policy.latest.num_versions == 1


def test_batching_is_yours_to_change(awkward, folder, tmp_path):
    written = (folder.parents[1] / "batching.config").read_text("utf-8")
    parameters = text_format.Parse(written, batching_parameters())
    assert parameters.max_batch_size.value == 1024
    assert parameters.num_batch_threads.value > 0
    (tmp_path / "batching.config").write_text("max_batch_size { value: 7 }")
    write_tf_serving(awkward.folder, tmp_path, name="ranker")
    assert (tmp_path / "batching.config").read_text() == "max_batch_size { value: 7 }"


def test_a_damaged_bundle_leaves_nothing(awkward, tmp_path):
    bundle = Path(shutil.copytree(awkward.folder, tmp_path / "copy"))
    (bundle / "saved_model" / "saved_model.pb").write_bytes(b"")
    with pytest.raises(ValueError, match=r"saved_model\.pb must have"):
        write_tf_serving(bundle, tmp_path / "models", name="ranker")
    assert not (tmp_path / "models").exists()


def test_a_bundle_without_saved_model_is_refused(awkward, tmp_path):
    bundle = Path(shutil.copytree(awkward.folder, tmp_path / "copy"))
    manifest = json.loads((bundle / "manifest.json").read_text("utf-8"))
    (bundle / "manifest.json").write_text(json.dumps(manifest | {"formats": ["onnx"]}))
    with pytest.raises(ValueError, match=r"format 'saved_model'. Received: formats=\['onnx'\]"):
        write_tf_serving(bundle, tmp_path / "models", name="ranker")


@pytest.fixture(scope="module")
def url(folder):
    """The two REST calls of the client, answered by the SavedModel itself."""
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    signatures = {
        key: json_format.MessageToDict(definition, preserving_proto_field_name=True)
        for key, definition in saved.meta_graphs[0].signature_def.items()
    }
    run = run_saved_model(load_saved_model(folder))
    dtypes = {"DT_INT32": "int32", "DT_FLOAT": "float32"}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            assert self.path == "/v1/models/ranker/metadata"
            self.reply(200, {"metadata": {"signature_def": {"signature_def": signatures}}})

        def do_POST(self):
            assert self.path == "/v1/models/ranker:predict"
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            inputs = signatures[request["signature_name"]]["inputs"]
            if set(inputs) != set(request["inputs"]):
                self.reply(400, {"error": "input size does not match signature"})
                return
            rows = {
                n: np.array(request["inputs"][n], dtypes[v["dtype"]]) for n, v in inputs.items()
            }
            self.reply(200, {"outputs": {task: p.tolist() for task, p in run(rows).items()}})

        def reply(self, status, content):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def ask(url, *arguments):
    command = [sys.executable, SCRIPTS / "client.py", f"--url={url}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_client_needs_nothing(awkward, url, tmp_path):
    done = ask(url)
    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)["outputs"]) == set(export_samples.AWKWARD_TASKS)
    rows = export_samples.random_inputs(awkward.model, 2)
    request = tmp_path / "request.json"
    request.write_text(json.dumps({"inputs": {k: v.tolist() for k, v in rows.items()}}), "utf-8")
    reply = json.loads(ask(url, request, "--signature=serve_ids").stdout)
    assert reply["keras_imported"] is False
    for task, p in load_bundle(awkward.folder).predict(rows).items():
        np.testing.assert_allclose(reply["outputs"][task], p, atol=1e-5)


def test_client_says_what_the_server_says(url, tmp_path):
    request = tmp_path / "request.json"
    request.write_text('{"inputs": {}}')
    done = ask(url, request)
    assert done.returncode == 1
    assert "input size does not match" in done.stderr
    assert (
        "signatures ['serve', 'serve_ids', 'serving_default']" in ask(url, "--signature=x").stderr
    )
    assert "should answer" in ask("http://127.0.0.1:9").stderr
