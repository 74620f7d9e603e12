"""Latency measurements of a bundle: its artefacts, and `rank` compared to flat rows."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kranking._core import check_positive_int
from kranking._paths import as_path
from kranking.export import Bundle, load_bundle
from kranking.export.internal import (
    IDS,
    KERAS_FILE,
    RANK,
    SAVED_MODEL,
    SERVE,
    Requests,
    Rows,
    is_of_request,
    load_saved_model,
    random_columns,
    run_saved_model,
)
from kranking.serving._latency_in_turns import Latencies, latency_in_turns
from kranking.serving._matmul_rate import matmul_rate
from kranking.serving._serving_latency import BASELINE, BASELINE_SAVED, ONNX, ServingLatency

Call = Callable[[Rows], Any]


def serving_latency(
    directory: str | Path,
    baseline: str | Path | None = None,
    *,
    batches: Sequence[int] = (1, 100, 1000),
    candidates: int = 500,
    threads: int = 1,
    rounds: int = 100,
    seconds: float = 20.0,
    seed: int = 0,
    calls: Mapping[str, Call] | None = None,
) -> ServingLatency:
    """Measures the latency of the artefacts of a bundle in interleaved rounds, on random requests.

    The ONNX file and the SavedModel are measured on model inputs and, if the bundle has the signature
    `serve`, on raw columns. `rank` of one request is compared to `serve` of the same rows. If `u` are the
    FLOPs of the fields of the request and `w` those of a complete row, the FLOPs alone allow a speedup of

    `N·w / (u + N·(w − u))`

    for `rank` with `N` candidates. Fewer lookups and normalizations can increase it.

    Args:
        directory: Folder of the bundle.
        baseline: Folder of another bundle to measure for comparison, on its own inputs.
        batches: Batch sizes in rows.
        candidates: Number of candidates per request.
        threads: Number of threads of both runtimes. TensorFlow allows it to be set once per process.
        rounds: Largest number of measured rounds per batch size.
        seconds: Approximate duration of the rounds per batch size; there are at least 10 rounds.
        seed: Seed of the requests.
        calls: Other functions to measure, by name. They receive the model inputs.

    Returns:
        A `ServingLatency`.

    Raises:
        ValueError: If an argument is invalid, there is no bundle, or TensorFlow has already started with
            another number of threads.

    >>> serving_latency("nowhere")
    Traceback (most recent call last):
      ...
    ValueError: `directory` must contain a bundle with a manifest.json. Received: directory='nowhere'
    """
    for name, value in (("candidates", candidates), ("threads", threads), *_rows_per_call(batches)):
        check_positive_int(name, value)
    directory = as_path("directory", directory)
    bundle = load_bundle(directory, threads=threads)
    other = None if baseline is None else load_bundle(baseline, threads=threads)
    saved = _saved_model(bundle, threads)
    other_saved = None if other is None else _saved_model(other, threads)
    by_batch, rates = {}, [matmul_rate(threads)]
    for batch in batches:
        timed = _artefacts(bundle, saved, batch, seed)
        rows = bundle.random_inputs(batch, seed)
        for name, call in (calls or {}).items():
            timed[name] = _bound(call, rows)
        if other is not None:
            rows = other.random_inputs(batch, seed)
            timed[BASELINE] = _bound(_session(other, IDS), rows)
            if other_saved is not None:
                timed[BASELINE_SAVED] = _bound(run_saved_model(other_saved), rows)
        by_batch[batch] = _in_turns(timed, rounds, seconds, batch, threads)
        rates.append(matmul_rate(threads))
    ranked, bound = None, 1.0
    total, once = _flops(directory)
    if RANK in bundle.manifest.get("signatures", {}):
        timed = _rank(bundle, candidates, seed)
        ranked = _in_turns(timed, rounds, seconds, candidates, threads)
        bound = candidates * total / max(once + candidates * (total - once), 1)
    rate = max(rates)
    floors = {batch: batch * total / rate / 1e6 for batch in batches}
    return ServingLatency(by_batch, ranked, bound, floors, rate)


def _artefacts(bundle: Bundle, saved: Any, batch: int, seed: int) -> dict[str, Callable]:
    rows = bundle.random_inputs(batch, seed)
    timed = {ONNX: _bound(_session(bundle, IDS), rows)}
    if saved is not None:
        timed[SAVED_MODEL] = _bound(run_saved_model(saved), rows)
    if SERVE in bundle.manifest.get("signatures", {}):
        features = bundle.features()
        columns = Requests(features).tensors(SERVE, random_columns(features, batch, seed))
        timed[f"{ONNX} {SERVE}"] = _bound(_session(bundle, SERVE), columns)
        if saved is not None:
            timed[f"{SAVED_MODEL} {SERVE}"] = _bound(run_saved_model(saved, SERVE), columns)
    return timed


def _in_turns(
    timed: Mapping[str, Callable], rounds: int, seconds: float, batch: int, threads: int
) -> Latencies:
    latency_in_turns(timed, 1, warmup=1)  # first calls are slow
    start = time.perf_counter()
    latency_in_turns(timed, 1, warmup=0)
    once = time.perf_counter() - start
    rounds = min(rounds, max(10, int(seconds / once)))
    return latency_in_turns(timed, rounds, warmup=1, batch=batch, threads=threads)


def _rank(bundle: Bundle, count: int, seed: int) -> dict[str, Callable]:
    features = bundle.features()
    columns = random_columns(features, count, seed)
    return {
        name: _bound(_session(bundle, name), Requests(features).tensors(name, columns))
        for name in (RANK, SERVE)
    }


def _session(bundle: Bundle, name: str) -> Call:
    """Returns a function that runs the session without the checks of `Bundle.run`."""
    session = bundle.open(name)
    outputs = [output.name for output in session.get_outputs()]
    if bundle.tables is None:
        return lambda rows: session.run(outputs, rows)
    tables = bundle.tables
    return lambda rows: session.run(outputs, tables.inputs(name, rows))


def _bound(call: Call, rows: Rows) -> Callable[[], Any]:
    rows = {n: x.astype(object) if x.dtype.kind == "U" else x for n, x in rows.items()}
    return lambda: call(rows)


def _saved_model(bundle: Bundle, threads: int) -> Any:
    if not (bundle.directory / SAVED_MODEL).exists():
        return None
    import tensorflow as tf

    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError as error:
        raise ValueError(
            "`threads` must be set before TensorFlow is initialized. Measure in a new process, such as "
            f"`python -m kranking.export latency`. Received: threads={threads}"
        ) from error
    return load_saved_model(bundle.directory / SAVED_MODEL)


def _flops(directory: Path) -> tuple[int, int]:
    """Returns the FLOPs of a row, and of the fields that the candidates of a request share."""
    import keras

    model: Any = keras.saving.load_model(directory / KERAS_FILE, compile=False)
    shared = (model.encoder.field_work(f) for f in model.features if is_of_request(f))
    return model.work().matmul_flops, sum(work.matmul_flops for work in shared)


def _rows_per_call(batches: Sequence[int]) -> list[tuple[str, int]]:
    if not batches:
        raise ValueError("`batches` must contain at least one batch size. Received: none")
    return [("batches", batch) for batch in batches]
