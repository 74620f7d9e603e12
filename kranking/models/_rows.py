"""Rows given to a model: columns of a log are encoded, model inputs are taken as they are."""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from kranking._rows import columns_in
from kranking.features import Categorical, Feature, Numeric, Preprocessor, Sequence, as_model_inputs
from kranking.features.internal import InputSpec, ModelInput


def encoded_inputs(rows: Any, preprocessor: Preprocessor) -> Mapping[str, Any]:
    """Returns the inputs of a model for rows of a log, or for inputs that are already encoded.

    Arrays of `model.preprocess` and of a reader are marked as inputs, and tensors are inputs. Everything
    else is rows of a log.

    Args:
        rows: Rows of any kind that `features.fit` accepts, or a dict of model inputs.
        preprocessor: The transform of the model.

    Raises:
        ValueError: If the rows cannot be encoded, if inputs have a wrong dtype or are not finite, or if
            unmarked arrays could be both.
    """
    specs = preprocessor.inputs
    if isinstance(rows, Mapping) and any(_is_input(rows.get(name)) for name in specs):
        for name, spec in specs.items():
            if name in rows:
                _check_input(name, rows[name], spec)
        return rows
    columns = None if isinstance(rows, Mapping) else columns_in(rows)
    given = rows if columns is None else columns
    if isinstance(given, Mapping) and _could_be_inputs(given, specs):
        _check_unmistakable(given, preprocessor.features)
        inputs = as_model_inputs({name: np.asarray(given[name]) for name in specs})
        for name, spec in specs.items():
            _check_input(name, inputs[name], spec)
        return inputs
    return preprocessor(given)


def check_order(x: Any) -> None:
    """Raises `ValueError` for a reader that shuffles, since predictions are in the order of the rows."""
    if getattr(x, "shuffled", False):
        raise ValueError(
            "`x` must return its rows in the order of the log, otherwise predictions cannot be matched to "
            "rows. Received: a reader with shuffle=True"
        )


def is_tensor(values: Any) -> bool:
    """Whether values are a tensor of a framework, on a device or symbolic, and no column of a log."""
    return isinstance(values, keras.KerasTensor) or (
        type(values).__module__.split(".")[0] in ("tensorflow", "torch", "jax", "jaxlib")
        and hasattr(values, "shape")
    )


def _is_input(values: Any) -> bool:
    return isinstance(values, ModelInput) or is_tensor(values)


def _check_input(name: str, values: Any, spec: InputSpec) -> None:
    if values is None or isinstance(values, keras.KerasTensor):
        return
    values = values if hasattr(values, "dtype") else np.asarray(values)
    dtype = keras.backend.standardize_dtype(values.dtype) if is_tensor(values) else values.dtype
    floats = ("float16", "bfloat16", "float32", "float64")
    if str(dtype) != spec.dtype and not (spec.dtype == "float32" and str(dtype) in floats):
        raise ValueError(
            f"Input {name!r} must have dtype {spec.dtype}. Received: {dtype}. If these are raw values of "
            "the log, call `model.preprocess(rows)` first."
        )
    if isinstance(values, np.ndarray) and values.dtype.kind == "f":
        bad = ~np.isfinite(values)
        if bad.any():
            row = int(np.argmax(bad.reshape(len(values), -1).any(axis=1)))
            raise ValueError(
                f"Input {name!r} must not contain NaN or infinity. Received: {values[row]} in row {row}"
            )


def _could_be_inputs(columns: Mapping[str, Any], specs: Mapping[str, InputSpec]) -> bool:
    """Whether each input is there, with the dtype and the shape of an input."""
    for name, spec in specs.items():
        values = columns.get(name)
        dtype, shape = getattr(values, "dtype", None), getattr(values, "shape", None)
        if str(dtype) != spec.dtype or shape is None:
            return False
        if tuple(shape[1:]) != spec.shape and not (spec.shape == () and tuple(shape[1:]) == (1,)):
            return False
    return True


def _check_unmistakable(columns: Mapping[str, Any], features: tuple[Feature, ...]) -> None:
    """Raises `ValueError` unless these arrays are inputs whatever they are meant to be."""
    tables = {f.name: f for f in features if isinstance(f, Categorical)}
    if any(_is_row_of_text(feature, tables) for feature in features):
        return
    changed = [f.name for f in features if _is_changed(f)]
    if changed:
        raise ValueError(
            "`x` must be rows of the log or model inputs, and these arrays have the dtypes of both. For "
            "rows of the log, call `model.preprocess(rows)`; for inputs that were encoded earlier, "
            f"`kranking.features.as_model_inputs(x)`. Received: {changed[0]!r} with dtype "
            f"{columns[changed[0]].dtype}"
        )


def _is_row_of_text(feature: Feature, tables: Mapping[str, Categorical]) -> bool:
    """Whether integers in the column of a feature can be nothing but rows of a table of text."""
    table = tables.get(feature.of) if isinstance(feature, Sequence) else tables.get(feature.name)
    words = table.vocabulary if table is not None and table.hash_buckets is None else None
    return bool(words) and all(
        isinstance(word, str) and not word.strip().lstrip("+-").isdigit() for word in words
    )


def _is_changed(feature: Feature) -> bool:
    """Whether the transform of a feature changes values that have the dtype of its input."""
    if feature.times is not None:
        return True
    if isinstance(feature, Numeric):
        same = feature.transform == "none" or (
            feature.transform == "standardize" and feature.mean == 0 and feature.std in (0, 1)
        )
        return not same or feature.bounds is not None
    return isinstance(feature, Categorical | Sequence)
