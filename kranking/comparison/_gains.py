"""Relative gains between any two variants of a comparison."""

from dataclasses import dataclass
from pathlib import Path

from kranking._core import check_choice
from kranking.comparison._compare import difference
from kranking.comparison._comparison import Comparison
from kranking.comparison._intervals import Interval
from kranking.comparison._trial import SESSION_METRICS


@dataclass(frozen=True)
class Gains:
    """Gains of variants over others in percent; positive is better.

    Args:
        comparison: The comparison of the variants.
        out: Folder of its trainings.
        by: Measure of the gain: `"hit"`, the main metric, or `"ne"`, the decrease of the normalized
            entropy of the main task.
    """

    comparison: Comparison
    out: Path
    by: str

    def __post_init__(self):
        check_choice("by", self.by, SESSION_METRICS)

    def __call__(self, name: str, reference: str, by: str | None = None) -> Interval:
        """Returns the gain of a variant over a reference, in percent."""
        by = by or self.by
        trials = self.comparison.trials
        found = difference(trials[name], trials[reference], self.out, by)
        row = self.comparison[reference]
        whole = row.metric
        if by == "ne":
            whole = -row.means.get(f"{self.comparison.task}_ne", float("nan"))
        nothing = whole == 0  # a relative gain is undefined
        parts = [
            float("nan") if nothing else 100 * part / whole for part in (found.low, found.high)
        ]
        middle = float("nan") if nothing else 100 * found.estimate / whole
        return Interval(middle, min(parts), max(parts))

    def clear(self, name: str, reference: str) -> bool:
        """Whether a variant is better than a reference beyond noise."""
        return self(name, reference).low > 0
