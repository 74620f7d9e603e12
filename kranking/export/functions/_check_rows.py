"""Rows on which an artefact must give the model's own answers."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from kranking.export.functions._signature import Signature, Value

Rows = dict[str, np.ndarray]

_EXTREME_IDS = (-(2**31), -2, -1, 0, 1, 2**20, 2**30, 2**31 - 1)
_PADDING = -1
_LARGE = 1e6
_HINTS = {
    True: "Columns of a log become inputs by `features.Preprocessor(bundle.features())`",
    False: "Columns of a log become tensors by `features.RawColumns`, or call `bundle.score`",
}


@dataclasses.dataclass(frozen=True)
class Case:
    """A batch of rows with a name; `rows` maps model inputs to arrays of one length."""

    name: str
    rows: Rows

    @property
    def size(self) -> int:
        """The number of rows."""
        return len(next(iter(self.rows.values())))


def make_cases(
    signature: Signature, num_rows: int, seed: int, given: Mapping[str, Any] | None = None
) -> list[Case]:
    """Gives seeded random rows, the edges of every input, and the caller's own rows.

    The batches differ in size (1, 3, 4, 7, 8, `num_rows`), so that a batch axis that became a
    constant shows.
    """
    rng = np.random.default_rng(seed)

    def case(name, size, **fill):
        return Case(name, {v.name: _column(v, size, rng, **fill) for v in signature.inputs})

    cases = [
        case("random", num_rows),
        case("single", 1),
        case("odd", 7),
        case("padding", 4, ids=(_PADDING,)),
        case("out_of_range", 8, ids=_EXTREME_IDS),
        case("zeros", 3, ids=(0,), numbers=(0.0,)),
        case("large", 8, numbers=(-_LARGE, _LARGE)),
    ]
    if given is not None:
        cases.append(Case("given", check_rows(signature, given)))
    return cases


def random_rows(signature: Signature, num_rows: int, seed: int) -> Rows:
    """Gives rows as a log might hold them: ids of every size, lists of every length, numbers."""
    rng = np.random.default_rng(seed)
    return {value.name: _column(value, num_rows, rng) for value in signature.inputs}


def _column(value: Value, size: int, rng, ids=None, numbers=None) -> np.ndarray:
    shape = (size, *value.shape)
    if value.dtype == "float32":
        column = rng.standard_normal(shape) if numbers is None else rng.choice(numbers, shape)
        return column.astype("float32")
    if ids is not None:
        return rng.choice(ids, shape).astype("int32")
    # Small and large vocabularies alike should see ids of their own: uniform in the logarithm.
    column = np.exp2(rng.uniform(0, 20, shape)).astype("int32") - 1
    if value.shape:
        length = rng.integers(0, value.shape[-1] + 1, (size, 1))
        column = np.where(np.arange(value.shape[-1]) < length, column, _PADDING)
    return column.astype("int32")


def _check_strings(value: Value, array: np.ndarray) -> np.ndarray:
    array = array.astype(object)
    for text in array.ravel():
        try:
            text.encode()
        except (AttributeError, UnicodeEncodeError) as error:
            raise ValueError(
                f"Input `{value.name}` should hold strings that UTF-8 can write. "
                f"Received: {text!r} ({type(error).__name__})"
            ) from error
    return array


def nudged(rows: Rows) -> Rows:
    """Moves every number by a few units in its last place (a relative 2⁻²⁰)."""
    return {
        name: column * np.float32(1 + 2**-20) if column.dtype == np.float32 else column
        for name, column in rows.items()
    }


def check_rows(signature: Signature, rows: Mapping[str, Any], finite: bool = True) -> Rows:
    """Gives `rows` as arrays in the signature's order, or says which input is wrong and how."""
    hint = _HINTS[finite]
    names = [value.name for value in signature.inputs]
    missing = [name for name in names if name not in rows]
    unknown = [name for name in rows if name not in names]
    if missing or unknown:
        raise ValueError(
            f"The inputs should be {names}. Received: missing {missing}, unknown {unknown}. " + hint
        )
    arrays = {v.name: _check_column(v, rows[v.name], finite, hint) for v in signature.inputs}
    sizes = {v.name: len(arrays[v.name]) for v in signature.inputs if v.rows is None}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"Every input should have the same number of rows. Received: {sizes}")
    return arrays


def _check_column(value: Value, column: Any, finite: bool, hint: str) -> np.ndarray:
    array = np.asarray(column)
    if value.dtype == "string":
        array = _check_strings(value, array)
    elif array.dtype != value.dtype:
        raise ValueError(
            f"Input `{value.name}` should be of dtype {value.dtype}. Received: dtype={array.dtype}. "
            + hint
        )
    good = array.ndim == 1 + len(value.shape) and array.shape[1:] == value.shape
    if not good or value.rows not in (None, len(array)):
        expected = ", ".join(map(str, [value.axis, *value.shape]))
        raise ValueError(
            f"Input `{value.name}` should have shape ({expected}). Received: shape={array.shape}"
        )
    if finite and value.dtype == "float32":
        bad = ~np.isfinite(array)
        if bad.any():
            row = int(np.argwhere(bad)[0][0])
            raise ValueError(
                f"Input `{value.name}` should be finite. "
                f"Received: {array[row].tolist()} in row {row}"
            )
    return array
