"""What one variant of a comparison gains over another, whichever of them was the baseline."""

from dataclasses import dataclass
from pathlib import Path

from kranking._core import check_choice
from kranking.comparison._compare import difference
from kranking.comparison._comparison import Comparison
from kranking.comparison._intervals import Interval
from kranking.comparison._trial import SESSION_METRICS


@dataclass(frozen=True)
class Gains:
    """Differences between any two variants, in per cent, more being better.

    Args:
        comparison: The report of the trainings.
        out: Their folder.
        by: The measure: `"hit"`, the main metric, or `"ne"`, the main task's normalised entropy, whose
            gain is its fall.
    """

    comparison: Comparison
    out: Path
    by: str

    def __post_init__(self):
        check_choice("by", self.by, SESSION_METRICS)

    def __call__(self, name: str, reference: str, by: str | None = None) -> Interval:
        """Gives the gain of a variant over another."""
        by = by or self.by
        trials = self.comparison.trials
        found = difference(trials[name], trials[reference], self.out, by)
        row = self.comparison[reference]
        whole = row.metric
        if by == "ne":
            whole = -row.means.get(f"{self.comparison.task}_ne", float("nan"))
        nothing = whole == 0  # to be relative to
        parts = [
            float("nan") if nothing else 100 * part / whole for part in (found.low, found.high)
        ]
        middle = float("nan") if nothing else 100 * found.estimate / whole
        return Interval(middle, min(parts), max(parts))

    def clear(self, name: str, reference: str) -> bool:
        """Says whether a variant is better than another beyond noise."""
        return self(name, reference).low > 0
