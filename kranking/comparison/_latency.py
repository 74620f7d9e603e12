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
) -> dict[str, dict[str, Figure]]:
    """Exports each variant to ONNX and times it on ONNX Runtime, in turns with the baseline.

    Weights do not change what a model's products cost, so untrained models are served. What was measured is
    kept in `out`; a variant that cannot be exported or built has no latency.
    """
    path = out / f"latency-batch{batch}.json"
    kept: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    base = next(v for v in variants if v.name == baseline)
    for variant in variants:
        if variant.name not in kept:
            kept[variant.name] = _in_turns(variant, base, out, batch)
            temporary = path.with_suffix(".tmp")
            temporary.write_text(json.dumps(kept), "utf-8")
            temporary.replace(path)
    return {
        name: {n: Figure(**figure) for n, figure in found.items()}
        for name, found in kept.items()
        if found is not None
    }


def _in_turns(variant: Variant, base: Variant, out: Path, batch: int) -> dict[str, Any] | None:
    calls = {}
    for who, one in (("variant", variant), ("baseline", base)):
        folder = out / "served" / one.name
        try:
            if not (folder / "manifest.json").exists():
                export_model(one.make(), folder, formats=["onnx"])
            calls[who] = _call(load_bundle(folder, threads=_THREADS), batch)
        except Exception:  # its row says so already, or it has no latency
            return None
    measured = latency_in_turns(calls, _ROUNDS, batch=batch, threads=_THREADS)
    conditions = f"ONNX Runtime, {batch} rows, {_THREADS} thread, {measured.machine}"
    found = {
        f"{start}latency_p{q}": Figure(measured.percentile(who, q), "ms", "measured", conditions)
        for who, start in (("variant", ""), ("baseline", BASELINE))
        for q in (50, 90, 99)
    }
    ratio = measured.ratio("variant", "baseline")
    found["latency_ratio"] = Figure(ratio, "of the baseline", "measured", conditions)
    return {name: figure.to_json() for name, figure in found.items()}


def _call(bundle: Any, batch: int):
    random = np.random.default_rng(0)
    rows = {
        value.name: (
            random.integers(0, 2, (batch, *value.shape))
            if value.dtype.startswith("int")
            else random.standard_normal((batch, *value.shape))
        ).astype(value.dtype)
        for value in bundle.signature.inputs
    }
    return lambda: bundle.session.run(None, rows)
