"""Reference outputs for artefacts, computed by the model on the current Keras backend."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from kranking._process import Setting
from kranking.export._error import ExportError
from kranking.export._parity import TOLERANCE
from kranking.export._rows import Case, Rows
from kranking.export.functions._cases import nudge
from kranking.export.functions._served_function import TOWER, USER, tower_part
from kranking.features import as_model_inputs


def reference(model: Any, cases: Sequence[Case]) -> list[Rows]:
    """Computes the probabilities of the model for each case, NaN where a row cannot be compared.

    Rows of the case `large` are excluded if the model overflows, or if its output changes by more than
    the tolerance when the last bits of the input change: the result then depends on the order of
    floating-point additions. For all other cases, an output that is not finite is an error.

    Raises:
        ExportError: If the model fails, or returns an output that is not finite.
    """
    large = next(case.rows for case in cases if case.name == "large")
    try:
        *answers, moved = _predict(model, [*(case.rows for case in cases), nudge(large)])
    except Exception as error:
        raise ExportError(
            f"The model failed on the check rows ({', '.join(case.name for case in cases)}). "
            f"Received: {type(error).__name__}: {error}"
        ) from error
    for case, answer in zip(cases, answers, strict=True):
        for task, p in answer.items():
            if case.name == "large":
                with np.errstate(invalid="ignore"):
                    answer[task] = np.where(np.abs(moved[task] - p) <= TOLERANCE, p, np.nan)
            elif not np.isfinite(p).all():
                row = int(np.argwhere(~np.isfinite(p))[0][0])
                raise ExportError(
                    f"The model must return finite probabilities for every row. "
                    f"Received: {p[row].tolist()} for task `{task}` on row {row} of the check "
                    f"rows {case.name!r}"
                )
    return answers


def raw_reference(model: Any, function: str, batches: Sequence[Rows]) -> list[Rows]:
    """Computes the expected outputs of a function on columns from host-encoded model inputs."""
    if function != TOWER:
        return _predict(model, batches)
    users = tower_part(model.features).columns.features
    answers = []
    with full_precision():
        for rows in batches:
            fields = model.encoder.fields_of(users, rows).values()
            parts = [np.asarray(keras.ops.convert_to_numpy(x), "float32") for x in fields]
            answers.append({USER: np.concatenate(parts, axis=-1)})
    return answers


def compare(
    artefact: str,
    answers: Sequence[Rows],
    cases: Sequence[Case],
    references: Sequence[Rows],
    tolerance: float = TOLERANCE,
) -> float:
    """Returns the largest `|Δp|` between artefact and model; raises `ExportError` above the tolerance."""
    largest = 0.0
    for case, answer, expected in zip(cases, answers, references, strict=True):
        for task, p in expected.items():
            if answer[task].shape != p.shape or answer[task].dtype != np.float32:
                raise ExportError(
                    f"`{artefact}` must return float32 of shape {p.shape} for task `{task}` on "
                    f"the check rows {case.name!r}. "
                    f"Received: {answer[task].dtype} of shape {answer[task].shape}"
                )
            comparable = np.isfinite(p)
            difference = np.abs(answer[task] - p)[comparable]
            if task == USER:  # no probability: values can be large
                difference = difference / (1 + np.abs(p[comparable]))
            worst = float(np.max(difference, initial=0.0))
            if not worst <= tolerance:  # also fails for NaN
                row = int(np.argwhere(comparable)[np.argmax(difference)][0])
                raise ExportError(
                    f"`{artefact}` must be within {tolerance:g} of the model's probabilities. "
                    f"Received: a difference of {worst:.3g} for task `{task}` on row {row} of the "
                    f"check rows {case.name!r}"
                )
            largest = max(largest, worst)
    return largest


@contextlib.contextmanager
def full_precision() -> Iterator[None]:
    """Computes float32 products in full precision; accelerators may use a mantissa of 10 bits (TF32)."""
    if keras.backend.backend() == "jax":
        import jax

        with jax.default_matmul_precision("highest"):
            yield
    elif keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        # A setting of the process; without an accelerator, it changes nothing and is left alone.
        there = tf.config.list_physical_devices("GPU")
        with _SHORT.held(False) if there else contextlib.nullcontext():
            yield
    else:  # the default of torch
        yield


def _is_short() -> bool:
    import tensorflow as tf

    return tf.config.experimental.tensor_float_32_execution_enabled()


def _set_short(value: bool) -> None:
    import tensorflow as tf

    tf.config.experimental.enable_tensor_float_32_execution(value)


_SHORT = Setting(_is_short, _set_short)


def _predict(model: Any, batches: Sequence[Rows]) -> list[Rows]:
    # One forward pass: JAX compiles all operations again for each batch size.
    rows = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}
    ends = np.cumsum([len(next(iter(batch.values()))) for batch in batches])[:-1]
    with full_precision():
        answers = model.probabilities(model(as_model_inputs(rows)))
        answers = {
            task: np.asarray(keras.ops.convert_to_numpy(p), "float32")
            for task, p in answers.items()
        }
    parts = {task: np.split(p, ends) for task, p in answers.items()}
    return [{task: parts[task][i] for task in parts} for i in range(len(batches))]
