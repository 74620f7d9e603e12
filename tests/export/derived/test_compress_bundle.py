"""Small weights: what the graph computes, what it costs in quality, and what is refused."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import kranking as kr
from kranking.export import ExportError, compress_bundle, export_model, load_bundle, verify_bundle
from kranking.export.__main__ import main
from kranking.export.derived._compress_bundle import _uncertain
from kranking.export.rewrites._small_weights import with_small_weights

pytestmark = pytest.mark.once

WIDTH = 260  # 260 × 260 weights: enough for a product in int8


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A model that ranks by two inputs, the bundle of it, and a log."""
    folder = tmp_path_factory.mktemp("compress")
    rng = np.random.default_rng(0)
    cover = rng.standard_normal((3000, WIDTH)).astype("float32")
    pin = rng.integers(0, 200, 3000)
    p = 1 / (1 + np.exp(-2 * cover[:, 0] - (pin % 2)))
    columns = {
        "cover": pa.FixedSizeListArray.from_arrays(pa.array(cover.ravel()), WIDTH),
        "pin": pin,
        "save": (rng.random(3000) < p).astype("int8"),
        "never": np.zeros(3000, "int8"),
    }
    pq.write_table(pa.table(columns), folder / "log.parquet")
    features = [
        kr.features.Embedding("cover", dim=WIDTH),
        kr.features.Categorical("pin", side="item", hash_buckets=400, embedding_dim=8),
    ]
    model = kr.RankingModel(features, [kr.layers.MLP([WIDTH])], [kr.Task("save")])
    model.compile("adam")
    model.fit(kr.data.read_parquet(folder / "log.parquet", model, 256), epochs=2, verbose=0)
    export_model(model, folder / "full", formats=["onnx"], signatures=["serve"])
    return folder


@pytest.mark.parametrize(
    ("weights", "share", "near"), [("float16", 0.6, 1e-3), ("int8", 0.35, 0.05)]
)
def test_a_smaller_bundle_answers_nearly_the_same(trained, tmp_path, weights, share, near):
    made = compress_bundle(
        trained / "full", tmp_path / "small", trained / "log.parquet", weights, num_rows=2000
    )
    assert made.share < share
    assert 0 < made.moved < near
    assert made.rows == 2000
    before, after = made.tasks["save"]["auc"]
    assert before > 0.8
    assert abs(before - after) < 1e-3
    manifest = json.loads((tmp_path / "small" / "manifest.json").read_text("utf-8"))
    assert manifest["compression"].pop("tolerance").keys() == {"serve_ids", "serve"}
    assert manifest["compression"] == json.loads(json.dumps(made.to_json()))
    found = verify_bundle(tmp_path / "small", log=trained / "log.parquet", num_check_rows=30)
    assert found.passed, found
    assert any(f.of == "onnx serve" and f.check == "parity" for f in found.findings)


def test_rows_do_not_influence_each_other(trained, tmp_path):
    compress_bundle(trained / "full", tmp_path / "small", trained / "log.parquet", "int8")
    bundle = load_bundle(tmp_path / "small")
    rows = bundle.random_inputs(40)
    rows["cover"][7] *= 100  # would take all levels of a scale for the whole batch
    together = bundle.predict(rows)["save"]
    alone = [bundle.predict({k: v[i : i + 1] for k, v in rows.items()})["save"] for i in range(40)]
    np.testing.assert_array_equal(together, np.concatenate(alone))


def test_a_loss_beyond_what_is_allowed_is_refused(trained, tmp_path, monkeypatch, capsys):
    """One weight for an input that is never there takes every level: the others become 0."""
    features = [
        kr.features.Embedding("cover", dim=WIDTH),
        kr.features.Numeric("blank", mean=0.0, std=1.0),
    ]
    table = pq.read_table(trained / "log.parquet")
    table = table.append_column("blank", pa.array(np.zeros(table.num_rows)))
    pq.write_table(table, tmp_path / "log.parquet")
    model = kr.RankingModel(features, [kr.layers.MLP([WIDTH])], [kr.Task("save")])
    model.compile("adam")
    model.fit(kr.data.read_parquet(tmp_path / "log.parquet", model, 256), epochs=1, verbose=0)
    kernel = next(w for w in model.trainable_variables if w.shape == (WIDTH + 1, WIDTH))
    values = np.array(kernel)
    values[WIDTH] = 1e4
    kernel.assign(values)
    export_model(model, tmp_path / "full", formats=["onnx"], signatures=[])
    arguments = ["compress", "full", "small", "log.parquet", "--num-rows", "1500"]
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 1
    assert "each task must lose at most 0.001 of AUC" in capsys.readouterr().err
    assert not (tmp_path / "small").exists()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["full", "log.parquet"]
    assert main([*arguments, "--weights", "float16"]) == 0
    assert "float16 weights" in capsys.readouterr().out


def test_a_task_without_both_labels_cannot_be_measured(trained, tmp_path):
    table = (
        pq.read_table(trained / "log.parquet")
        .drop(["save"])
        .rename_columns(["cover", "pin", "save"])
    )
    pq.write_table(table, tmp_path / "log.parquet")
    with pytest.raises(
        ExportError, match=r"negative labels in the rows.*Received: only one label for \['save'\]"
    ):
        compress_bundle(trained / "full", tmp_path / "small", tmp_path / "log.parquet")
    assert not (tmp_path / "small").exists()


def test_bad_arguments(trained, tmp_path):
    log = trained / "log.parquet"
    for wrong in (
        {"weights": "int4"},
        {"max_auc_loss": -1.0},
        {"num_rows": 0},
        {"max_ne_rise": "1 %"},
    ):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            compress_bundle(trained / "full", tmp_path / "small", log, **wrong)
    with pytest.raises(ValueError, match="must be outside the folder of `source`"):
        compress_bundle(trained / "full", trained / "full", log)
    with pytest.raises(ValueError, match="must be outside the folder of `source`"):
        compress_bundle(trained / "full", trained / "full" / "small", log)
    compress_bundle(trained / "full", tmp_path / "small", log, "float16")
    with pytest.raises(ValueError, match="weights are rounded only once"):
        compress_bundle(tmp_path / "small", tmp_path / "smaller", log)


def test_a_file_that_moves_unlike_the_others_is_refused(trained, tmp_path, monkeypatch):
    """The gate looks at one file; the others are held to it."""
    calls = []

    def spoilt(model, weights):
        made = with_small_weights(model, weights)
        calls.append(made)
        if len(calls) == 2:
            from onnx import numpy_helper

            scale = next(c for c in made.graph.initializer if c.name.endswith("scale of columns"))
            scale.CopyFrom(numpy_helper.from_array(-numpy_helper.to_array(scale), scale.name))
        return made

    monkeypatch.setattr("kranking.export.derived._compress_bundle.with_small_weights", spoilt)
    with pytest.raises(ExportError, match="`onnx serve` must be within"):
        compress_bundle(trained / "full", tmp_path / "small", trained / "log.parquet")
    assert not (tmp_path / "small").exists()


@pytest.mark.parametrize(
    "wrong", [None, [], {}, {"serve_ids": 0.1}, {"serve_ids": 0.1, "serve": "0.1"}, "huge"]
)
def test_a_manifest_without_credible_tolerances_fails_a_check(trained, tmp_path, wrong):
    compress_bundle(trained / "full", tmp_path / "small", trained / "log.parquet", num_rows=500)
    path = tmp_path / "small" / "manifest.json"
    manifest = json.loads(path.read_text("utf-8"))
    wrong = {"serve_ids": 0.1, "serve": 1e9} if wrong == "huge" else wrong
    manifest["compression"] = {"tolerance": wrong} if wrong is not None else None
    path.write_text(json.dumps(manifest), "utf-8")
    found = verify_bundle(tmp_path / "small", num_check_rows=5)
    assert "tolerances" in [finding.check for finding in found.failed]


def graph(kernel, table, opset):
    """Gives an ONNX model of `table[ids] @ kernel`, and one of its answers in float64."""
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["rows"]),
        helper.make_node("MatMul", ["rows", "kernel"], ["y"]),
    ]
    made = helper.make_graph(
        nodes,
        "products",
        [helper.make_tensor_value_info("ids", TensorProto.INT32, ["batch"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", kernel.shape[1]])],
        [numpy_helper.from_array(kernel, "kernel"), numpy_helper.from_array(table, "table")],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


@pytest.fixture
def small_tables(monkeypatch):
    """Treats every table as one that is too large to be widened when a graph is loaded."""
    monkeypatch.setattr("kranking.export.rewrites._small_weights._SMALLEST_TABLE", 0)


def run(model, ids):
    import onnxruntime

    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"ids": np.asarray(ids, "int32")})[0]


@pytest.mark.parametrize("opset", [17, 18])
def test_products_in_int8_are_the_equation(opset, small_tables):
    rng = np.random.default_rng(3)
    kernel = rng.standard_normal((300, 256)).astype("float32")
    table = (rng.standard_normal((40, 300)) * 10.0 ** rng.integers(-6, 6, (40, 1))).astype(
        "float32"
    )
    table[5] = 0
    got = run(with_small_weights(graph(kernel, table, opset), "int8"), np.arange(40))

    of_table = np.abs(table).max(1, keepdims=True) / 127
    x = np.rint(table / np.where(of_table > 0, of_table, 1)) * of_table
    of_row = np.abs(x).max(1, keepdims=True) / 127
    of_column = np.abs(kernel).max(0) / 63
    integers = np.rint(x / np.where(of_row > 0, of_row, 1)) @ np.rint(kernel / of_column)
    expected = integers * of_row * of_column
    # A value halfway between two levels can be rounded either way: one level of one input.
    allowed = 1.01 * of_row * np.abs(kernel).max()
    assert (np.abs(got - expected) <= allowed).all()
    assert np.median(np.abs(got - expected) / (allowed + 1e-30)) < 1e-3
    assert (got[5] == 0).all()
    exact = table.astype("float64") @ kernel
    assert (np.abs(got - exact).max(1) <= 0.05 * np.abs(exact).max(1) + 1e-30).all()


@pytest.mark.parametrize("weights", ["float16", "int8"])
def test_a_small_table_is_widened_when_the_graph_is_loaded(weights):
    """So that a lookup stays one operator."""
    table = np.linspace(-1, 1, 40 * 300, dtype="float32").reshape(40, 300)
    model = graph(np.ones((300, 4), "float32"), table, 18)
    small = with_small_weights(model, weights)
    assert [node.op_type for node in small.graph.node] == ["Cast", "Cast", "Gather", "MatMul"]
    np.testing.assert_allclose(run(small, [3, 39]), run(model, [3, 39]), rtol=2e-3)


def test_what_float16_cannot_hold_stays():
    kernel = np.full((64, 32), 1e5, "float32")
    table = np.linspace(-1, 1, 40 * 64, dtype="float32").reshape(40, 64)
    model = graph(kernel, table, 18)
    small = with_small_weights(model, "float16")
    kinds = {c.name: c.data_type for c in small.graph.initializer}
    assert kinds == {"kernel": 1, "small/table/half": 10}
    expected = table.astype("float16").astype("float32") @ kernel
    np.testing.assert_allclose(run(small, np.arange(40)), expected, rtol=1e-5, atol=1)
    assert {c.name for c in model.graph.initializer} == {
        "kernel",
        "table",
    }  # the source is as it was


def test_what_is_not_finite_does_not_become_an_answer():
    kernel = np.random.default_rng(0).standard_normal((256, 256)).astype("float32")
    table = np.ones((6, 256), "float32")
    table[1, 3], table[2, 3], table[3, 3:5] = np.nan, np.inf, [np.inf, -np.inf]
    got = run(with_small_weights(graph(kernel, table, 18), "int8"), np.arange(6))
    assert np.isnan(got[1:4]).all()
    assert np.isfinite(got[[0, 4, 5]]).all()


def test_a_table_that_is_a_kernel_as_well():
    weight = np.random.default_rng(0).standard_normal((256, 256)).astype("float32")
    model = graph(weight, weight, 18)
    model.graph.node[1].input[1] = "table"
    del model.graph.initializer[0]
    expected = weight[:3] @ weight
    for weights in ("float16", "int8"):
        got = run(with_small_weights(model, weights), np.arange(3))
        assert np.abs(got - expected).max() < 0.03 * np.abs(expected).max(), weights


def test_constants_that_a_branch_or_a_caller_reads_stay():
    from onnx import TensorProto, helper

    kernel = np.ones((256, 256), "float32")
    model = graph(kernel, np.ones((8, 256), "float32"), 18)
    inner = [
        helper.make_graph(
            [helper.make_node(operator, ["y", "kernel"], [f"of {operator}"])],
            operator,
            [],
            [helper.make_tensor_value_info(f"of {operator}", TensorProto.FLOAT, None)],
        )
        for operator in ("MatMul", "Add")
    ]
    model.graph.node.append(
        helper.make_node("Size", ["ids"], ["small/one"])
    )  # a name we might take
    model.graph.node.append(helper.make_node("Cast", ["small/one"], ["some"], to=TensorProto.BOOL))
    branch = helper.make_node("If", ["some"], ["z"], then_branch=inner[0], else_branch=inner[1])
    model.graph.node.append(branch)
    for name in ("z", "kernel"):
        model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    for weights in ("float16", "int8"):
        import onnxruntime

        small = with_small_weights(model, weights)
        session = onnxruntime.InferenceSession(
            small.SerializeToString(), providers=["CPUExecutionProvider"]
        )
        y, z, same = session.run(["y", "z", "kernel"], {"ids": np.zeros(2, "int32")})
        np.testing.assert_allclose(y, 256, rtol=0.02)
        np.testing.assert_allclose(z, 256 * 256, rtol=0.02)
        np.testing.assert_array_equal(same, kernel)


def test_certain_probabilities_have_finite_losses():
    # float32 itself has 1e-12, so that only 0 and 1 are moved
    p = _uncertain(np.array([0.0, 1e-12, 0.25, 1.0], "float32"))
    np.testing.assert_allclose(p, [1e-12, 1e-12, 0.25, 1 - 1e-12], rtol=1e-7)
    np.testing.assert_allclose(1 - p[3], 1e-12, rtol=1e-3)
