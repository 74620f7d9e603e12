import json
import shutil
from pathlib import Path

import export_samples
import keras
import numpy as np
import pytest

import kranking as kr
from kranking.export import ExportError, export_model, load_bundle
from kranking.export.__main__ import main
from kranking.features import Categorical, from_json, schema_hash
from kranking.layers import MLP

CHECKOUT = Path(__file__).parents[2]


def files_below(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def assert_parity(answers, model, rows):
    expected = model.predict(rows, verbose=0)
    assert list(answers) == list(expected)
    for task, p in expected.items():
        assert answers[task].dtype == np.float32
        assert answers[task].shape == p.shape == (len(p), 1)
        np.testing.assert_allclose(answers[task], p, rtol=0, atol=1e-5)


def test_bundle_is_whole(awkward):
    assert {"manifest.json", "features.json", "model.keras", "model.onnx"} <= set(
        files_below(awkward.folder)
    )
    assert (awkward.folder / "saved_model" / "saved_model.pb").is_file()
    assert [path.name for path in awkward.folder.parent.iterdir()] == [awkward.folder.name]
    assert set(files_below(awkward.folder)) - {"manifest.json"} == set(
        awkward.report.manifest["files"]
    )


def test_every_artefact_is_near_the_model(awkward):
    both = {"saved_model", "onnx", "saved_model serve", "onnx serve"}
    assert set(awkward.report.reached) == {"keras", *both}
    assert all(0 <= difference <= 1e-5 for difference in awkward.report.reached.values())
    assert "onnx: within" in str(awkward.report)


def test_manifest(awkward):
    manifest = json.loads((awkward.folder / "manifest.json").read_text("utf-8"))
    assert manifest == awkward.report.manifest
    assert manifest["backend"] == keras.backend.backend()
    assert manifest["versions"]["keras"] == keras.__version__
    assert manifest["versions"][keras.backend.backend()]
    assert manifest["schema_hash"] == schema_hash(awkward.model.features)
    assert manifest["tasks"] == export_samples.AWKWARD_TASKS
    inputs = {value["name"]: value for value in manifest["signature"]["inputs"]}
    assert list(inputs) == list(awkward.model.preprocessor.inputs)
    assert inputs["a/b"] == {"name": "a/b", "dtype": "int32", "shape": ["batch", 4]}
    assert manifest["seed"] == 11
    assert manifest["counts"]["dense"]["out_of_vocabulary"] == 2
    assert manifest["metadata"] == {"cost": {"parameters": awkward.model.count_params()}}
    assert manifest["check"]["rows"]["random"] == 20
    assert manifest["check"]["rows"]["given"] == 5
    for task in export_samples.AWKWARD_TASKS:
        low, high = manifest["check"]["probabilities"][task]
        assert 0 <= low < high <= 1
    features = from_json((awkward.folder / "features.json").read_text("utf-8"))
    assert schema_hash(features) == manifest["schema_hash"]


def test_onnx_has_exact_names_and_one_batch_axis(awkward):
    import onnx

    model = onnx.load(awkward.folder / "model.onnx")
    assert [opset.version for opset in model.opset_import if opset.domain == ""] == [18]
    specs = awkward.model.preprocessor.inputs
    assert [value.name for value in model.graph.input] == list(specs)
    assert [value.name for value in model.graph.output] == export_samples.AWKWARD_TASKS
    for value in model.graph.input:
        batch, *rest = value.type.tensor_type.shape.dim
        assert batch.dim_param == "batch"
        assert tuple(axis.dim_value for axis in rest) == tuple(specs[value.name].shape)
    for value in model.graph.output:
        batch, width = value.type.tensor_type.shape.dim
        assert (batch.dim_param, width.dim_value) == ("batch", 1)
        assert value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT


@pytest.mark.parametrize("size", [1, 6])
def test_onnx_answers_as_the_model(awkward, size):
    rows = export_samples.random_inputs(awkward.model, size)
    assert_parity(load_bundle(awkward.folder).predict(rows), awkward.model, rows)


def test_saved_model_has_exact_names(awkward):
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel()
    saved.ParseFromString((awkward.folder / "saved_model" / "saved_model.pb").read_bytes())
    for key in ("serve_ids", "serving_default"):
        definition = saved.meta_graphs[0].signature_def[key]
        assert set(definition.inputs) == set(awkward.model.preprocessor.inputs)
        assert set(definition.outputs) == set(export_samples.AWKWARD_TASKS)
        for value in (*definition.inputs.values(), *definition.outputs.values()):
            assert value.tensor_shape.dim[0].size == -1


@pytest.fixture(scope="module")
def loaded(awkward):
    import tensorflow as tf

    return tf.saved_model.load(str(awkward.folder / "saved_model"))


@pytest.mark.parametrize("size", [1, 6])
@pytest.mark.parametrize("way", ["serve_ids", "serving_default", "attribute"])
def test_saved_model_answers_as_the_model(awkward, loaded, way, size):
    import tensorflow as tf

    serve = loaded.serve_ids if way == "attribute" else loaded.signatures[way]
    rows = export_samples.random_inputs(awkward.model, size)
    answers = serve({name: tf.constant(column) for name, column in rows.items()})
    answers = {task: answers[task].numpy() for task in export_samples.AWKWARD_TASKS}
    assert_parity(answers, awkward.model, rows)


@pytest.mark.once
def test_command_exports_a_file_and_replaces_an_earlier_bundle(tmp_path, awkward, capsys):
    import tensorflow as tf

    model = export_samples.plain_model()
    model.save(tmp_path / "model.keras")
    shutil.copytree(awkward.folder, tmp_path / "x")
    arguments = ["export", str(tmp_path / "model.keras"), str(tmp_path / "x")]
    assert main([*arguments, "--opset", "17", "--check-rows", "5", "--signatures"]) == 0
    assert "onnx: within" in capsys.readouterr().out
    bundle = load_bundle(tmp_path / "x", model.features)
    assert bundle.manifest["opset"] == 17
    rows = export_samples.random_inputs(model, 4)
    assert_parity(bundle.predict(rows), model, rows)
    # One name is a Python keyword and another has a dot: still keyword arguments of `serve`.
    serve = tf.saved_model.load(str(tmp_path / "x" / "saved_model")).signatures["serve_ids"]
    answers = serve(**{name: tf.constant(column) for name, column in rows.items()})
    assert_parity({task: p.numpy() for task, p in answers.items()}, model, rows)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.keras", "x"]


@pytest.mark.once  # elsewhere `test_unknown_layer_in_the_child` is refused
@pytest.mark.parametrize(
    ("block", "message"),
    [
        (export_samples.Forgetful(3.0), "`keras` must be within 1e-05 of the model.*Received: a"),
        (export_samples.InverseErrorFunction(), "`onnx` could not be written.*Erfinv"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_refused_export_leaves_nothing(tmp_path, block, message):
    model = export_samples.plain_model(block)
    with pytest.raises(ExportError, match=f"(?s){message}"):
        export_model(
            model,
            tmp_path / "served",
            formats=("onnx",),
            signatures=(),
            modules=["export_samples"],
        )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(
    keras.backend.backend() == "tensorflow",
    reason="TensorFlow exports in process, where it is known",
)
def test_unknown_layer_in_the_child(tmp_path):
    model = export_samples.plain_model(export_samples.Forgetful())
    with pytest.raises(ExportError, match=r"(?s)list the modules that register.*Forgetful"):
        export_model(model, tmp_path / "served")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="strategies are TensorFlow's")
@pytest.mark.slow
def test_a_strategy_does_not_get_into_the_artefact(tmp_path):
    import tensorflow as tf

    with tf.distribute.OneDeviceStrategy("/cpu:0").scope():
        model = export_samples.plain_model()
        report = export_model(model, tmp_path / "served", formats=("saved_model",), signatures=())
    assert report.reached["saved_model"] <= 1e-5
    rows = export_samples.random_inputs(model, 3)
    loaded = tf.saved_model.load(str(tmp_path / "served" / "saved_model"))
    answers = loaded.serve_ids({name: tf.constant(column) for name, column in rows.items()})
    assert_parity({"click": answers["click"].numpy()}, model, rows)


def test_answers_that_are_not_finite_are_refused(tmp_path):
    model = export_samples.plain_model(export_samples.NotFinite())
    for weight in model.encoder.weights:
        weight.assign(weight * 0)
    with pytest.raises(ExportError, match=r"finite probabilities.*nan.*task `click` on row 0 of"):
        export_model(model, tmp_path / "served")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"formats": "onnx"}, "`formats` must be one or more of .*Received: formats='onnx'"),
        ({"formats": ()}, "`formats` must be one or more of"),
        ({"formats": ("onnx", "h5")}, "Received: formats=.*'h5'"),
        ({"signatures": ["score"]}, r"`signatures` must be among .*Received: .*'score'"),
        ({"signatures": ["rank"]}, r"`rank` needs features of an item.*'age': 'user'"),
        ({"opset": 15}, r"`opset` must be one of \[17, 18\]. Received: opset=15"),
        ({"num_check_rows": 0}, "`num_check_rows` must be a positive integer"),
        ({"modules": "my.layers"}, "`modules` must be a sequence of module names"),
        ({"metadata": {"a": 1j}}, "`metadata` must be JSON-serializable"),
        ({"check_rows": {"age": np.zeros(2, "float32")}}, r"missing \['class', 'x.y'\]"),
    ],
    ids=str,
)
def test_rejects_arguments(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        export_model(export_samples.plain_model(), tmp_path / "served", **arguments)
    assert list(tmp_path.iterdir()) == []


def test_rejects_models(tmp_path):
    with pytest.raises(ValueError, match=r"must be a RankingModel .*type Sequential"):
        export_model(keras.Sequential(), tmp_path / "served")
    with pytest.raises(ValueError, match=r"Received: model='nowhere.keras'"):
        export_model("nowhere.keras", tmp_path / "served")


def test_a_task_named_as_a_feature_is_refused(tmp_path):
    from kranking.features import Numeric, Task
    from kranking.layers import MLP
    from kranking.models import RankingModel

    features = [Numeric("click", mean=0.0, std=1.0)]
    with pytest.raises((ValueError, ExportError), match="click"):
        export_model(RankingModel(features, [MLP([2])], [Task("click")]), tmp_path / "served")


def test_a_directory_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"must be new, empty, or contain a bundle.*notes\.txt"):
        export_model(export_samples.plain_model(), tmp_path)
    with pytest.raises(ValueError, match="must be a directory"):
        export_model(export_samples.plain_model(), tmp_path / "notes.txt")
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_mixed_precision_is_refused_with_the_way_out(tmp_path):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        model = export_samples.awkward_model()
    finally:
        keras.config.set_dtype_policy("float32")
    with pytest.raises(ValueError, match=r"Export `model\.in_float32\(\)`.*\['bfloat16'\]"):
        export_model(model, tmp_path / "bundle")
    assert not list(tmp_path.iterdir())


@pytest.mark.once
@pytest.mark.parametrize("opset", [17, 18])
def test_an_exact_gelu_is_exported(tmp_path, opset):
    """TensorFlow computes it by the complement of erf, for which ONNX has no operator."""
    model = export_samples.plain_model(MLP([8], activation="gelu"))
    report = export_model(model, tmp_path / "served", formats=["onnx"], signatures=(), opset=opset)
    assert report.reached["onnx"] <= 1e-5


def test_a_model_without_fields_has_no_user_tower(tmp_path):
    features = [
        Categorical("user", side="user", vocabulary=("a", "b")),
        Categorical("pin", side="item", vocabulary=("x", "y")),
    ]
    model = kr.architectures.get("lr").build(features, [kr.Task("save")])
    with pytest.raises(ValueError, match=r"among \['serve', 'rank'\]"):
        export_model(model, tmp_path / "served", signatures=["user_tower"])
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the same on every backend")
def test_a_history_beside_a_feature_of_the_request(tmp_path):
    """Such as what was searched for: `rank` looks it up for the history as well."""
    features = [
        kr.features.Categorical("query", side="context", vocabulary=tuple("abc"), embedding_dim=4),
        kr.features.Categorical("pin", side="item", vocabulary=tuple("xyz"), embedding_dim=4),
        kr.features.Sequence("seen", of="pin", max_length=3, side="item", candidate="query"),
    ]
    model = kr.models.perturbed(kr.RankingModel(features, [kr.layers.MLP([4])], [kr.Task("save")]))
    kr.export.export_model(model, tmp_path / "served")
    assert "rank" in kr.export.load_bundle(tmp_path / "served").manifest["signatures"]
