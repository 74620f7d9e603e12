"""The encoder of raw columns as a function of tensors, in both formats, without a model behind it."""

import numpy as np
import pytest

from kranking.export.formats._prepend import prepend
from kranking.export.formats._tensorflow_ops import TensorFlowOps, constant_of
from kranking.features import Preprocessor
from kranking.features.internal import encode_raw


def run_tensorflow(raw):
    import tensorflow as tf

    operations = TensorFlowOps()
    encode = tf.function(lambda tensors: encode_raw(operations, raw, tensors))

    def run(tensors):
        made = encode({name: constant_of(x) for name, x in tensors.items()})
        return {name: x.numpy() for name, x in made.items()}

    return run


def run_onnx(raw):
    onnx, ort = pytest.importorskip("onnx"), pytest.importorskip("onnxruntime")
    helper = onnx.helper
    specs = Preprocessor(raw.features).inputs
    kinds = {name: helper.np_dtype_to_tensor_dtype(np.dtype(s.dtype)) for name, s in specs.items()}

    def values(prefix):
        return [
            helper.make_tensor_value_info(prefix + n, kinds[n], ["batch", *s.shape])
            for n, s in specs.items()
        ]

    # A model that gives its inputs back.
    nodes = [helper.make_node("Identity", [name], ["=" + name]) for name in specs]
    graph = helper.make_graph(nodes, "same", values(""), values("="))
    same = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    inputs = [(name, s.dtype, s.shape, "batch") for name, s in raw.inputs.items()]
    model = prepend(same, [(lambda ops, given: encode_raw(ops, raw, given), inputs)])
    onnx.checker.check_model(model, full_check=True)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return lambda tensors: dict(zip(specs, session.run(["=" + n for n in specs], tensors)))
