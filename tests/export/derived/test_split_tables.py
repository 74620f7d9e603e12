"""Embedding tables beside the graphs, looked up by the client."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import export_samples
import keras
import numpy as np
import onnx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import kranking as kr
from kranking.export import compress_bundle, export_model, load_bundle, split_tables, verify_bundle
from kranking.export.__main__ import main
from kranking.export.bundle._manifest import describe_files, write_manifest
from kranking.export.formats._sessions import open_session
from kranking.serving import score_parquet, serving_latency, write_triton

pytestmark = pytest.mark.once
HOUR = kr.features.TimePart("now", "hour", unit="s", zoned=True)
SIGNATURES = ("serve_ids", "serve", "rank", "user_tower")


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A folder with a bundle whose tables are in the graphs, and one where they lie apart."""
    features = [
        kr.features.Categorical("user", side="user", hash_buckets=500, embedding_dim=8),
        kr.features.Categorical("country", side="user", vocabulary=("DE", "FR"), embedding_dim=4),
        kr.features.Categorical("pin", side="item", hash_buckets=700, embedding_dim=8),
        kr.features.Sequence(
            "seen", of="pin", max_length=3, side="user", time="t", request_time="now"
        ),  # without an encoder that knows times, the graph declares what it does not read
        kr.features.Numeric("age", side="user", mean=40.0, std=10.0, nulls="mean"),
        kr.features.Categorical("hour", column=HOUR, embedding_dim=8),
    ]
    keras.utils.set_random_seed(0)
    blocks = [kr.layers.CrossNetwork(1), kr.layers.MLP([8])]
    model = export_samples.shaken(kr.RankingModel(features, blocks, [kr.Task("save")]))
    folder = tmp_path_factory.mktemp("split")
    export_model(model, folder / "whole", formats=["onnx"])
    split_tables(folder / "whole", folder / "apart", min_bytes=2000)
    return folder


def columns(rows, seed=0):
    random = np.random.default_rng(seed)
    return {
        "user": random.integers(0, 10**9, rows),
        "country": random.choice(["DE", "FR", "XX", None], rows),
        "pin": random.integers(0, 10**9, rows),
        "seen": [random.integers(0, 10**9, n % 4) for n in range(rows)],
        "t": [list(range(n % 4)) for n in range(rows)],
        "now": np.full(rows, 9),
        "age": random.normal(40, 10, rows),
    }


def test_answers_are_the_same_bits(served):
    whole, apart = load_bundle(served / "whole"), load_bundle(served / "apart")
    rows = columns(30)
    np.testing.assert_array_equal(apart.score(rows)["save"], whole.score(rows)["save"])
    np.testing.assert_array_equal(apart.user_tower(rows), whole.user_tower(rows))
    request = {name: values[:1] for name, values in rows.items()}
    for items in (1, 30):
        ranked = [b.rank(request, {"pin": rows["pin"][:items]})["save"] for b in (whole, apart)]
        np.testing.assert_array_equal(*ranked)
    inputs = whole.random_inputs(20)
    np.testing.assert_array_equal(apart.predict(inputs)["save"], whole.predict(inputs)["save"])


def test_large_tables_are_in_no_graph_and_once_on_disk(served):
    tables = sorted((served / "apart" / "tables").iterdir())
    shapes = [np.load(path, allow_pickle=False).shape for path in tables]
    assert shapes == [
        (501 + 701 + 25, 8)
    ]  # of one width: one table of the users, the pins and the hours
    for path in (served / "apart").glob("*.onnx"):
        graph = onnx.load(path).graph
        assert all(max(c.dims, default=0) < 500 for c in graph.initializer), path.name
    split = json.loads((served / "apart" / "tables.json").read_text())["signatures"]
    assert set(split) == set(SIGNATURES)
    assert "country" in split["serve"]["inputs"]  # its table is small
    assert "user" not in split["serve_ids"]["inputs"]


def test_a_client_needs_no_more_than_the_file_says(served):
    folder, bundle = served / "apart", load_bundle(served / "whole")
    tensors = kr.features.RawColumns(bundle.features())(columns(5))
    tensors = {n: x.astype(object) if x.dtype.kind == "U" else x for n, x in tensors.items()}
    split = json.loads((folder / "tables.json").read_text())["signatures"]["serve"]
    asking, answering = open_session(folder / split["indices"]), open_session(folder / "serve.onnx")
    given = {value.name: tensors[value.name] for value in asking.get_inputs()}
    rows = {name: tensors[name] for name in split["inputs"]}
    for one in split["lookups"]:
        (indices,) = asking.run([one["indices"]], given)
        rows[one["rows"]] = np.load(folder / one["table"])[indices]
    np.testing.assert_array_equal(
        answering.run(["save"], rows)[0], bundle.score(columns(5))["save"]
    )


def test_it_is_verified_like_every_other(served):
    verification = verify_bundle(served / "apart", num_check_rows=8)
    assert verification.passed, verification


def test_another_table_gives_other_answers(served, tmp_path):
    folder = tmp_path / "served"
    shutil.copytree(served / "apart", folder)
    np.save(folder / "tables" / "0.npy", np.load(folder / "tables" / "0.npy") + 0.5)
    assert "tables/0.npy" in {one.of for one in verify_bundle(folder, num_check_rows=8).failed}
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"] = describe_files(folder)
    write_manifest(folder, manifest)
    failed = verify_bundle(folder, num_check_rows=8).failed
    assert {one.check for one in failed} == {"parity"}
    assert {one.of for one in failed} == {"onnx", "onnx serve", "onnx rank", "onnx user_tower"}


def test_every_file_that_answers_depend_on_is_listed(served, tmp_path):
    folder = tmp_path / "served"
    shutil.copytree(served / "apart", folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    table = manifest["files"].pop("tables/0.npy")
    write_manifest(folder, manifest)
    with pytest.raises(
        ValueError, match=r"must list all files that the outputs depend on.*tables/0\.npy"
    ):
        load_bundle(folder)
    del manifest["files"]["tables.json"]
    write_manifest(folder, {**manifest, "files": manifest["files"] | {"tables/0.npy": table}})
    with pytest.raises(ValueError, match=r"tables\.json is in the bundle, but not listed"):
        load_bundle(folder)


def test_a_bundle_put_in_its_place_changes_no_answer(served, tmp_path):
    folder = tmp_path / "served"
    shutil.copytree(served / "apart", folder)
    bundle = load_bundle(folder)
    inputs = bundle.random_inputs(5)
    expected = load_bundle(served / "apart").predict(inputs)["save"]
    model = keras.saving.load_model(served / "apart" / "model.keras", compile=False)
    export_samples.shaken(model)
    export_model(model, tmp_path / "whole", formats=["onnx"])
    split_tables(tmp_path / "whole", folder, min_bytes=2000)
    np.testing.assert_array_equal(bundle.predict(inputs)["save"], expected)
    with pytest.raises(ValueError, match=r"serve\.onnx must have"):  # it was not open yet
        bundle.score(columns(3))


def test_a_log_is_scored_and_latency_measured(served, tmp_path):
    pq.write_table(pa.table(columns(40)), tmp_path / "log.parquet")
    scores = [
        score_parquet(served / name, tmp_path / "log.parquet", tmp_path / name)
        for name in ("whole", "apart")
    ]
    one, other = (pq.read_table(s.directory).column("save").to_numpy() for s in scores)
    np.testing.assert_array_equal(one, other)
    found = serving_latency(served / "apart", batches=[1], candidates=5, rounds=2)
    assert "rank" in str(found)


def test_triton_takes_the_rows(served, tmp_path):
    version = write_triton(served / "apart", tmp_path, name="ranker", signature="serve")
    config = (tmp_path / "ranker" / "config.pbtxt").read_text()
    shapes = re.findall(r'"table_\d_rows" data_type: TYPE_FP32 dims: \[([^]]*)\]', config)
    assert sorted(shapes) == ["3, 8", "8", "8", "8"]  # three seen, a user, a pin and an hour
    assert '"now.us" data_type: TYPE_INT64' not in config  # read by the graph of indices alone
    assert "dynamic_batching" in config
    session = open_session(version / "model.onnx")
    tensors = load_bundle(served / "apart").tensors("serve", columns(3))
    given = {n: x.astype(object) if x.dtype.kind == "U" else x for n, x in tensors.items()}
    expected = load_bundle(served / "whole").score(columns(3))["save"]
    np.testing.assert_array_equal(session.run(["save"], given)[0], expected)


def test_tables_in_eight_bits_lie_apart_in_eight_bits(served, tmp_path, monkeypatch):
    monkeypatch.setattr("kranking.export.rewrites._small_weights._SMALLEST_TABLE", 0)
    pq.write_table(pa.table(columns(200) | {"save": np.arange(200) % 2}), tmp_path / "log.parquet")
    limits = {"max_auc_loss": 1.0, "max_ne_rise": 1.0}
    compress_bundle(served / "whole", tmp_path / "small", tmp_path / "log.parquet", **limits)
    made = split_tables(tmp_path / "small", tmp_path / "apart", min_bytes=2000)
    kinds = {str(np.load(tmp_path / "apart" / name).dtype) for name in made.tables}
    assert "int8" in kinds
    write_triton(tmp_path / "apart", tmp_path / "triton", name="ranker", signature="serve")
    assert "TYPE_INT8" in (tmp_path / "triton" / "ranker" / "config.pbtxt").read_text()
    one, other = (load_bundle(tmp_path / name).score(columns(9)) for name in ("small", "apart"))
    np.testing.assert_array_equal(one["save"], other["save"])
    assert verify_bundle(tmp_path / "apart", num_check_rows=8).passed


def test_weights_in_a_file_of_their_own_are_found(served, tmp_path):
    features = [kr.features.Categorical("user", side="user", hash_buckets=70_000, embedding_dim=8)]
    model = kr.RankingModel(features, [kr.layers.MLP([4])], [kr.Task("save")])
    export_model(model, tmp_path / "whole", formats=["onnx"], external_data=True)
    made = split_tables(tmp_path / "whole", tmp_path / "apart")
    assert list(made.tables.values()) == [(70_001, 8)]
    assert not (tmp_path / "apart" / "weights.bin").exists()
    assert verify_bundle(tmp_path / "apart", num_check_rows=8).passed


def test_tables_of_equal_bytes_and_other_shapes(tmp_path):
    features = [
        kr.features.Categorical("user", hash_buckets=1000, embedding_dim=8),
        kr.features.Categorical("pin", hash_buckets=2001, embedding_dim=4),
    ]
    model = kr.RankingModel(features, [kr.layers.MLP([4])], [kr.Task("save")])
    model.set_weights([np.zeros_like(w) for w in model.get_weights()])
    export_model(model, tmp_path / "whole", formats=["onnx"])
    made = split_tables(tmp_path / "whole", tmp_path / "apart", min_bytes=2000)
    assert sorted(made.tables.values()) == [(1001, 8), (2002, 4)]


def test_a_table_that_is_not_read_by_the_rows_asked_stays_inside(tmp_path):
    features = [kr.features.Categorical("user", hash_buckets=1000, embedding_dim=4)]
    blocks = [export_samples.Anchors(), kr.layers.MLP([4])]
    model = kr.RankingModel(features, blocks, [kr.Task("save")])
    export_model(model, tmp_path / "whole", formats=["onnx"], external_data=True)
    made = split_tables(tmp_path / "whole", tmp_path / "apart", min_bytes=2000)
    assert list(made.tables.values()) == [(1001, 4)]
    assert (tmp_path / "apart" / "weights.bin").exists()


def test_the_client_without_keras_looks_rows_up(served):
    client = Path(__file__).parents[3] / "export" / "onnxruntime" / "client.py"
    replies = [
        subprocess.run(
            [sys.executable, str(client), str(served / name)],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for name in ("whole", "apart")
    ]
    assert replies[0] == replies[1]


def test_what_cannot_be_split_is_refused(served, tmp_path):
    with pytest.raises(ValueError, match=r"table of at least 1,048,576 bytes.*Received: no such"):
        split_tables(served / "whole", tmp_path / "x")
    with pytest.raises(ValueError, match="which has separate tables already"):
        split_tables(served / "apart", tmp_path / "x")
    with pytest.raises(ValueError, match="compress the bundle before splitting off"):
        compress_bundle(served / "apart", tmp_path / "x", "log.parquet")
    assert not (tmp_path / "x").exists()
    for target in (served / "whole", served / "whole" / "apart"):
        with pytest.raises(ValueError, match="must be outside the folder of `source`"):
            split_tables(served / "whole", target, min_bytes=2000)
    assert verify_bundle(served / "whole", num_check_rows=8).passed


def test_command(served, tmp_path, capsys):
    arguments = ["split", str(served / "whole"), str(tmp_path / "apart")]
    assert main(arguments) == 1
    assert main([*arguments, "--min-bytes", "2000"]) == 0
    printed = capsys.readouterr()
    assert "error: `source` must have an embedding table" in printed.err
    assert "tables/0.npy  1,227 × 8" in printed.out
