"""What small weights cost: bytes of files and quality of tasks, before and after."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kranking.metrics import as_text


@dataclass(frozen=True)
class Compression:
    """What `compress_bundle` wrote, and what it cost; printed, it is a table of tasks.

    Attributes:
        directory: The smaller bundle.
        weights: How weights are kept.
        files: By ONNX file, and the file of weights that they share, its bytes before and after.
        tasks: By task, `auc` and `normalized_entropy`, each before and after.
        rows: Rows of the log that they were measured on.
        moved: The largest |Δp| over these rows and tasks.

    >>> print(Compression(
    ...     Path("small"), "int8", {"model.onnx": (4_000, 1_100)},
    ...     {"save": {"auc": (0.75, 0.7496), "normalized_entropy": (0.9, 0.9004)}}, 5, 0.004,
    ... ))
    small: weights in int8, 27.5 % of the ONNX files' bytes; on 5 rows probabilities moved by at most 0.004
    task  AUC     after   change   NE      after   change
    save  0.7500  0.7496  -0.0004  0.9000  0.9004  +0.04 %
    """

    directory: Path
    weights: str
    files: Mapping[str, tuple[int, int]]
    tasks: Mapping[str, Mapping[str, tuple[float, float]]]
    rows: int
    moved: float

    @property
    def share(self) -> float:
        """Bytes of the ONNX files after over before."""
        before, after = (sum(sizes) for sizes in zip(*self.files.values()))
        return after / before

    def __str__(self) -> str:
        lines = [("task", "AUC", "after", "change", "NE", "after", "change")]
        for task, measured in self.tasks.items():
            (a, b), (c, d) = measured["auc"], measured["normalized_entropy"]
            changes = [as_text(b - a, "+.4f"), as_text(d / c - 1, "+.2%").replace("%", " %")]
            lines.append(
                (task, as_text(a), as_text(b), changes[0], as_text(c), as_text(d), changes[1])
            )
        widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
        table = ["  ".join(f"{x:{w}}" for x, w in zip(line, widths)).rstrip() for line in lines]
        share = f"{self.share:.1%}".replace("%", " %")
        head = (
            f"{self.directory}: weights in {self.weights}, {share} of the ONNX files' bytes; on "
            f"{self.rows:,} rows probabilities moved by at most {self.moved:.2g}"
        )
        return "\n".join([head, *table])

    def to_json(self) -> dict[str, Any]:
        """Gives everything but the directory, as the manifest holds it."""
        return {
            "weights": self.weights,
            "files": {name: list(sizes) for name, sizes in self.files.items()},
            "tasks": {t: {k: list(v) for k, v in m.items()} for t, m in self.tasks.items()},
            "rows": self.rows,
            "moved": self.moved,
        }
