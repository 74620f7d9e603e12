"""Table of the memory and time of each layer of a model."""

from typing import Any

from kranking._core import check_instance
from kranking._report import Html, aligned_table, html_table
from kranking.budget._cost import as_text
from kranking.budget._peak_shares import peak_elements
from kranking.models import RankingModel

_HEADINGS = ("layer", "class", "parameters", "FLOPs per row", "activations of a batch")
_BAR = 16


class LayerTable:
    """Result of `layer_table`: a text table in a terminal, HTML in a notebook.

    Attributes:
        rows: One dict per layer, in order: `layer`, `class`, `parameters`, `flops`, `memory` (bytes of
            activations saved for the backward pass).
        batch_size: Number of rows in the batch.
    """

    def __init__(self, rows: list[dict[str, Any]], batch_size: int):
        self.rows = rows
        self.batch_size = batch_size

    def __str__(self) -> str:
        rows = [[row["layer"], row["class"], *self._cells(row, "█")] for row in self.rows]
        return "\n".join(aligned_table(_HEADINGS, rows))

    def to_html(self) -> str:
        """Returns the table as one HTML element without scripts or links."""
        rows = []
        for row in self.rows:
            cells = [row["layer"], row["class"]]
            for key, text in zip(("parameters", "flops", "memory"), self._cells(row, "")):
                style = (
                    f"background:linear-gradient(90deg,#cfe3f5 {100 * self._share(row, key):.1f}%,"
                    "transparent 0)"
                )
                cells.append(Html(f'<span style="display:block;{style}">{text.strip()}</span>'))
            rows.append(cells)
        return html_table(_HEADINGS, rows)

    _repr_html_ = to_html

    def _cells(self, row: dict[str, Any], mark: str) -> list[str]:
        texts = [
            f"{row['parameters']:,}",
            f"{row['flops']:,}",
            as_text(row["memory"], "bytes"),
        ]
        if not mark:
            return texts
        bars = [mark * round(_BAR * self._share(row, k)) for k in ("parameters", "flops", "memory")]
        return [f"{text:>12} {bar}" for text, bar in zip(texts, bars)]

    def _share(self, row: dict[str, Any], key: str) -> float:
        total = sum(other[key] for other in self.rows)
        return row[key] / total if total else 0.0


def layer_table(model: RankingModel, batch_size: int = 4096) -> LayerTable:
    """Returns the parameters, FLOPs and saved activations of each layer of a model, with bars.

    Args:
        model: The model; its weights need not exist.
        batch_size: Number of rows in a batch.

    >>> age = kr.features.Numeric("age", mean=40.0, std=10.0)
    >>> model = kr.RankingModel([age], [kr.layers.MLP([8], name="deep")], [kr.Task("save")])
    >>> table = layer_table(model)
    >>> [(row["class"], row["parameters"]) for row in table.rows if row["parameters"]]
    [('MLP', 16), ('SharedBottom', 9)]
    """
    check_instance("model", model, RankingModel)
    itemsize = 2 if model.compute_dtype in ("bfloat16", "float16") else 4
    rows = []
    for layer, work in model.layer_work():
        rows.append(
            {
                "layer": layer.name,
                "class": type(layer).__name__,
                "parameters": work.parameters,
                "flops": work.matmul_flops,
                "memory": float(itemsize * batch_size * peak_elements(work)),
            }
        )
    return LayerTable(rows, batch_size)
