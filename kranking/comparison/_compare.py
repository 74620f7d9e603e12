"""Comparison of model variants within a budget."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kranking._core import check_mapping, check_positive_int, versions
from kranking._files import write_json
from kranking._identity import changed, plain_json, read_settings
from kranking._paths import as_path, make_folder
from kranking.budget import Budget, Cost, Figure
from kranking.comparison._comparison import Comparison, Row
from kranking.comparison._intervals import (
    UNDEFINED,
    Interval,
    paired_difference,
    paired_over_seeds,
    spread,
    wider,
)
from kranking.comparison._served_latencies import served_latencies
from kranking.comparison._trial import SESSION_METRICS, run_trial, sessions_of
from kranking.comparison._variant import Variant, describe, resolve
from kranking.data import LogFiles
from kranking.training import Protocol
from kranking.training.internal import keep_random_states


@keep_random_states()
def compare(
    variants: Mapping[str, Any],
    log: LogFiles,
    baseline: str,
    *,
    protocol: Protocol | None = None,
    seeds: int = 5,
    out: str | Path = "comparison",
    budget: Budget | None = None,
    latency_batch: int | None = 100,
    verbose: Any = "auto",
) -> Comparison:
    """Trains variants over several seeds and compares them to a baseline, with confidence intervals.

    All variants are trained with one seed before the next seed, so an interrupted run is a complete
    comparison over fewer seeds. Each finished training is a file in `out`: the same call resumes an
    interrupted one and retries failed trainings. A call with other files, declarations, tasks, protocol,
    backend, versions or baseline, or with another model under a known name, raises. A variant that fails,
    or whose loss is not finite, is listed with the reason.

    Args:
        variants: Variants by name (letters, digits, `_.+-`): a zero-argument callable that returns a new
            untrained model on each call, the name of an architecture, or `(name, arguments)`.
        log: Rows, declarations and tasks.
        baseline: Name of the variant to compare the others to.
        protocol: Training settings shared by all variants.
        seeds: Number of trainings per variant, with seeds 0, 1, ….
        out: Folder of the trainings and the report.
        budget: Limits to check each variant against.
        latency_batch: Number of rows per request when measuring serving latency, alternating with the
            baseline. `None` skips the measurement.
        verbose: Verbosity of `fit`.

    Returns:
        A `Comparison`, which is also written to `out`.

    Raises:
        ValueError: If the baseline is not a variant, or the folder belongs to another comparison.

    Reference: [Malreddy et al., 2024, tables 1 to 3](https://arxiv.org/abs/2412.01985)

    >>> compare({"mlp": "mlp"}, LogFiles("a", "b", "c", [], [kr.Task("save")], "session"), "dcn")
    Traceback (most recent call last):
      ...
    ValueError: `baseline` must be one of the variants ['mlp']. Received: baseline='dcn'
    """
    check_positive_int("seeds", seeds)
    check_positive_int("latency_batch", latency_batch, optional=True)
    if budget is not None and not isinstance(budget, Budget):
        raise ValueError(f"`budget` must be a kranking.budget.Budget. Received: budget={budget!r}")
    check_mapping("variants", variants, "variants by name")
    if baseline not in variants:
        raise ValueError(
            f"`baseline` must be one of the variants {list(variants)}. Received: baseline={baseline!r}"
        )
    protocol, out = protocol or Protocol(), as_path("out", out)
    resolved = [resolve(name, given, log) for name, given in variants.items()]
    _check_settings(out, resolved, log, protocol, baseline)
    trials: dict[str, list[dict[str, Any]]] = {variant.name: [] for variant in resolved}
    for seed in range(seeds):
        for variant in resolved:
            trials[variant.name].append(run_trial(variant, seed, log, protocol, out, verbose))
    served = {}
    if latency_batch is not None:
        makers = {variant.name: variant.make for variant in resolved}
        served = served_latencies(makers, baseline, out, latency_batch)
    rows = [
        _row(variant, trials, baseline, out, served.get(variant.name, {})) for variant in resolved
    ]
    report = Comparison(rows, baseline, budget, protocol.hit.name, log.main_task, trials)
    report.write(out)
    return report


def _check_settings(
    out: Path, variants: list[Variant], log: LogFiles, protocol: Protocol, baseline: str
):
    """Writes the settings, or raises `ValueError` if the folder belongs to another comparison."""
    settings = log.to_json() | {
        "protocol": protocol.to_json(),
        "backend": keras.backend.backend(),
        "versions": versions("keras", keras.backend.backend()),
        "baseline": baseline,
        "kept": list(SESSION_METRICS),
    }
    path = out / "settings.json"
    known = {v.name: describe(v) for v in variants}
    before = read_settings(path)
    if before is not None:
        old = before.get("variants", {})
        named = {f"variant {name!r}": known[name] for name in known if name in old}
        found = {name: before[name] for name in settings if name in before}
        found |= {f"variant {name!r}": one for name, one in old.items()}
        found = {name: one for name, one in found.items() if name in settings | named}
        if differs := changed(found, plain_json(settings | named)):
            raise ValueError(
                "`out` must be a new folder or the folder of the same comparison. "
                f"Received: out={str(out)!r}, which differs in {differs}"
            )
        known = {**old, **known}
    make_folder(out)
    settings |= {"variants": known}
    write_json(path, plain_json(settings), fsync=True)


def _row(
    variant: Variant,
    trials: dict[str, list[dict[str, Any]]],
    baseline: str,
    out: Path,
    latency: Mapping[str, Figure] | str,
) -> Row:
    mine, theirs = trials[variant.name], trials[baseline]
    failures = [t["failed"] for t in mine if "failed" in t]
    good = [t for t in mine if "failed" not in t]
    pairs = paired_trials(mine, theirs)
    hits, base_hits = _hits(good), _hits([t for t in theirs if "failed" not in t])
    figures = {}
    for name in pairs[0][0]["figures"] if pairs and variant.name != baseline else ():
        own, base = (np.array([_number(t[i]["figures"][name]) for t in pairs]) for i in (0, 1))
        figures[name] = paired_over_seeds(own, base)
    other = variant.name != baseline
    rates = [t["samples_per_second"] for t in good if t["samples_per_second"] is not None]
    cost = Cost.from_json(good[0]["cost"]) if good and good[0]["cost"] else None
    if cost is not None and not isinstance(latency, str):
        cost = cost.with_figures(**latency)
    return Row(
        name=variant.name,
        metric=float(np.mean(hits)) if good else float("nan"),
        difference=difference(mine, theirs, out, "hit") if other else None,
        entropy=difference(mine, theirs, out, "ne") if other else None,
        figures=figures,
        means={n: _mean(good, n) for n in (good[0]["figures"] if good else ())},
        spread=spread(hits),
        wider=float("nan") if variant.name == baseline else wider(hits, base_hits),
        cost=cost,
        samples_per_second=float(np.median(rates or [np.nan])),
        trained=len(good),
        failures=failures,
        not_served=latency if isinstance(latency, str) else "",
        positives=good[0]["positives"] if good else 0,
    )


def paired_trials(
    mine: list[dict[str, Any]], theirs: list[dict[str, Any]]
) -> list[tuple[Any, Any]]:
    """Returns the pairs of trials with the same seed that finished for both variants."""
    return [(a, b) for a, b in zip(mine, theirs) if "failed" not in a and "failed" not in b]


def difference(
    mine: list[dict[str, Any]], theirs: list[dict[str, Any]], out: Path, metric: str
) -> Interval:
    """Returns the difference of two variants in a session metric, paired over seeds and sessions."""
    pairs = paired_trials(mine, theirs)
    if not pairs:
        return UNDEFINED
    own, base = (np.stack([sessions_of(t[i], out, metric) for t in pairs]) for i in (0, 1))
    if metric == "hit" and any(t["hit"] is None for pair in pairs for t in pair):
        return UNDEFINED
    return paired_difference(own, base)


def _hits(trials: list[dict[str, Any]]) -> np.ndarray:
    return np.array([_number(trial["hit"]) for trial in trials])


def _number(value: float | None) -> float:
    return float("nan") if value is None else value


def _mean(trials: list[dict[str, Any]], name: str) -> float:
    return float(np.mean([_number(trial["figures"][name]) for trial in trials]))
