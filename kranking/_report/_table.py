"""Tables for a terminal, Markdown and HTML; the text of a cell cannot break its table."""

import html
import re
from collections.abc import Sequence

Cells = Sequence[str]

_PIPE = re.compile(r"(\\*)\|")


class Html(str):
    """Text that is HTML already and is not escaped in a cell."""

    __slots__ = ()


def markdown_table(headings: Cells, rows: Sequence[Cells], left: int | None = None) -> list[str]:
    r"""Returns the lines of a Markdown table.

    Cells may contain Markdown. A `|` is escaped, and a line break becomes a space.

    Args:
        headings: Headings of the columns.
        rows: Cells, row by row.
        left: Number of left-aligned columns; the others are right-aligned. `None` left-aligns all.

    >>> markdown_table(["layer", "parameters"], [["a|b", "16"]], left=1)
    ['| layer | parameters |', '|---|---:|', '| a\\|b | 16 |']
    """
    left = len(headings) if left is None else left
    rule = "|" + "---|" * left + "---:|" * (len(headings) - left)
    first, *others = [f"| {' | '.join(map(_markdown, row))} |" for row in (headings, *rows)]
    return [first, rule, *others]


def markdown_list(lines: Sequence[str]) -> list[str]:
    """Returns the lines of a Markdown bullet list, one per item."""
    return [f"- {_one_line(line)}" for line in lines]


def terminal_table(headings: Cells, rows: Sequence[Cells]) -> str:
    """Returns a table with borders for a terminal; brackets and colons are not parsed as markup."""
    from rich.console import Console
    from rich.table import Table

    table = Table(*headings)
    for row in rows:
        table.add_row(*row)
    console = Console(width=200, markup=False, emoji=False)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def aligned_table(headings: Cells, rows: Sequence[Cells]) -> list[str]:
    """Returns the lines of a table with columns aligned by spaces, without borders."""
    lines = [[_one_line(cell) for cell in row] for row in (headings, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines)]
    return ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]


def html_table(headings: Cells, rows: Sequence[Cells]) -> str:
    """Returns an HTML table; cells are escaped unless they are `Html`."""
    head = "".join(f"<th>{_html(text)}</th>" for text in headings)
    body = "".join(f"<tr>{''.join(f'<td>{_html(cell)}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _markdown(cell: str) -> str:
    # Backslashes before a `|` are doubled, or they would escape the added one.
    return _PIPE.sub(r"\1\1\\|", _one_line(cell))


def _html(cell: str) -> str:
    return cell if isinstance(cell, Html) else html.escape(cell)


def _one_line(cell: str) -> str:
    return " ".join(cell.splitlines())
