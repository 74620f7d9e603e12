"""Epochs of a log as streams of batches, in order or shuffled, with bounded memory."""

from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np

from kranking._rows import Unit
from kranking.data._encoder import Encoded, RowEncoder

_OPEN = 4  # files or row groups that a shuffled epoch mixes at a time


class EpochStream:
    """Reads and encodes units, and yields batches that depend only on the arguments and the epoch.

    In order, it reads pieces of `block_rows` rows one after the other. If shuffled, the units are
    visited in a random order per epoch, four of them open at a time, taking a piece of each in
    turn; every `block_rows` rows are permuted and yielded as batches.

    Args:
        source: Object with a method `read(unit, columns, rows)`.
        units: Units to read.
        encoder: Encoder of rows to inputs, labels and weights.
        batch_size: Number of rows per batch.
        block_rows: Number of rows read and shuffled at a time.
        seed: Seed of the shuffling; `None` keeps the order of the rows.
    """

    def __init__(
        self,
        source: Any,
        units: list[Unit],
        encoder: RowEncoder,
        batch_size: int,
        block_rows: int,
        seed: int | None,
    ):
        self.source, self.units, self.encoder = source, units, encoder
        self.batch_size, self.block_rows, self.seed = batch_size, block_rows, seed

    def batches(self, epoch: int) -> Iterator[tuple[dict[str, Any], ...]]:
        """Yields the batches of an epoch; the last one may be smaller."""
        rest: Encoded | None = None
        for block in self._ordered() if self.seed is None else self._shuffled(epoch):
            block = block if rest is None else _joined([rest, block])
            rows = _length(block)
            last = rows - rows % self.batch_size
            for start in range(0, last, self.batch_size):
                yield self.encoder.batch(block, start, start + self.batch_size)
            rest = {key: value[last:].copy() for key, value in block.items()}  # frees the block
        if rest is not None and _length(rest):
            yield self.encoder.batch(rest, 0, _length(rest))

    def _ordered(self):
        return chain.from_iterable(self._pieces(unit, self.block_rows) for unit in self.units)

    def _shuffled(self, epoch):
        random = np.random.default_rng([self.seed or 0, epoch])
        waiting = iter(random.permutation(len(self.units)))
        piece_rows = -(-self.block_rows // _OPEN)
        streams: list[Iterator[Encoded]] = []
        window: list[Encoded] = []
        held = 0
        while True:
            while len(streams) < _OPEN and (unit := next(waiting, None)) is not None:
                streams.append(self._pieces(self.units[unit], piece_rows))
            if not streams:
                break
            stream = streams.pop(0)
            piece = next(stream, None)
            if piece is None:
                continue
            streams.append(stream)
            window.append(piece)
            held += _length(piece)
            if held >= self.block_rows:
                yield _permuted(window, random)
                window, held = [], 0
        if held:
            yield _permuted(window, random)

    def _pieces(self, unit, rows):
        for batch, origin in self.source.read(unit, self.encoder.columns, rows):
            yield self.encoder(batch, origin)


def _length(encoded):
    return len(next(iter(encoded.values())))


def _joined(parts):
    return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def _permuted(window, random):
    block = _joined(window) if len(window) > 1 else window[0]
    order = random.permutation(_length(block))
    return {key: value[order] for key, value in block.items()}
