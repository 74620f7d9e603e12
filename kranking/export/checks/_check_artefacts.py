"""Checks of the artefacts of a bundle against the model, during export and of a bundle on disk.

With the TensorFlow backend they run in the process of the caller, otherwise in a child process.
"""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from kranking.export._error import ExportError
from kranking.export._finding import Finding, find
from kranking.export._parity import PARITY, TOLERANCE
from kranking.export._rows import Rows
from kranking.export.bundle._tables_apart import read_interface, run_signature
from kranking.export.checks._expected_answers import ExpectedAnswers
from kranking.export.checks._reference import compare, full_precision
from kranking.export.formats._interface import (
    check_interface,
    check_opset,
    read_onnx,
    saved_model_signature,
)
from kranking.export.formats._keras_file import load_keras
from kranking.export.formats._saved_model import (
    DEFAULT,
    SAVED_MODEL,
    load_saved_model,
    run_saved_model,
)
from kranking.export.functions._served_function import IDS, ONNX_FILES, run_keras

Run = Callable[[Rows], Rows]


def check_artefacts(
    folder: Path,
    formats: Sequence[str],
    opset: int,
    expectations: Mapping[str, ExpectedAnswers],
    modules: Sequence[str] = (),
) -> list[Finding]:
    """Checks `model.keras` and the artefacts: interfaces, operator sets and outputs.

    Args:
        folder: Folder of the bundle.
        formats: Formats of its artefacts.
        opset: The expected ONNX operator set.
        expectations: Expected answers by signature, the one on model inputs first.
        modules: Modules that register custom layers of the model.
    """
    found: list[Finding] = []
    with full_precision():
        if expectations[IDS].cases:
            load = lambda: run_keras(load_keras(folder, modules))  # noqa: E731
            found.append(_parity("keras", expectations[IDS], load))
        if "saved_model" in formats:
            found += _check_saved_model(folder, expectations)
        if "onnx" in formats:
            for name, expected in expectations.items():
                found += check_onnx(folder, name, opset, expected)
    return found


def _check_saved_model(
    folder: Path, expectations: Mapping[str, ExpectedAnswers]
) -> Iterator[Finding]:
    load = functools.cache(lambda: load_saved_model(folder / SAVED_MODEL))
    for key in (*expectations, DEFAULT):
        expected = expectations[IDS if key == DEFAULT else key]
        artefact = _artefact_name("saved_model", key)

        def interface(key=key, expected=expected, artefact=artefact):
            found = saved_model_signature(folder / SAVED_MODEL, key)
            return check_interface(artefact, expected.signature, found)

        yield find("interface", artefact, interface)
        if expected.cases and key != DEFAULT:  # `serving_default` is the first signature
            yield _parity(artefact, expected, lambda key=key: run_saved_model(load(), key))


def check_onnx(folder: Path, name: str, opset: int, expected: ExpectedAnswers) -> Iterator[Finding]:
    """Checks the interface, the operator set and the outputs of the ONNX file of one signature."""
    artefact = _artefact_name("onnx", name)
    read = functools.cache(lambda: read_onnx(folder / ONNX_FILES[name]))
    yield find(
        "interface",
        artefact,
        lambda: check_interface(artefact, expected.signature, read_interface(folder, name, read())),
    )
    yield find("opset", artefact, lambda: check_opset(artefact, read(), opset))
    if expected.cases:
        load = lambda: run_signature(folder, name)  # noqa: E731
        yield _parity(artefact, expected, load, expected.tolerance)


def _parity(
    artefact: str, expected: ExpectedAnswers, load: Callable[[], Run], tolerance: float = TOLERANCE
) -> Finding:
    def look():
        try:
            run = load()
            answers = [run(case.rows) for case in expected.cases]
        except ExportError:
            raise
        except Exception as error:  # errors of the four libraries have no common class
            raise ExportError(
                f"`{artefact}` could not be loaded or run on the check rows. "
                f"Received: {type(error).__name__}: {error}"
            ) from error
        largest = compare(artefact, answers, expected.cases, expected.answers, tolerance)
        return f"within {largest:.2g} of the model on {expected.size:,} rows", largest

    return find(PARITY, artefact, look)


def _artefact_name(artefact: str, signature: str) -> str:
    return artefact if signature == IDS else f"{artefact} {signature}"
