"""Probabilities for a whole log, block by block; what was stopped goes on where it was."""

import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.progress import Progress

from kranking._core import check_positive_int
from kranking._files import replaced
from kranking.export import Bundle, load_bundle
from kranking.export.internal import SERVE, LogRows, open_log
from kranking.features import RawColumns
from kranking.features.internal import Origin
from kranking.serving._score_parts import Block, blocks_of, claim

# Rows of one run: what a model keeps of them bounds the memory, whatever the size of a block. Cut from
# the block's beginning, so that a block's bytes do not depend on where a run began.
_BATCH = 4096


@dataclass(frozen=True)
class Scores:
    """What `score_parquet` wrote.

    Attributes:
        directory: The folder of parts.
        rows: Rows of all parts.
        parts: Number of parts.
        found: How many of them an earlier run had finished.

    >>> print(Scores(Path("scores"), 1_000_000, 8, 3))
    scores: 1,000,000 rows in 8 parts, 3 of them there before
    """

    directory: Path
    rows: int
    parts: int
    found: int

    def __str__(self) -> str:
        before = f", {self.found} of them there before" if self.found else ""
        return f"{self.directory}: {self.rows:,} rows in {self.parts} parts{before}"


def score_parquet(
    bundle: str | Path,
    log: Any,
    directory: str | Path,
    *,
    keep: Sequence[str] = (),
    block_rows: int = 131_072,
    threads: int | None = None,
) -> Scores:
    """Gives each task's probability for every row of a log, through the bundle's signature `serve`.

    `directory` becomes a folder of Parquet files, one for each block of rows in the log's order, which
    `pyarrow.dataset` and every other reader of folders takes as one table: the columns to keep, and a
    float32 column for each task. The log is never whole in memory.

    A part appears whole or not at all. Called again after a kill, with the same arguments, it makes the
    parts that are missing, with the bytes that an undisturbed run gives. `_scores.json` there names the
    bundle and the log by their SHA-256: parts of others are refused. One process at a time.

    Args:
        bundle: What `export_model` wrote, with the signature `serve` and the format `"onnx"`.
        log: Parquet files: path, folder, glob or a list of them.
        directory: A folder: new, empty, or what an earlier call with the same arguments left.
        keep: Columns of the log that go with the scores, such as keys.
        block_rows: Rows of a part; a file's last one can have fewer.
        threads: Threads of ONNX Runtime; `None` leaves the choice to it.

    Raises:
        ValueError: The bundle is damaged or has no `serve`, a column is missing or of a wrong type, or
            the directory holds something else.

    >>> score_parquet("nowhere", "log.parquet", "scores")
    Traceback (most recent call last):
      ...
    ValueError: `directory` must contain a bundle with a manifest.json. Received: directory='nowhere'
    """
    check_positive_int("block_rows", block_rows)
    loaded, directory, keep = load_bundle(bundle, threads=threads), Path(directory), list(keep)
    tasks = loaded.manifest["tasks"]
    _check_served(loaded, keep, tasks)
    files = open_log(log, loaded.features(), keep)
    schema = _schema(files, keep, tasks)
    blocks = blocks_of(files, block_rows)
    claim(directory, loaded.directory, files, blocks, {"keep": keep, "block_rows": block_rows})
    for unfinished in directory.glob(".part-*.tmp"):  # of a killed run: one process at a time
        unfinished.unlink()
    todo = [block for block in blocks if not block.path(directory).exists()]
    with _progress(blocks, todo) as advance:
        for block, part in _parts(loaded, todo, schema, advance):
            with replaced(block.path(directory), fsync=True) as temporary:
                pq.write_table(part, temporary)
    rows = sum(block.rows for block in blocks)
    return Scores(directory, rows, len(blocks), len(blocks) - len(todo))


def _parts(
    bundle: Bundle, todo: Sequence[Block], schema: pa.Schema, advance: Callable[[int], None]
) -> Iterator[tuple[Block, pa.Table]]:
    """Gives each block with what its part holds, and tells `advance` of the rows that are done."""
    encode = RawColumns(bundle.features())
    kept = [name for name in schema.names if name not in bundle.manifest["tasks"]]
    columns = list(dict.fromkeys([c for f in encode.features for c in f.columns] + kept))
    for file, of_file in itertools.groupby(todo, key=lambda block: block.file):
        blocks = list(of_file)
        rows = LogRows(file, columns, blocks[0].first)
        for block in blocks:
            rows.skip_to(block.first)
            made = [schema.empty_table()]
            for first in range(0, block.rows, _BATCH):
                table = rows.take(min(_BATCH, block.rows - first))
                given = {name: table[name] for name in columns}
                origin = Origin(file, block.first + first)
                scores = bundle.run(SERVE, encode(given, origin))
                found = {name: given[name] for name in kept}
                found |= {task: p[:, 0] for task, p in scores.items()}
                made.append(pa.table(found, schema=schema))
                advance(table.num_rows)
            yield block, pa.concat_tables(made)


def _check_served(bundle: Bundle, keep: Sequence[str], tasks: Sequence[str]) -> None:
    described = bundle.manifest.get("signatures", {})
    if SERVE not in described:
        raise ValueError(
            f"`bundle` should have the signature {SERVE!r}, which takes a log's columns: export the model "
            f"with it. Received: a bundle with {sorted(described)}"
        )
    if set(keep) & set(tasks) or len(set(keep)) < len(keep):
        raise ValueError(
            "`keep` should name each column once, and none that is called as a task is: the scores bear "
            f"the tasks' names. Received: keep={list(keep)} for the tasks {list(tasks)}"
        )


def _schema(files: Sequence[str], keep: Sequence[str], tasks: Sequence[str]) -> pa.Schema:
    """Gives the columns of every part, or raises if the files differ in the type of one that is kept."""
    schemas = [pq.read_schema(file) for file in files]
    for name in keep:
        kinds = {schema.field(name).type: file for file, schema in zip(files, schemas)}
        if len(kinds) > 1:
            raise ValueError(
                f"`keep` should name columns of one type in all files. Received: {name!r} as "
                f"{', '.join(f'{kind} in {file}' for kind, file in kinds.items())}"
            )
    kept = [pa.field(name, schemas[0].field(name).type) for name in keep]
    return pa.schema([*kept, *(pa.field(task, pa.float32()) for task in tasks)])


@contextlib.contextmanager
def _progress(blocks: Sequence[Block], todo: Sequence[Block]) -> Iterator[Callable[[int], None]]:
    """Shows a bar over all rows on a terminal; gives the function that moves it on."""
    console = Console(stderr=True)
    rows, left = (sum(block.rows for block in some) for some in (blocks, todo))
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("scoring", total=rows, completed=rows - left)
        yield lambda done: bar.advance(task, done)
