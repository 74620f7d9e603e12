"""Export of a trained model as a verified bundle."""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from kranking._core import check_choice, check_positive_int
from kranking._paths import as_path
from kranking.export._export_report import ExportReport
from kranking.export._finding import refuse_failed
from kranking.export._write_artefacts import write_artefacts
from kranking.export.bundle._manifest import (
    FEATURES_FILE,
    FORMAT,
    FORMAT_VERSION,
    describe_files,
    versions,
    write_manifest,
)
from kranking.export.bundle._publish import check_replaceable, publish
from kranking.export.checks._describe import describe_check, describe_cost, describe_signatures
from kranking.export.checks._expected_answers import expected_answers
from kranking.export.checks._tensorflow_process import in_tensorflow
from kranking.export.formats._keras_file import KERAS_FILE
from kranking.export.formats._onnx import OPSETS, check_size, fits
from kranking.export.functions._served_function import (
    IDS,
    ON_COLUMNS,
    TOWER,
    ServedFunction,
    functions_of,
    names_on_columns,
)
from kranking.export.functions._signature import Signature
from kranking.features import schema_hash, to_json

FORMATS = ("saved_model", "onnx")


def export_model(
    model: Any,
    directory: str | Path,
    *,
    formats: Sequence[str] = FORMATS,
    signatures: Sequence[str] | None = None,
    opset: int = 18,
    external_data: bool | None = None,
    num_check_rows: int = 64,
    check_seed: int = 0,
    check_rows: Mapping[str, Any] | None = None,
    modules: Sequence[str] = (),
    seed: int | None = None,
    counts: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> ExportReport:
    """Exports a model as SavedModel and ONNX, and compares both with the model after loading them.

    The bundle contains `saved_model/`, `model.onnx`, `model.keras`, `features.json` and
    `manifest.json`. Inputs are named as in `model.preprocessor.inputs` and outputs after the tasks. The
    outputs are probabilities, float32 of shape `(batch, 1)`; `batch` is the only dynamic axis. With the
    JAX and PyTorch backends, a child process runs TensorFlow.

    The export is atomic: the bundle is written to a temporary folder next to `directory` and renamed at
    the end. An existing bundle is replaced only then, and is unchanged if the export fails.

    Args:
        model: A `RankingModel`, or the path of one saved as `.keras`.
        directory: Folder of the bundle. It must be new, empty, or contain an earlier bundle and no other
            files.
        formats: `"saved_model"`, `"onnx"` or both.
        signatures: Signatures on raw columns of a log, in addition to the one on model inputs: `"serve"`
            (flat rows), `"rank"` (one user, many candidates) and `"user_tower"`. `None` selects all that
            the sides of the features allow, an empty list selects none.
        opset: ONNX operator set, 17 or 18.
        external_data: Whether weights of 1 MiB or more are stored in `weights.bin`, which all ONNX files
            share and which must stay in the same folder. `None` uses it only if the weights exceed the
            2 GiB limit of one file.
        num_check_rows: Number of random rows for the comparison. Rows with extreme values of every input
            are added.
        check_seed: Seed of the random rows.
        check_rows: Model inputs from a real log, to be compared too.
        modules: Modules that register custom layers of the model, to be imported by the TensorFlow
            process.
        seed: The training seed, recorded in the manifest.
        counts: Numbers of rows, nulls and out-of-vocabulary values per feature, recorded in the manifest.
        metadata: Additional JSON-serializable entries for the manifest.

    Returns:
        An `ExportReport` with the manifest and the largest difference of each artefact.

    Raises:
        ValueError: If an argument is invalid.
        ExportError: If an artefact cannot be written, or differs from the model by more than 1e-5.

    >>> import tempfile
    >>> model = kr.RankingModel(
    ...     [kr.features.Numeric("age", mean=40.0, std=10.0)],
    ...     [kr.layers.MLP([4])],
    ...     [kr.Task("save")],
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     report = export_model(model, folder + "/served", formats=["onnx"])
    ...     bundle = kr.export.load_bundle(folder + "/served", model.features)
    >>> bundle.predict({"age": np.zeros(2, "float32")})["save"].shape
    (2, 1)
    >>> report.reached["onnx"] < 1e-5
    True
    """
    directory = Path(os.path.realpath(as_path("directory", directory)))
    _check_arguments(formats, opset, external_data, num_check_rows, modules)
    notes = {"seed": seed, "counts": dict(counts or {}), "metadata": dict(metadata or {})}
    _check_json(notes)
    check_replaceable(directory)
    source, model = _load(model)
    Signature.of(model)  # raises if the model cannot be served
    _check_precision(model)
    external_data = _external_data(external_data, formats, model)
    functions = functions_of(model, _signatures(signatures, model))
    expectations = expected_answers(model, functions, num_check_rows, check_seed, given=check_rows)
    with publish(directory) as folder:
        if source is None:
            model.save(folder / KERAS_FILE)
        else:
            shutil.copyfile(source, folder / KERAS_FILE)
        (folder / FEATURES_FILE).write_text(to_json(model.features) + "\n", "utf-8")
        found = in_tensorflow(
            write_artefacts,
            folder,
            formats,
            opset,
            expectations,
            modules,
            external_data=external_data,
        )
        refuse_failed(found)
        manifest = {
            **_description(model, functions, formats, opset),
            "check": describe_check(expectations[IDS], check_seed, found),
            "cost": describe_cost(model),
            **notes,
            "files": describe_files(folder),
        }
        write_manifest(folder, manifest)
    return ExportReport(directory, manifest)


def _description(
    model: Any, functions: Sequence[ServedFunction], formats: Sequence[str], opset: int
) -> dict[str, Any]:
    """Returns the manifest entries for the contents and the origin of the bundle."""
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "formats": list(formats),
        "opset": opset,
        "backend": keras.backend.backend(),
        "versions": versions(keras.backend.backend()),
        "schema_hash": schema_hash(model.features),
        "tasks": [task.name for task in model.tasks],
        "signature": functions[0].signature.to_json(),
        "signatures": describe_signatures(functions, formats, model.features),
    }


def _signatures(given: Sequence[str] | None, model: Any) -> list[str]:
    features = model.features
    # A model that only reads ids, such as logistic regression, has no fields to return.
    fields = model.stack[0].needs_fields
    allowed = [name for name in names_on_columns(features) if fields or name != TOWER]
    listed = given is None or isinstance(given, list | tuple)
    names = list(allowed if given is None or not listed else given)
    if not listed or not set(names) <= set(ON_COLUMNS):
        raise ValueError(
            f"`signatures` must be among {list(ON_COLUMNS)}. Received: signatures={given!r}"
        )
    if not set(names) <= set(allowed):
        sides = {f.name: f.side for f in features}
        raise ValueError(
            f"`signatures` must be among {list(allowed)} for this model: `rank` needs features of an item "
            "and of the user or context, `user_tower` needs fields of a user. Received: "
            f"signatures={names}, sides={sides}"
        )
    return names


def _check_arguments(formats, opset, external_data, num_check_rows, modules) -> None:
    if not isinstance(formats, list | tuple) or not formats or not set(formats) <= set(FORMATS):
        raise ValueError(
            f"`formats` must be one or more of {list(FORMATS)}. Received: formats={formats!r}"
        )
    check_choice("opset", opset, OPSETS)
    check_choice("external_data", external_data, (None, True, False))
    check_positive_int("num_check_rows", num_check_rows)
    if isinstance(modules, str) or not all(isinstance(module, str) for module in modules):
        raise ValueError(
            f"`modules` must be a sequence of module names. Received: modules={modules!r}"
        )


def _external_data(chosen: bool | None, formats: Sequence[str], model: Any) -> bool:
    """Whether large weights are stored externally; raises `ExportError` if they must be but may not."""
    num_bytes = model.count_params() * 4
    if chosen is None:
        return not fits(num_bytes)
    if not chosen and "onnx" in formats:
        check_size(num_bytes)
    return chosen


def _check_precision(model: Any) -> None:
    """Raises `ValueError` for mixed precision, whose rounding differs too much between runtimes."""
    layers = [model.encoder, *model.stack]
    rounded = sorted({layer.compute_dtype for layer in layers} - {"float32", "float64"})
    if rounded:
        raise ValueError(
            "`model` must compute in float32 to be exported, because half precision is rounded differently "
            "in every runtime. Export `model.in_float32()`, with the same weights and bounds of numbers. "
            f"Received: layers that compute in {rounded}"
        )


def _check_json(notes: Mapping[str, Any]) -> None:
    for name, value in notes.items():
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"`{name}` must be JSON-serializable. Received: {name}={value!r} ({error})"
            ) from error


def _load(model: Any) -> tuple[Path | None, Any]:
    if not isinstance(model, str | Path):
        return None, model
    path = Path(model)
    if path.suffix != ".keras" or not path.is_file():
        raise ValueError(
            "`model` must be a RankingModel or the path of one saved as `.keras`. "
            f"Received: model={str(model)!r}"
        )
    return path, keras.saving.load_model(path, compile=False)
