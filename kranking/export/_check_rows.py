"""Rows on which an artefact must give the model's own answers."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from kranking.export._signature import Signature, Value

Rows = dict[str, np.ndarray]

_EXTREME_IDS = (-(2**31), -2, -1, 0, 1, 2**20, 2**30, 2**31 - 1)
_PADDING = -1
_LARGE = 1e6


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


def nudged(rows: Rows) -> Rows:
    """Moves every number by a few units in its last place (a relative 2⁻²⁰)."""
    return {
        name: column * np.float32(1 + 2**-20) if column.dtype == np.float32 else column
        for name, column in rows.items()
    }


def check_rows(signature: Signature, rows: Mapping[str, Any]) -> Rows:
    """Gives `rows` as arrays in the signature's order, or says which input is wrong and how."""
    names = [value.name for value in signature.inputs]
    missing = [name for name in names if name not in rows]
    unknown = [name for name in rows if name not in names]
    if missing or unknown:
        raise ValueError(
            f"The inputs should be {names}. Received: missing {missing}, unknown {unknown}. "
            "Columns of a log become inputs by `features.Preprocessor(bundle.features())`"
        )
    arrays = {value.name: _check_column(value, rows[value.name]) for value in signature.inputs}
    sizes = {name: len(array) for name, array in arrays.items()}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"Every input should have the same number of rows. Received: {sizes}")
    return arrays


def _check_column(value: Value, column: Any) -> np.ndarray:
    array = np.asarray(column)
    if array.dtype != value.dtype:
        raise ValueError(
            f"Input `{value.name}` should be of dtype {value.dtype}. Received: dtype={array.dtype}. "
            "Columns of a log become inputs by `features.Preprocessor(bundle.features())`"
        )
    if array.ndim != 1 + len(value.shape) or array.shape[1:] != value.shape:
        expected = ", ".join(["batch", *map(str, value.shape)])
        raise ValueError(
            f"Input `{value.name}` should have shape ({expected}). Received: shape={array.shape}"
        )
    if value.dtype == "float32":
        bad = ~np.isfinite(array)
        if bad.any():
            row = int(np.argwhere(bad)[0][0])
            raise ValueError(
                f"Input `{value.name}` should be finite. "
                f"Received: {array[row].tolist()} in row {row}"
            )
    return array
