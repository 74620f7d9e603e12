"""Rate of matrix products in ONNX Runtime on this machine, which bounds latencies from below."""

import time

import numpy as np

_SIZE, _CALLS = 1024, 12


def matmul_rate(threads: int) -> float:
    """Measures the GFLOP/s of a product of two 1,024 × 1,024 matrices, the best of 12 calls."""
    import onnx
    import onnxruntime
    from onnx import TensorProto, helper

    shape = [_SIZE, _SIZE]
    values = {n: helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n in "xyz"}
    node = helper.make_node("MatMul", ["x", "y"], ["z"])
    graph = helper.make_graph([node], "rate", [values["x"], values["y"]], [values["z"]])
    opset = helper.make_opsetid("", 18)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    rows = {name: np.ones(shape, np.float32) for name in "xy"}
    seconds = []
    for _ in range(_CALLS):
        start = time.perf_counter()
        session.run(None, rows)
        seconds.append(time.perf_counter() - start)
    return 2 * _SIZE**3 / min(seconds) / 1e9
