"""The result of `verify_bundle`."""

from dataclasses import dataclass
from pathlib import Path

from kranking._report import aligned_table
from kranking.export._finding import WARNING, Finding


@dataclass(frozen=True)
class Verification:
    """The result of `verify_bundle`, which prints as a table with one line per check.

    Attributes:
        directory: Folder of the bundle.
        findings: The results of all checks in order.

    >>> found = kr.export.Finding("opset", "onnx", "failed", "must be 18. Received: 17")
    >>> verification = Verification(Path("served"), (found,))
    >>> verification.passed
    False
    >>> print(verification)
    check       result  figure
    opset onnx  failed  must be 18. Received: 17
    served: 1 checks, 0 warnings, 1 failed
    """

    directory: Path
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        """Whether no check failed; warnings count as passed."""
        return not self.failed

    @property
    def failed(self) -> tuple[Finding, ...]:
        """The checks that failed."""
        return tuple(finding for finding in self.findings if not finding.passed)

    def __str__(self) -> str:
        rows = [
            # Errors of other libraries may have several lines and indents, a row of the table has none.
            (f"{f.check} {f.of}", f.result, " ".join(f.figure.split()))
            for f in self.findings
        ]
        return "\n".join([*aligned_table(("check", "result", "figure"), rows), self._summary()])

    def _summary(self) -> str:
        warnings = sum(finding.result == WARNING for finding in self.findings)
        return (
            f"{self.directory}: {len(self.findings)} checks, {warnings} warnings, "
            f"{len(self.failed)} failed"
        )
