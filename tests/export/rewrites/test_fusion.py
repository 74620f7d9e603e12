"""Operators put together in ONNX: the same answers by fewer, and nothing else touched."""

import keras
import numpy as np
import pytest
from keras import ops
from onnx import helper

import kranking as kr
from kranking.export.formats._onnx import convert, run_onnx, save
from kranking.export.functions._signature import Signature, Value
from kranking.export.rewrites.fusion import fuse, narrow
from kranking.export.rewrites.fusion._graph import Graph, Part

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="graphs are TensorFlow's"
)

WIDTH = 6
EPSILON = 1e-3
BOUNDS = {"start": 2, "stop": 4, "axis": 1}


def layer_norm(**options):
    layer = keras.layers.LayerNormalization(epsilon=EPSILON, **options)
    layer.build((None, 3, WIDTH))
    random = np.random.default_rng(0)
    layer.set_weights([random.normal(size=w.shape) for w in layer.get_weights()])
    return layer


def kinds(model):
    return [node.op_type for node in model.graph.node]


def lists(rows=5):
    x = np.random.default_rng(1).normal(size=(rows, 3, WIDTH)).astype("float32")
    x[:1], x[1:2], x[2:3, 0] = 0.0, 1e-4, np.nan
    return x


def check(function, tmp_path, opset=18, *, given=None):
    """Converts, compares with the function itself, also for no rows at all, and gives the ONNX model."""
    given = lists() if given is None else given
    made = ops.convert_to_numpy(function(ops.convert_to_tensor(given)))
    signature = Signature(
        (Value("x", str(given.dtype), given.shape[1:]),), (Value("y", "float32", made.shape[1:]),)
    )
    model = convert(lambda inputs: {"y": function(inputs["x"])}, signature, opset)
    save(model, tmp_path / "model.onnx")
    run = run_onnx(tmp_path / "model.onnx")
    np.testing.assert_allclose(run({"x": given})["y"], made, rtol=1e-4, atol=1e-6)
    assert run({"x": given[:0]})["y"].shape == (0, *made.shape[1:])
    return model


def test_a_layer_norm_becomes_one_operator(tmp_path):
    first, second = layer_norm(), layer_norm()
    model = check(lambda x: second(ops.relu(first(x)) + x), tmp_path)
    assert kinds(model).count("LayerNormalization") == 2
    assert not {"ReduceMean", "Sqrt", "Reciprocal", "Neg"} & set(kinds(model))
    (fused, _) = (node for node in model.graph.node if node.op_type == "LayerNormalization")
    assert {a.name: a.f for a in fused.attribute}["epsilon"] == pytest.approx(EPSILON)
    read = {name for node in model.graph.node for name in node.input}
    assert {constant.name for constant in model.graph.initializer} <= read


@pytest.mark.parametrize(
    "other",
    [
        lambda: layer_norm(center=False),
        lambda: layer_norm(axis=1),
        lambda: lambda x: x - ops.mean(x, axis=-1, keepdims=True),
    ],
    ids=["no offset", "another axis", "centred"],
)
def test_what_looks_otherwise_stays(tmp_path, other):
    assert "LayerNormalization" not in kinds(check(other(), tmp_path))


def test_operator_set_17_is_right_too(tmp_path):
    """There tf2onnx writes means as pooling."""
    check(layer_norm(), tmp_path, opset=17)


@pytest.mark.parametrize("inside", [False, True], ids=["by a node", "inside a branch"])
def test_a_value_that_is_read_elsewhere_stays(tmp_path, inside):
    import onnx

    signature = Signature((Value("x", "float32", (WIDTH,)),), (Value("y", "float32", (WIDTH,)),))
    norm = layer_norm()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kranking.export.formats._onnx.fuse", lambda *given: {})
        model = convert(lambda inputs: {"y": norm(inputs["x"])}, signature, 18)
    before = kinds(model)
    (mean,) = (n for n in model.graph.node if n.op_type == "ReduceMean" and n.input[0] == "x")
    kind = onnx.TensorProto.FLOAT
    extra = helper.make_node("Identity", [mean.output[0]], ["mean"])
    value = helper.make_tensor_value_info("mean", kind, None)
    if inside:
        branch = helper.make_graph([extra], "branch", [], [value])
        always = helper.make_tensor("always", onnx.TensorProto.BOOL, [], [True])
        model.graph.initializer.append(always)
        extra = helper.make_node(
            "If", ["always"], ["taken"], then_branch=branch, else_branch=branch
        )
        value = helper.make_tensor_value_info("taken", kind, None)
    model.graph.node.append(extra)
    model.graph.output.append(value)
    assert fuse(model)["fuse_layer_norms"] == 0
    assert kinds(model)[:-1] == before
    del model.graph.node[-1], model.graph.output[-1]
    assert fuse(model)["fuse_layer_norms"] == 1


def table(rows=6, width=4):
    """Gives rows of every kind: none, one too short to have a direction, and usual ones."""
    made = np.random.default_rng(2).normal(size=(rows, width)).astype("float32")
    made[0], made[1], made[2] = 0.0, 1e-14, 1e-9
    return made


IDS = np.array([[0, 1, 2], [3, 4, 5], [2, 0, 0], [5, 5, 1]], "int32")


def test_rows_of_unit_length_are_looked_up(tmp_path):
    """A row that others read as it is stays, and the scaled one lies beside it."""

    def units(ids):
        rows = kr.ops.take_rows(table(), ids)
        return ops.concatenate([kr.ops.l2_normalize(rows[:, 0]), rows[:, 1]], axis=-1)

    model = check(units, tmp_path, given=IDS)
    assert not {"Sqrt", "Div", "ReduceSum"} & set(kinds(model))


def test_each_smallest_length_has_its_own_rows(tmp_path):
    def units(ids):
        rows = kr.ops.take_rows(table(), ids)
        lengths = (kr.ops.l2_normalize(rows[:, i], epsilon=e) for i, e in ((0, 1e-12), (1, 0.5e-8)))
        return ops.concatenate(list(lengths), axis=-1)

    check(units, tmp_path, given=IDS)


def test_rows_beyond_what_squares_can_hold(tmp_path):
    broken = table()
    broken[3], broken[4, 1] = 1e25, np.inf
    check(lambda ids: kr.ops.l2_normalize(kr.ops.take_rows(broken, ids)[:, 0]), tmp_path, given=IDS)


def test_a_table_of_matrices_is_left_alone(tmp_path):
    tables = np.random.default_rng(3).normal(size=(6, 3, 4)).astype("float32")

    def looked_up(ids):
        rows = kr.ops.take_rows(tables, ids[:, 0])
        return ops.concatenate([kr.ops.l2_normalize(rows[:, 0]), ops.max(rows[:, 1:3], axis=1)], -1)

    check(looked_up, tmp_path, given=IDS)


def test_a_reshape_to_one_number_stays(tmp_path):
    check(
        lambda x: x * ops.reshape(ops.sum(ops.nan_to_num(x[:0]), axis=(0, 1))[:1], ()) + x, tmp_path
    )


def test_a_pooled_list_in_float64(tmp_path):
    rows = table().astype("float64")
    check(
        lambda ids: ops.cast(kr.ops.masked_mean(kr.ops.take_rows(rows, ids), ids > 0), "float32"),
        tmp_path,
        given=IDS,
    )


def test_a_large_table_is_not_kept_twice(tmp_path, monkeypatch):
    monkeypatch.setattr("kranking.export.rewrites.fusion._lookups._LARGEST", table().nbytes - 1)
    model = check(
        lambda ids: kr.ops.l2_normalize(kr.ops.take_rows(table(), ids)[:, 0]), tmp_path, given=IDS
    )
    assert kinds(model).count("Sqrt") == 1
    assert "Max" not in kinds(model)  # only the gradient needs it


def test_a_table_with_nan_gives_nan_where_the_layer_does(tmp_path):
    broken = table()
    broken[3, 1] = np.nan
    check(lambda ids: kr.ops.l2_normalize(kr.ops.take_rows(broken, ids)[:, 0]), tmp_path, given=IDS)


@pytest.mark.parametrize("pool", [kr.ops.masked_mean, kr.ops.masked_sum])
def test_a_list_is_pooled_by_a_product(tmp_path, pool):
    def pooled(ids):
        rows = kr.ops.take_rows(table(), ids)
        return ops.concatenate([pool(rows[:, 1:3], ids[:, 1:3] > 0), rows[:, 0]], axis=-1)

    model = check(pooled, tmp_path, given=IDS)
    assert kinds(model).count("MatMul") == 1
    assert "Where" not in kinds(model)


def test_what_may_be_nan_is_chosen_and_not_multiplied(tmp_path):
    broken = table()
    broken[3] = np.inf
    model = check(
        lambda ids: kr.ops.masked_mean(kr.ops.take_rows(broken, ids), ids != 3), tmp_path, given=IDS
    )
    assert "MatMul" not in kinds(model)
    model = check(lambda x: kr.ops.masked_sum(x, x[..., 0] > 0), tmp_path)
    assert "MatMul" not in kinds(model)


def test_a_list_is_not_looked_up_twice(tmp_path):
    def looked_up(ids):
        rows = kr.ops.take_rows(table(), ids)
        return ops.concatenate([ops.max(rows[:, 1:3], axis=1), rows[:, 0]], axis=-1)

    model = check(looked_up, tmp_path, given=IDS)
    tables = [n for n in model.graph.node if n.op_type == "Gather" and n.attribute[0].i == 0]
    assert len(tables) == 2
    assert "Squeeze" not in kinds(model)


def test_a_dense_layer_works_on_rows_and_not_on_lists(tmp_path):
    layers = [keras.layers.Dense(8, activation="relu"), keras.layers.Dense(WIDTH)]
    random = np.random.default_rng(3)
    for layer, width in zip(layers, (WIDTH, 8)):
        layer.build((None, 3, width))
        layer.set_weights([random.normal(size=w.shape) for w in layer.get_weights()])
    model = check(lambda x: x + layers[1](layers[0](x)), tmp_path)
    assert "Shape" not in kinds(model)
    assert kinds(model).count("Reshape") == 2  # to rows, and back at the end
    after = kinds(model)[kinds(model).index("MatMul") :]
    assert after[:3] == ["MatMul", "Add", "Relu"]


def joined(read):
    """Gives the model of what is read of ids that are checked together, and its graph narrowed to that."""
    signature = Signature(
        tuple(
            Value(name, "int32", (width,)) for name, width in (("a", 1), ("b", 2), ("fused/0", 1))
        ),
        (Value("y", "float32", (1,)),),
    )

    def function(inputs):
        ids = ops.concatenate(list(inputs.values()), axis=1)
        inside = ops.logical_and(ids >= 0, ids <= np.array([5, 7, 7, 2], "int32"))
        ids = ops.where(inside, ids, 0) + np.array([0, 10, 20, 30], "int32")
        return {"y": ops.cast(read(ids), "float32")}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kranking.export.formats._onnx.fuse", lambda *given: {})
        whole = convert(function, signature, 18)
    part = type(whole).FromString(whole.SerializeToString())
    narrow(part)
    return whole, part


@pytest.mark.parametrize(
    ("read", "inputs"),
    [
        (lambda ids: ids[:, 1:2] + ids[:, 3:], ["b", "fused/0"]),
        (lambda ids: ids[:, 1:3] * ids[:, 2:3], ["b"]),
        (lambda ids: ops.expand_dims(ids[:, 3], 1), ["fused/0"]),
        (lambda ids: ops.split(ids, 4, axis=1)[0], ["a"]),
        (lambda ids: ids[:, 0:4], ["a", "b", "fused/0"]),
    ],
    ids=["two", "overlapping", "one", "split", "all"],
)
def test_a_part_asks_for_what_it_reads(tmp_path, read, inputs):
    """Once for all that it reads, and the same answers."""
    whole, part = joined(read)
    assert [value.name for value in part.graph.input] == inputs
    assert kinds(part).count("LessOrEqual") == 1
    random = np.random.default_rng(4)
    given = {
        value.name: random.integers(-3, 9, (20, value.type.tensor_type.shape.dim[1].dim_value))
        for value in whole.graph.input
    }
    given = {name: x.astype("int32") for name, x in given.items()}
    for name, model in (("whole", whole), ("part", part)):
        save(model, tmp_path / f"{name}.onnx")
    expected = run_onnx(tmp_path / "whole.onnx")(given)["y"]
    got = run_onnx(tmp_path / "part.onnx")({name: given[name] for name in inputs})["y"]
    np.testing.assert_array_equal(got, expected)


def test_heads_are_activated_together_and_split_once(tmp_path):
    def heads(x):
        return ops.concatenate([ops.sigmoid(x[:, i : i + 1]) for i in (1, 0, 2)], axis=1)

    model = check(heads, tmp_path)
    assert (kinds(model).count("Sigmoid"), kinds(model).count("Split")) == (1, 1)
    assert "Slice" not in kinds(model)


@pytest.mark.parametrize(
    "parts",
    [[(0, 2), (1, 3)], [(0, 1), (2, 3)], [(0, 1), (1, 2)]],
    ids=["twice", "a gap", "no end"],
)
def test_parts_that_are_not_the_whole_stay_slices(tmp_path, parts):
    model = check(lambda x: ops.concatenate([x[:, a:b] for a, b in parts], axis=1), tmp_path)
    assert "Split" not in kinds(model)


def test_a_slice_of_a_slice_is_one(tmp_path):
    model = check(lambda x: x[:, 1:][:, :2] + x[:, 0:2][:, 1:2], tmp_path)
    assert kinds(model).count("Slice") == 2


def test_a_ranking_model_gives_the_same_answers_by_fewer_operators(tmp_path, monkeypatch):
    """The same answers as without any rule, whatever a row holds."""
    import onnx

    features = [
        kr.features.Categorical("user", side="user", hash_buckets=50, embedding_dim=8),
        kr.features.Categorical(
            "topic", side="item", vocabulary=tuple("abc"), embedding_dim=8, l2_normalize=True
        ),
        kr.features.Categorical(
            "tags",
            side="item",
            vocabulary=tuple("abc"),
            embedding_dim=4,
            max_length=3,
        ),
        kr.features.Sequence("seen", of="topic", max_length=4, l2_normalize=True),
    ]
    model = kr.models.perturbed(
        kr.RankingModel(features, [kr.layers.MLP([8])], [kr.Task("save"), kr.Task("hide")])
    )
    made = {}
    for name in ("plain", "fused"):
        with monkeypatch.context() as patch:
            if name == "plain":
                patch.setattr("kranking.export.formats._onnx.fuse", lambda *given: {})
            kr.export.export_model(model, tmp_path / name, formats=["onnx"])
        made[name] = kr.export.load_bundle(tmp_path / name)
    rows = made["plain"].random_inputs(64)
    plain, fused = (one.predict(rows) for one in made.values())
    for task in plain:
        np.testing.assert_allclose(fused[task], plain[task], rtol=1e-5, atol=1e-6)
    counts = [len(onnx.load(tmp_path / n / "model.onnx").graph.node) for n in made]
    assert counts[1] < counts[0] - 10


def test_a_slice_of_a_computed_range_is_not_a_part():
    integers = {name: helper.make_tensor(name, 7, [1], [value]) for name, value in BOUNDS.items()}
    x, end = (
        helper.make_tensor_value_info(*of) for of in (("x", 1, [None, WIDTH]), ("end", 7, [1]))
    )
    y = helper.make_tensor_value_info("y", 1, [None, None])
    for bounds, expected in (
        (["start", "stop", "axis"], Part(1, 2, 4)),
        (["start", "end", "axis"], None),
    ):
        node = helper.make_node("Slice", ["x", *bounds], ["y"])
        made = helper.make_graph([node], "slice", [x, end], [y], list(integers.values()))
        assert Graph(helper.make_model(made), {}).part(node) == expected
