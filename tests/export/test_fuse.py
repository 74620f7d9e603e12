"""Operators put together in ONNX: the same answers by fewer, and nothing else touched."""

import keras
import numpy as np
import pytest
from keras import ops

from kranking.export._fuse import fuse_layer_norms
from kranking.export._onnx import convert, run_onnx, save
from kranking.export._signature import Signature, Value

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="graphs are TensorFlow's"
)

WIDTH = 6
EPSILON = 1e-3


def layer_norm(**options):
    layer = keras.layers.LayerNormalization(epsilon=EPSILON, **options)
    layer.build((None, 3, WIDTH))
    random = np.random.default_rng(0)
    layer.set_weights([random.normal(size=w.shape) for w in layer.get_weights()])
    return layer


def kinds(model):
    return [node.op_type for node in model.graph.node]


def check(function, tmp_path, opset=18):
    """Converts, compares with the function itself on rows of every kind, and gives the ONNX model."""
    signature = Signature(
        (Value("x", "float32", (3, WIDTH)),), (Value("y", "float32", (3, WIDTH)),)
    )
    model = convert(lambda inputs: {"y": function(inputs["x"])}, signature, opset)
    save(model, tmp_path / "model.onnx")
    x = np.random.default_rng(1).normal(size=(5, 3, WIDTH)).astype("float32")
    x[0], x[1], x[2, 0] = 0.0, 1e-4, np.nan
    made = run_onnx(tmp_path / "model.onnx")({"x": x})["y"]
    np.testing.assert_allclose(made, ops.convert_to_numpy(function(x)), rtol=1e-4, atol=1e-6)
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
    from onnx import helper

    signature = Signature((Value("x", "float32", (WIDTH,)),), (Value("y", "float32", (WIDTH,)),))
    norm = layer_norm()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kranking.export._onnx.fuse_layer_norms", lambda graph: 0)
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
    assert fuse_layer_norms(model.graph) == 0
    assert kinds(model)[:-1] == before
    del model.graph.node[-1], model.graph.output[-1]
    assert fuse_layer_norms(model.graph) == 1
