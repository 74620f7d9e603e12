"""The report of an export."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class ExportReport:
    """The result of `export_model`: the bundle, and its largest differences from the model.

    Attributes:
        directory: Folder of the bundle.
        manifest: The contents of its `manifest.json`.

    >>> manifest = {"check": {"reached": {"onnx": 3e-7}}, "files": {"model.onnx": {"bytes": 2000}}}
    >>> print(ExportReport(Path("served"), manifest))
    served: 2,000 bytes in 1 files
      onnx: within 3e-07 of the model's probabilities
    """

    directory: Path
    manifest: Mapping[str, Any]

    @property
    def reached(self) -> Mapping[str, float]:
        """Largest `|Δp|` over all check rows, by artefact."""
        return self.manifest["check"]["reached"]

    def __str__(self) -> str:
        sizes = {name: entry["bytes"] for name, entry in self.manifest["files"].items()}
        lines = [f"{self.directory}: {sum(sizes.values()):,} bytes in {len(sizes)} files"]
        for artefact, difference in self.reached.items():
            lines.append(f"  {artefact}: within {difference:.2g} of the model's probabilities")
        return "\n".join(lines)
