"""Checks of the behavior of a layer: values, rows, dtypes, files, training, cost."""

import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from kranking.testing._case import Case, far, paths, run, to_numpy
from kranking.testing._matmul_flops import traced_matmul_flops


def check_oracle(case: Case, oracle: Callable[..., np.ndarray] | None) -> None:
    """Checks that the output is finite, and equal to the oracle if there is one."""
    layer, inputs = case.built(), case.inputs()
    outputs = run(layer, inputs)
    for output in outputs:
        case.require(
            bool(np.isfinite(output).all()), "finite", "the output contains NaN or infinity"
        )
    if oracle is None:
        return
    weights = {path: _double(to_numpy(weight)) for path, weight in paths(layer).items()}
    wanted = oracle(keras.tree.map_structure(_double, inputs), weights, case.arguments())
    for output, expected in zip(outputs, keras.tree.flatten(wanted), strict=True):
        difference = far(output, np.asarray(expected), case.tolerance)
        case.require(not difference, "oracle", f"the output differs from the oracle: {difference}")


def _double(array: np.ndarray) -> np.ndarray:
    return array.astype("float64") if array.dtype.kind == "f" else array


def check_rows(case: Case) -> None:
    """Checks that the output of a row does not depend on the other rows of its batch."""
    layer, inputs = case.built(), case.inputs()
    alone = run(layer, keras.tree.map_structure(lambda a: a[:1], inputs))
    for together, single in zip(run(layer, inputs), alone, strict=True):
        difference = far(single, together[:1], case.tolerance)
        case.require(
            not difference,
            "rows",
            f"the output of row 0 alone differs from its output in a batch: {difference}",
        )


def check_dtype(case: Case) -> None:
    """Checks for a bfloat16 output and float32 weights under `mixed_bfloat16`."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:  # layers among the arguments use the global policy, the layer itself uses `dtype`
        arguments = case.arguments()
    finally:
        keras.config.set_dtype_policy(policy)
    layer = case.cls(**arguments, dtype="mixed_bfloat16")
    for output in keras.tree.flatten(layer(case.inputs())):
        dtype = keras.backend.standardize_dtype(output.dtype)
        case.require(
            dtype == "bfloat16", "dtype", f"under mixed_bfloat16 the output has dtype {dtype}"
        )
        case.require(
            bool(np.isfinite(to_numpy(output)).all()),
            "dtype",
            "under mixed_bfloat16 the output contains NaN or infinity",
        )
    for path, weight in paths(layer).items():
        dtype = keras.backend.standardize_dtype(weight.dtype)
        case.require(
            not dtype.endswith("float16"),
            "dtype",
            f"under mixed_bfloat16 {path!r} has dtype {dtype}",
        )


def check_file(case: Case) -> None:
    """Checks that saving to a `.keras` file and loading it preserves the output."""
    layer, inputs = case.built(), case.inputs()
    symbols = case.symbols()
    model = keras.Model(symbols, layer(symbols))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        again = case.attempt(
            "file", "loading the saved model fails", lambda: keras.saving.load_model(path)
        )
    for before, after in zip(run(model, inputs), run(again, inputs), strict=True):
        difference = far(after, before, 1e-6)
        case.require(
            not difference, "file", f"the output changes after saving and loading: {difference}"
        )


def check_training(case: Case) -> None:
    """Checks that one compiled step of `fit` changes every trainable weight."""
    layer, symbols = case.built(), case.symbols()
    flat = [keras.layers.Flatten()(output) for output in keras.tree.flatten(layer(symbols))]
    joined = flat[0] if len(flat) == 1 else keras.layers.Concatenate()(flat)
    model = keras.Model(symbols, keras.layers.Dense(1)(joined))
    # Such a large step reveals every nonzero gradient, and SGD compiles faster than Adam.
    model.compile(keras.optimizers.SGD(1e3), "mse", jit_compile="auto")
    rows = max(case.batch, 32)
    targets = np.random.default_rng(2).standard_normal((rows, 1)).astype("float32")
    before = {path: to_numpy(weight).copy() for path, weight in paths(layer).items()}
    with warnings.catch_warnings():
        # The warning of Keras about unused weights, which are reported below by path.
        warnings.filterwarnings("ignore", message="Gradients do not exist")
        logs = model.train_on_batch(case.inputs(rows), targets, return_dict=True)
    case.require(bool(np.isfinite(logs["loss"])), "training", "the loss of one step is not finite")
    trainable = {id(weight) for weight in layer.trainable_weights}
    still = [
        path
        for path, weight in paths(layer).items()
        if id(weight) in trainable
        and path not in case.idle
        and np.array_equal(to_numpy(weight), before[path])
    ]
    case.require(not still, "training", f"one training step does not change the weights {still}")


def check_work(case: Case) -> None:
    """Checks that `work` is exact and does not build the layer."""
    layer = case.layer()
    case.require(
        hasattr(layer, "work"),
        "work",
        "the method `work(input_shape)` is missing; pass `work=False` to skip this check",
    )
    made = len(layer.variables)
    work = layer.work(case.build_shape())
    case.require(
        not layer.built and len(layer.variables) == made, "work", "`work` builds the layer"
    )
    case.require(
        not work.unknown, "work", f"`work` reports the layers {list(work.unknown)} as unknown"
    )
    layer.build(case.build_shape())
    parameters = sum(int(np.prod(weight.shape)) for weight in layer.trainable_weights)
    case.require(
        work.parameters == parameters,
        "work",
        f"`work` declares {work.parameters} parameters, but the built layer has {parameters}",
    )
    flops = traced_matmul_flops(layer, case.inputs(1))
    case.require(
        work.matmul_flops == flops,
        "work",
        f"`work` declares {work.matmul_flops} matmul FLOPs per row, but "
        f"{keras.backend.backend()} runs {flops}",
    )
    case.require(
        work.saved_elements >= 0, "work", "`work` declares a negative number of saved elements"
    )
