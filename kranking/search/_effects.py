"""Effects of the parameters of a search space on the metric."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kranking.search._found import Found

_GROUPS = 3  # groups of equal size of a numeric parameter
_CHANCES = 2000  # permutations of the permutation test


@dataclass(frozen=True)
class Effect:
    """The effect of one parameter on the metric in a search.

    Args:
        parameter: Name of the parameter.
        means: Mean metric of the trials by value, or by thirds of a numeric range.
        explained: Fraction of the variance of the metric explained by these groups.
        chance: Fraction of permutations of the metric that explain at least as much (p-value).
        trials: Number of trials in which the parameter was active.
    """

    parameter: str
    means: dict[str, float]
    explained: float
    chance: float
    trials: int


def effects(trials: Sequence[Found]) -> list[Effect]:
    """Returns the effect of each parameter with at least two values, the strongest first.

    The explained fraction is `η² = Σ_g n_g (m_g - m)² / Σ_i (y_i - m)²` over the groups `g`, among the
    trials in which the parameter is active. Parameters are analyzed one at a time, so the effects of
    correlated parameters are not separated.
    """
    names = {name: None for one in trials for name in one.values}
    seen = [_effect(name, [one for one in trials if name in one.values]) for name in names]
    return sorted((e for e in seen if e is not None), key=lambda e: (e.chance, -e.explained))


def _effect(name: str, trials: Sequence[Found]) -> Effect | None:
    values = [one.values[name] for one in trials]
    y = np.array([one.metric for one in trials])
    labels = _labels(values)
    if len(set(labels)) < 2 or len(trials) <= len(set(labels)) or not np.ptp(y):
        return None
    groups = np.unique(labels, return_inverse=True)[1]
    explained = _explained(groups, y)
    random = np.random.default_rng(0)
    shuffled = [_explained(groups, random.permutation(y)) for _ in range(_CHANCES)]
    chance = (1 + sum(s >= explained - 1e-12 for s in shuffled)) / (1 + _CHANCES)
    means = {
        label: float(y[[one == label for one in labels]].mean()) for label in dict.fromkeys(labels)
    }
    return Effect(name, means, explained, float(chance), len(trials))


def _labels(values: Sequence[Any]) -> list[str]:
    number = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    if not number or len(set(values)) <= _GROUPS:
        return [str(value) for value in values]
    order = np.argsort(np.argsort(values, kind="stable"), kind="stable")
    parts = order * _GROUPS // len(values)
    bounds = {
        p: (
            min(v for v, q in zip(values, parts) if q == p),
            max(v for v, q in zip(values, parts) if q == p),
        )
        for p in set(parts)
    }
    return [f"{bounds[p][0]:.3g} to {bounds[p][1]:.3g}" for p in parts]


def _explained(groups: np.ndarray, y: np.ndarray) -> float:
    count = np.bincount(groups)
    means = np.bincount(groups, y) / count
    return float(np.sum(count * (means - y.mean()) ** 2) / np.sum((y - y.mean()) ** 2))
