"""The synthetic Homefeed log, written as Parquet files."""

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kranking._core import check_number, check_positive_int
from kranking._files import replaced, write_json
from kranking._paths import as_path, make_folder
from kranking.data._progress import progress
from kranking.data.homefeed._columns import record_batch
from kranking.data.homefeed._population import HOMEFEED_VERSION, Population
from kranking.data.homefeed._truth import PILOT_SESSIONS, RATES, WEIGHTS, HomefeedTruth, sigmoid

SPLITS = ("train", "valid", "test")
_BLOCK_SESSIONS = 1024


@dataclass(frozen=True)
class HomefeedLog:
    """A seeded, synthetic log of a home feed: impressions of pins with saves, closeups and hides.

    The ground truth of the labels is documented, term by term, in the module
    `kranking/data/homefeed/_truth.py`: additive terms, products and gates of order 2 and 3,
    products of order 4, and a term that is not a product. It is frozen under `HOMEFEED_VERSION`;
    `seed` determines the users, the pins and the impressions. The columns `p_save`, `p_closeup` and
    `p_hide` hold the true probabilities, which yield the Bayes-optimal metrics and must not be used
    as features.

    Args:
        num_rows: Number of impressions, in sessions of 10 to 25 pins.
        seed: Seed of all random draws.
        num_users: Number of users.
        num_pins: Number of pins.
        valid: Share of the sessions in the folder `valid`, the last ones before `test`.
        test: Share of the sessions in the folder `test`, the last ones.

    >>> log = HomefeedLog(num_rows=1_000, num_users=50, num_pins=60)
    >>> sum(batch.num_rows for batch in log.blocks())
    1000
    """

    num_rows: int = 200_000
    seed: int = 0
    num_users: int = 2_000
    num_pins: int = 2_000
    valid: float = 0.1
    test: float = 0.1

    def __post_init__(self):
        for name in ("num_rows", "num_users"):
            check_positive_int(name, getattr(self, name))
        check_positive_int("num_pins", self.num_pins, minimum=50)
        check_positive_int("seed", self.seed, minimum=0)
        check_number("valid", self.valid, low=0.0, high=0.5)
        check_number("test", self.test, low=0.0, high=0.4)

    @property
    def hash(self) -> str:
        """Hash of the version, the truth's constants and the arguments; equal hashes mean equal rows."""
        content = [HOMEFEED_VERSION, WEIGHTS, RATES, asdict(self)]
        return hashlib.sha256(json.dumps(content).encode()).hexdigest()

    def write(self, directory: str | os.PathLike, rows_per_file: int = 100_000) -> "HomefeedLog":
        """Writes the log as Parquet files to folders `train`, `valid` and `test`, in bounded memory.

        If the folder already contains this log, nothing is written.

        Args:
            directory: Folder to write to; created if necessary.
            rows_per_file: A file is closed once it has this many rows.

        Raises:
            ValueError: If the folder contains another log.
        """
        directory = as_path("directory", directory)
        if _holds(directory, self.hash):
            return self
        sizes = self._session_sizes
        begin_valid = len(sizes) - round(len(sizes) * (self.valid + self.test))
        begin_test = len(sizes) - round(len(sizes) * self.test)
        bounds = {"train": begin_valid, "valid": begin_test, "test": len(sizes)}
        with progress("Homefeed log", self.num_rows) as advance:
            first = 0
            for split, last in bounds.items():
                self._write_split(directory / split, first, last, rows_per_file, advance)
                first = last
        description = {"version": HOMEFEED_VERSION, "hash": self.hash, **asdict(self)}
        write_json(directory / "homefeed.json", description)  # last: the log is complete
        return self

    def blocks(self) -> Iterator[pa.RecordBatch]:
        """Yields the log in blocks of 1,024 sessions, in order of time."""
        for first in range(0, len(self._session_sizes), _BLOCK_SESSIONS):
            yield self._batch(first)

    def terms(self) -> tuple[np.ndarray, np.ndarray, dict[str, np.ndarray]]:
        """Returns the session ids, the terms of the truth `(8, rows)` and the labels of all impressions."""
        parts = [self._block(f) for f in range(0, len(self._session_sizes), _BLOCK_SESSIONS)]
        sessions = np.concatenate([rows.first + rows.session for rows, _, _ in parts])
        terms = np.concatenate([terms for _, terms, _ in parts], axis=1)
        tasks = parts[0][2]
        return sessions, terms, {t: np.concatenate([x[t][1] for *_, x in parts]) for t in tasks}

    @cached_property
    def truth(self) -> HomefeedTruth:
        """The terms, logits and probabilities from which the labels are drawn."""
        rng = np.random.default_rng([HOMEFEED_VERSION, self.seed, 2])
        population = Population(self.seed, self.num_users, self.num_pins)
        sizes = rng.integers(10, 26, PILOT_SESSIONS)
        pilot = population.impressions(rng, 0, sizes, PILOT_SESSIONS)
        return HomefeedTruth(population, pilot)

    @cached_property
    def _session_sizes(self) -> np.ndarray:
        rng = np.random.default_rng([HOMEFEED_VERSION, self.seed, 3])
        sizes = rng.integers(10, 26, self.num_rows // 10 + 1)
        ends = np.cumsum(sizes)
        count = int(np.searchsorted(ends, self.num_rows)) + 1
        sizes = sizes[:count]
        sizes[-1] -= ends[count - 1] - self.num_rows  # shorten the last session to match `num_rows`
        return sizes

    def _block(self, first):
        """Returns the impressions of a block, their terms, and `{task: (probability, label)}`."""
        rng = np.random.default_rng([HOMEFEED_VERSION, self.seed, 4, first])
        sizes = self._session_sizes[first : first + _BLOCK_SESSIONS]
        rows = self.truth.population.impressions(rng, first, sizes, len(self._session_sizes))
        terms = self.truth.terms(rows)
        outcomes = {}
        for task in WEIGHTS:
            probability = sigmoid(self.truth.logits(terms, task))
            outcomes[task] = probability, rng.random(len(probability)) < probability
        return rows, terms, outcomes

    def _batch(self, first):
        rows, _, outcomes = self._block(first)
        return record_batch(self.truth.population, rows, outcomes)

    def _write_split(self, folder, first, last, rows_per_file, advance):
        make_folder(folder)
        for stale in folder.glob(
            "*.parquet"
        ):  # left by a run that was killed before it wrote homefeed.json
            stale.unlink()
        batches = self._batches_between(first, last)
        batch = next(batches, None)
        number = 0
        while batch is not None:
            path = folder / f"part-{number:05d}.parquet"
            with (
                replaced(path) as temporary,
                pq.ParquetWriter(temporary, batch.schema, write_page_checksum=True) as writer,
            ):
                written = 0
                while batch is not None and written < rows_per_file:
                    writer.write_batch(batch)
                    written += batch.num_rows
                    advance(batch.num_rows)
                    batch = next(batches, None)
            number += 1

    def _batches_between(self, first, last):
        start = first // _BLOCK_SESSIONS * _BLOCK_SESSIONS
        for block in range(start, last, _BLOCK_SESSIONS):
            batch = self._batch(block)
            session = batch.column("session_id").to_numpy()
            begin, end = np.searchsorted(session, [first, last])
            yield batch.slice(begin, end - begin)


def write_homefeed(
    directory: str | os.PathLike, num_rows: int = 200_000, seed: int = 0, **arguments
) -> HomefeedLog:
    """Writes the synthetic Homefeed log and returns its description.

    Args:
        directory: Folder in which `train`, `valid` and `test` are written.
        num_rows: Impressions.
        seed: Seed of all random draws.
        **arguments: Further arguments of `HomefeedLog`.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     log = write_homefeed(folder, num_rows=500, num_users=20, num_pins=60)
    >>> log.num_rows
    500
    """
    return HomefeedLog(num_rows, seed, **arguments).write(directory)


def _holds(directory, wanted):
    description = directory / "homefeed.json"
    if not description.exists():
        return False
    found = json.loads(description.read_text())["hash"]
    if found != wanted:
        raise ValueError(
            f"`directory` must be empty or contain this log. Received: {directory}, which contains "
            f"the Homefeed log {found[:12]} and not {wanted[:12]}"
        )
    return True
