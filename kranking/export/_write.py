"""From a saved Keras file to artefacts that answer as the model did: the TensorFlow side.

Runs in a TensorFlow process: the caller's own on that backend, a child of it on the others.
"""

import contextlib
import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras

from kranking.export._check_rows import Case, Rows
from kranking.export._error import ExportError
from kranking.export._onnx import ONNX_FILE, run_onnx, write_onnx
from kranking.export._reference import compare, full_precision
from kranking.export._saved_model import run_saved_model, write_saved_model
from kranking.export._signature import Signature

KERAS_FILE, SAVED_MODEL = "model.keras", "saved_model"


def write_artefacts(
    folder: Path,
    formats: Sequence[str],
    opset: int,
    cases: Sequence[Case],
    wanted: Sequence[Rows],
    modules: Sequence[str] = (),
) -> dict[str, float]:
    """Writes the artefacts beside `model.keras` in `folder` and compares each with `wanted`.

    Gives the largest |Δp| over all rows by artefact; `keras` is the file itself, loaded here.
    """
    for module in modules:
        importlib.import_module(module)
    with _refusing(
        "`keras` should load in a TensorFlow process; name the modules that register custom layers "
        "in `modules`"
    ):
        model: Any = keras.saving.load_model(folder / KERAS_FILE, compile=False)
    signature = Signature.of(model)

    def serve(inputs):
        answers = model.probabilities(model(inputs))
        return {v.name: keras.ops.cast(answers[v.name], "float32") for v in signature.outputs}

    def check(artefact, run):
        answers = [run(case.rows) for case in cases]
        return compare(artefact, answers, cases, wanted)

    with full_precision():
        # Called before it is traced: layers that build late make their variables here.
        reached = {"keras": check("keras", lambda rows: _as_numpy(serve(rows)))}
        if "saved_model" in formats:
            variables = [variable.value for variable in model.variables]
            with _refusing("`saved_model` should be written, loaded and run"):
                write_saved_model(serve, variables, signature, folder / SAVED_MODEL)
                reached["saved_model"] = check("saved_model", run_saved_model(folder / SAVED_MODEL))
        if "onnx" in formats:
            with _refusing("`onnx` should be written, loaded and run"):
                write_onnx(serve, signature, opset, folder / ONNX_FILE)
                reached["onnx"] = check("onnx", run_onnx(folder / ONNX_FILE))
    return reached


def _as_numpy(answers: dict[str, Any]) -> Rows:
    return {name: keras.ops.convert_to_numpy(p) for name, p in answers.items()}


@contextlib.contextmanager
def _refusing(expected: str) -> Iterator[None]:
    """Gives the many errors of four libraries one type, the same in process and from a child."""
    try:
        yield
    except ExportError:
        raise
    except Exception as error:
        raise ExportError(f"{expected}. Received: {type(error).__name__}: {error}") from error
