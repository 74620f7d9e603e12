"""Large weights in a file that all ONNX files of a bundle share."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import export_samples
import keras
import numpy as np
import onnx
import pytest

import kranking as kr
from kranking.export import ExportError, compress_bundle, export_model, load_bundle, verify_bundle
from kranking.export.formats._weights_file import WEIGHTS_FILE, WeightsFile
from kranking.serving import write_triton

pytestmark = pytest.mark.once
CHECKOUT = Path(__file__).parents[3]
ONNX_FILES = ("model.onnx", "serve.onnx", "rank.onnx", "user_tower.onnx")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A model with a table for the user, one for the item and its history, and a wide layer."""
    features = [
        kr.features.Categorical("user", side="user", hash_buckets=80_000, embedding_dim=16),
        kr.features.Categorical("pin", side="item", hash_buckets=80_000, embedding_dim=16),
        kr.features.Sequence("seen", of="pin", max_length=3, side="user"),
        kr.features.Numeric("age", side="user", mean=40.0, std=10.0),
    ]
    keras.utils.set_random_seed(0)
    blocks = [kr.layers.CrossNetwork(1), kr.layers.MLP([5000, 64])]
    model = export_samples.shaken(kr.RankingModel(features, blocks, [kr.Task("save")]))
    folder = tmp_path_factory.mktemp("outside") / "served"
    return model, export_model(model, folder, external_data=True, formats=["onnx"]).directory


def columns(rows):
    random = np.random.default_rng(0)
    return {
        "user": random.integers(0, 10**9, rows),
        "pin": random.integers(0, 10**9, rows),
        "seen": [random.integers(0, 10**9, n % 4) for n in range(rows)],
        "age": random.normal(40, 10, rows),
    }


def test_weights_lie_in_one_file_once(made):
    model, folder = made
    large = [v for v in model.variables if np.prod(v.shape) * 4 >= 2**20]
    assert len(large) == 2  # the tables, of one width, are one variable; a kernel
    size = (folder / WEIGHTS_FILE).stat().st_size
    assert 0 <= size - sum(np.prod(v.shape) * 4 for v in large) < 4 * 4096
    for name in ONNX_FILES:
        assert (folder / name).stat().st_size < 2**20
        graph = onnx.load(folder / name, load_external_data=False).graph
        assert {c.name for c in graph.initializer} & {v.name for v in graph.input} == set()
    tower = onnx.load(folder / "user_tower.onnx", load_external_data=False).graph
    assert sum(bool(c.external_data) for c in tower.initializer) == 1  # not what it does not read


@pytest.mark.slow
def test_answers_are_those_of_the_weights_inside(made, tmp_path):
    model, folder = made
    export_model(model, tmp_path / "inside", external_data=False, formats=["onnx"])
    one, other = load_bundle(folder), load_bundle(tmp_path / "inside")
    rows = columns(50)
    assert not (tmp_path / "inside" / WEIGHTS_FILE).exists()
    np.testing.assert_array_equal(one.score(rows)["save"], other.score(rows)["save"])
    request = {name: values[:1] for name, values in rows.items()}
    ranked = one.rank(request, {"pin": rows["pin"]})["save"]
    np.testing.assert_array_equal(ranked, other.rank(request, {"pin": rows["pin"]})["save"])
    np.testing.assert_array_equal(one.user_tower(rows), other.user_tower(rows))


def test_the_file_is_checked_like_every_other(made, tmp_path):
    folder = tmp_path / "served"
    shutil.copytree(made[1], folder)
    verification = verify_bundle(folder, num_check_rows=8)
    assert verification.passed, verification
    with (folder / WEIGHTS_FILE).open("r+b") as file:
        file.seek(5000)
        file.write(b"\x01\x02")
    with pytest.raises(ValueError, match=r"weights\.bin must have SHA-256"):
        load_bundle(folder)
    (folder / WEIGHTS_FILE).unlink()
    with pytest.raises(ValueError, match=r"weights\.bin must exist"):
        load_bundle(folder)


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/hostname"])
def test_weights_outside_of_the_bundle_are_refused(made, tmp_path, location):
    folder = tmp_path / "served"
    shutil.copytree(made[1], folder)
    (tmp_path / "secret.bin").write_bytes(b"\x00" * 2**23)
    model = onnx.load(folder / "model.onnx", load_external_data=False)
    for constant in model.graph.initializer:
        for entry in constant.external_data:
            if entry.key == "location":
                entry.value = location
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"] |= kr.export.bundle._manifest.describe_files(folder)  # as a forger would
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (wrong,) = [f for f in verify_bundle(folder).failed if f.check == "interface"]
    assert "or in weights.bin in the same folder" in wrong.figure
    with pytest.raises(ValueError, match=r"must store its weights inside.*Received: weights in \["):
        load_bundle(folder)


def test_a_triton_version_has_the_weights_beside_the_model(made, tmp_path):
    version = write_triton(made[1], tmp_path, name="ranker", signature="serve")
    assert (version / WEIGHTS_FILE).stat().st_size == (made[1] / WEIGHTS_FILE).stat().st_size
    session = kr.export.formats._sessions.open_session(version / "model.onnx")
    given = load_bundle(made[1]).tensors("serve", columns(3))
    assert session.run(None, given)[0].shape == (3, 1)


def test_small_weights_are_shared_too(made, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = columns(400) | {"save": np.arange(400) % 2}
    pq.write_table(pa.table(rows), tmp_path / "log.parquet")
    limits = {"max_auc_loss": 1.0, "max_ne_rise": 1.0}
    small = compress_bundle(made[1], tmp_path / "small", tmp_path / "log.parquet", **limits)
    before, after = small.files[WEIGHTS_FILE]
    assert 0.2 < after / before < 0.4
    one, other = (load_bundle(folder).score(rows)["save"] for folder in (made[1], small.directory))
    np.testing.assert_allclose(one, other, atol=0.02)


def test_the_client_without_keras_reads_it(made):
    client = CHECKOUT / "export" / "onnxruntime" / "client.py"
    done = subprocess.run(
        [sys.executable, str(client), str(made[1])], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["outputs"]["save"][0][0] > 0


def test_equal_arrays_lie_there_once(tmp_path):
    weights, array = WeightsFile(tmp_path), np.arange(3, dtype="float32")
    tensors = [weights.tensor("a", array), weights.tensor("b", array + 1)]
    tensors.append(weights.tensor("c", array))
    places = [{e.key: e.value for e in t.external_data}["offset"] for t in tensors]
    assert places == ["0", "4096", "0"]
    assert (tmp_path / WEIGHTS_FILE).stat().st_size == 4096 + 12
    kept = onnx.numpy_helper.to_array(tensors[1], str(tmp_path))
    np.testing.assert_array_equal(kept, array + 1)


def test_a_weight_that_only_a_branch_reads(tmp_path):
    features = [kr.features.Categorical("user", hash_buckets=10, embedding_dim=4)]
    blocks = [export_samples.EitherWay(), kr.layers.MLP([4])]
    model = kr.RankingModel(features, blocks, [kr.Task("save")])
    report = export_model(model, tmp_path / "served", formats=["onnx"], external_data=True)
    assert report.manifest["files"][WEIGHTS_FILE]["bytes"] == 4 * 70_000 * 4


def test_kinds_of_numbers_that_numpy_does_not_know(tmp_path):
    import ml_dtypes

    array = np.arange(6, dtype="float32").reshape(2, 3).astype(ml_dtypes.bfloat16)
    tensor = WeightsFile(tmp_path).tensor("a", array)
    kept = onnx.numpy_helper.to_array(tensor, str(tmp_path))
    np.testing.assert_array_equal(kept.astype("float32"), array.astype("float32"))


def test_what_one_file_cannot_hold_is_refused_there():
    model = kr.RankingModel(
        [kr.features.Categorical("user", hash_buckets=10)], [kr.layers.MLP([4])], [kr.Task("save")]
    )
    with pytest.raises(ValueError, match=r"`external_data` must be one of \[None, True, False\]"):
        export_model(model, "nowhere", external_data="yes")
    model.count_params = lambda: 2**29
    with pytest.raises(ExportError, match="less than 2 GiB"):
        export_model(model, "nowhere", external_data=False)
