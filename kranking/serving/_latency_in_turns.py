"""Interleaved latency measurements of several callables."""

import os
import platform
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from kranking._core import check_mapping, check_positive_int


@dataclass(frozen=True)
class Latencies:
    """The result of `latency_in_turns`.

    Args:
        milliseconds: Latencies in milliseconds by callable, in the order of the rounds.
        warmup: Number of rounds before the first measured one.
        batch: Rows per call, as passed to `latency_in_turns`.
        threads: Threads of each callable, as passed to `latency_in_turns`.
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
        """Returns the `q`-th percentile of the latency of a callable in milliseconds."""
        return float(np.percentile(self.milliseconds[name], q))

    def ratio(self, name: str, baseline: str) -> float:
        """Returns the median over rounds of the ratio of the latencies of a callable and a baseline.

        Both run in the same round, so a temporary slowdown of the machine affects both.
        """
        pairs = zip(self.milliseconds[name], self.milliseconds[baseline], strict=True)
        return float(np.median([own / other for own, other in pairs]))

    def to_json(self) -> dict[str, Any]:
        """Returns p50, p90 and p99 by callable, and the conditions of the measurement."""
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
    """Measures the latencies of callables in rounds, so that their ratios are reliable on a busy machine.

    Each round calls all of them once, in a random order with a fixed seed. In a fixed order, a callable
    would always run with the caches left by the same predecessor, which changes the latency of a call
    with one row by a tenth.

    Args:
        calls: Callables without arguments, by name.
        rounds: Number of measured rounds.
        warmup: Number of rounds before them, which are not measured.
        batch: Rows per call, recorded in the result.
        threads: Threads that each callable uses, recorded in the result.

    Returns:
        The `Latencies`.

    Raises:
        ValueError: If `calls` is empty, or `rounds` or `warmup` is invalid.

    >>> measured = latency_in_turns({"sum": lambda: sum(range(9)), "none": lambda: None}, rounds=5)
    >>> measured.ratio("sum", "sum")
    1.0
    """
    check_positive_int("rounds", rounds)
    check_positive_int("warmup", warmup, minimum=0)
    check_mapping("calls", calls, "functions without arguments by name")
    if not calls:
        raise ValueError("`calls` must contain at least one callable. Received: calls={}")
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
