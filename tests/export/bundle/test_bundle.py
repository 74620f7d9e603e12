import hashlib
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import export_samples
import numpy as np
import onnxruntime
import pytest

from kranking import architectures
from kranking.export import export_model, load_bundle
from kranking.export.bundle import _manifest
from kranking.features import Categorical, Numeric, Preprocessor, Task, from_json, schema_hash

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
        file = described.pop("onnx")
        manifest["files"].pop(file, None)
        (copy / file).unlink()
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
            "`with space` must be finite and at most .*Received: nan in row 2",
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


def edit(copy, change):
    """Changes the manifest of a bundle."""
    manifest = json.loads((copy / "manifest.json").read_text("utf-8"))
    change(manifest)
    (copy / "manifest.json").write_text(json.dumps(manifest))


def rewrite(copy, name, content):
    """Changes a file and its hash in the manifest."""
    (copy / name).write_bytes(content)
    entry = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    edit(copy, lambda manifest: manifest["files"].update({name: entry}))


@pytest.mark.parametrize(
    ("section", "value"),
    [
        ("files", None),
        ("files", []),
        ("files.model.onnx", None),
        ("files.model.onnx", {"bytes": "9", "sha256": ""}),
        ("formats", "onnx"),
        ("formats", [1]),
        ("opset", "18"),
        ("versions", None),
        ("schema_hash", 0),
        ("schema_hash", "0"),
        ("tasks", None),
        ("signature", None),
        ("signature.inputs", [{"name": "dense"}]),
        ("signature.inputs", []),
        ("signature.outputs", [{"name": "x", "dtype": "float32", "shape": "batch"}]),
        ("signatures", [1]),
        ("signatures", {}),
        ("signatures.serve", None),
    ],
)
def test_a_wrong_section_is_named(copy, section, value):
    def change(manifest):
        first, _, rest = section.partition(".")
        if rest:
            manifest[first][rest] = value
        elif value is None:
            del manifest[first]
        else:
            manifest[first] = value

    edit(copy, change)
    with pytest.raises(ValueError, match=rf"manifest\.json must .*`{section}") as caught:
        load_bundle(copy).open("serve")
    assert type(caught.value) is ValueError


@pytest.mark.parametrize("name", ["a\0b", "..", "/", "", "a/../../b", "a\\b"])
def test_names_that_are_no_files_are_refused(copy, name):
    edit(copy, lambda manifest: manifest["files"].update({name: {"bytes": 1, "sha256": ""}}))
    with pytest.raises(ValueError, match="must only list files inside the bundle"):
        load_bundle(copy)


@pytest.mark.parametrize(
    "text", ["", "{", '{"a": 1}', "[1]", "[]", '[{"kind": "Numeric"}]', "[" * 100_000]
)
def test_damaged_declarations_are_refused(copy, text):
    rewrite(copy, "features.json", text.encode())
    with pytest.raises(ValueError, match=r"features\.json must have the declarations"):
        load_bundle(copy)


def test_declarations_that_do_not_fit_the_graphs_are_refused(copy):
    """Whatever the manifest says of them."""
    declared = json.loads((copy / "features.json").read_text("utf-8"))
    long = next(d for d in declared if d["kind"] == "Sequence")
    long["max_length"] = 50
    text = json.dumps(declared)
    rewrite(copy, "features.json", text.encode())
    with pytest.raises(ValueError, match=r"manifest\.json must have the hash .*`schema_hash`"):
        load_bundle(copy)
    edit(copy, lambda m: m.update(schema_hash=schema_hash(from_json(text))))
    with pytest.raises(ValueError, match=r"must describe the inputs of .*`signature\.inputs`"):
        load_bundle(copy)
    inputs = Preprocessor(from_json(text)).inputs
    shapes = [
        {"name": n, "dtype": s.dtype, "shape": ["batch", *s.shape]} for n, s in inputs.items()
    ]
    edit(copy, lambda m: m["signature"].update(inputs=shapes))
    with pytest.raises(ValueError, match=r"model\.onnx must have the inputs .*Received"):
        load_bundle(copy)


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("Sequence", {"max_length": 10**9}, "`max_length` must be .* at most 100,000"),
        ("Embedding", {"dim": 10**9}, "`dim` must be .* at most 65,536"),
        ("Categorical", {"max_length": 10**5, "embedding_dim": 2**16}, "at most 50,000,000 values"),
    ],
)
def test_declarations_that_would_take_all_memory_are_refused(copy, kind, changes, message):
    declared = json.loads((copy / "features.json").read_text("utf-8"))
    next(d for d in declared if d["kind"] == kind).update(changes)
    rewrite(copy, "features.json", json.dumps(declared).encode())
    with pytest.raises(ValueError, match=rf"features\.json must have the declarations.*{message}"):
        load_bundle(copy)


@pytest.mark.parametrize(
    "name", ["features.json", "serve.onnx", "weights.bin", "saved_model/extra"]
)
def test_a_part_that_is_not_listed_is_refused(copy, name):
    (copy / name).touch()
    edit(copy, lambda manifest: manifest["files"].pop(name, None))
    with pytest.raises(ValueError, match=f"{name} is in the bundle, but not listed"):
        load_bundle(copy)


def test_a_graph_that_does_not_load_is_refused(copy):
    rewrite(copy, "serve.onnx", (copy / "serve.onnx").read_bytes()[:900])
    with pytest.raises(ValueError, match=r"serve\.onnx could not be loaded by ONNX Runtime"):
        load_bundle(copy).open("serve")


def test_files_may_be_links_into_a_content_store(copy, awkward, tmp_path):
    (tmp_path / "store").mkdir()
    for number, path in enumerate(p for p in sorted(copy.rglob("*")) if p.is_file()):
        path.rename(tmp_path / "store" / str(number))
        path.symlink_to(tmp_path / "store" / str(number))
    bundle, rows = load_bundle(copy, threads=1), export_samples.random_inputs(awkward.model, 3)
    expected = load_bundle(awkward.folder, threads=1).predict(rows)
    assert all(np.array_equal(p, expected[task]) for task, p in bundle.predict(rows).items())


def test_a_bundle_that_is_replaced_while_it_is_loaded_is_one_of_both(copy, awkward, monkeypatch):
    """Each file that is checked is followed by a replacement; the third load meets none."""
    other, left = copy.with_name("other"), [1, 1]
    shutil.copytree(copy, other)
    rewrite(other, "features.json", (other / "features.json").read_bytes() + b"\n")
    check = _manifest.check_file

    def then_replace(folder, name, entry):
        check(folder, name, entry)
        if left and name == "model.keras":
            left.pop()
            copy.rename(copy.with_name("aside"))
            other.rename(copy)
            copy.with_name("aside").rename(other)

    monkeypatch.setattr(_manifest, "check_file", then_replace)
    bundle = load_bundle(copy, threads=1)
    assert not left
    assert bundle.manifest == json.loads((copy / "manifest.json").read_text("utf-8"))


@pytest.mark.parametrize("threads", [1, 2])
def test_a_bundle_answers_in_a_forked_process_and_after_pickling(awkward, threads):
    bundle = load_bundle(awkward.folder, threads=threads)
    rows = export_samples.random_inputs(awkward.model, 64)
    expected = bundle.predict(rows)

    def same(other):
        return all(np.array_equal(p, expected[task]) for task, p in other.predict(rows).items())

    child = os.fork()
    if not child:
        signal.alarm(60)
        os._exit(0 if same(bundle) else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert same(pickle.loads(pickle.dumps(bundle)))


def test_a_pickled_bundle_that_was_replaced_is_refused(copy):
    sent = pickle.dumps(load_bundle(copy, threads=1))
    edit(copy, lambda manifest: manifest.update(seed=99))
    with pytest.raises(ValueError, match="must still contain the bundle that was pickled"):
        pickle.loads(sent)


def test_settings_by_the_names_of_onnx_runtime(awkward):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    bundle = load_bundle(
        awkward.folder, providers=["CPUExecutionProvider"], session_options=options
    )
    level = bundle.session.get_session_options().graph_optimization_level
    assert level == options.graph_optimization_level
    with pytest.raises(pickle.PicklingError, match="`session_options` cannot be pickled"):
        pickle.dumps(bundle)
    for providers in ([], "CPUExecutionProvider", ["Fast"], [("Fast", {})], [None]):
        with pytest.raises(ValueError, match=r"`providers` must be .*CPUExecutionProvider"):
            load_bundle(awkward.folder, providers=providers)
    for given in ({"session_options": 3}, {"session_options": options, "threads": 1}):
        with pytest.raises(ValueError, match=r"must be an onnxruntime\.SessionOptions"):
            load_bundle(awkward.folder, **given)
