import json
import shutil
import subprocess
import sys
from pathlib import Path

import export_samples
import numpy as np
import pytest

from kranking import architectures
from kranking.export import export_model, load_bundle
from kranking.features import Categorical, Numeric, Preprocessor, Task, schema_hash

pytestmark = pytest.mark.once

CHECKOUT = Path(__file__).parents[3]


@pytest.fixture
def copy(awkward, tmp_path):
    return Path(shutil.copytree(awkward.folder, tmp_path / "copy"))


@pytest.fixture(scope="module")
def bundle(awkward):
    return load_bundle(awkward.folder, awkward.model.features, threads=1)


def test_declarations_travel_with_the_bundle(bundle, awkward):
    assert schema_hash(bundle.features()) == schema_hash(awkward.model.features)
    assert Preprocessor(bundle.features()).inputs == awkward.model.preprocessor.inputs


def test_is_told_by_its_folder_tasks_and_features(bundle):
    where, tasks = repr(str(bundle.directory)), bundle.manifest["tasks"]
    assert repr(bundle) == f"Bundle({where}, tasks {tasks}, {len(bundle.features())} features)"


def test_other_declarations_are_refused(awkward):
    other = [*awkward.model.features[:-1], Numeric("late", mean=0.0, std=1.0)]
    expected, received = schema_hash(awkward.model.features), schema_hash(other)
    with pytest.raises(ValueError, match=f"hash is {expected}. Received: .* hash {received}"):
        load_bundle(awkward.folder, other)


def test_truncated_file_is_refused(copy):
    path = copy / "model.onnx"
    size = path.stat().st_size
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(
        ValueError, match=rf"model.onnx must have {size} bytes. Received: {size - 100} "
    ):
        load_bundle(copy)


@pytest.mark.parametrize("name", ["model.onnx", "features.json", "saved_model/saved_model.pb"])
def test_changed_file_is_refused(copy, awkward, name):
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(content)
    expected = awkward.report.manifest["files"][name]["sha256"]
    with pytest.raises(ValueError, match=f"{name} must have SHA-256 {expected}. Received: "):
        load_bundle(copy)


def test_missing_file_is_refused(copy):
    (copy / "model.keras").unlink()
    with pytest.raises(ValueError, match=r"model\.keras must exist.*Received: no file"):
        load_bundle(copy)


@pytest.mark.parametrize("name", ["../outside", "/etc/hostname", "linked/file"])
def test_files_outside_of_the_bundle_are_refused(copy, tmp_path, name):
    (tmp_path / "outside").write_text("secret")
    (tmp_path / "file").write_text("secret")
    (copy / "linked").symlink_to(tmp_path)
    manifest = json.loads((copy / "manifest.json").read_text("utf-8"))
    manifest["files"][name] = {"bytes": 6, "sha256": "0"}
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(
        ValueError, match=f"must only list files inside the bundle. Received: '{name}'"
    ):
        load_bundle(copy)


def test_a_signature_served_from_outside_is_refused(copy):
    manifest = json.loads((copy / "manifest.json").read_text("utf-8"))
    manifest["signatures"]["serve"]["onnx"] = "../serve.onnx"
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match=r"signature 'serve' under .*Received: '\.\./serve.onnx'"):
        load_bundle(copy)


@pytest.mark.parametrize("text", ["", '{"format": "kran', "[]", "{}"])
def test_damaged_manifest_is_refused(copy, text):
    (copy / "manifest.json").write_text(text)
    with pytest.raises(ValueError, match=r"manifest\.json must be a complete JSON object"):
        load_bundle(copy)


def test_other_format_version_is_refused(copy):
    manifest = json.loads((copy / "manifest.json").read_text("utf-8"))
    (copy / "manifest.json").write_text(json.dumps(manifest | {"format_version": 99}))
    with pytest.raises(ValueError, match=r"version 1\. Received: .* version 99"):
        load_bundle(copy)


def test_no_bundle_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"must contain a bundle with a manifest\.json"):
        load_bundle(tmp_path)


def test_a_bundle_without_onnx_is_refused(copy):
    manifest = json.loads((copy / "manifest.json").read_text("utf-8"))
    del manifest["files"]["model.onnx"]
    manifest["formats"] = ["saved_model"]
    for described in manifest["signatures"].values():
        del described["onnx"]
    (copy / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ValueError, match=r"format 'onnx'. Received: formats=\['saved_model'\]"):
        load_bundle(copy)


def changed(rows, **columns):
    return {**rows, **columns}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda r: {k: r[k] for k in r if k != "class"}, r"missing \['class'\], unknown \[\]"),
        (lambda r: changed(r, clazz=r["class"]), r"missing \[\], unknown \['clazz'\]"),
        (lambda r: changed(r, dense=r["dense"].astype("int64")), "`dense` .*int32. .*dtype=int64"),
        (lambda r: changed(r, dense=r["dense"][:, None]), r"`dense` .*\(batch\). .*=\(3, 1\)"),
        (lambda r: changed(r, **{"x.y": r["x.y"][:, :5]}), r"`x.y` .*\(batch, 6\).*=\(3, 5\)"),
        (lambda r: changed(r, dense=r["dense"][:2]), "same number of rows. .*'dense': 2"),
        (
            lambda r: changed(r, **{"with space": np.array([0, 1, np.nan], "float32")}),
            "`with space` must be finite. Received: nan in row 2",
        ),
    ],
)
def test_wrong_inputs_are_refused(bundle, awkward, change, message):
    rows = export_samples.random_inputs(awkward.model, 3)
    with pytest.raises(ValueError, match=message):
        bundle.predict(change(rows))


def test_no_rows_give_no_answers(bundle, awkward):
    answers = bundle.predict(export_samples.random_inputs(awkward.model, 0))
    assert {p.shape for p in answers.values()} == {(0, 1)}


def test_no_rows_give_no_answers_whatever_the_runtime_makes_of_them(tmp_path):
    features = [Categorical("user", hash_buckets=9), Categorical("pin", hash_buckets=9)]
    tasks = [Task("save"), Task("hide"), Task("closeup")]
    export_model(architectures.fm(features, tasks), tmp_path / "served", formats=["onnx"])
    bundle = load_bundle(tmp_path / "served")  # whose sums give three columns or four
    none = {"user": np.zeros(0, "int64"), "pin": np.zeros(0, "int64")}
    for answers in (
        bundle.score(none),
        bundle.predict({n: x.astype("int32") for n, x in none.items()}),
    ):
        assert {task: p.shape for task, p in answers.items()} == {t.name: (0, 1) for t in tasks}


def test_client_script_needs_no_keras(awkward, bundle, tmp_path):
    script = [sys.executable, CHECKOUT / "export" / "onnxruntime" / "client.py", awkward.folder]
    done = subprocess.run(script, capture_output=True, text=True, check=True)
    reply = json.loads(done.stdout)
    assert reply["keras_imported"] is False
    assert list(reply["outputs"]) == export_samples.AWKWARD_TASKS

    rows = export_samples.random_inputs(awkward.model, 2)
    request = tmp_path / "request.json"
    request.write_text(json.dumps({"inputs": {k: v.tolist() for k, v in rows.items()}}), "utf-8")
    done = subprocess.run([*script, request], capture_output=True, text=True, check=True)
    outputs = json.loads(done.stdout)["outputs"]
    for task, p in bundle.predict(rows).items():
        np.testing.assert_allclose(outputs[task], p, atol=1e-6)


def test_client_script_refuses_a_changed_file(copy):
    (copy / "model.onnx").write_bytes(b"no model")
    script = [sys.executable, CHECKOUT / "export" / "onnxruntime" / "client.py", copy]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "model.onnx should have SHA-256" in done.stderr


def test_random_inputs_are_answered_and_come_from_the_seed(awkward):
    bundle = load_bundle(awkward.folder)
    rows = bundle.random_inputs(5, seed=3)
    assert all(p.shape == (5, 1) for p in bundle.predict(rows).values())
    again, other = bundle.random_inputs(5, seed=3), bundle.random_inputs(5, seed=4)
    assert all(np.array_equal(rows[name], again[name]) for name in rows)
    assert not all(np.array_equal(rows[name], other[name]) for name in rows)
