"""From a saved Keras file to artefacts that answer as the model did: the TensorFlow side.

Runs in a TensorFlow process: the caller's own on that backend, a child of it on the others.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kranking.export._error import ExportError
from kranking.export._finding import Finding
from kranking.export.checks._check_artefacts import check_artefacts
from kranking.export.checks._expected_answers import ExpectedAnswers
from kranking.export.checks._reference import full_precision
from kranking.export.formats._keras_file import load_keras
from kranking.export.formats._onnx import convert, save
from kranking.export.formats._prepend import prepend
from kranking.export.formats._saved_model import SAVED_MODEL, write_saved_model
from kranking.export.formats._tensorflow_ops import TensorFlowOps
from kranking.export.formats._weights_file import WeightsFile, is_large
from kranking.export.functions._served_function import (
    IDS,
    ONNX_FILES,
    SERVE,
    ServedFunction,
    functions_of,
    run_keras,
)


def write_artefacts(
    folder: Path,
    formats: Sequence[str],
    opset: int,
    expectations: Mapping[str, ExpectedAnswers],
    modules: Sequence[str] = (),
    external_data: bool = False,
) -> list[Finding]:
    """Writes the artefacts beside `model.keras` in `folder`, and checks what then lies there.

    Takes what `check_artefacts` takes and where large weights go, and gives what that finds.
    """
    model = load_keras(folder, modules)
    functions = functions_of(model, [name for name in expectations if name != IDS])
    with full_precision():
        # Called before it is traced: layers that build late make their variables here.
        run_keras(model)(expectations[IDS].cases[0].rows)
        if "saved_model" in formats:
            with _export_errors("`saved_model` should be written"):
                _write_saved_model(model, functions, folder / SAVED_MODEL)
        if "onnx" in formats:
            with _export_errors("`onnx` should be written"):
                outside = [
                    v for v in model.variables if external_data and is_large(v.shape, v.dtype)
                ]
                _write_onnx(functions, opset, folder, outside)
    return check_artefacts(folder, formats, opset, expectations, modules)


def _write_saved_model(model: Any, functions: Sequence[ServedFunction], folder: Path) -> None:
    operations = TensorFlowOps()
    found = {f.name: (f.in_tensorflow(operations), f.signature) for f in functions}
    kept = [variable.value for variable in model.variables]
    write_saved_model(found, kept, operations.tables, folder)


def _write_onnx(
    functions: Sequence[ServedFunction], opset: int, folder: Path, outside: Sequence[Any]
) -> None:
    weights = WeightsFile(folder)
    first = convert(functions[0].function, functions[0].ids, opset, outside, weights)
    for function in functions:
        model = first
        if function.parts:
            # `serve` is the first function with columns in front; the others are functions of their own.
            own = function.name != SERVE
            if own:
                model = convert(function.function, function.ids, opset, outside, weights)
            model = prepend(model, function.fronts())
        save(model, folder / ONNX_FILES[function.name])


@contextlib.contextmanager
def _export_errors(expected: str) -> Iterator[None]:
    """Gives the many errors of four libraries one type, the same in process and from a child."""
    try:
        yield
    except ExportError:
        raise
    except Exception as error:
        raise ExportError(f"{expected}. Received: {type(error).__name__}: {error}") from error
