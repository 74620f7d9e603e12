"""Constrained Bayesian optimization: proposing the next configuration within a budget."""

from typing import Any

import numpy as np

from kranking._process import no_warnings

_CANDIDATES = 1000  # random points from which the proposal is selected
_REMEMBERED = 200  # latest rejections that the model of the constraint is fitted to


def propose(oracle: Any) -> dict[str, Any] | None:
    """Returns the feasible candidate with the largest `EI(x) · P(x within budget)`.

    `EI` is the expected improvement over the best trial under the Gaussian process of the oracle. `P` is
    the probability of `ln(received / limit) ≤ 0` under a second Gaussian process, which is fitted to the
    configurations with known costs. Only configurations that the budget accepts are proposed; the
    probability merely guides the search.

    Args:
        oracle: A `BudgetOracle` that wraps the Bayesian oracle of KerasTuner.

    Returns:
        Hyperparameter values, or `None` if there are fewer trials than initial points or no candidate is
        accepted.
    """
    completed = [t for t in oracle.trials.values() if t.status == "COMPLETED"]
    initial = oracle.num_initial_points or max(3 * len(oracle.hyperparameters.space), 3)
    if len(completed) < initial:
        return None
    random = np.random.default_rng([oracle.seed, len(oracle.trials)])
    candidates = random.random((_CANDIDATES, len(oracle._nonfixed_space())))
    vectors, values = _unique(oracle, candidates)
    score = _improvement(oracle, vectors) * _probability(oracle, vectors)
    for index in np.argsort(-score):
        if oracle.rejection(values[index]) is None and not oracle._duplicate(values[index]):
            return values[index]
    return None


def _unique(oracle: Any, candidates: np.ndarray) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Returns the distinct configurations, with inactive parameters at their defaults."""
    found = {}
    for candidate in candidates:
        values = values_of(oracle, candidate)
        found.setdefault(oracle._compute_values_hash(values), values)
    return np.stack([_vector(oracle, v) for v in found.values()]), list(found.values())


def values_of(oracle: Any, candidate: np.ndarray) -> dict[str, Any]:
    """Equals `oracle._vector_to_values` but does not copy the whole space for every parameter."""
    shares, values = iter(candidate), {}
    for parameter in oracle.hyperparameters.space:
        fixed = type(parameter).__name__ == "Fixed"
        value = parameter.value if fixed else parameter.prob_to_value(next(shares))
        if all(condition.is_active(values) for condition in parameter.conditions):
            values[parameter.name] = value
    return values


def _vector(oracle: Any, values: dict[str, Any]) -> np.ndarray:
    return np.array(
        [p.value_to_prob(values.get(p.name, p.default)) for p in oracle._nonfixed_space()]
    )


def _improvement(oracle: Any, vectors: np.ndarray) -> np.ndarray:
    from scipy.stats import norm

    # Running trials enter with a predicted score, so the process is first fitted without them.
    done = [t for t in oracle.trials.values() if t.status == "COMPLETED"]
    sign = -1.0 if oracle.objective.direction == "max" else 1.0
    x = np.stack([_vector(oracle, t.hyperparameters.values) for t in done])
    y = sign * np.array([t.score for t in done])
    _fit(oracle.gpr, x, y)
    running = [_vector(oracle, t.hyperparameters.values) for t in oracle.ongoing_trials.values()]
    if running:
        mean, deviation = oracle.gpr.predict(np.stack(running), return_std=True)
        _fit(oracle.gpr, np.concatenate([x, running]), np.concatenate([y, mean + deviation]))
    mean, deviation = oracle.gpr.predict(vectors, return_std=True)
    best = y.min()
    z = (best - mean) / np.maximum(deviation, 1e-12)
    return (best - mean) * norm.cdf(z) + deviation * norm.pdf(z)


def _probability(oracle: Any, vectors: np.ndarray) -> np.ndarray:
    from scipy.stats import norm
    from sklearn.gaussian_process import GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import Matern

    refused = [r for r in oracle.rejected if np.isfinite(r.excess)][-_REMEMBERED:]
    if not refused:
        return np.ones(len(vectors))
    accepted = [t.hyperparameters.values for t in oracle.trials.values()]
    x = np.stack([_vector(oracle, dict(v)) for v in (*(r.values for r in refused), *accepted)])
    # The constraint value of an accepted trial is the log ratio of its tightest limit.
    y = [np.log1p(r.excess) for r in refused] + [oracle.verdicts.margin(v) for v in accepted]
    process = GaussianProcessRegressor(Matern(nu=2.5), alpha=1e-3, normalize_y=True)
    _fit(process, x, np.array(y))
    mean, deviation = process.predict(vectors, return_std=True)
    return norm.cdf(-mean / np.maximum(deviation, 1e-12))


def _fit(process: Any, x: np.ndarray, y: np.ndarray) -> None:
    with no_warnings():  # with few points, a length scale at its bound is expected
        process.set_params(n_restarts_optimizer=1, random_state=0).fit(x, y)
