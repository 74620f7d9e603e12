"""The outcome of a check, and doing a check so that the next one is done whatever comes out."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from kranking.export._error import ExportError

OK, WARNING, FAILED = "ok", "warning", "failed"


@dataclass(frozen=True)
class Finding:
    """What one check of a bundle found.

    Attributes:
        check: What was checked: `"file"`, `"interface"`, `"parity"`, …
        of: The file, artefact or figure that it was checked of.
        result: `"ok"`, `"warning"` or `"failed"`.
        figure: What was found: a number with its unit, or what is wrong and what was expected.
        value: The figure as a number where it is a difference.

    >>> Finding("parity", "onnx", "ok", "within 1.2e-07 on 95 rows", 1.2e-7).passed
    True
    """

    check: str
    of: str
    result: str
    figure: str
    value: float | None = None

    @property
    def passed(self) -> bool:
        """Whether the check did not fail; a warning passes."""
        return self.result != FAILED


def find(check: str, of: str, look: Callable[[], str | tuple[str, float]]) -> Finding:
    """Does a check: `look` gives its figure, with the number if there is one, or raises."""
    try:
        seen = look()
    except (ValueError, ExportError) as error:  # ours: they say what was expected
        return Finding(check, of, FAILED, str(error))
    except Exception as error:  # a check that breaks has failed, and the others go on
        return Finding(check, of, FAILED, f"Received: {type(error).__name__}: {error}")
    figure, value = (seen, None) if isinstance(seen, str) else seen
    return Finding(check, of, OK, figure, value)


def refuse_failed(found: Iterable[Finding]) -> None:
    """Raises `ExportError` with all that failed, if anything did."""
    failed = [finding for finding in found if not finding.passed]
    if failed:
        raise ExportError("\n".join(f"{f.check} {f.of}: {f.figure}" for f in failed))
