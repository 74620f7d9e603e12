"""SVG diagram of the layers of a model."""

from dataclasses import dataclass
from html import escape
from typing import Any

import keras

from kranking._core import check_instance
from kranking.layers import DHEN, Parallel, Residual
from kranking.layers.internal import leaves
from kranking.models._block_model import BlockModel
from kranking.models._later_view import LaterView
from kranking.models._walk import walk

_LINE, _CHARACTER, _PADDING, _GAP, _ARROW = 14, 6.4, 8, 8, 18


@dataclass
class _Box:
    """A part of the diagram: its size, and a function that draws it at a position."""

    width: float
    height: float
    draw: Any


def wiring(model: Any) -> str:
    """Draws a `RankingModel` from its fields to its tasks as an SVG diagram.

    Each box is a layer with the shape of its output. Branches are drawn above each other, with the view
    of the fields that each of them takes.

    Args:
        model: A `RankingModel`. It is built if it is not built yet.

    Returns:
        The text of an SVG file.

    >>> age = kr.features.Numeric("age", mean=40.0, std=10.0)
    >>> model = kr.RankingModel([age], [kr.layers.MLP([8])], [kr.Task("save")])
    >>> wiring(model).startswith("<svg")
    True
    """
    check_instance("model", model, BlockModel)
    model.build()
    steps = [step for step in walk(model.encoder, model.stack) if step.layer is not model.encoder]
    view = steps[0].layer
    parts = [_leaf("fields", _widths(view, steps[0].output_shape))]
    names = view.views
    for layer, shape, _ in steps[1:]:
        parts.append(_part(layer, shape, names))
        names = layer.views if isinstance(layer, LaterView) else None
    parts.append(_leaf("tasks", ", ".join(task.name for task in model.tasks)))
    box = _row(parts)
    width, height = box.width + 2 * _PADDING, box.height + 2 * _PADDING
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" '
            f'width="{width:g}" height="{height:g}" font-family="sans-serif" font-size="11">',
            f"<title>{escape(model.name)}: from fields to tasks</title>",
            f'<rect width="{width:g}" height="{height:g}" fill="white"/>',
            *box.draw(_PADDING, _PADDING),
            "</svg>",
            "",
        ]
    )


def _part(layer: Any, shape: Any, views: Any) -> _Box:
    """Draws a layer, or the layers inside a container."""
    if isinstance(layer, Parallel) and len(layer.branches) > 1:
        several = isinstance(shape, list) and len(shape) == len(layer.branches)
        shapes = shape if several else [shape] * len(layer.branches)
        names = views if several and isinstance(views, tuple) else [None] * len(shapes)
        rows = [_part(*each) for each in zip(layer.branches, shapes, names, strict=True)]
        return _frame(_column(rows, [_text(name) for name in names]), layer.merge)
    if isinstance(layer, Parallel):
        return _part(layer.branches[0], shape, views)
    if isinstance(layer, keras.Sequential):
        parts = []
        for inner in layer.layers:
            parts.append(_part(inner, shape, None))
            shape = inner.compute_output_shape(shape)
        return _row(parts)
    if isinstance(layer, Residual):
        return _frame(_part(layer.block, shape, None), "+ input")
    if isinstance(layer, LaterView):
        return _leaf("views", _widths(layer, layer.compute_output_shape(shape)))
    if isinstance(layer, DHEN):
        return _row(
            [_frame(_modules(step), f"{step.ensemble}, + shortcut") for step in layer.steps]
        )
    return _leaf(type(layer).__name__, _size(layer.compute_output_shape(shape)))


def _modules(step: Any) -> _Box:
    """Draws the modules of one DHEN layer, which all have the same input."""
    boxes = [_leaf(type(block).__name__, "") for block in step.blocks]
    return _column(boxes, [""] * len(boxes))


def _leaf(name: str, detail: str) -> _Box:
    width = _CHARACTER * max(len(name), len(detail)) + 2 * _PADDING
    height = _LINE * (2 if detail else 1) + _PADDING

    def draw(x, y):
        middle = x + width / 2
        lines = [
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="4" '
            'fill="#eef3f8" stroke="#5b7a99"/>',
            f'<text x="{middle:g}" y="{y + _LINE:g}" text-anchor="middle">{escape(name)}</text>',
        ]
        if detail:
            lines.append(
                f'<text x="{middle:g}" y="{y + 2 * _LINE:g}" text-anchor="middle" fill="#555">'
                f"{escape(detail)}</text>"
            )
        return lines

    return _Box(width, height, draw)


def _row(parts: list[_Box]) -> _Box:
    """Arranges parts from left to right with arrows between them."""
    width = sum(part.width for part in parts) + _ARROW * (len(parts) - 1)
    height = max(part.height for part in parts)

    def draw(x, y):
        lines = []
        for index, part in enumerate(parts):
            if index:
                middle = y + height / 2
                lines.append(f'<path d="M{x:g} {middle:g}h{_ARROW}m-5 -3l5 3l-5 3" {_STROKE}/>')
                x += _ARROW
            lines += part.draw(x, y + (height - part.height) / 2)
            x += part.width
        return lines

    return _Box(width, height, draw)


def _column(parts: list[_Box], labels: list[str]) -> _Box:
    """Arranges parts above each other, with the view that each of them takes to its left."""
    room = max(_CHARACTER * len(label) for label in labels)
    room += _GAP if room else 0
    width = room + max(part.width for part in parts)
    height = sum(part.height for part in parts) + _GAP * (len(parts) - 1)

    def draw(x, y):
        lines = []
        for part, label in zip(parts, labels, strict=True):
            if label:
                lines.append(
                    f'<text x="{x:g}" y="{y + part.height / 2 + 4:g}" fill="#555">'
                    f"{escape(label)}</text>"
                )
            lines += part.draw(x + room, y)
            y += part.height + _GAP
        return lines

    return _Box(width, height, draw)


def _frame(inner: _Box, label: str) -> _Box:
    """Draws a dashed frame around a part, labeled with the operation on its output."""
    width = max(inner.width, _CHARACTER * len(label)) + 2 * _PADDING
    height = inner.height + 2 * _PADDING + _LINE

    def draw(x, y):
        return [
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="6" '
            'fill="none" stroke="#999" stroke-dasharray="4 3"/>',
            *inner.draw(x + (width - inner.width) / 2, y + _PADDING),
            f'<text x="{x + width - _PADDING:g}" y="{y + height - 5:g}" text-anchor="end" '
            f'fill="#555">{escape(label)}</text>',
        ]

    return _Box(width, height, draw)


_STROKE = 'fill="none" stroke="#5b7a99"'


def _text(views: Any) -> str:
    return " + ".join(view for view in leaves(views) if view is not None)


def _widths(view: Any, shape: Any) -> str:
    """Returns the names of views with their sizes, as text."""
    found = dict(zip(leaves(view.views), _flat(_sizes(shape, view.views)), strict=True))
    return ", ".join(f"{name or 'as it is:'} {size}".strip() for name, size in found.items())


def _sizes(shape: Any, views: Any) -> Any:
    """Returns the sizes of shapes that are nested like the views."""
    if isinstance(views, tuple):
        return tuple(_sizes(s, v) for s, v in zip(shape, views, strict=True))
    return _size(shape)


def _flat(nested: Any) -> list[str]:
    return [n for part in nested for n in _flat(part)] if isinstance(nested, tuple) else [nested]


def _size(shape: Any) -> str:
    """Formats a shape without its batch axis, or the number of fields in a list."""
    if isinstance(shape, list):
        return str(len(shape))
    return " × ".join(str(axis) for axis in shape[1:])
