"""Seeded rows on which the outputs of an artefact and of the model are compared."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from kranking.export._rows import Case, Rows
from kranking.export.functions._check_rows import check_rows
from kranking.export.functions._signature import Signature, Value

_EXTREME_IDS = (-(2**31), -2, -1, 0, 1, 2**20, 2**30, 2**31 - 1)
_PADDING = -1
_LARGE = 1e6


def make_cases(
    signature: Signature, num_rows: int, seed: int, given: Mapping[str, Any] | None = None
) -> list[Case]:
    """Returns seeded random rows, rows with extreme values of every input, and the rows of the caller.

    The batches have different sizes (1, 3, 4, 7, 8, `num_rows`), to detect a batch axis that was
    exported as a constant.
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
    """Returns random rows as in a log: ids of all magnitudes, lists of all lengths, and numbers."""
    rng = np.random.default_rng(seed)
    return {value.name: _column(value, num_rows, rng) for value in signature.inputs}


def _column(value: Value, size: int, rng, ids=None, numbers=None) -> np.ndarray:
    shape = (size, *value.shape)
    if value.dtype == "float32":
        column = rng.standard_normal(shape) if numbers is None else rng.choice(numbers, shape)
        return column.astype("float32")
    if ids is not None:
        return rng.choice(ids, shape).astype("int32")
    # Log-uniform, so that ids are within the range of small and of large vocabularies.
    column = np.exp2(rng.uniform(0, 20, shape)).astype("int32") - 1
    if value.shape:
        length = rng.integers(0, value.shape[-1] + 1, (size, 1))
        column = np.where(np.arange(value.shape[-1]) < length, column, _PADDING)
    return column.astype("int32")


def nudge(rows: Rows) -> Rows:
    """Changes every number by a few units in the last place (relative change 2⁻²⁰)."""
    return {
        name: column * np.float32(1 + 2**-20) if column.dtype == np.float32 else column
        for name, column in rows.items()
    }
