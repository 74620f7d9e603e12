"""Weights of ONNX files in a file of their own: behind links, elsewhere, and where no hash is checked."""

import hashlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import kranking as kr
from kranking.export import compress_bundle, load_bundle, split_tables, verify_bundle
from kranking.export.formats._external_data import external_files

pytestmark = pytest.mark.once
ROWS = {"c": ["a", "b"] * 50, "n": [1.0, 2.0] * 50, "save": [0, 1] * 50}
GRAPHS = ("model.onnx", "serve.onnx")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    features = [
        kr.features.Categorical("c", hash_buckets=2**17, embedding_dim=4),
        kr.features.Numeric("n", mean=0.0, std=1.0),
    ]
    model = kr.RankingModel(features, [kr.layers.MLP([4])], [kr.Task("save")])
    folder = tmp_path_factory.mktemp("outside") / "bundle"
    kr.export.export_model(model, folder, formats=["onnx"], external_data=True, num_check_rows=4)
    return folder, load_bundle(folder, threads=1).score(ROWS)["save"]


@pytest.fixture
def copy(made, tmp_path):
    return Path(shutil.copytree(made[0], tmp_path / "copy"))


def into_store(copy, names, where=lambda path: path.name, relative=False):
    """Replaces files by links into a store next to the bundle, as content stores do."""
    for name in names:
        place = copy.parent / "store" / where(copy / name)
        place.parent.mkdir(parents=True, exist_ok=True)
        (copy / name).rename(place)
        (copy / name).symlink_to(os.path.relpath(place, copy) if relative else place)


def by_hash(path):
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return f"{digest[:2]}/{digest[2:]}"


def hard(copy):
    os.link(copy / "weights.bin", copy.parent / "other name")


LINKED = {
    "weights": lambda copy: into_store(copy, ["weights.bin"]),
    "relative": lambda copy: into_store(copy, ["weights.bin"], relative=True),
    "graphs": lambda copy: into_store(copy, GRAPHS),
    "by hash": lambda copy: into_store(copy, [*GRAPHS, "weights.bin"], by_hash),
    "hard": hard,
}


@pytest.mark.parametrize("kind", LINKED)
def test_weights_behind_a_link_are_read(copy, made, kind):
    LINKED[kind](copy)
    bundle = load_bundle(copy, threads=1)
    assert np.array_equal(bundle.score(ROWS)["save"], made[1])
    options = onnxruntime.SessionOptions()
    given = load_bundle(copy, session_options=options)
    assert np.array_equal(given.score(ROWS)["save"], made[1])
    failed = [finding for finding in verify_bundle(copy).findings if finding.result == "failed"]
    assert failed == []


def test_linked_bundles_are_sources_of_others(copy, made, tmp_path):
    into_store(copy, [*GRAPHS, "weights.bin"], by_hash)
    split_tables(copy, tmp_path / "apart")
    assert np.array_equal(load_bundle(tmp_path / "apart").score(ROWS)["save"], made[1])
    compress_bundle(copy, tmp_path / "small", ROWS, "float16", max_auc_loss=1, max_ne_rise=9)
    small = load_bundle(tmp_path / "small").score(ROWS)["save"]
    assert small == pytest.approx(made[1], abs=1e-3)
    kr.serving.write_triton(copy, tmp_path / "triton", name="m")
    written = tmp_path / "triton" / "m" / "1" / "weights.bin"
    assert written.read_bytes() == (made[0] / "weights.bin").read_bytes()
    assert not written.is_symlink()


def test_other_weights_behind_the_link_are_refused(copy):
    into_store(copy, ["weights.bin"])
    store = copy.parent / "store" / "weights.bin"
    content = bytearray(store.read_bytes())
    content[100] ^= 1
    store.write_bytes(content)
    with pytest.raises(ValueError, match=r"weights\.bin must have SHA-256"):
        load_bundle(copy)


def with_constants(copy, change):
    """Changes constants of the graphs and the hashes of the manifest, so that all fits."""
    manifest = json.loads((copy / "manifest.json").read_text("utf-8"))
    for name in GRAPHS:
        model = onnx.load(copy / name, load_external_data=False)
        change(model)
        content = model.SerializeToString()
        (copy / name).write_bytes(content)
        entry = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        manifest["files"][name] = entry
    (copy / "manifest.json").write_text(json.dumps(manifest))


def at(place):
    def change(model):
        for constant in model.graph.initializer:
            for entry in constant.external_data:
                entry.value = place if entry.key == "location" else entry.value

    return change


@pytest.mark.parametrize(
    "place", ["../x.bin", "sub/x", "x.raw", "x", "./weights.bin", "manifest.json", "/tmp/x.bin", ""]
)
@pytest.mark.parametrize(
    "call", [load_bundle, lambda folder: kr.serving.write_triton(folder, folder / "t", name="m")]
)
def test_weights_without_a_hash_are_refused(copy, place, call):
    if not place.startswith("/") and place not in ("", "./weights.bin", "manifest.json"):
        (copy / place).parent.mkdir(exist_ok=True)
        shutil.copyfile(copy / "weights.bin", copy / place)
    with_constants(copy, at(place))
    with pytest.raises(
        ValueError, match=rf"weights inside, or in weights.bin in .*'{place}'"
    ) as caught:
        call(copy)
    assert type(caught.value) is ValueError


def constant(place):
    made = onnx.TensorProto(data_type=1, dims=[1], data_location=onnx.TensorProto.EXTERNAL)
    made.external_data.add(key="location", value=place)
    return made


def test_constants_are_found_wherever_they_are(copy):
    def change(model):
        inner = onnx.helper.make_graph([], "inner", [], [], [constant("b")])
        attributes = {"value": constant("a"), "body": inner, "tensors": [constant("c")]}
        model.graph.node.append(onnx.helper.make_node("Constant", [], ["x"], **attributes))
        sparse = onnx.SparseTensorProto(values=constant("d"), indices=constant("e"))
        model.graph.sparse_initializer.append(sparse)
        node = onnx.helper.make_node("Constant", [], ["y"], value=constant("f"))
        model.functions.append(onnx.helper.make_function("d", "f", [], [], [node], []))

    with_constants(copy, change)
    assert external_files(copy / "model.onnx") == {*"abcdef", "weights.bin"}
