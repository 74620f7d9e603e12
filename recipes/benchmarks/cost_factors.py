"""Fits the factors of the cost formulas to what compiler and clock found: part of `cost_model.py`."""

from typing import Any

import numpy as np

# How strongly a class of layers is drawn to the factor common to all, against one model's relative error.
# Memory: estimates of single models are off by 0.05 or so, classes differ from each other by 0.35: their
# ratio. Latency: what predicted each of the fit's own seeds best from the others.
MEMORY_PULL, LATENCY_PULL = 0.15, 0.1
KINDS = ("step", "flop", "element")


def memory_shares(found: list[dict[str, Any]], works: list[Any], batch: int) -> dict[str, float]:
    """Fits XLA's temporary memory of a training step: a share of what each class of layers keeps."""
    terms = [_kept(work, batch) for work in works]
    memory = np.array([one["memory"] for one in found])
    wanted = np.array([one["temporary"] for one in found]) / memory
    names, design = _table(terms)
    design = design / memory[:, None]
    whole = design.sum(axis=1)
    common = float(whole @ wanted / (whole @ whole))
    shares = _drawn(design, wanted, np.full(len(names), common), MEMORY_PULL * common)
    fits = {name: round(float(share), 3) for name, share in zip(names, shares, strict=True)}
    return {"": round(common, 3), **fits}


def latency_factors(works: list[Any], latencies: list[tuple[int, np.ndarray]]) -> dict[str, Any]:
    """Fits milliseconds of served models, by batch: nanoseconds per weight, step, FLOP and element."""
    from scipy.optimize import nnls

    found = 1e6 * np.concatenate([milliseconds for _, milliseconds in latencies])
    terms = [_spent(work, batch) for batch, _ in latencies for work in works]
    kinds = ("weight", *KINDS)
    whole = np.array([[sum(_of_kind(term, kind)) for kind in kinds] for term in terms])
    start, _ = nnls(whole / found[:, None], np.ones(len(found)))
    common = dict(zip(kinds, start, strict=True))
    names, design = _table(terms)
    first = np.array([common[kind] for kind, _ in names])
    factors = _drawn(design / found[:, None], np.ones(len(found)), first, LATENCY_PULL)
    fits = {name: float(f"{factor:.3g}") for name, factor in zip(names, factors, strict=True)}
    general = {(kind, ""): float(f"{common[kind]:.3g}") for kind in KINDS}
    classes = sorted({of for kind, of in names if kind != "weight"})
    return {
        "weight": fits["weight", ""],
        "classes": {of: [(fits | general)[kind, of] for kind in KINDS] for of in ("", *classes)},
    }


def _kept(work: Any, batch: int) -> dict[str, float]:
    """Describes what each share is of, in bytes."""
    terms = {name: 4.0 * batch * saved for name, saved in work.saved_by.items()}
    terms["gradients"] = 4.0 * (work.parameters - work.table_parameters)
    terms["table_gradients"] = 4.0 * work.table_parameters
    return terms


def _spent(work: Any, batch: int) -> dict[tuple[str, str], float]:
    """Describes what each factor is of: weights read, steps, FLOPs, elements written."""
    terms = {("weight", ""): float(work.parameters - work.table_parameters)}
    for name, (steps, flops, saved) in work.by_class.items():
        terms |= zip(((k, name) for k in KINDS), (steps, batch * flops, batch * saved), strict=True)
    return terms


def _of_kind(term: dict[tuple[str, str], float], kind: str) -> list[float]:
    return [value for (one, _), value in term.items() if one == kind]


def _table(terms: list[dict[Any, float]]) -> tuple[list[Any], np.ndarray]:
    names = sorted({name for term in terms for name in term})
    return names, np.array([[term.get(name, 0.0) for name in names] for term in terms])


def _drawn(design: np.ndarray, wanted: np.ndarray, common: np.ndarray, pull: float) -> np.ndarray:
    """Returns non-negative factors, each drawn to the common one as if to one more, weak, observation."""
    from scipy.optimize import nnls

    rows = np.vstack([design * common, pull * np.eye(len(common))])
    times, _ = nnls(rows, np.concatenate([wanted, pull * np.ones(len(common))]))
    return times * common
