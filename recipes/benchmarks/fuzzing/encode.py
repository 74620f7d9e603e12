"""Calls that read rows in memory: `Preprocessor`, `RawColumns`, `fit`, `infer`, a reader."""

import contextlib
import datetime
import math
import tempfile
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import kranking as kr
from fuzzing import containers, oracle
from fuzzing.draw import ODD_NUMBERS, Draw, Spec, draw_column, draw_spec
from fuzzing.judge import Call
from fuzzing.older import read_rows

ODDITIES = (
    *("none", "container", "container", "newer types", "newer types", "nulls", "extremes"),
    *(
        "other kind",
        "other kind",
        "mixed",
        "strange",
        "missing",
        "lengths",
        "empty",
        "large",
        "times",
    ),
)
FAULTS = {
    "none": "rows as declared",
    "container": "one door: containers in memory (serve03)",
    "newer types": "Arrow's newer types (train07, serve10)",
    "nulls": "nulls alone: a row is read as among others (serve01)",
    "extremes": "numbers beyond float32",
    "other kind": "an id has a kind (serve05, attack18)",
    "mixed": "several types in one column",
    "strange": "types of ids: float, decimal, binary, dates, unsigned",
    "missing": "a column that is not there",
    "lengths": "columns of different lengths",
    "empty": "no rows",
    "large": "ids beyond 64 bits",
    "times": "a column of times",
    "narrow": "a transform beyond float32",
}
STRANGE = (
    *(
        7.0,
        7.5,
        Decimal("7"),
        Decimal("7.50"),
        b"a",
        b"\xff",
        2**63,
        2**64 - 1,
        True,
        1 + 2j,
        object(),
    ),
    *(
        datetime.date(2026, 1, 1),
        datetime.datetime(2026, 1, 1, 3),
        datetime.time(3),
        {"a": 1},
        [1],
        (),
        {1},
    ),
    *(
        datetime.timedelta(1),
        np.float32(7),
        np.int8(7),
        np.datetime64("2026-01-01"),
        "\x00",
        "\ud800",
    ),
)


def draw_rows(draw: Draw, fitted: bool = True) -> tuple[list[Spec], dict[str, list]]:
    """Draws declarations and columns of the kinds that they learnt."""
    specs = [draw_spec(draw, f"f{i}", fitted=fitted) for i in range(draw.whole(1, 4))]
    tables = [s for s in specs if s.is_ids and s.length is None]
    if tables and draw.chance(0.4):
        table = draw.pick(tables)
        order = draw.pick(("newest_last", "newest_first"))
        length = draw.whole(1, 4)
        specs.append(
            Spec("seen", "sequence", table.kind, "user", length=length, order=order, of=table.name)
        )
    rows = draw.pick((1, 1, 2, 3, 6))
    columns = {}
    for spec in specs:
        table = next((s for s in specs if s.name == spec.of), spec)
        pool = replace(spec, vocabulary=table.vocabulary)
        columns[spec.name] = draw_column(draw, pool, rows)
    return specs, columns


def damage(draw: Draw, oddity: str, specs: list[Spec], columns: dict[str, list]) -> Any:
    """Makes rows odd; returns their container, changes the columns to what stands in it."""
    spec = draw.pick(specs)
    ids = [s for s in specs if s.is_ids and s.separator is None]
    rows = len(columns[spec.name])
    if oddity == "nulls":
        columns[spec.name] = [None] * rows
    elif oddity == "extremes":
        columns[spec.name] = [_extreme(draw, spec, v) for v in columns[spec.name]]
    elif oddity == "other kind" and ids:
        spec = draw.pick(ids)
        columns[spec.name] = [turned(v, spec.kind) for v in columns[spec.name]]
    elif oddity in ("mixed", "strange", "large", "times"):
        columns[spec.name] = _strange(draw, oddity, spec, columns[spec.name])
    elif oddity == "missing":
        columns[f"{spec.name} "] = columns.pop(spec.name)
    elif oddity == "lengths" and len(columns) > 1:
        columns[spec.name] = columns[spec.name] + columns[spec.name][:1]
    elif oddity == "empty":
        columns.update({name: [] for name in columns})
    if oddity == "container":
        _, given, read = containers.in_memory(draw, columns)
        columns.update(read)
        return given
    if oddity == "newer types":
        return newer(draw, spec.name, columns)
    return dict(columns)


def newer(draw: Draw, name: str, columns: dict[str, list]) -> dict[str, Any]:
    """Returns columns of which one is of a newer Arrow type, and may be in a table."""
    array = containers.plain_arrow(columns[name])
    ways = containers.newer_types(columns[name])
    if ways:
        with contextlib.suppress(pa.ArrowException):  # not every type holds every value
            array = ways[draw.pick(tuple(ways))](array)
    columns[name] = array.to_pylist()
    return {**columns, name: array}


def turned(value: Any, kind: str | None) -> Any:
    """Returns the same id in the other kind, where it has one."""
    if isinstance(value, list):
        return [turned(v, kind) for v in value]
    if value is None or kind == "text":
        return int(value) if value is not None and str(value).isdigit() else None
    return str(value)


def _extreme(draw: Draw, spec: Spec, value: Any) -> Any:
    if spec.form == "number":
        return draw.pick(ODD_NUMBERS)
    if spec.form == "vector":
        return [
            draw.pick(ODD_NUMBERS) for _ in range(draw.pick((spec.dim, spec.dim, spec.dim + 1)))
        ]
    return value


def _strange(draw: Draw, oddity: str, spec: Spec, values: list) -> list:
    if oddity == "times":
        odd = draw.pick((datetime.date(2026, 5, 4), datetime.datetime(2026, 5, 4, 3, 2)))
        return [odd] * len(values)
    if oddity == "large":
        odd = draw.pick((2**63, 2**64 - 1, 2**64, -(2**63) - 1, 10**30))
    else:
        odd = draw.pick(STRANGE)
    wrapped = [odd] if spec.is_lists and draw.chance(0.5) else odd
    if oddity == "mixed" and len(values) > 1:
        at = draw.whole(0, len(values))
        return [wrapped if i == at else v for i, v in enumerate(values)]
    return [wrapped] * len(values)


def declarations(specs: list[Spec]) -> list[Any]:
    """Creates declarations; hashed ones learn the kind of their ids by `fit`."""
    made = [spec.declaration() for spec in specs]
    hashed = [s for s in specs if s.buckets is not None and s.kind is not None]
    for spec in hashed:
        value = 5 if spec.kind == "whole" else "five"
        column = [[value]] if spec.is_lists else [value]
        number = specs.index(spec)
        made[number] = kr.features.fit([made[number]], {spec.name: column})[0]
    return made


def expectation(specs, columns, oddity, served=False) -> tuple[dict, str]:
    """Returns the cells of rows, and whether they are to be refused."""
    if len({len(values) for values in columns.values()}) > 1 or oddity == "missing":
        return {}, "must"
    cells = oracle.read(specs, columns, served)
    if oddity in ("mixed", "strange", "large"):
        refusal = oracle.refusal_of(cells)
        return cells, "may" if refusal == "never" else refusal
    return cells, oracle.refusal_of(cells)


def fault_of(oddity: str, specs: list[Spec], columns: dict[str, list]) -> str:
    """Returns the fault that a wrong end shows; a column of nothing but nulls is odd enough."""
    lists = [s for s in specs if (s.is_lists or s.separator) and columns.get(s.name)]
    alone = any(oracle.natural_kind(columns[s.name]) == "null" for s in lists)
    return FAULTS["nulls" if alone else oddity]


def no_interchange(given: Any, columns: dict[str, list]) -> bool:
    """Whether the interchange protocol has no type for a column."""
    kinds = [containers.arrow_type(values) for values in columns.values()]
    odd = any(pa.types.is_nested(kind) or pa.types.is_null(kind) for kind in kinds)
    return odd and isinstance(given, containers.InterchangeOnly)


def encode_call(draw: Draw) -> Call:
    """A preprocessor on rows in memory."""
    oddity = draw.pick((*ODDITIES, "narrow"))
    specs, columns = draw_rows(draw)
    if oddity == "narrow":
        specs = [_narrow(draw)]
        columns = {specs[0].name: [draw.pick((1e10, -3e38, 0.0, 3e38)) for _ in range(3)]}
    features = declarations(specs)
    given = damage(draw, oddity, specs, columns)
    cells, refusal = expectation(specs, columns, oddity)
    refusal = "may" if refusal == "never" and no_interchange(given, columns) else refusal
    way = draw.pick(("Preprocessor", "Preprocessor", "read"))
    if oddity == "empty":
        way = "Preprocessor"
    batch = draw.whole(1, 5)

    def run():
        if way == "Preprocessor":
            return kr.features.Preprocessor(features)(given)
        return joined(read_rows(given, features, (), batch_size=batch, labels=False))

    return Call(
        f"rows in memory, {way}",
        fault_of(oddity, specs, columns),
        f"{oddity}: {specs} of {str(given)[:200]}",
        run,
        lambda found: oracle.difference(found, cells),
        refusal,
        tuple(n for s in specs for n in (s.name, s.of) if n) + ("Rows", "rows", "lengths"),
    )


def _narrow(draw: Draw) -> Spec:
    transform = draw.pick(("standardize", "log", "scale"))
    bounds = (0.0, 1e-30) if transform == "scale" else None
    spec = Spec("f0", "number", transform=transform, bounds=bounds)
    return spec if bounds else replace(spec, mean=0.5, std=draw.pick((1e-38, 1e-30, 5e-324)))


def joined(batches: Any) -> dict[str, np.ndarray]:
    """Joins the inputs of batches."""
    parts = [batch[0] for batch in batches]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def fit_call(draw: Draw) -> Call:
    """What `fit` learns from rows in memory."""
    oddity = draw.pick(ODDITIES)
    specs, columns = draw_rows(draw, fitted=False)
    specs = [s for s in specs if s.form != "sequence"]
    times = draw.whole(1, 3)
    columns = {s.name: columns[s.name] * times for s in specs}
    given = damage(draw, oddity, specs, columns)
    features = [spec.declaration() for spec in specs]
    unequal = len({len(values) for values in columns.values()}) > 1
    must = oddity in ("missing", "empty") or unequal
    refusal = "must" if must else _fit_refusal(specs, columns)
    odd = oddity in ("mixed", "strange", "large", "times", "other kind")
    if (odd or no_interchange(given, columns)) and refusal == "never":
        refusal = "may"
    return Call(
        "fit of rows in memory",
        fault_of(oddity, specs, columns),
        f"{oddity}: {specs} of {str(given)[:200]}",
        lambda: kr.features.fit(features, given),
        lambda fitted: learnt_difference(specs, columns, fitted),
        refusal,
        tuple(s.name for s in specs) + ("rows", "Rows", "lengths"),
    )


def _learnt_from(spec: Spec, values: list) -> np.ndarray:
    """Returns the numbers whose mean and standard deviation `fit` learns."""
    real = (float, int, Decimal, np.number)
    numbers = [float(v) for v in values if isinstance(v, real) and math.isfinite(v)]
    plain = replace(spec, mean=0.0, std=1.0, transform="log" if spec.transform == "log" else "none")
    x = np.array([oracle.transformed(v, plain) for v in numbers])
    return x[np.abs(x) <= np.finfo("float32").max]


def _fit_refusal(specs: list[Spec], columns: dict[str, list]) -> str:
    for spec in specs:
        values = columns[spec.name]
        if spec.form == "number":
            if oracle.natural_kind(values) == "str":
                return "may"
            if not len(_learnt_from(spec, values)):
                needs = (
                    spec.transform in ("standardize", "log", "bucketize") or spec.nulls == "mean"
                )
                return "must" if needs else "may"
        elif spec.form == "vector":
            if any(isinstance(v, list) and len(v) != spec.dim for v in values):
                return "may"
            if any(v is None for v in values):
                return "may"
        else:
            natural = oracle.natural_kind(ids_of(spec, values))
            if natural not in ("null", "whole", "text"):
                return "may"
    return "never"


def ids_of(spec: Spec, values: list) -> list:
    """Returns all single ids of a column."""
    if spec.separator is not None:
        return [x for v in values if isinstance(v, str) and v for x in v.split(spec.separator)]
    if spec.is_lists:
        return [x for v in values if isinstance(v, list | tuple) for x in v]
    return list(values)


def learnt_difference(specs, columns, fitted, as_text: bool = False) -> str | None:
    """Returns the first difference of what was learnt from what a count by hand gives."""
    for spec, feature in zip(specs, fitted):
        values = columns[spec.name]
        if spec.is_ids and spec.buckets is None:
            ids = [int(v) if isinstance(v, bool) else v for v in ids_of(spec, values)]
            counts = Counter(v for v in ids if not oracle.is_null(v))
            if oracle.natural_kind(list(counts)) not in ("null", "whole", "text"):
                continue
            right = tuple(sorted(counts, key=lambda v: (-counts[v], v)))
            learnt = feature.vocabulary
            if as_text:
                learnt, right = sorted(map(str, learnt)), sorted(map(str, right))
                if spec.form == "single" and set(right) <= {"true", "false"}:  # a file's booleans
                    right = sorted({"true": "1", "false": "0"}[text] for text in right)
            if learnt != right:
                return f"vocabulary of {spec.name}: {learnt}, right is {right}"
        if spec.form == "number" and spec.transform in ("standardize", "log"):
            x = _learnt_from(spec, values)
            if not len(x):
                continue
            if not np.isclose(feature.mean, x.mean(), rtol=1e-6, atol=1e-9 * np.abs(x).max()):
                return f"mean of {spec.name}: {feature.mean}, right is {x.mean()}"
            if not np.isclose(feature.std, x.std(), rtol=1e-5, atol=1e-6 * np.abs(x).max()):
                return f"std of {spec.name}: {feature.std}, right is {x.std()}"
    return None


def infer_call(draw: Draw) -> Call:
    """A draft of declarations for rows that `fit` can read, one column of which may be bad."""
    _, columns = draw_rows(draw)
    way, given, _ = containers.in_memory(draw, columns)
    fault = "infer: a draft for whatever fit can read"
    refusal = "may" if no_interchange(given, columns) else "never"
    if draw.chance(0.4):
        bad = draw.pick(STRANGE[:-1])
        given, way = {**columns, "bad": [bad] * len(next(iter(columns.values())))}, f"{bad!r}"
        fault = "infer: one bad column kills it (train07)"
        if draw.chance(0.6):
            given = _in_a_file(given)

    def right(draft):
        known = {c for f in draft for c in f.columns} | set(getattr(draft, "skipped", ()))
        return None if known <= {*columns, "bad"} else f"columns {known}"

    what = f"{way}: {columns}"
    return Call("infer", fault, what, lambda: kr.features.infer(given), right, refusal)


def _in_a_file(columns: dict[str, list]) -> Any:
    """Returns the path of a file of the columns, or the columns where Parquet does not have their types."""
    path = tempfile.mkdtemp(prefix="fuzz") + "/x.parquet"
    arrays = {n: containers.plain_arrow(v) for n, v in columns.items() if n != "bad"}
    try:
        pq.write_table(pa.table({**arrays, "bad": pa.array(columns["bad"])}), path)
    except Exception:  # of Arrow or Python, for any of their reasons
        return columns
    return path
