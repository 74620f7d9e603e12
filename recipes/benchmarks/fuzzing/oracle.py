"""A slow reading of a row in plain Python, from the documentation: `docs/features.md` and the docstrings.

A cell is what may become of one value: the answers that are right, none where the value must be refused,
and whether a refusal is right too.
"""

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np

from fuzzing.draw import Spec

LARGEST = 2.0**63  # of a model input
NULL_IDS = (None, "", -(2**31), -(2**63))
# ADR 6: two linear forms of five limbs of 15 bits, cubed modulo a prime.
FORMS = (
    (46337, 12289, (27043, 9277, 41231, 15683, 33409)),
    (46307, 30011, (18181, 39079, 5563, 44017, 29753)),
)
WHOLE_TEXT = re.compile(r"-?(0|[1-9][0-9]*)(\.0*)?")


class Cell(NamedTuple):
    """The right answers for one value, and whether it may be refused."""

    answers: tuple
    may_refuse: bool = False
    anything: bool = False


ANYTHING, REFUSED = Cell((), True, True), Cell(())
PAD, NOTHING = Cell((-1,)), Cell((0,))


def hash_row(value: Any, buckets: int) -> int:
    """Computes the table row of an id that is hashed."""
    if isinstance(value, str):
        digest = hashlib.blake2b(value.encode(), digest_size=8).digest()
        value = int.from_bytes(digest, "little", signed=True)
    residues = []
    for prime, offset, coefficients in FORMS:
        rest, total = value, offset
        for coefficient in coefficients:
            total += rest % 2**15 * coefficient
            rest //= 2**15
        residues.append(total**3 % prime)
    return 1 + (residues[0] * FORMS[1][0] + residues[1]) % buckets


def is_null(value: Any) -> bool:
    return value in NULL_IDS or (isinstance(value, float) and math.isnan(value))


def natural_kind(values: Sequence) -> str:
    """Returns the kind of the values of a column: null, whole, text, another type's name, or mixed."""
    names = {bool: "whole", int: "whole", str: "text"}
    kinds = {names.get(type(v), type(v).__name__) for v in values if v is not None}
    return "null" if not kinds else kinds.pop() if len(kinds) == 1 else "mixed"


def id_cell(value: Any, spec: Spec, natural: str) -> Cell:
    """Returns what may become of an id in a column of a natural kind."""
    kind, doubtful = spec.kind, natural not in ("null", spec.kind)
    if kind is None or (spec.vocabulary == () and natural in ("whole", "text")):
        doubtful, kind = natural not in ("null", "whole", "text"), natural
    if is_null(value):
        return Cell((0,), doubtful)
    if isinstance(value, str) and not value.isascii() and "\ud800" in value:  # no UTF-8
        return ANYTHING
    if isinstance(value, bool):
        if kind == "text":
            return ANYTHING
        value = int(value)
    exact = _exact(value, kind)
    if exact is ANYTHING:
        return ANYTHING
    if not exact:
        return REFUSED
    big = any(isinstance(v, int) and not -(2**63) <= v < 2**63 for v in (value, *exact))
    return Cell(tuple({_row(v, spec) for v in exact}), doubtful or big)


def _exact(value: Any, kind: str) -> Any:
    """Returns the ids that a value is exactly, of the kind that was learnt."""
    if kind == "whole":
        if isinstance(value, str):
            return (int(value.split(".")[0]),) if WHOLE_TEXT.fullmatch(value) else ()
        if isinstance(value, int | float | Decimal):
            return (int(value),) if math.isfinite(value) and value == int(value) else ()
    if kind == "text":
        if isinstance(value, str):
            return (value,)
        if isinstance(value, bytes):
            return ANYTHING
        if isinstance(value, int):
            return (str(value),)
        if isinstance(value, float) and value == value // 1:
            return (str(int(value)), str(value))
    return ANYTHING


def _row(value: Any, spec: Spec) -> int:
    if spec.buckets is not None:
        return 0 if is_null(value) else hash_row(value, spec.buckets)
    known = spec.vocabulary or ()
    return known.index(value) + 1 if value in known else 0


def number_cell(value: Any, spec: Spec, natural: str, served: bool) -> Cell:
    """Returns what may become of a number; a served one is imputed where training refuses."""
    doubtful = natural not in ("null", "whole", "float", "Decimal", "mixed numbers")
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return REFUSED
    if value is not None and not isinstance(value, bool | int | float | Decimal):
        return ANYTHING
    doubtful = doubtful or (isinstance(value, int) and not -(2**63) <= value < 2**63)
    x = math.nan if value is None else float(value)
    if math.isfinite(x):
        return Cell((transformed(x, spec),), doubtful)
    refused = spec.nulls == "refuse" and spec.transform != "bucketize"
    return Cell(() if refused and not served else imputed(spec), doubtful)


def transformed(x: float, spec: Spec) -> float:
    if spec.bounds is not None:
        x = min(max(x, spec.bounds[0]), spec.bounds[1])
    if spec.transform == "bucketize":
        return 1 + sum(boundary <= x for boundary in spec.boundaries)
    if spec.transform == "scale":
        return (x - spec.bounds[0]) / (spec.bounds[1] - spec.bounds[0])
    if spec.transform == "log":
        x = math.copysign(math.log1p(abs(x)), x)
    if spec.transform == "none":
        return x
    return (x - spec.mean) / (spec.std or 1.0)


def imputed(spec: Spec) -> tuple[float, ...]:
    """Returns what may stand for a missing number."""
    if spec.transform == "bucketize":
        return (0,)
    if spec.nulls == "mean":
        return (spec.mean,) if spec.transform == "none" else (0.0,)
    if spec.nulls != "refuse":  # with bounds or without: no page tells
        plain = replace(spec, bounds=None)
        if spec.transform == "scale":
            low, high = spec.bounds
            return transformed(spec.nulls, spec), (spec.nulls - low) / (high - low)
        return transformed(spec.nulls, spec), transformed(spec.nulls, plain)
    if spec.transform == "scale":
        return (0.5,)
    if spec.transform == "none":
        low, high = spec.bounds or (-math.inf, math.inf)
        return (min(max(spec.mean or 0.0, low), high),)
    return (0.0,)


def vector_cells(value: Any, spec: Spec, served: bool) -> list[Cell]:
    if value is None:
        refused = spec.nulls == "refuse" and not served
        return [REFUSED if refused else Cell((0.0,))] * spec.dim
    if isinstance(value, set):
        return [ANYTHING] * spec.dim
    if not isinstance(value, list | tuple) or len(value) != spec.dim:
        return [REFUSED] * spec.dim
    if not all(isinstance(x, int | float | Decimal | None) for x in value):
        return [ANYTHING] * spec.dim
    numbers = [math.nan if x is None else float(x) for x in value]
    if all(map(math.isfinite, numbers)):
        return [Cell((x,)) for x in numbers]
    return [Cell((0.0,)) if served else REFUSED] * spec.dim


def list_cells(values: Any, spec: Spec, natural: str) -> list[Cell]:
    if values is None:
        return [PAD] * spec.length
    if not isinstance(values, list | tuple):
        return [ANYTHING] * spec.length
    cells = [id_cell(v, spec, natural) for v in values]
    dropped = cells[spec.length :]
    if spec.form == "sequence" and spec.order == "newest_last":
        dropped, cells = cells[: -spec.length], cells[::-1]
    # What is dropped may still be refused.
    cells = [
        Cell(c.answers, True, c.anything) if any(not d.answers for d in dropped) else c
        for c in cells
    ]
    return (cells + [PAD] * spec.length)[: spec.length]


def read(
    specs: Sequence[Spec], columns: Mapping[str, list], served: bool = False
) -> dict[str, list]:
    """Returns the cells of each model input, a list per row or a list of lists."""
    tables = {spec.name: spec for spec in specs}
    out: dict[str, list] = {}
    for spec in specs:
        values = columns[spec.name]
        if spec.form == "number":
            natural = natural_kind(values)
            if natural == "mixed" and all(isinstance(v, bool | int | float | None) for v in values):
                natural = "mixed numbers"
            out[spec.name] = [number_cell(v, spec, natural, served) for v in values]
        elif spec.form == "vector":
            out[spec.name] = [vector_cells(v, spec, served) for v in values]
        elif spec.separator is not None:
            split = [v.split(spec.separator) if v and isinstance(v, str) else None for v in values]
            wrong = [v is not None and not isinstance(v, str) for v in values]
            cells = [list_cells(v, spec, "text") for v in split]
            out[spec.name] = [[ANYTHING] * spec.length if w else c for w, c in zip(wrong, cells)]
        elif spec.is_lists:
            table = tables[spec.of] if spec.of else spec
            own = _with_table(spec, table)
            flat = [x for v in values if isinstance(v, list | tuple) for x in v]
            out[spec.name] = [list_cells(v, own, natural_kind(flat)) for v in values]
        else:
            natural = natural_kind(values)
            out[spec.name] = [id_cell(v, spec, natural) for v in values]
    return out


def _with_table(spec: Spec, table: Spec) -> Spec:
    return replace(spec, vocabulary=table.vocabulary, buckets=table.buckets, kind=table.kind)


def flat_cells(cells: Mapping[str, list]) -> list[Cell]:
    return [
        c
        for rows in cells.values()
        for row in rows
        for c in (row if isinstance(row, list) else [row])
    ]


def refusal_of(cells: Mapping[str, list]) -> str:
    """Returns whether a refusal of these rows is a must, right too, or wrong."""
    flat = flat_cells(cells)
    if any(not c.answers and not c.anything for c in flat):
        return "must"
    return "may" if any(c.may_refuse for c in flat) else "never"


def difference(found: Mapping[str, Any], cells: Mapping[str, list]) -> str | None:
    """Returns the first difference of model inputs from their cells, or None."""
    if set(found) != set(cells):
        return f"inputs {sorted(found)} in place of {sorted(cells)}"
    for name, rows in cells.items():
        array = np.asarray(found[name])
        if len(array) != len(rows):
            return f"{name} has {len(array)} rows of {len(rows)}"
        for number, (row, expected) in enumerate(zip(array.tolist(), rows)):
            expected = expected if isinstance(expected, list) else [expected]
            row = row if isinstance(row, list) else [row]
            if len(row) != len(expected):
                return f"{name} has width {len(row)} of {len(expected)}"
            for value, cell in zip(row, expected):
                if not is_right(value, cell):
                    return f"{name}, row {number}: {row}, right is {[c.answers for c in expected]}"
    return None


def is_right(value: float, cell: Cell) -> bool:
    if not math.isfinite(value):
        return False
    return cell.anything or any(_is_close(value, answer) for answer in cell.answers)


def _is_close(value: float, answer: float) -> bool:
    if abs(answer) > LARGEST:  # bounded, wherever the bound is
        return abs(value) > 6e4 and (value > 0) == (answer > 0)
    return abs(value - answer) <= 2e-6 * (1 + abs(answer))
