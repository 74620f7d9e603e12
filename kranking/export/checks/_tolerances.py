"""Tolerances for the ONNX files of a bundle with low-precision weights, by signature."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from kranking.export._error import ExportError
from kranking.export._finding import Finding
from kranking.export.bundle._manifest import MANIFEST
from kranking.export.checks._expected_answers import ExpectedAnswers
from kranking.export.functions._served_function import IDS, RANK, SERVE, TOWER

CEILING = (
    0.1  # largest difference of any output, whatever the metrics: above it, it is a different model
)
_SLACK = 3  # margin for other rows, and for processors that round in a different order
_LEAST = 1e-4
_ALIKE = 10  # differences of the files of one model are similar and depend on the rows


def with_tolerances(
    expectations: Mapping[str, ExpectedAnswers], tolerances: Mapping[str, float]
) -> dict[str, ExpectedAnswers]:
    """Replaces tolerances and drops the case of numbers of ±1e6, where rounding of inputs dominates."""
    found = {}
    for name, expected in expectations.items():
        kept = [i for i, case in enumerate(expected.cases) if case.name != "large"]
        found[name] = replace(
            expected,
            cases=[expected.cases[i] for i in kept],
            answers=[expected.answers[i] for i in kept],
            tolerance=tolerances[name],
        )
    return found


def tolerances_of(reached: Mapping[str, float], moved: float) -> dict[str, float]:
    """Returns the tolerance of each signature.

    Args:
        reached: Largest difference on the check rows, by signature.
        moved: Largest difference of the first signature on a log.

    Raises:
        ExportError: If the differences are too large, or much larger for one file than for the others.
    """
    if moved > CEILING:
        raise ExportError(
            f"Low-precision weights must change no probability on the log by more than {CEILING:g}. "
            f"Received: a change of {moved:.2g}"
        )
    most = _ALIKE * max(reached[IDS], moved, _LEAST)
    wrong = {name: reached[name] for name in (SERVE, RANK) if reached.get(name, 0.0) > most}
    if wrong:
        raise ExportError(
            f"Low-precision weights must change the outputs of all files by similar amounts, that of {IDS} "
            f"is {max(reached[IDS], moved):.2g}. Received: {wrong}"
        )
    probability = max(moved, *(x for name, x in reached.items() if name != TOWER))
    found = {name: reached[name] if name == TOWER else probability for name in reached}
    return {name: max(_SLACK * value, _LEAST) for name, value in found.items()}


def differences_of(found: Sequence[Finding], names: Sequence[str]) -> dict[str, float]:
    """Returns the largest difference by signature, from findings in the order of the signatures."""
    return dict(zip(names, [f.value for f in found if f.value is not None], strict=True))


def read_tolerances(manifest: Mapping[str, Any]) -> dict[str, float]:
    """Returns the tolerances in a manifest; raises `ValueError` unless each signature has a valid one."""
    described = manifest.get("compression")
    given = described.get("tolerance") if isinstance(described, Mapping) else None
    if (
        not isinstance(given, Mapping)
        or set(given) != set(manifest["signatures"])
        or not all(isinstance(x, float) and 0 < x <= _SLACK * CEILING for x in given.values())
    ):
        raise ValueError(
            f"{MANIFEST} must have `compression.tolerance` with a positive number of at most "
            f"{_SLACK * CEILING:g} for each of {sorted(manifest['signatures'])}, because the bundle has "
            f"low-precision weights. Received: tolerance={given!r}"
        )
    return dict(given)
