"""Splits of a log by time or by session."""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kranking._core import check_mapping
from kranking._folders import new_folders
from kranking._paths import as_path
from kranking._rows import Origin, open_rows
from kranking.data._one_schema import batches_of
from kranking.data._progress import progress

SHARES = {"train": 0.8, "valid": 0.1, "test": 0.1}
_ROWS = 65_536


def split_by_time(
    rows: Any,
    column: str,
    out: str | os.PathLike,
    *,
    shares: Mapping[str, float] = SHARES,
    cutoffs: Sequence[float] | None = None,
    session: str | None = None,
    rows_per_file: int = 1_000_000,
) -> dict[str, int]:
    """Splits a log by time: the earliest rows go to the first part, the latest to the last.

    The log is read twice: once for the times (and sessions), once to write the parts. Rows keep
    their order.

    Args:
        rows: Rows of any kind that `features.fit` accepts, such as a folder of Parquet files.
        column: Name of the time column: numbers or timestamps, without nulls.
        out: Folder for one folder for each part; the parts must not exist.
        shares: Part names in order of time, and their shares of the rows, which sum to 1.
        cutoffs: First time of every part except the first, in the unit of the column (microseconds
            for timestamps). If set, the values of `shares` are ignored.
        session: Name of the session id column. If set, all rows of a session go to the part of its
            first row.
        rows_per_file: A file is closed once it has this many rows.

    Returns:
        The number of rows of each part.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     log = kr.data.write_homefeed(folder, num_rows=1000, num_users=20, num_pins=60)
    ...     split_by_time(folder, "request_time", folder + "/split", shares={"a": 0.5, "b": 0.5})
    {'a': 485, 'b': 515}
    """
    source = open_rows(rows)
    times = _times(source, column)
    if session is not None:
        times = _first_times(times, _ids(source, session))
    if cutoffs is None:
        bounds = np.cumsum(_checked_shares(shares))[:-1]
        cutoffs = [np.quantile(times, bound, method="higher") for bound in bounds]
    if len(cutoffs) != len(shares) - 1 or any(a > b for a, b in pairwise(cutoffs)):
        raise ValueError(
            f"`cutoffs` must be {len(shares) - 1} times in ascending order, for the parts "
            f"{list(shares)}. Received: cutoffs={list(cutoffs)}"
        )
    part = np.searchsorted(np.asarray(cutoffs), times, side="right").astype(np.int8)
    position = 0

    def choose(batch: pa.RecordBatch, _: Origin) -> np.ndarray:
        nonlocal position
        position += batch.num_rows
        return part[position - batch.num_rows : position]

    return _write(source, list(shares), choose, as_path("out", out), rows_per_file)


def split_by_session(
    rows: Any,
    column: str,
    out: str | os.PathLike,
    *,
    shares: Mapping[str, float] = SHARES,
    seed: int = 0,
    rows_per_file: int = 1_000_000,
) -> dict[str, int]:
    """Splits a log by session, using a hash of the session id and the seed.

    The log is read once. The part of a session does not depend on the rest of the log, so the
    shares are met on average. Use the column of user ids to split by user.

    Args:
        rows: Rows of any kind that `features.fit` accepts, such as a folder of Parquet files.
        column: Name of the session id column: integers or strings, without nulls.
        out: Folder for one folder for each part; the parts must not exist.
        shares: Part names and their shares of the sessions, which sum to 1.
        seed: Seed of the hash.
        rows_per_file: A file is closed once it has this many rows.

    Returns:
        The number of rows of each part.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     log = kr.data.write_homefeed(folder, num_rows=1000, num_users=20, num_pins=60)
    ...     sum(split_by_session(folder, "session_id", folder + "/split").values())
    1000
    """
    bounds = np.cumsum(_checked_shares(shares))[:-1]
    source = open_rows(rows)
    _check_column(source, column)

    def choose(batch: pa.RecordBatch, origin: Origin) -> np.ndarray:
        ids, index = np.unique(_without_nulls(batch, column, origin), return_inverse=True)
        uniform = np.array([_uniform(seed, value) for value in ids.tolist()])
        return np.searchsorted(bounds, uniform, side="right")[index]

    return _write(source, list(shares), choose, as_path("out", out), rows_per_file)


def _write(source, names, choose: Callable, out: Path, rows_per_file):
    total = sum(unit.rows for unit in source.units)
    with new_folders(out, names) as hidden:
        parts = {name: _Part(hidden / name, rows_per_file) for name in names}
        with ExitStack() as stack, progress("Split", total) as advance:
            writers = {name: stack.enter_context(closing(part)) for name, part in parts.items()}
            for batch, origin in batches_of(source):
                chosen = choose(batch, origin)
                for number, name in enumerate(names):
                    writers[name].write(batch.filter(pa.array(chosen == number)))
                advance(batch.num_rows)
    return {name: part.rows for name, part in parts.items()}


class _Part:
    """Writer of the files of one part, each closed when it is full."""

    def __init__(self, folder: Path, rows_per_file: int):
        folder.mkdir(parents=True)
        self.folder, self.rows_per_file = folder, rows_per_file
        self.rows = self.files = self.in_file = 0
        self.writer: pq.ParquetWriter | None = None

    def write(self, batch: pa.RecordBatch) -> None:
        if not batch.num_rows:
            return
        if self.writer is None:
            name = self.folder / f"part-{self.files:05d}.parquet"
            self.writer, self.in_file = (
                pq.ParquetWriter(name, batch.schema, write_page_checksum=True),
                0,
            )
            self.files += 1
        self.writer.write_batch(batch)
        self.rows += batch.num_rows
        self.in_file += batch.num_rows
        if self.in_file >= self.rows_per_file:
            self.close()

    def close(self) -> None:
        if self.writer is not None:
            self.writer.close()
            self.writer = None


def _check_column(source, column):
    if not source.units:
        raise ValueError(f"`rows` must not be empty. Received: no rows in {source.files[:5]}")
    for file in source.files:
        if column not in source.schemas[file].names:
            raise ValueError(
                f"`column` must be a column of every file. Received: {column!r}, which {file} does "
                f"not have; it has {sorted(source.schemas[file].names)}"
            )


def _without_nulls(batch, column, origin):
    array = batch.column(column)
    if array.null_count:
        row = int(np.argmax(array.is_null().to_numpy(zero_copy_only=False)))
        raise ValueError(
            f"Column {column!r} must not contain nulls to split by it. Received: null in "
            f"{origin.at(row)}"
        )
    return array.to_numpy(zero_copy_only=False)


def _times(source, column):
    _check_column(source, column)
    parts = []
    for batch, origin in batches_of(source, [column]):
        values = _without_nulls(batch, column, origin)
        if values.dtype.kind == "M":
            values = values.astype("datetime64[us]").astype(np.int64)
        if values.dtype.kind not in "iuf" or not np.isfinite(values).all():
            raise ValueError(
                f"Column {column!r} must contain finite numbers or timestamps. "
                f"Received: {batch.schema.field(column).type} in {origin.file}"
            )
        parts.append(values)
    return np.concatenate(parts)


def _ids(source, column):
    """Returns an integer per row that numbers its session, to save memory."""
    _check_column(source, column)
    numbers: dict = {}
    parts = []
    for batch, origin in batches_of(source, [column]):
        ids, index = np.unique(_without_nulls(batch, column, origin), return_inverse=True)
        own = [numbers.setdefault(value, len(numbers)) for value in ids.tolist()]
        parts.append(np.asarray(own, np.int64)[index])
    return np.concatenate(parts)


def _first_times(times, sessions):
    first = np.full(sessions.max() + 1, times.max())
    np.minimum.at(first, sessions, times)
    return first[sessions]


def _uniform(seed, value):
    text = f"{seed}:{type(value).__name__}:{value}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big") / 2**64


def _checked_shares(shares):
    check_mapping("shares", shares, "shares by name of the part")
    values = list(shares.values())
    if len(values) < 2 or min(values) <= 0 or abs(sum(values) - 1) > 1e-6:
        raise ValueError(
            f"`shares` must have at least two parts, with positive shares that sum to 1. "
            f"Received: shares={dict(shares)}"
        )
    return values
