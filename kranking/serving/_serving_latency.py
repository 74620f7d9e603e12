"""The result of `serving_latency`, as figures, a table and a plot."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kranking._report import markdown_table, panels, save_figure
from kranking.export.internal import RANK, SAVED_MODEL, SERVE
from kranking.serving._latency_in_turns import Latencies

ONNX, BASELINE, BASELINE_SAVED = "onnx", "baseline onnx", "baseline saved_model"
# What the ONNX file is compared to, and the name of the figure.
_OTHERS = {
    SAVED_MODEL: "speedup",
    BASELINE: "speedup_over_baseline",
    BASELINE_SAVED: "speedup_over_baseline_saved_model",
}


@dataclass(frozen=True)
class ServingLatency:
    """The result of `serving_latency`.

    Args:
        by_batch: Interleaved latencies of the artefacts, by rows per call.
        ranked: Latencies of `rank` for one request and of `serve` for the same candidates as flat rows;
            `None` if the bundle has no `rank`.
        rank_bound: Speedup of `rank` that the FLOPs of the model alone allow.
        floors: Milliseconds that the matrix products of a batch take at `gflops`, by rows per call.
        gflops: Rate of a large matrix product in ONNX Runtime in GFLOP/s, the best of the measurements
            between batch sizes.
    """

    by_batch: Mapping[int, Latencies]
    ranked: Latencies | None = None
    rank_bound: float = 1.0
    floors: Mapping[int, float] = field(default_factory=dict)
    gflops: float = float("nan")

    def figures(self) -> dict[str, float]:
        """Returns speedups over the SavedModel and the baseline, and of `rank`, as a flat dict."""
        found: dict[str, float] = {}
        for batch, measured in self.by_batch.items():
            for other, name in _OTHERS.items():
                if other in measured.milliseconds:
                    found[f"{name}_{batch}"] = measured.ratio(other, ONNX)
            found[f"over_floor_{batch}"] = measured.percentile(ONNX, 50) / self.floors[batch]
        if self.ranked is not None:
            count = self.ranked.batch
            found[f"rank_speedup_{count}"] = self.ranked.ratio(SERVE, RANK)
            found[f"rank_bound_{count}"] = self.rank_bound
        return found

    def to_json(self) -> dict[str, Any]:
        """Returns the figures and the percentiles of all artefacts, with the conditions."""
        ranked = {} if self.ranked is None else {"rank": self.ranked.to_json()}
        by_batch = {str(batch): found.to_json() for batch, found in self.by_batch.items()}
        return {"figures": self.figures(), "by_batch": by_batch, **ranked, "gflops": self.gflops}

    def to_markdown(self) -> str:
        """Returns a table of p50, p90 and p99 in ms, rows/s, and p50 relative to the ONNX file."""
        headings = ["rows", "artefact", "p50", "p90", "p99", "rows/s", "p50 relative to ONNX"]
        rows = [
            _cells(batch, name, measured, ONNX)
            for batch, measured in self.by_batch.items()
            for name in measured.milliseconds
        ]
        if self.ranked is None:
            return "\n".join(markdown_table(headings, rows, left=2))
        count = self.ranked.batch or 0
        rows += [_cells(count, name, self.ranked, RANK) for name in (RANK, SERVE)]
        gain = self.ranked.ratio(SERVE, RANK)
        lines = [*markdown_table(headings, rows, left=2), ""]
        lines += [f"`rank` of {count} candidates is {gain:.2f} times as fast as flat rows;"]
        lines += [f"the FLOPs alone allow {self.rank_bound:.2f} times."]
        return "\n".join(lines)

    def plot(self, path: str | os.PathLike) -> None:
        """Plots p50, with marks for p90 and p99, by artefact and rows per call."""
        count = len(self.by_batch)
        figure, axes = panels(count, (3.0 * count + 1.4, 3.0), sharey=True)
        for axis, (batch, measured) in zip(axes, self.by_batch.items()):
            names = list(measured.milliseconds)
            p50, p90, p99 = ([measured.percentile(name, q) for name in names] for q in (50, 90, 99))
            places = range(len(names))
            axis.barh(places, p50, color="C0", height=0.6)
            axis.scatter(p90, places, marker="|", color="0.2", s=90, label="p90")
            axis.scatter(p99, places, marker="|", color="C3", s=90, label="p99")
            axis.set(title=f"{batch} rows", xlabel="ms")
            axis.set_yticks(places, names)
        axes[0].invert_yaxis()
        axes[-1].legend(frameon=False)
        save_figure(figure, path)


def _cells(batch: int, name: str, measured: Latencies, against: str) -> list[str]:
    p50, p90, p99 = (measured.percentile(name, q) for q in (50, 90, 99))
    ratio = measured.ratio(name, against)
    latencies = (f"{p:.3f}" for p in (p50, p90, p99))
    return [f"{batch:,}", name, *latencies, f"{1e3 * batch / p50:,.0f}", f"{ratio:.2f}"]
