"""How far the ONNX files of a bundle with small weights may be from the model, signature by signature."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from kranking.export._error import ExportError
from kranking.export._finding import Finding
from kranking.export.bundle._manifest import MANIFEST
from kranking.export.checks._expected_answers import ExpectedAnswers
from kranking.export.functions._served_function import IDS, RANK, SERVE, TOWER

CEILING = 0.1  # of any answer, whatever the metrics say: beyond, it is another model
_SLACK = 3  # other rows, and processors that round in another order
_LEAST = 1e-4
_ALIKE = 10  # files of one graph move alike, give or take the rows


def with_tolerances(
    expectations: Mapping[str, ExpectedAnswers], tolerances: Mapping[str, float]
) -> dict[str, ExpectedAnswers]:
    """Gives the same with other tolerances, and without numbers of ±1e6: there rounded inputs decide."""
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
    """Gives each signature's tolerance, or raises if a file moved too far, or unlike the others.

    Args:
        reached: The largest difference by signature.
        moved: That of the first on a log.
    """
    if moved > CEILING:
        raise ExportError(
            f"Small weights should move no probability of the log by more than {CEILING:g}. "
            f"Received: {moved:.2g}"
        )
    most = _ALIKE * max(reached[IDS], moved, _LEAST)
    wrong = {name: reached[name] for name in (SERVE, RANK) if reached.get(name, 0.0) > most}
    if wrong:
        raise ExportError(
            f"Small weights should move the answers of one model alike in all files, {IDS} by "
            f"{max(reached[IDS], moved):.2g}. Received: {wrong}"
        )
    probability = max(moved, *(x for name, x in reached.items() if name != TOWER))
    found = {name: reached[name] if name == TOWER else probability for name in reached}
    return {name: max(_SLACK * value, _LEAST) for name, value in found.items()}


def differences_of(found: Sequence[Finding], names: Sequence[str]) -> dict[str, float]:
    """Gives the largest difference by signature from findings in the order of the signatures."""
    return dict(zip(names, [f.value for f in found if f.value is not None], strict=True))


def read_tolerances(manifest: Mapping[str, Any]) -> dict[str, float]:
    """Gives the tolerances that a manifest states, or raises unless each signature has a credible one."""
    described = manifest.get("compression")
    given = described.get("tolerance") if isinstance(described, Mapping) else None
    if (
        not isinstance(given, Mapping)
        or set(given) != set(manifest["signatures"])
        or not all(isinstance(x, float) and 0 < x <= _SLACK * CEILING for x in given.values())
    ):
        raise ValueError(
            f"{MANIFEST} of a bundle with small weights should give in `compression` a `tolerance` of at "
            f"most {_SLACK * CEILING:g} for each of {sorted(manifest['signatures'])}. Received: {given!r}"
        )
    return dict(given)
