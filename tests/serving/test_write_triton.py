import shutil
from pathlib import Path

import numpy as np
import pytest

from kranking.export.__main__ import main
from kranking.export.functions._signature import Signature, Value
from kranking.serving import write_triton
from kranking.serving._triton_model import TritonPythonModel
from kranking.serving._write_triton import triton_config

pytestmark = pytest.mark.once

CHECKOUT = Path(__file__).parents[2]
SIGNATURE = Signature(
    (
        Value("country", "int32", ()),
        Value("watched", "int32", (50,)),
        Value("watched.age", "float32", (50,)),
        Value("pin_age_days", "float32", ()),
        Value("cover", "float32", (32,)),
    ),
    (Value("save", "float32", (1,)), Value("closeup", "float32", (1,))),
)


def test_example_is_up_to_date():
    example = CHECKOUT / "export" / "triton" / "ranker" / "config.pbtxt"
    assert example.read_text("utf-8") == triton_config(SIGNATURE, "ranker", "onnxruntime")


def test_quotes_in_names_stay_inside_the_string():
    signature = Signature((Value('a"\\\n', "int32", ()),), (Value("b", "float32", (1,)),))
    assert r'{ name: "a\"\\\n" data_type' in triton_config(signature, "ranker", "python")


def test_a_request_with_candidates_is_no_batch():
    signature = Signature(
        (
            Value("country", "string", (), 1),
            Value("seen", "int64", (3,), 1),
            Value("price", "float64", ()),
            Value("cover", "float32", (4,)),
        ),
        (Value("save", "float32", (1,)),),
    )
    text = triton_config(signature, "ranking", "python", finite=False)
    assert '{ name: "country" data_type: TYPE_STRING dims: [1] }' in text
    assert '{ name: "seen" data_type: TYPE_INT64 dims: [1, 3] }' in text
    assert '{ name: "price" data_type: TYPE_FP64 dims: [-1] }' in text
    assert '{ name: "cover" data_type: TYPE_FP32 dims: [-1, 4] }' in text
    assert '{ name: "save" data_type: TYPE_FP32 dims: [-1, 1] }' in text
    assert "max_batch_size: 0" in text
    assert "dynamic_batching" not in text
    assert '{ key: "cover" value { data_type: TYPE_FP32 dims: [1, 4] zero_data: true } }' in text
    assert 'parameters { key: "numbers" value { string_value: "any" } }' in text
    assert '"numbers"' not in triton_config(signature, "ranking", "onnxruntime", finite=False)


def test_a_signature_on_columns(awkward, tmp_path):
    folder = write_triton(awkward.folder, tmp_path, name="scorer", signature="serve")
    assert (folder / "model.onnx").read_bytes() == (awkward.folder / "serve.onnx").read_bytes()
    with pytest.raises(
        ValueError,
        match=r"^`name` must be a signature that the bundle has as ONNX, \['serve', 'serve_ids'\]. Rec",
    ):
        write_triton(awkward.folder, tmp_path, name="ranking", signature="rank")
    with pytest.raises(ValueError, match="must declare the inputs and outputs of this bundle"):
        write_triton(awkward.folder, tmp_path, name="scorer")
    assert [path.name for path in tmp_path.iterdir()] == ["scorer"]


@pytest.mark.parametrize(
    ("backend", "files"),
    [("onnxruntime", {"model.onnx"}), ("python", {"model.onnx", "model.py"})],
)
def test_versions_lie_side_by_side(awkward, tmp_path, backend, files):
    folders = [
        write_triton(awkward.folder, tmp_path, name="ranker", backend=backend) for _ in range(2)
    ]
    assert folders == [tmp_path / "ranker" / "1", tmp_path / "ranker" / "2"]
    assert {p.name for p in (tmp_path / "ranker").iterdir()} == {"1", "2", "config.pbtxt"}
    for folder in folders:
        assert {path.name for path in folder.iterdir()} == files
        assert (folder / "model.onnx").read_bytes() == (awkward.folder / "model.onnx").read_bytes()


def test_what_was_set_in_the_configuration_stays(awkward, tmp_path):
    config = tmp_path / "ranker" / "config.pbtxt"
    write_triton(awkward.folder, tmp_path, name="ranker")
    config.write_text(config.read_text("utf-8").replace("count: 1", "count: 4"), "utf-8")
    write_triton(awkward.folder, tmp_path, name="ranker", version=20)
    assert "count: 4" in config.read_text("utf-8")


def test_a_model_with_another_signature_is_refused(awkward, tmp_path):
    write_triton(awkward.folder, tmp_path, name="ranker")
    config = tmp_path / "ranker" / "config.pbtxt"
    config.write_text(config.read_text("utf-8").replace('"dense"', '"sparse"'), "utf-8")
    with pytest.raises(ValueError, match="must declare the inputs and outputs of this bundle"):
        write_triton(awkward.folder, tmp_path, name="ranker")
    assert not (tmp_path / "ranker" / "2").exists()


def test_another_backend_is_refused(awkward, tmp_path):
    write_triton(awkward.folder, tmp_path, name="ranker")
    with pytest.raises(ValueError, match="and the backend 'python'"):
        write_triton(awkward.folder, tmp_path, name="ranker", backend="python")


def test_a_damaged_bundle_leaves_nothing(awkward, tmp_path):
    bundle = Path(shutil.copytree(awkward.folder, tmp_path / "copy"))
    (bundle / "model.onnx").write_bytes(b"no model")
    with pytest.raises(ValueError, match=r"model\.onnx must have"):
        write_triton(bundle, tmp_path / "models", name="ranker")
    assert not (tmp_path / "models").exists()


def test_arguments_are_checked(awkward, tmp_path):
    with pytest.raises(ValueError, match="`name` must consist of"):
        write_triton(awkward.folder, tmp_path, name="a/b")
    with pytest.raises(ValueError, match="`backend` must be one of"):
        write_triton(awkward.folder, tmp_path, name="a", backend="tensorflow")


def test_command(awkward, tmp_path, capsys):
    assert main(["triton", str(awkward.folder), str(tmp_path), "--backend", "python"]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'ranker' / '1'}\n"
    assert (tmp_path / "ranker" / "1" / "model.py").exists()
    assert main(["triton", str(awkward.folder), str(tmp_path), "--version", "1"]) == 1
    assert capsys.readouterr().err.startswith("error: ")


def test_the_servers_model_refuses_what_is_not_finite():
    class Triton:
        """The two names of Triton's own module that a refusal takes; the rest runs in a real server."""

        class TritonError(Exception):
            INVALID_ARG = "invalid"

        @staticmethod
        def InferenceResponse(error):
            return str(error.args[0])

    refusal = TritonPythonModel()._refusal
    rows = {"id": np.zeros(2, "int32"), "age": np.array([0.0, np.inf], "float32")}
    assert refusal(rows, Triton) == "Input `age` must be finite. Received: inf in row 1"
    assert refusal({"id": rows["id"]}, Triton) is None
