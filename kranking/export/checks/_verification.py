"""The outcome of `verify_bundle` as a table."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kranking.export._finding import WARNING, Finding

_HEADINGS = ("check", "result", "figure")


@dataclass(frozen=True)
class Verification:
    """What `verify_bundle` found; printed, it is a table with a line for each check.

    Attributes:
        directory: The bundle.
        findings: Every check in order.

    >>> found = kr.export.Finding("opset", "onnx", "failed", "should be 18. Received: 17")
    >>> verification = Verification(Path("served"), (found,))
    >>> verification.passed
    False
    >>> print(verification)
    check       result  figure
    opset onnx  failed  should be 18. Received: 17
    served: 1 checks, 0 warnings, 1 failed
    """

    directory: Path
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Whether no check failed; warnings pass."""
        return not self.failed

    @property
    def failed(self) -> tuple[Finding, ...]:
        """The checks that failed."""
        return tuple(finding for finding in self.findings if not finding.passed)

    def __str__(self) -> str:
        lines = [
            _HEADINGS,
            # An error of another library may have lines of its own: a row of the table is one.
            *((f"{f.check} {f.of}", f.result, " ".join(f.figure.split())) for f in self.findings),
        ]
        return "\n".join([*_align(lines), self._summary()])

    def _summary(self) -> str:
        warnings = sum(finding.result == WARNING for finding in self.findings)
        return (
            f"{self.directory}: {len(self.findings)} checks, {warnings} warnings, "
            f"{len(self.failed)} failed"
        )


def _align(lines: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(len(line[i]) for line in lines) for i in range(2)]
    for check, result, figure in lines:
        yield f"{check:{widths[0]}}  {result:{widths[1]}}  {figure}".rstrip()
