"""Calls that read files and folders: Parquet, CSV, hidden files, partitions, damage."""

import csv
import gzip
import io
import itertools
import re
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq

import kranking as kr
from fuzzing import containers, oracle
from fuzzing.draw import Draw, Spec, draw_column, draw_spec
from fuzzing.encode import declarations, joined, learnt_difference
from fuzzing.judge import Call
from fuzzing.older import read_rows

Columns = dict[str, list]
PARQUET_LAYOUTS = ("one", "parts", "glob", "paths", "hidden", "keys", "url", "dataset", "null part")
CSV_LAYOUTS = ("csv", "csv parts", "csv.gz", "tsv", "csv hidden")
WRONG_LAYOUTS = ("twice", "csv twice", "damaged", "damaged", "cut", "kinds", "csv kinds", "no file")
WRONG_LAYOUTS += ("lacks a column", "no rows", "other format", "csv broken")
FAULTS = {
    "hidden": "hidden and temporary files (attack01)",
    "csv hidden": "hidden and temporary files (attack01)",
    "keys": "one door: hive partitions",
    "dataset": "one door: datasets of pyarrow",
    "url": "one door: URLs",
    "null part": "all-null columns in a Parquet part",
    "twice": "a column twice (attack05)",
    "csv twice": "a column twice (attack05)",
    "damaged": "damaged pages",
    "cut": "truncated files",
    "kinds": "types that differ between files (attack04)",
    "csv kinds": "types that differ between files (attack04)",
}


def parts_of(draw: Draw, columns: Columns, most: int = 3) -> list[Columns]:
    """Cuts rows into parts, in order."""
    rows = len(next(iter(columns.values())))
    cuts = sorted({0, rows, *(draw.whole(0, rows + 1) for _ in range(draw.whole(0, most)))})
    return [{n: v[a:b] for n, v in columns.items()} for a, b in itertools.pairwise(cuts)]


def put(draw: Draw, path: Path, columns: Columns, **options: Any) -> str:
    """Writes a Parquet file of the plain types."""
    path.parent.mkdir(parents=True, exist_ok=True)
    options.setdefault("row_group_size", draw.whole(1, 5))
    options.setdefault("compression", draw.pick(("none", "snappy", "zstd")))
    table = options.pop("table", None)
    pq.write_table(containers.table_of(columns) if table is None else table, path, **options)
    return str(path)


def put_csv(path: Path, columns: Columns, delimiter: str = ",") -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_text(v) for v in row] for row in zip(*columns.values()))
    data = text.getvalue().encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return str(path)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(_text, value))
    return "" if value is None else repr(value) if isinstance(value, float) else str(value)


def _hidden(draw: Draw, folder: Path, columns: Columns, suffix: str) -> None:
    """Adds files that no reader of logs reads."""
    for name in draw.some(("_temporary/0/x", ".split.77.tmp/train/x", ".y", "_z", "sub/.a/x"), 4):
        path = folder / f"{name}{suffix}"
        put_csv(path, columns) if suffix == ".csv" else put(draw, path, columns)


def lay_out(draw: Draw, layout: str, columns: Columns, specs: list[Spec]) -> Any:
    """Writes rows in a layout, and returns what is given for them."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz")) / "log"
    if layout in ("one", "url", "damaged", "cut", "other format"):
        checked = (
            {"write_page_checksum": True, "compression": "none"} if layout == "damaged" else {}
        )
        path = put(draw, folder / "x.parquet", columns, **checked)
        if layout in BROKEN:
            BROKEN[layout](draw, Path(path))
        return f"file://{path}" if layout == "url" else path
    if layout.endswith("twice"):
        return _twice(draw, layout, folder, columns)
    if layout in ("csv", "csv.gz", "tsv"):
        return put_csv(folder / f"x.{layout}", columns, "\t" if layout == "tsv" else ",")
    if layout == "csv broken":
        path = put_csv(folder / "x.csv", columns)
        row = draw.pick((b"1,2,3,4,5,6,7", b",".join([b"\xff\xfe"] * len(columns))))
        Path(path).write_bytes(Path(path).read_bytes() + row + b"\n")
        return path
    if layout == "no file":
        return str(folder / draw.pick(("x.parquet", "", "*.parquet", "x.csv")))
    if layout == "keys":
        return _keyed(draw, folder, columns, specs)
    return _in_parts(draw, layout, folder, columns, specs)


def _in_parts(draw: Draw, layout: str, folder: Path, columns: Columns, specs: list[Spec]) -> Any:
    parts, paths = parts_of(draw, columns), []
    for number, part in enumerate(parts):
        name = f"part-{number}"
        if layout.startswith("csv"):
            paths.append(put_csv(folder / f"{name}.csv", part))
            continue
        if layout == "kinds" and number:
            part = {
                **part,
                specs[0].name: [None if v is None else str(v) for v in part[specs[0].name]],
            }
        if layout == "lacks a column" and number == len(parts) - 1:
            part = {(f"{n} " if n == specs[0].name else n): v for n, v in part.items()}
        if layout == "no rows":
            part = {n: [] for n in part}
        paths.append(put(draw, folder / f"{name}.parquet", part, **_typed(part, columns, layout)))
    if layout.endswith("hidden"):
        _hidden(draw, folder, columns, ".csv" if layout.startswith("csv") else ".parquet")
    if layout == "csv kinds":  # one more row, of text
        first = {n: ["x" if n == specs[0].name else _blank(v)] for n, v in columns.items()}
        paths = [put_csv(folder / "a.csv", {n: first[n] + columns[n] for n in columns})]
        return paths[0]
    if layout == "dataset":
        return pads.dataset(str(folder))
    if layout == "glob":
        return str(folder / "*.parquet")
    return paths if layout == "paths" else str(folder)


def _blank(values: list) -> Any:
    return next((v for v in values if v is not None), None)


def _typed(part: Columns, columns: Columns, layout: str) -> dict[str, Any]:
    """Returns the table of a part with the types of the whole, except for parts of nulls."""
    if layout in ("null part", "kinds", "lacks a column"):
        return {}
    table = pa.table({n: pa.array(v, containers.arrow_type(columns[n])) for n, v in part.items()})
    return {"table": table}


def _keyed(draw: Draw, folder: Path, columns: Columns, specs: list[Spec]) -> str:
    """Writes rows below folders that state the value of the first column, sorted as it is read."""
    name = specs[0].name
    rows = list(zip(*columns.values()))
    at = list(columns).index(name)
    ordered = []
    for value in sorted({row[at] for row in rows}, key=str):
        own = [row for row in rows if row[at] == value]
        part = {n: [r[i] for r in own] for i, n in enumerate(columns) if i != at}
        part = part or {"rest": [0] * len(own)}
        table = pa.table(
            {n: pa.array(v, containers.arrow_type(columns.get(n, v))) for n, v in part.items()}
        )
        put(draw, folder / f"{name}={value}" / "x.parquet", part, table=table)
        ordered += own
    columns.update({n: [r[i] for r in ordered] for i, n in enumerate(columns)})
    return str(folder)


def _twice(draw: Draw, layout: str, folder: Path, columns: Columns) -> str:
    folder.mkdir(parents=True)
    name = draw.pick(tuple(columns))
    if layout == "csv twice":
        path = Path(put_csv(folder / "x.csv", columns))
        lines = path.read_text().splitlines()
        first = [f"{line},{line}" for line in lines]
        path.write_text("\n".join(first) + "\n")
        return str(path)
    table = containers.table_of(columns)
    table = pa.Table.from_arrays([*table.columns, table[name]], [*table.column_names, name])
    return put(draw, folder / "x.parquet", columns, table=table)


def _flip(draw: Draw, path: Path) -> None:
    """Changes a bit of the values of a column."""
    data, parquet = bytearray(path.read_bytes()), pq.ParquetFile(path)
    group = parquet.metadata.row_group(draw.whole(0, parquet.num_row_groups))
    column = group.column(draw.whole(0, group.num_columns))
    end = column.data_page_offset + column.total_compressed_size
    if column.dictionary_page_offset is not None:
        end = column.dictionary_page_offset + column.total_compressed_size
    at = end - 1 - draw.whole(0, max(1, min(8, column.total_compressed_size // 4)))
    data[at] ^= 1 << draw.whole(0, 8)
    path.write_bytes(bytes(data))


def _cut(draw: Draw, path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: draw.whole(0, len(data))])


def _other(draw: Draw, path: Path) -> None:
    path.write_bytes(
        draw.pick((b"", b"PAR1", b"a,b\n1,2\n", b"PK\x03\x04zip", b"PAR1" + b"\0" * 50 + b"PAR1"))
    )


BROKEN: dict[str, Callable[[Draw, Path], None]] = {
    "damaged": _flip,
    "cut": _cut,
    "other format": _other,
}


def draw_log(draw: Draw, layout: str) -> tuple[list[Spec], Columns]:
    """Draws declarations and rows that a layout can hold."""
    rows = draw.whole(1, 9)
    if layout in ("kinds", "csv kinds"):
        specs = [draw_spec(draw, "f0", draw.pick(("hashed", "single")))]
        specs = [
            replace(specs[0], kind="whole", vocabulary=(7, 2, 1) if specs[0].vocabulary else None)
        ]
    elif layout == "keys":
        specs = [draw_spec(draw, "f0", "single"), draw_spec(draw, "f1", "number")]
    else:
        specs = [draw_spec(draw, f"f{i}") for i in range(draw.whole(1, 4))]
    columns = {s.name: draw_column(draw, s, rows) for s in specs}
    if layout in ("kinds", "csv kinds", "keys"):
        known = [v for v in specs[0].vocabulary or (7, 8, 9) if str(v).strip()] or ["q"]
        columns["f0"] = [draw.pick([v for v in known if "/" not in str(v)]) for _ in range(rows)]
    if "csv" in layout or layout == "tsv":
        columns = {n: [_plain(v) for v in values] for n, values in columns.items()}
    return specs, columns


def _plain(value: Any) -> Any:
    """Returns a value that a CSV file can hold: no spaces or nulls in lists."""
    if isinstance(value, list):
        return [
            v for v in value if v is not None and not (isinstance(v, str) and (" " in v or not v))
        ]
    return value


def file_call(draw: Draw) -> Call:
    """A reader, preprocessor, fit or draft of files."""
    layout = draw.pick((*PARQUET_LAYOUTS, *CSV_LAYOUTS, *WRONG_LAYOUTS))
    specs, columns = draw_log(draw, layout)
    features = declarations(specs)
    given = lay_out(draw, layout, columns, specs)
    way = draw.pick(("read", "read", "Preprocessor", "fit", "infer"))
    cells = oracle.read(specs, columns)
    if layout == "csv kinds":
        way = draw.pick(("read", "Preprocessor"))
    batch = draw.whole(1, 5)
    ways: dict[str, Callable[[], Any]] = {
        "read": lambda: joined(read_rows(given, features, (), batch_size=batch, labels=False)),
        "Preprocessor": lambda: kr.features.Preprocessor(features)(given),
        "fit": lambda: kr.features.fit([s.declaration() for s in unfitted(specs)], given),
        "infer": lambda: kr.features.infer(given),
    }

    def right(answer: Any) -> str | None:
        if way == "infer":
            known = {c for f in answer for c in f.columns} | set(getattr(answer, "skipped", ()))
            odd = layout in ("lacks a column", "csv broken")
            return None if odd or known <= set(columns) else f"columns {known}"
        if way == "fit":
            text = "csv" in layout or layout in ("tsv", "keys")  # whose types are inferred
            return learnt_difference(unfitted(specs), columns, answer, as_text=text)
        if layout == "csv kinds":
            answer = {name: x[1:] for name, x in answer.items()}
        return oracle.difference(answer, cells)

    return Call(
        f"files, {way}",
        FAULTS.get(layout, f"files: {layout}"),
        f"{layout}: {specs} of {given}: {str(columns)[:200]}",
        ways[way],
        right,
        _refusal(layout, way, specs, cells, columns),
        (*(s.name for s in specs), Path(str(given)).name, "log", "rows", "Rows"),
    )


def unfitted(specs: list[Spec]) -> list[Spec]:
    """Returns declarations with vocabularies left to learn."""
    numbers = ("standardize", "log")
    return [
        replace(s, vocabulary=None)
        if s.is_ids
        else replace(s, mean=None, std=None)
        if s.transform in numbers and s.form == "number"
        else s
        for s in specs
    ]


def _refusal(layout: str, way: str, specs: list[Spec], cells: dict, columns: Columns) -> str:
    if layout == "csv broken":
        return "may" if way == "infer" else "must"
    if layout in ("twice", "csv twice", "no file", "other format", "no rows"):
        if layout == "no rows" and way == "Preprocessor":
            return "may"
        return "must"
    if layout == "lacks a column":
        return "may" if way == "infer" else "must"
    if layout in ("damaged", "cut", "kinds", "csv kinds"):
        return "may"
    if way == "fit":
        nulls = any(oracle.natural_kind(columns[s.name]) == "null" for s in specs)
        text = "csv" in layout or layout in ("tsv", "keys")  # whose types are inferred
        fractions = text and any(s.is_ids and _is_fractions(columns[s.name]) for s in specs)
        return "may" if nulls or fractions else "never"
    return "never" if way == "infer" else oracle.refusal_of(cells)


def _is_fractions(values: list) -> bool:
    """Whether texts are numbers to a file that has no types: these are no ids."""
    texts = [value for value in values if value is not None]
    return bool(texts) and all(re.fullmatch(r"-?[0-9]+\.[0-9]+", str(text)) for text in texts)
