"""From a saved Keras file to artefacts that answer as the model did: the TensorFlow side.

Runs in a TensorFlow process: the caller's own on that backend, a child of it on the others.
"""

import contextlib
import importlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from kranking.export._check_rows import Case, Rows
from kranking.export._error import ExportError
from kranking.export._front_onnx import prepended
from kranking.export._front_tf import TensorFlowOps
from kranking.export._onnx import convert, run_onnx, save
from kranking.export._reference import compare, full_precision
from kranking.export._saved_model import load_saved_model, run_saved_model, write_saved_model
from kranking.export._served import IDS, ONNX_FILES, SERVE, Served, served

KERAS_FILE, SAVED_MODEL = "model.keras", "saved_model"
Check = tuple[Sequence[Case], Sequence[Rows]]


def write_artefacts(
    folder: Path,
    formats: Sequence[str],
    opset: int,
    checks: Mapping[str, Check],
    modules: Sequence[str] = (),
) -> dict[str, float]:
    """Writes the artefacts beside `model.keras` in `folder` and compares each with what is wanted.

    Gives the largest |Δp| over all rows by artefact; `keras` is the file itself, loaded here.

    Args:
        folder: Where `model.keras` lies.
        formats: What to write.
        opset: ONNX operator set.
        checks: By signature, the one on model inputs first, rows and the answers wanted for them.
        modules: Modules that register the model's own layers.
    """
    for module in modules:
        importlib.import_module(module)
    with _refusing(
        "`keras` should load in a TensorFlow process; name the modules that register custom layers "
        "in `modules`"
    ):
        model: Any = keras.saving.load_model(folder / KERAS_FILE, compile=False)
    functions = served(model, [name for name in checks if name != IDS])

    def check(artefact, name, run):
        cases, wanted = checks[name]
        compared = artefact if name == IDS else f"{artefact} {name}"
        return {compared: compare(compared, [run(case.rows) for case in cases], cases, wanted)}

    with full_precision():
        # Called before it is traced: layers that build late make their variables here.
        reached = check("keras", IDS, lambda rows: _as_numpy(functions[0].function(rows)))
        if "saved_model" in formats:
            with _refusing("`saved_model` should be written, loaded and run"):
                _write_saved_model(model, functions, folder / SAVED_MODEL)
                loaded = load_saved_model(folder / SAVED_MODEL)
                for name in checks:
                    reached |= check("saved_model", name, run_saved_model(loaded, name))
        if "onnx" in formats:
            with _refusing("`onnx` should be written, loaded and run"):
                _write_onnx(functions, opset, folder)
                for name in checks:
                    reached |= check("onnx", name, run_onnx(folder / ONNX_FILES[name]))
    return reached


def _write_saved_model(model: Any, functions: Sequence[Served], folder: Path) -> None:
    operations = TensorFlowOps()
    found = {f.name: (f.in_tensorflow(operations), f.signature) for f in functions}
    kept = [variable.value for variable in model.variables]
    write_saved_model(found, kept, operations.tables, folder)


def _write_onnx(functions: Sequence[Served], opset: int, folder: Path) -> None:
    first = convert(functions[0].function, functions[0].ids, opset)
    for function in functions:
        model = first
        if function.parts:
            # `serve` is the first function with columns in front; the others are functions of their own.
            own = function.name != SERVE
            model = convert(function.function, function.ids, opset) if own else first
            model = prepended(model, function.fronts())
        save(model, folder / ONNX_FILES[function.name])


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
