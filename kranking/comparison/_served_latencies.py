"""Serving latency of models, measured in alternation with a baseline."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kranking._core import check_positive_int
from kranking._files import write_json
from kranking._paths import as_path, make_folder
from kranking.budget import Figure
from kranking.comparison._variant import check_file_name
from kranking.export import export_model, load_bundle
from kranking.models import RankingModel, perturbed
from kranking.serving import latency_in_turns

BASELINE = (
    "baseline_"  # latency of the baseline from the same rounds, to cancel the load of the machine
)
_ROUNDS, _THREADS = 200, 1
_BESIDE = (
    "beside, as trained"  # older entries without this key are of untrained graphs, which are faster
)
_AS_TRAINED = {"weights": "perturbed"}


def served_latencies(
    models: Mapping[str, Callable[[], RankingModel]], baseline: str, out: str | Path, batch: int
) -> dict[str, dict[str, Figure] | str]:
    """Measures the latency of exported ONNX models with one thread, alternating with a baseline.

    The weights do not affect the cost of matrix products, so models are untrained but `perturbed`.

    Args:
        models: Functions that create the models, by name. The name is also the name of a folder.
        baseline: Name of the baseline.
        out: Folder of bundles and results. Models already measured against this baseline are skipped.
        batch: Number of rows per request.

    Returns:
        Figures by name of the model: `latency_p50`, `_p90` and `_p99`, those of the baseline from the
        same rounds as `baseline_latency_p50`, …, and `latency_ratio` with the bounds of its 95 %
        interval, `latency_ratio_low` and `_high`. For a model that cannot be served, the reason; it is
        retried in the next call.

    Raises:
        ValueError: If `baseline` is not one of the models, or a name cannot be the name of a folder.
    """
    check_positive_int("batch", batch)
    if baseline not in models:
        raise ValueError(
            f"`baseline` must be one of {list(models)}. Received: baseline={baseline!r}"
        )
    for name in models:
        check_file_name("The name of a model", name)
    out = as_path("out", out)
    make_folder(out)
    path = out / f"latency-batch{batch}.json"
    kept: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    found: dict[str, dict[str, Figure] | str] = {}
    for name in models:
        if kept.get(name, {}).get(_BESIDE) != baseline:
            try:
                kept[name] = {_BESIDE: baseline, **_in_turns(models, name, baseline, out, batch)}
            except (OSError, ImportError, MemoryError):
                raise  # caused by the machine, not by the model
            except Exception as error:  # an error of a custom layer or of the runtime
                found[name] = f"{type(error).__name__}: {str(error)[:300]}"
                continue
            write_json(path, kept, indent=None)
        figures = ((n, figure) for n, figure in kept[name].items() if n != _BESIDE)
        found[name] = {n: Figure(**figure) for n, figure in figures}
    return found


def _in_turns(
    models: Mapping[str, Callable], name: str, baseline: str, out: Path, batch: int
) -> dict[str, Any]:
    calls = {}
    for who, one in (("variant", name), ("baseline", baseline)):
        folder = out / "served" / one
        if _metadata(folder) != _AS_TRAINED:
            model, options = perturbed(models[one]()), {"formats": ["onnx"], "signatures": []}
            export_model(model, folder, metadata=_AS_TRAINED, **options)
        calls[who] = _call(load_bundle(folder, threads=_THREADS), batch)
    measured = latency_in_turns(calls, _ROUNDS, batch=batch, threads=_THREADS)
    conditions = f"ONNX Runtime, {batch} rows, {_THREADS} thread, {measured.machine}"
    found = {
        f"{start}latency_p{q}": Figure(measured.percentile(who, q), "ms", "measured", conditions)
        for who, start in (("variant", ""), ("baseline", BASELINE))
        for q in (50, 90, 99)
    }
    own, other = (np.array(measured.milliseconds[who]) for who in ("variant", "baseline"))
    ratios = np.sort(own / other)
    # These order statistics form a distribution-free 95 % interval of the median.
    reach = round(0.98 * np.sqrt(len(ratios)))
    middle = len(ratios) // 2
    values = (np.median(ratios), ratios[middle - reach], ratios[middle + reach - 1])
    for name, value in zip(("latency_ratio", "latency_ratio_low", "latency_ratio_high"), values):
        found[name] = Figure(float(value), "of the baseline", "measured", conditions)
    return {name: figure.to_json() for name, figure in found.items()}


def _metadata(folder: Path) -> Any:
    path = folder / "manifest.json"
    return json.loads(path.read_text("utf-8")).get("metadata") if path.exists() else None


def _call(bundle: Any, batch: int):
    rows = bundle.random_inputs(batch)
    return lambda: bundle.session.run(None, rows)
