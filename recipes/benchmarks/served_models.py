"""Models as they are served, timed beside a model that is always the same: part of `cost_model.py`."""

import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import kranking as kr

BATCHES = (1, 100, 500)
_SECONDS = 0.8  # of turns, per batch and visit


def served(model: Any, folder: Path) -> Any:
    """Exports a model to ONNX, unless that was done, and opens it with one thread."""
    if not (folder / "manifest.json").exists():
        kr.models.perturbed(model)
        kr.export.export_model(model, folder, formats=["onnx"], num_check_rows=1, signatures=())
    return kr.export.load_bundle(folder, threads=1)


@cache
def reference(folder: Path) -> Any:
    """Returns the model that every other is timed beside: a Pinterest baseline of the home feed."""
    features, tasks = kr.data.homefeed_declarations()
    kr.data.write_homefeed(folder / "log", num_rows=20_000, seed=0)
    features = kr.features.fit(features, folder / "log" / "train")
    build = kr.architectures.get("pinterest_baseline").build
    return served(build(features, tasks), folder / "reference")


def in_turns(bundle: Any, other: Any, batch: int) -> dict[str, float]:
    """Times a model in turns with the reference, in milliseconds: by the clock, and by its thread's.

    On an idle machine both are the same. On a shared one a call of some milliseconds is interrupted, and
    the clock counts what others did meanwhile; a thread's time does not, though caches are shared still.
    """
    used: dict[str, list[int]] = {"own": [], "other": []}
    calls = {
        name: _timed(one, one.random_inputs(batch), used[name])
        for name, one in (("own", bundle), ("other", other))
    }
    for _ in range(3):
        started = time.perf_counter()
        for call in calls.values():
            call()
        once = time.perf_counter() - started
    rounds = int(np.clip(_SECONDS / once, 20, 200))
    found = kr.serving.latency_in_turns(calls, rounds, warmup=3, batch=batch, threads=1)
    own, other_ms = (np.array(used[name][-rounds:]) / 1e6 for name in used)
    figures = {
        "clock": found.percentile("own", 50),
        "thread": np.median(own),
        "reference": np.median(other_ms),
        "ratio": np.median(own / other_ms),
    }
    return {name: round(float(value), 4) for name, value in figures.items()}


def latencies(rows: list[dict[str, Any]], batch: int, quiet: float) -> np.ndarray:
    """Returns the median latency of each row's model in milliseconds, on the machine when it was quiet.

    That is the ratio to the reference, the median over visits, times the reference's lowest latency.
    """
    visits = [row["served"][str(batch)] for row in rows]
    return quiet * np.array([np.median([visit["ratio"] for visit in some]) for some in visits])


def quiet_reference(rows: list[dict[str, Any]], batch: int) -> float:
    """Returns the lowest of the reference's latencies, over the visits to all models."""
    visits = (visit for row in rows for visit in row.get("served", {}).get(str(batch), []))
    return min(visit["reference"] for visit in visits)


def _timed(bundle: Any, rows: dict[str, np.ndarray], used: list[int]) -> Any:
    def call():
        start = time.thread_time_ns()
        bundle.session.run(None, rows)
        used.append(time.thread_time_ns() - start)

    return call
