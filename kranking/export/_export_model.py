"""From a trained model to a checked bundle."""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from kranking._core import check_choice, check_positive_int
from kranking.export._export_report import ExportReport
from kranking.export._finding import refuse_failed
from kranking.export._write_artefacts import write_artefacts
from kranking.export.bundle._bundle import FEATURES_FILE
from kranking.export.bundle._manifest import (
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
    """Writes a model as SavedModel and ONNX, loads both back and compares them with the model.

    The bundle holds `saved_model/`, `model.onnx`, `model.keras`, `features.json` and
    `manifest.json`. Inputs bear the names of `model.preprocessor.inputs`, outputs those of the
    tasks; outputs are probabilities, float32 of shape `(batch, 1)`; `batch` is the one free axis.
    On JAX and PyTorch a child process does TensorFlow's part.

    Nothing is written half-way: the bundle is made beside `directory` and takes its name at the end.
    A bundle that was there before is replaced only then; after a failure it is as it was.

    Args:
        model: A `RankingModel`, or the path of one saved as `.keras`.
        directory: The bundle's folder: new, empty, or holding an earlier bundle and nothing else.
        formats: `"saved_model"`, `"onnx"` or both.
        signatures: What is served on a log's columns beside the model on its own inputs: `"serve"` (flat
            rows), `"rank"` (one user, many candidates) and `"user_tower"`. `None` takes those that the
            features' sides allow; an empty list none.
        opset: ONNX operator set, 17 or 18.
        external_data: Whether weights of a MiB and more lie in `weights.bin`, once for all ONNX files, and
            always beside them. `None`: where one file could not hold them, above 2 GiB.
        num_check_rows: Random rows of the comparison; rows at the edges of every input come on top.
        check_seed: Seed of the random rows.
        check_rows: Model inputs from a real log, compared as well.
        modules: Modules that register custom layers of the model, imported by the TensorFlow process.
        seed: The seed the model was trained with, for the manifest.
        counts: Rows, nulls and values out of vocabulary by feature, for the manifest.
        metadata: Anything else for the manifest, as JSON can hold it.

    Raises:
        ValueError: An argument is wrong.
        ExportError: An artefact could not be made, or is more than 1e-5 away from the model.

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
    directory = Path(os.path.realpath(directory))
    _check_arguments(formats, opset, external_data, num_check_rows, modules)
    notes = {"seed": seed, "counts": dict(counts or {}), "metadata": dict(metadata or {})}
    _check_json(notes)
    check_replaceable(directory)
    source, model = _load(model)
    Signature.of(model)  # raises if it is no model that can be served
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
    """Returns the manifest's entries on what the bundle holds and what made it."""
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
    # A model that reads ids alone, such as logistic regression, has no fields to give.
    fields = model.stack[0].needs_fields
    allowed = [name for name in names_on_columns(features) if fields or name != TOWER]
    names = list(allowed if given is None else given)
    if isinstance(given, str) or not set(names) <= set(ON_COLUMNS):
        raise ValueError(
            f"`signatures` must be among {list(ON_COLUMNS)}. Received: signatures={given!r}"
        )
    if not set(names) <= set(allowed):
        sides = {f.name: f.side for f in features}
        raise ValueError(
            f"`signatures` must be among {list(allowed)}: `rank` needs features of an item and others, "
            f"`user_tower` fields of a user. Received: signatures={names} for sides {sides}"
        )
    return names


def _check_arguments(formats, opset, external_data, num_check_rows, modules) -> None:
    if isinstance(formats, str) or not formats or not set(formats) <= set(FORMATS):
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
    """Returns whether large weights have a file of their own; raises if they must and may not."""
    num_bytes = model.count_params() * 4
    if chosen is None:
        return not fits(num_bytes)
    if not chosen and "onnx" in formats:
        check_size(num_bytes)
    return chosen


def _check_precision(model: Any) -> None:
    """Refuses mixed precision: its rounding differs between runtimes by more than is allowed."""
    layers = [model.encoder, *model.stack]
    rounded = sorted({layer.compute_dtype for layer in layers} - {"float32", "float64"})
    if rounded:
        raise ValueError(
            "`model` should compute in float32 to be served: half precision rounds in another way in every "
            "runtime. Make the same model under keras.config.set_dtype_policy('float32') and give it "
            f"`set_weights(model.get_weights())`. Received: layers that compute in {rounded}"
        )


def _check_json(notes: Mapping[str, Any]) -> None:
    for name, value in notes.items():
        try:
            json.dumps(value, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"`{name}` must be what JSON can hold. Received: {name}={value!r} ({error})"
            ) from error


def _load(model: Any) -> tuple[Path | None, Any]:
    if not isinstance(model, str | Path):
        return None, model
    path = Path(model)
    if path.suffix != ".keras" or not path.is_file():
        raise ValueError(
            "`model` should be a RankingModel or the path of one saved as `.keras`. "
            f"Received: model={str(model)!r}"
        )
    return path, keras.saving.load_model(path, compile=False)
