"""Checks of a bundle on disk: a good one passes, and each damage has a line of its own."""

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from kranking.budget import analytic_cost
from kranking.export import ExportError, verify_bundle
from kranking.export.__main__ import main
from kranking.export.bundle._manifest import describe_files
from kranking.export.formats._interface import check_interface
from kranking.export.formats._keras_file import load_keras
from kranking.export.functions._signature import Signature, Value
from kranking.export.rewrites._nodes import rename_values

pytestmark = pytest.mark.once

OUTPUTS = (Value("click", "float32", (1,)),)


def rename_an_input(path):
    import onnx

    model = onnx.load(path)
    name = model.graph.input[0].name
    model.graph.input[0].name = "renamed"
    rename_values(model.graph, lambda other: "renamed" if other == name else other)
    onnx.save_model(model, path)
    return name


def change_a_weight(path):
    import onnx

    model = onnx.load(path)
    kernels = [t for t in model.graph.initializer if t.data_type == 1 and len(t.dims) == 2]
    kernel = max(kernels, key=lambda tensor: np.prod(tensor.dims))
    changed = onnx.numpy_helper.from_array(-onnx.numpy_helper.to_array(kernel), kernel.name)
    kernel.CopyFrom(changed)
    onnx.save_model(model, path)


def flip_a_bit(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def verify(*arguments):
    return main(["verify", *map(str, arguments)])


@pytest.fixture(scope="module")
def damaged(awkward, tmp_path_factory):
    """A copy with one damage of every kind; hashes are renewed where the damage is not one of them."""
    folder = Path(shutil.copytree(awkward.folder, tmp_path_factory.mktemp("verify") / "copy"))
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    renamed = rename_an_input(folder / "model.onnx")
    change_a_weight(folder / "serve.onnx")
    manifest["files"] = describe_files(folder)
    flip_a_bit(folder / "saved_model" / "variables" / "variables.data-00000-of-00001")
    (folder / "features.json").unlink()
    (folder / "notes.txt").write_text("mine")
    (folder.parent / "outside").write_text("secret")
    manifest["files"]["../outside"] = {"bytes": 6, "sha256": "0"}
    manifest["opset"] = 17
    manifest["versions"]["keras"] = "3.0.0"
    manifest["cost"]["flops"] += 1
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    return folder, renamed


def test_a_good_bundle_passes(awkward, capsys):
    assert verify(awkward.folder, "--check-rows", 5, "--check-seed", 1) == 0
    printed = capsys.readouterr().out
    assert "parity onnx serve " in printed
    assert "parity saved_model serve " in printed
    assert printed.rstrip().endswith("0 warnings, 0 failed")


def test_every_damage_has_a_line(damaged, capsys):
    folder, renamed = damaged
    assert verify(folder, "--check-rows", 5) == 1
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()]
    found = {}
    for check, rest in lines:
        for result in ("ok", "warning", "failed"):
            of, separator, figure = rest.partition(f"  {result} ")
            if separator:
                found[check, of.strip()] = result, figure.strip()
    expected = {
        ("file", "saved_model/variables/variables.data-00000-of-00001"): "must have SHA-256",
        (
            "file",
            "features.json",
        ): "must exist, because the manifest lists it. Received: no file",
        ("file", "../outside"): "must only list files inside the bundle. Received: '../outside'",
        (
            "file",
            "others",
        ): "must list all files of the bundle. Received: unlisted files ['notes.txt']",
        ("declarations", "features.json"): "No such file",
        ("interface", "onnx"): f"Received: no input `{renamed}`; unknown input `renamed`",
        ("opset", "onnx"): "must have opset 17, as listed in the manifest. Received: opset 18",
        ("opset", "onnx serve"): "must have opset 17",
        ("parity", "onnx"): "`onnx` could not be loaded or run on the check rows",
        (
            "parity",
            "onnx serve",
        ): "within 1e-05 of the model's probabilities. Received: a difference",
    }
    for key, text in expected.items():
        result, figure = found[key]
        assert result == "failed", key
        assert text in figure, key
    # The rest was looked at all the same, and is what it was.
    for key in (("interface", "saved_model"), ("interface", "onnx serve"), ("parity", "keras")):
        assert found[key][0] == "ok", key
    assert found["version", "keras"] == (
        "warning",
        f"{keras.__version__} installed, exported with 3.0.0",
    )
    assert found["cost", "flops"][0] == "warning"
    others = {key for key, (result, _) in found.items() if result == "failed"} - set(expected)
    assert others <= {("parity", "saved_model"), ("parity", "saved_model serve")}


def test_the_manifest_says_what_the_model_costs(awkward):
    cost, counted = awkward.report.manifest["cost"], analytic_cost(awkward.model)
    for name in ("table_parameters", "dense_parameters", "flops", "artefact"):
        assert cost[name] == counted[name].value
    assert cost["unknown"] == []


def test_no_bundle_fails(tmp_path, capsys):
    assert verify(tmp_path) == 1
    assert "must contain a bundle with a manifest.json" in capsys.readouterr().out
    assert verify(tmp_path, "--num-rows", 0) == 1
    assert "error: `num_log_rows` must be a positive integer" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.pop("opset"), r"must be an integer in `opset`. Received: none"),
        (lambda m: m.update(files=[], cost=1), r"must be an object in `files`. Received: \[\]"),
        (lambda m: m.update(cost=1), r"must be an object in `cost`. Received: 1"),
        (
            lambda m: m.update(formats=[]),
            r"Received: formats=\[\], files of \['saved_model', 'onnx'\]",
        ),
    ],
)
def test_a_manifest_that_hides_artefacts_fails(awkward, tmp_path, change, message):
    manifest = json.loads((awkward.folder / "manifest.json").read_text("utf-8"))
    change(manifest)
    (tmp_path / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    (finding,) = verify_bundle(tmp_path).findings
    with pytest.raises(ValueError, match=message):
        raise ValueError(finding.figure)


def test_a_module_that_is_not_there_fails_the_model_alone(awkward):
    verification = verify_bundle(awkward.folder, modules=["no_such_module"])
    assert [(f.check, f.of) for f in verification.failed] == [("model", "model.keras")]
    assert "Received: ModuleNotFoundError" in verification.failed[0].figure
    # Without a model there is nothing to compare answers with; the interfaces are looked at all the same.
    assert not [f for f in verification.findings if f.check == "parity"]
    assert [f.of for f in verification.findings if f.check == "opset"] == ["onnx", "onnx serve"]


def test_code_inside_of_a_model_is_not_run(tmp_path):
    layers = [keras.Input((2,)), keras.layers.Lambda(lambda x: x + 1)]
    keras.Sequential(layers).save(tmp_path / "model.keras")
    with pytest.raises(ExportError, match=r"could not be loaded.*safe_mode"):
        load_keras(tmp_path)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (Value("x", "int64", (3,)), r"input `x` is int64 \(batch, 3\), not int32 \(batch, 3\)"),
        (Value("x", "int32", (4,)), r"input `x` is int32 \(batch, 4\)"),
        (Value("x", "int32", (3,), 1), r"input `x` is int32 \(1, 3\)"),
        (Value("x", "int32", ("batch",)), r"input `x` is int32 \(batch, batch\)"),
        (Value("y", "int32", (3,)), "no input `x`; unknown input `y`"),
    ],
)
def test_what_an_artefact_says_of_itself(value, message):
    declared = Signature((Value("x", "int32", (3,)),), OUTPUTS)
    assert check_interface("onnx", declared, declared) == "1 inputs, 1 outputs"
    with pytest.raises(ExportError, match=f"`onnx` must have the inputs .*Received: {message}"):
        check_interface("onnx", declared, Signature((value,), OUTPUTS))
