"""The result of `compress_bundle`: file sizes and quality before and after."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kranking.metrics import as_text


@dataclass(frozen=True)
class Compression:
    """The result of `compress_bundle`, which prints as a table of tasks.

    Attributes:
        directory: Folder of the new bundle.
        weights: Type of the weights, `"float16"` or `"int8"`.
        files: Bytes before and after, by ONNX file and for the shared file of weights.
        tasks: `auc` and `normalized_entropy` before and after, by task.
        rows: Number of rows of the log that were measured.
        moved: Largest `|Δp|` over these rows and tasks.

    >>> print(Compression(
    ...     Path("small"), "int8", {"model.onnx": (4_000, 1_100)},
    ...     {"save": {"auc": (0.75, 0.7496), "normalized_entropy": (0.9, 0.9004)}}, 5, 0.004,
    ... ))
    small: int8 weights, 27.5 % of the ONNX bytes; probabilities changed by at most 0.004 on 5 rows
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
        """Size of the ONNX files after compression, as a fraction of the size before."""
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
            f"{self.directory}: {self.weights} weights, {share} of the ONNX bytes; probabilities "
            f"changed by at most {self.moved:.2g} on {self.rows:,} rows"
        )
        return "\n".join([head, *table])

    def to_json(self) -> dict[str, Any]:
        """Returns all attributes except the directory, as written to the manifest."""
        return {
            "weights": self.weights,
            "files": {name: list(sizes) for name, sizes in self.files.items()},
            "tasks": {t: {k: list(v) for k, v in m.items()} for t, m in self.tasks.items()},
            "rows": self.rows,
            "moved": self.moved,
        }
