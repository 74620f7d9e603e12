"""Latencies of several callables, measured in turns."""

import os
import platform
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kranking._core import check_positive_int


@dataclass(frozen=True)
class Latencies:
    """What `latency_in_turns` measured.

    Args:
        milliseconds: Each callable's latencies in milliseconds, in the order of the rounds.
        warmup: Rounds that ran before the first measured one.
        batch: Rows per call, as given.
        threads: Threads of each callable, as given.
        machine: Processor architecture and number of cores.

    >>> measured = Latencies({"new": (3.0, 30.0), "old": (2.0, 20.0)}, 0, 1, 1, "a noisy machine")
    >>> measured.percentile("old", 50), measured.ratio("new", "old")
    (11.0, 1.5)
    """

    milliseconds: Mapping[str, tuple[float, ...]]
    warmup: int
    batch: int | None
    threads: int | None
    machine: str

    def percentile(self, name: str, q: float) -> float:
        """Gives the `q`-th percentile of a callable's latency in milliseconds."""
        return float(np.percentile(self.milliseconds[name], q))

    def ratio(self, name: str, baseline: str) -> float:
        """Gives the median over rounds of a callable's latency over the baseline's.

        Both ran within the same round, so what slows the machine down for a while slows both.
        """
        pairs = zip(self.milliseconds[name], self.milliseconds[baseline], strict=True)
        return float(np.median([own / other for own, other in pairs]))

    def to_json(self) -> dict[str, Any]:
        """Gives p50, p90 and p99 by name, with the conditions they were measured under."""
        return {
            "milliseconds": {
                name: {f"p{q}": self.percentile(name, q) for q in (50, 90, 99)}
                for name in self.milliseconds
            },
            "rounds": len(next(iter(self.milliseconds.values()))),
            "warmup": self.warmup,
            "batch": self.batch,
            "threads": self.threads,
            "machine": self.machine,
        }


def latency_in_turns(
    calls: Mapping[str, Callable[[], Any]],
    rounds: int = 100,
    *,
    warmup: int = 10,
    batch: int | None = None,
    threads: int | None = None,
) -> Latencies:
    """Measures callables in turns, each once a round, so that their ratio survives a noisy machine.

    Each round has an order of its own, drawn by a fixed seed: nobody always runs after the same neighbour,
    whose data then fill the caches. For one row that alone is a tenth.

    Args:
        calls: Zero-argument callables by name.
        rounds: Measured rounds.
        warmup: Rounds before them, not measured.
        batch: Rows per call; stated in the result.
        threads: Threads that each callable uses; stated in the result.

    >>> measured = latency_in_turns({"sum": lambda: sum(range(9)), "none": lambda: None}, rounds=5)
    >>> measured.ratio("sum", "sum")
    1.0
    """
    check_positive_int("rounds", rounds)
    check_positive_int("warmup", warmup, minimum=0)
    if not calls:
        raise ValueError("`calls` should hold at least one callable. Received: none")
    names, order = list(calls), random.Random(0)
    measured: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(-warmup, rounds):
        for name in order.sample(names, len(names)):
            start = time.perf_counter_ns()
            calls[name]()
            elapsed = time.perf_counter_ns() - start
            if turn >= 0:
                measured[name].append(elapsed / 1e6)
    machine = f"{platform.machine()}, {os.cpu_count()} cores"
    return Latencies({n: tuple(v) for n, v in measured.items()}, warmup, batch, threads, machine)
