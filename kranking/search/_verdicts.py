"""Cached decisions on whether configurations are within a budget, analytic and confirmed."""

import contextlib
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from kranking.budget import Budget, Cost
from kranking.search._rejection import Rejection

MOST_CONFIRMATIONS = 20  # measurements per trial, since a worker waits for them


class EnoughMeasured(Exception):
    """Raised when the maximum number of confirmations for one trial is reached."""


class Verdicts:
    """Decides whether configurations are within a budget, and caches the decisions.

    Args:
        budget: The limits. `spread` is ignored, since it is known only after training.
        cost: Function from `keras_tuner.HyperParameters` to a `Cost` that takes milliseconds.
        baseline: Cost of the baseline.
        confirm: Slower function from `hp` to a `Cost`, called if `cost` is within the budget.
        confirmed_baseline: Cost of the baseline by `confirm`.
        hp_of: Function from values to `keras_tuner.HyperParameters`.
        key_of: Function from values to a key that identifies the configuration.
    """

    def __init__(
        self,
        budget: Budget,
        cost: Callable[[Any], Cost],
        *,
        baseline: Cost | None,
        confirm: Callable[[Any], Cost] | None,
        confirmed_baseline: Cost | None,
        hp_of: Callable[[Mapping[str, Any]], Any],
        key_of: Callable[[Mapping[str, Any]], str],
    ):
        self.budget, self.baseline = budget, baseline
        self._cost, self._confirm, self._confirmed_baseline = cost, confirm, confirmed_baseline
        self._hp_of, self._key_of = hp_of, key_of
        self.rejected: list[Rejection] = []
        self.confirming_seconds = 0.0
        self.confirmations = 0  # for the current trial; the caller resets it
        self._costs: dict[str, Cost] = {}
        self._found: dict[str, Rejection | None] = {}
        self._formulas: dict[str, tuple[Cost | None, Rejection | None]] = {}
        costs = (baseline, confirmed_baseline)
        self._judged_by = [confirm is not None, *(c and c.to_json() for c in costs)]

    def __len__(self) -> int:
        return len(self._found)

    @property
    def any_within(self) -> bool:
        """Whether a configuration within the budget has been found."""
        return any(verdict is None for verdict in self._found.values())

    @property
    def against(self) -> Cost | None:
        """Cost of the baseline, including confirmed figures."""
        if self.baseline is None or self._confirmed_baseline is None:
            return self.baseline
        return self.baseline.with_figures(**self._confirmed_baseline.figures)

    def rejection(self, values: Mapping[str, Any]) -> Rejection | None:
        """Returns why a configuration is rejected, or `None` if it is within the budget.

        Raises:
            EnoughMeasured: If a confirmation is needed and the maximum for this trial is reached.
        """
        values = _own(values)
        key = self._key_of(values)
        if key not in self._found:
            cost, verdict = self._by_formula(values, key)
            if cost is not None:
                self._costs[key] = cost
                if verdict is None and self._confirm is not None:
                    verdict = self._confirmed(values, key, cost)
            self._found[key] = verdict
            if verdict is not None:
                self.rejected.append(verdict)
        return self._found[key]

    def cost_of(self, values: Mapping[str, Any]) -> Cost | None:
        """Returns the cost of a configuration, or `None` if it cannot be built."""
        self.rejection(values)
        return self._costs.get(self._key_of(_own(values)))

    def excess(self, values: Mapping[str, Any]) -> float:
        """Returns the excess over the budget as a fraction of the limit; 0 within the budget."""
        verdict = self.rejection(values)
        return 0.0 if verdict is None else verdict.excess

    def excess_by_formula(self, values: Mapping[str, Any]) -> float:
        """Returns the excess like `excess`, but without confirming what is within the budget."""
        verdict = self._by_formula(values, self._key_of(values))[1]
        return 0.0 if verdict is None else self.excess(values)  # records the rejection

    def margin(self, values: Mapping[str, Any]) -> float:
        """Returns the largest `ln(received / limit)` over all limits."""
        cost, shares = self.cost_of(values), [-math.inf]
        if cost is None or self.rejection(values) is not None:
            return math.log1p(self.excess(values))
        for limit in self._without("spread").limits:
            most = limit.most(self.against)
            received = cost.parameters if limit.figure == "parameters" else cost[limit.figure].value
            shares.append(math.log(max(received, 1e-12) / most) if most > 0 else 0.0)
        return max(shares)

    def to_json(self) -> dict[str, Any]:
        """Returns the decisions and the criteria as a JSON-serializable dict."""
        within = [key for key, verdict in self._found.items() if verdict is None]
        return {
            "budget": self.budget.to_json(),
            "judged_by": self._judged_by,
            "rejected": [rejection.to_json() for rejection in self.rejected],
            "feasible": {key: self._costs[key].to_json() for key in within},
            "confirming_seconds": self.confirming_seconds,
        }

    def take_up(self, state: Mapping[str, Any]) -> None:
        """Restores the output of `to_json`, except for decisions with other criteria."""
        self.confirming_seconds = state["confirming_seconds"]
        measure = (self.budget.to_json(), self._judged_by)
        if (state["budget"], state.get("judged_by")) != measure:
            return  # the decisions are no longer valid
        self.rejected = [Rejection(**values) for values in state["rejected"]]
        self._costs = {key: Cost.from_json(values) for key, values in state["feasible"].items()}
        refused = {self._key_of(r.values): r for r in self.rejected}
        self._found = {**refused, **dict.fromkeys(state["feasible"])}

    def _by_formula(
        self, values: Mapping[str, Any], key: str
    ) -> tuple[Cost | None, Rejection | None]:
        """Returns the cost by `cost`, and the rejection by it, if any."""
        if key not in self._formulas:
            try:
                cost = self._cost(self._hp_of(values))
            except ValueError as error:
                self._formulas[key] = None, Rejection.unbuildable(values, error)
                return self._formulas[key]
            budget, found = self._without("spread"), []
            if self._confirm is None:
                found = budget.check(cost, self.baseline)
            else:
                missing = [m.name for m in budget.limits if not _holds(cost, m.figure)]
                # Unknown costs are an error only once the figures are confirmed.
                with contextlib.suppress(ValueError):
                    found = self._without("spread", *missing).check(cost, self.baseline)
            self._formulas[key] = cost, Rejection.of(values, found) if found else None
        return self._formulas[key]

    def _confirmed(self, values: Mapping[str, Any], key: str, cost: Cost) -> Rejection | None:
        """Returns why `confirm` rejects a configuration that `cost` accepts, or `None`."""
        assert self._confirm is not None
        if self.confirmations >= MOST_CONFIRMATIONS:
            raise EnoughMeasured
        self.confirmations += 1
        start = time.perf_counter()
        try:
            confirmed = self._confirm(self._hp_of(values))
            self._costs[key] = cost = cost.with_figures(**confirmed.figures)
        except ValueError as error:
            return Rejection.unbuildable(values, error)
        finally:
            self.confirming_seconds += time.perf_counter() - start
        found = self._without("spread").check(cost, self.against)
        return Rejection.of(values, found) if found else None

    def _without(self, *names: str) -> Budget:
        return Budget(**{k: v for k, v in self.budget.to_json().items() if k not in names})


def _own(values: Mapping[str, Any]) -> dict[str, Any]:
    """Removes the internal values of Hyperband."""
    return {name: value for name, value in values.items() if not name.startswith("tuner/")}


def _holds(cost: Cost, figure: str) -> bool:
    return figure in cost or figure == "parameters"
