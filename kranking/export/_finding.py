"""The result of a check, and running a check so that a failure does not stop the next ones."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from kranking.export._error import ExportError

OK, WARNING, FAILED = "ok", "warning", "failed"


@dataclass(frozen=True)
class Finding:
    """The result of one check of a bundle.

    Attributes:
        check: What was checked: `"file"`, `"interface"`, `"parity"`, …
        of: The file, artefact or figure that was checked.
        result: `"ok"`, `"warning"` or `"failed"`.
        figure: The result as text: a number with its unit, or what is wrong and what was expected.
        value: The figure as a number, if it is a difference.

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
        """Whether the check did not fail; a warning counts as passed."""
        return self.result != FAILED


def find(check: str, of: str, look: Callable[[], str | tuple[str, float]]) -> Finding:
    """Runs a check: `look` returns its figure, with the number if there is one, or raises."""
    try:
        seen = look()
    except (ValueError, ExportError) as error:  # kranking's own messages include what was expected
        return Finding(check, of, FAILED, str(error))
    except Exception as error:  # an error fails this check only
        return Finding(check, of, FAILED, f"Received: {type(error).__name__}: {error}")
    figure, value = (seen, None) if isinstance(seen, str) else seen
    return Finding(check, of, OK, figure, value)


def refuse_failed(found: Iterable[Finding]) -> None:
    """Raises `ExportError` with all failed checks, if there are any."""
    failed = [finding for finding in found if not finding.passed]
    if failed:
        raise ExportError("\n".join(f"{f.check} {f.of}: {f.figure}" for f in failed))
