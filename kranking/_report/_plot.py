"""Plots of reports."""

import os
from pathlib import Path
from typing import Any

from kranking._files import replaced


def panels(count: int, size: tuple[float, float] | None = None, **options: Any) -> tuple[Any, Any]:
    """Returns a matplotlib figure and `count` axes side by side.

    Args:
        count: Number of axes.
        size: Width and height in inches; the default is 5.5 per axes by 3.8.
        **options: Arguments of `Figure.subplots`.
    """
    # Not pyplot, which would open windows and keep figures in the session of the caller.
    from matplotlib.figure import Figure

    figure = Figure(figsize=size or (5.5 * count, 3.8), layout="constrained")
    axes = figure.subplots(1, count, squeeze=False, **options)[0]
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, axes


def save_figure(figure: Any, path: str | os.PathLike) -> None:
    """Writes a figure to a file, in the format of its suffix (PNG by default)."""
    kind = Path(path).suffix.removeprefix(".") or "png"
    with replaced(path) as temporary:
        figure.savefig(temporary, format=kind, dpi=110)
