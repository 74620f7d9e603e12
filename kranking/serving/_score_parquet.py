"""Scoring of a Parquet log in parts; an interrupted run can be resumed."""

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

from kranking._core import as_tuple, check_positive_int
from kranking._files import replaced
from kranking._paths import as_path
from kranking._rows import Origin, Source
from kranking.export import Bundle, load_bundle
from kranking.export.internal import SERVE, LogRows, open_log
from kranking.features import RawColumns
from kranking.serving._score_parts import Block, blocks_of, claim, kept_column

# Rows per forward pass, which bound the memory whatever the size of a block. Batches start at the first
# row of a block, so that its bytes do not depend on where a run started.
_BATCH = 4096


@dataclass(frozen=True)
class Scores:
    """The result of `score_parquet`.

    Attributes:
        directory: Folder of the parts.
        rows: Number of rows in all parts.
        parts: Number of parts.
        found: Number of parts that an earlier run had finished.

    >>> print(Scores(Path("scores"), 1_000_000, 8, 3))
    scores: 1,000,000 rows in 8 parts, 3 of them from an earlier run
    """

    directory: Path
    rows: int
    parts: int
    found: int

    def __str__(self) -> str:
        before = f", {self.found} of them from an earlier run" if self.found else ""
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
    """Computes the probabilities of all tasks for each row of a log, with the signature `serve`.

    The result is a folder of Parquet files, one per block of rows in the order of the log, which
    `pyarrow.dataset` and similar readers treat as one table. It has the kept columns and one float32
    column per task, with the name of the task. A kept column of the same name, such as the label of
    task `save`, is called `save_label`. The log is read in batches and is never completely in memory.

    Each part is written atomically. If a run is interrupted, another call with the same arguments writes
    the missing parts, with the same bytes as an uninterrupted run. `_scores.json` in the folder contains
    the SHA-256 of the bundle and of the log, and parts of others raise an error. Only one process may
    write to a folder at a time.

    Args:
        bundle: Folder that `export_model` wrote with the signature `serve` and the format `"onnx"`.
        log: Rows of any kind that `features.fit` accepts, such as a folder of Parquet files.
        directory: Output folder. It must be new, empty, or from an earlier call with the same arguments.
        keep: Columns of the log to copy to the result, such as keys, sessions and labels, with which
            `evaluate_scores` computes metrics.
        block_rows: Rows per part; the last part of each file may have fewer.
        threads: Number of threads of ONNX Runtime; `None` uses its default.

    Returns:
        A `Scores` with the numbers of rows and parts.

    Raises:
        ValueError: If the bundle is damaged or has no signature `serve`, a column is missing or has a
            wrong type, or the folder contains other files.

    >>> score_parquet("nowhere", "log.parquet", "scores")
    Traceback (most recent call last):
      ...
    ValueError: `directory` must contain a bundle with a manifest.json. Received: directory='nowhere'
    """
    check_positive_int("block_rows", block_rows)
    loaded, directory, keep = (
        load_bundle(bundle, threads=threads),
        as_path("directory", directory),
        list(as_tuple("keep", keep, "names of columns")),
    )
    tasks = loaded.manifest["tasks"]
    _check_served(loaded, keep, tasks)
    source = open_log(log, loaded.features(), keep)
    schema = _schema(source, keep, tasks)
    blocks = blocks_of(source, block_rows)
    claim(directory, loaded, source, blocks, {"keep": keep, "block_rows": block_rows})
    todo = [block for block in blocks if not block.path(directory).exists()]
    with _progress(blocks, todo) as advance:
        for block, part in _parts(loaded, source, todo, (keep, schema), advance):
            with replaced(block.path(directory), fsync=True) as temporary:
                pq.write_table(part, temporary, write_page_checksum=True)
    rows = sum(block.rows for block in blocks)
    return Scores(directory, rows, len(blocks), len(blocks) - len(todo))


def _parts(
    bundle: Bundle,
    source: Source,
    todo: Sequence[Block],
    wanted: tuple[Sequence[str], pa.Schema],
    advance: Callable[[int], None],
) -> Iterator[tuple[Block, pa.Table]]:
    """Yields each block with its part, and calls `advance` with the number of rows per batch."""
    encode, tasks, (keep, schema) = RawColumns(bundle.features()), bundle.manifest["tasks"], wanted
    columns = list(dict.fromkeys([*(c for f in encode.features for c in f.columns), *keep]))
    for file, of_file in itertools.groupby(todo, key=lambda block: block.file):
        blocks = list(of_file)
        rows = LogRows(source, file, columns, blocks[0].first)
        for block in blocks:
            rows.skip_to(block.first)
            made = [schema.empty_table()]
            for first in range(0, block.rows, _BATCH):
                table = rows.take(min(_BATCH, block.rows - first))
                given = {name: table[name] for name in columns}
                origin = Origin(file, block.first + first)
                scores = bundle.run(SERVE, encode(given, origin))
                found = {kept_column(name, tasks): given[name] for name in keep}
                found |= {task: scores[task][:, 0] for task in tasks}
                made.append(pa.table(found, schema=schema))
                advance(table.num_rows)
            yield block, pa.concat_tables(made)


def _check_served(bundle: Bundle, keep: Sequence[str], tasks: Sequence[str]) -> None:
    described = bundle.manifest.get("signatures", {})
    if SERVE not in described:
        raise ValueError(
            f"`bundle` must have the signature {SERVE!r}, which reads raw columns. Export the model with "
            f"this signature. Received: a bundle with the signatures {sorted(described)}"
        )
    names = [*(kept_column(name, tasks) for name in keep), *tasks]
    if len(set(names)) < len(names):
        raise ValueError(
            "`keep` must contain each column once; a column with the name of a task is called after it, "
            f"with `_label`. Received: keep={list(keep)}, which makes the columns {names}"
        )


def _schema(source: Source, keep: Sequence[str], tasks: Sequence[str]) -> pa.Schema:
    """Returns the schema of the parts; raises `ValueError` if a kept column has several types."""
    schemas = list(source.schemas.values())
    for name in keep:
        kinds = {schema.field(name).type: file for file, schema in source.schemas.items()}
        if len(kinds) > 1:
            raise ValueError(
                f"`keep` must be columns with the same type in all files. Received: {name!r} as "
                f"{', '.join(f'{kind} in {file}' for kind, file in kinds.items())}"
            )
    kept = [(kept_column(name, tasks), schemas[0].field(name).type) for name in keep]
    scored = [(task, pa.float32()) for task in tasks]
    return pa.schema([*kept, *scored])


@contextlib.contextmanager
def _progress(blocks: Sequence[Block], todo: Sequence[Block]) -> Iterator[Callable[[int], None]]:
    """Shows a progress bar of rows on a terminal; yields the function that advances it."""
    console = Console(stderr=True)
    rows, left = (sum(block.rows for block in some) for some in (blocks, todo))
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("scoring", total=rows, completed=rows - left)
        yield lambda done: bar.advance(task, done)
