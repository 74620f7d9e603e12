"""Ten thousand malformed requests: does each get a finite answer or a clear error?

Command:  python recipes/benchmarks/fuzz_requests.py
Cost:     two minutes on 2 cores; `--smoke` under one.
Expected: no other outcome, and no crash.

An untrained launch candidate on the synthetic home feed's columns is exported once, then asked through its
three signatures on columns. A request starts from rows of the log; one to three of its columns are then
damaged: types, widths, nulls, NaN, huge numbers and ids, Unicode, lists that are empty, long or nested,
columns that are absent. Of every four, one goes past the checks of kranking to ONNX Runtime, and one to the
SavedModel: tensors of another type or shape, or with values at the edges of their type.

A clear error is a ValueError that names a damaged column or says that columns differ in length, or what a
runtime raises. An answer is finite and, of columns, has a row for each of the request's; probabilities are
within 0 and 1. Requests are numbered:
`--first N --requests 1` repeats one.
"""

import datetime
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pyarrow as pa
import pyarrow.parquet as pq
import rich.progress

sys.path.append(str(Path(__file__).parents[1]))
import training
from serving import build

import kranking as kr

SIGNATURES = ("serve", "rank", "user_tower")
SCALARS = (
    *(None, True, 0, -1, 2**31, 2**63 - 1, -(2**63), 2**64, 10**30),
    *(float("nan"), float("inf"), -float("inf"), 1e308, 5e-324, -0.0, 3.5),
    *("", " ", "7", "naïve é 漢字 🎈", "\x00", "\ud800", "x" * 100_000),
    *(b"\xff\xfe", datetime.date(2026, 1, 1), datetime.datetime(9999, 12, 31), 1 + 2j),
    *({"a": 1}, object(), (), [], [[]], [None], [1, "a"], [float("nan")], np.float16(1)),
)
TYPES = ("bool", "int8", "uint64", "float16", "float64", "complex64", "U3", "S3", "M8[s]", "object")


WAYS = ("columns", "columns", "onnx", "saved_model")
ANSWER, ERROR = "answer", "clear error"


def main(arguments: list[str] | None = None) -> dict[str, float]:
    parser = training.parser(__doc__, "fuzz")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first request")
    args = parser.parse_args(arguments)
    if args.smoke:
        args.requests = 400
    out = training.run_folder(args, "fuzz")
    onnxruntime.set_default_logger_severity(4)  # of thousands of refusals
    found: Counter = Counter()
    with tempfile.TemporaryDirectory() as folder:
        model = build("pinterest_launch", Path(folder), scale=0.05)
        kr.export.export_model(model, Path(folder) / "served")
        rows = pq.read_table(Path(folder) / "log" / "test").slice(0, 500)
        target = Target(Path(folder) / "served", rows)
        numbers = range(args.first, args.first + args.requests)
        for number in rich.progress.track(numbers, "requests", transient=True):
            found[target.ask(number)] += 1
    print(table(found))
    result = {
        "requests": float(args.requests),
        "answers": float(sum(n for (*_, how), n in found.items() if how == ANSWER)),
        "clear_errors": float(sum(n for (*_, how), n in found.items() if how == ERROR)),
    }
    result["neither"] = result["requests"] - result["answers"] - result["clear_errors"]
    kr.comparison.write_files(out, {"result.json": result})
    if result["neither"]:
        raise SystemExit(f"{result['neither']:.0f} requests got neither answer nor clear error")
    return result


class Target:
    """A bundle in both of its runtimes, and rows to ask it about."""

    def __init__(self, folder: Path, rows: pa.Table):
        import tensorflow as tf

        self.bundle = kr.export.load_bundle(folder, threads=1)
        self.saved = tf.saved_model.load(str(folder / "saved_model"))
        self.columns: dict[str, list[str]] = {}
        features = self.bundle.features()
        self.item_columns = [c for f in features if f.side == "item" for c in f.columns]
        self.rows = rows.select(sorted({c for f in features for c in f.columns}))

    def ask(self, number: int) -> tuple[str, str, str]:
        """Returns signature, way and how the request of this number ended; prints what should not be."""
        random = np.random.default_rng(number)
        name, way = str(random.choice(SIGNATURES)), str(random.choice(WAYS))
        rows = int(random.integers(1, 9))
        table = self.rows.slice(int(random.integers(0, len(self.rows) - rows)), rows)
        if way == "columns":
            given = table.to_pydict()
            damaged = damage_columns(given, random)
            how = self.judge(name, lambda: self.by_columns(name, given), rows, damaged)
        else:
            given = self.bundle.tensors(name, table.to_pydict())
            damaged = damage_tensors(given, random)
            run = self.by_onnx if way == "onnx" else self.by_saved_model
            how = self.judge(name, lambda: run(name, given))
        if how not in (ANSWER, ERROR):
            print(f"\nrequest {number}, {name} by {way}, damaged {damaged}: {how}", flush=True)
        return name, way, how

    def by_columns(self, name: str, given: Mapping[str, Any]) -> dict[str, np.ndarray]:
        if name == "serve":
            return self.bundle.score(given)
        if name == "user_tower":
            return {"user": self.bundle.user_tower(given)}
        items = {column: x for column, x in given.items() if column in self.item_columns}
        request = {column: first(x) for column, x in given.items() if column not in items}
        return self.bundle.rank(request, items)

    def by_onnx(self, name: str, given: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        session = self.bundle.open(name)
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, dict(given)), strict=True))

    def by_saved_model(self, name: str, given: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        import tensorflow as tf

        answers = self.saved.signatures[name](**{n: tf.constant(x) for n, x in given.items()})
        return {output: answer.numpy() for output, answer in answers.items()}

    def judge(
        self, name: str, run: Callable, rows: int = 0, damaged: Sequence[str] | None = None
    ) -> str:
        """Classifies the end of a request; runtimes need not name the damage, and may broadcast rows."""
        try:
            answers = run()
        except Exception as error:
            if damaged is None:
                return ERROR
            said = str(error).partition("Received:")[0]  # what was received lists every column
            clear = isinstance(error, ValueError) and any(repr(n) in said for n in damaged)
            clear = clear or "must have equal lengths" in said or "same number of rows" in said
            return ERROR if clear else f"{type(error).__name__}: {error}"[:300]
        for output, x in answers.items():
            if damaged is not None and len(x) != rows:
                return f"{output} has {len(x)} rows for {rows}"
            if not np.isfinite(x).all() or (
                name != "user_tower" and not ((x >= 0) & (x <= 1)).all()
            ):
                return f"{output} is {x[:8].tolist()}"[:300]
        return ANSWER


def first(column: Any) -> Any:
    """Returns the first value of what is a column, and anything else as it is."""
    whole = isinstance(column, list) or (isinstance(column, np.ndarray) and column.ndim)
    return column[:1] if whole else column


def damage_columns(columns: dict[str, Any], random: np.random.Generator) -> list[str]:
    """Damages one to three columns of a request in place, and returns their names."""
    names = [str(name) for name in random.choice(list(columns), random.integers(1, 4), False)]
    for name in names:
        values, way = list(columns[name]), int(random.integers(8))
        row, strange = int(random.integers(len(values))), SCALARS[random.integers(len(SCALARS))]
        if way == 0:
            del columns[name]
        elif way == 1:
            columns[name] = [strange] * len(values)
        elif way == 2:
            columns[name] = values[:-1] if random.random() < 0.5 else values * 2
        elif way == 3:
            columns[name] = strange
        elif way == 4:
            columns[name] = cast(values, str(random.choice(TYPES)))
        else:
            if way == 5 and isinstance(values[row], list):
                lists = ([], values[row] * 3_000, [strange, *values[row][1:]], [values[row]], None)
                values[row] = lists[random.integers(len(lists))]
            else:
                values[row] = [strange] if way == 7 else strange
            columns[name] = values
    return names


def cast(values: list, dtype: str) -> np.ndarray:
    """Returns values as an array of another type, or as objects where they have none of it."""
    try:
        with np.errstate(all="ignore"):
            return np.array(values).astype(dtype)
    except (ValueError, TypeError, OverflowError):
        return np.fromiter(values, object, len(values))


def damage_tensors(tensors: dict[str, np.ndarray], random: np.random.Generator) -> list[str]:
    """Damages one to three tensors of a request in place, and returns their names."""
    names = [str(name) for name in random.choice(list(tensors), random.integers(1, 4), False)]
    for name in names:
        x, way = tensors[name], int(random.integers(6))
        if way == 0:
            del tensors[name]
        elif way == 1:
            tensors[name] = x[..., None] if random.random() < 0.5 else x.ravel()[:-1]
        elif way == 2:
            tensors[name] = x[:0]
        elif way == 3:
            kind = str(random.choice(["bool", "int8", "int32", "int64", "float64", "U3"]))
            tensors[name] = np.zeros(x.shape, kind)
        else:
            tensors[name] = at_the_edge(x, random)
    return names


def at_the_edge(x: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Returns a tensor of the same type and shape with values that no log should hold."""
    if x.dtype == object:
        values: list[Any] = ["", "\x00", "naïve é 漢字 🎈", "x" * 100_000]
    elif x.dtype.kind == "i":
        values = [np.iinfo(x.dtype).min, np.iinfo(x.dtype).max, -1, 0]
    else:
        values = [np.nan, np.inf, -np.inf, np.finfo(x.dtype).max, -0.0]
    picked = random.integers(len(values), size=x.size)
    made = np.array([values[i] for i in picked], x.dtype).reshape(x.shape)
    return np.where(random.random(x.shape) < 0.5, made, x).astype(x.dtype)


def table(found: Counter) -> str:
    headings, rows = ["signature", "way", "answers", "clear errors", "neither"], []
    for name, way in sorted({key[:2] for key in found}):
        of = {how: n for (*key, how), n in found.items() if key == [name, way]}
        rest = sum(of.values()) - of.get(ANSWER, 0) - of.get(ERROR, 0)
        rows.append([name, way, *(str(n) for n in (of.get(ANSWER, 0), of.get(ERROR, 0), rest))])
    return "\n".join(kr.comparison.markdown_table(headings, rows, left=2))


if __name__ == "__main__":
    main()
