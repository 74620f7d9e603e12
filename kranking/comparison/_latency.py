"""Latency of the models as they are served, in turns with the baseline."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from kranking.budget import Figure
from kranking.comparison._variant import Variant
from kranking.export import export_model, latency_in_turns, load_bundle

BASELINE = (
    "baseline_"  # the baseline's figures from the same turns, for a machine's mood to fall out
)
_ROUNDS, _THREADS = 200, 1


def latencies(
    variants: list[Variant], baseline: str, out: Path, batch: int
) -> dict[str, dict[str, Figure] | str]:
    """Exports each variant to ONNX and times it on ONNX Runtime, in turns with the baseline.

    Weights do not change what a model's products cost, so untrained models are served. What was measured is
    kept in `out`; of a variant that cannot be served, the reason is given and it is tried again.
    """
    path = out / f"latency-batch{batch}.json"
    kept: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    base = next(v for v in variants if v.name == baseline)
    found: dict[str, dict[str, Figure] | str] = {}
    for variant in variants:
        if variant.name not in kept:
            try:
                kept[variant.name] = _in_turns(variant, base, out, batch)
            except Exception as error:  # a user's layer, or a runtime's own error
                found[variant.name] = f"{type(error).__name__}: {str(error)[:300]}"
                continue
            temporary = path.with_suffix(".tmp")
            temporary.write_text(json.dumps(kept), "utf-8")
            temporary.replace(path)
        found[variant.name] = {n: Figure(**figure) for n, figure in kept[variant.name].items()}
    return found


def _in_turns(variant: Variant, base: Variant, out: Path, batch: int) -> dict[str, Any]:
    calls = {}
    for who, one in (("variant", variant), ("baseline", base)):
        folder = out / "served" / one.name
        if not (folder / "manifest.json").exists():
            export_model(one.make(), folder, formats=["onnx"], signatures=[])
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
    # Order statistics around the median hold it with 95 %, whatever the distribution.
    reach = round(0.98 * np.sqrt(len(ratios)))
    middle = len(ratios) // 2
    values = (np.median(ratios), ratios[middle - reach], ratios[middle + reach - 1])
    for name, value in zip(("latency_ratio", "latency_ratio_low", "latency_ratio_high"), values):
        found[name] = Figure(float(value), "of the baseline", "measured", conditions)
    return {name: figure.to_json() for name, figure in found.items()}


def _call(bundle: Any, batch: int):
    rows = bundle.random_inputs(batch)
    return lambda: bundle.session.run(None, rows)
