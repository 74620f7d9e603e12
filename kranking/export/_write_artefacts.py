"""The TensorFlow part of an export: converts a saved `.keras` file into artefacts and checks them.

With the TensorFlow backend it runs in the process of the caller, otherwise in a child process.
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
    """Writes the artefacts next to `model.keras` in `folder` and returns the findings of their checks.

    The arguments are those of `check_artefacts`, and whether large weights are stored externally.
    """
    model = load_keras(folder, modules)
    functions = functions_of(model, [name for name in expectations if name != IDS])
    with full_precision():
        # Called before tracing: layers that are built late create their variables here.
        run_keras(model)(expectations[IDS].cases[0].rows)
        if "saved_model" in formats:
            with _export_errors("`saved_model` could not be written"):
                _write_saved_model(model, functions, folder / SAVED_MODEL)
        if "onnx" in formats:
            with _export_errors("`onnx` could not be written"):
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
            # `serve` is the first function with encoders prepended; the others are converted separately.
            own = function.name != SERVE
            if own:
                model = convert(function.function, function.ids, opset, outside, weights)
            model = prepend(model, function.fronts())
        save(model, folder / ONNX_FILES[function.name])


@contextlib.contextmanager
def _export_errors(expected: str) -> Iterator[None]:
    """Converts errors of all libraries to `ExportError`, as also raised for a child process."""
    try:
        yield
    except ExportError:
        raise
    except Exception as error:
        raise ExportError(f"{expected}. Received: {type(error).__name__}: {error}") from error
