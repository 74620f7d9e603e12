"""How figures are written in reports."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kranking._core import finite as finite
from kranking.comparison._intervals import Interval


def spread_text(found: Interval) -> str:
    """Gives a spread with its interval."""
    if math.isnan(found.estimate):
        return "undefined"
    return f"{found.estimate:.4f} [{found.low:.4f}, {found.high:.4f}]"


def percent(difference: Interval | None, base: float) -> str:
    """Gives a difference in per cent of `base`, with its interval."""
    if difference is None or math.isnan(difference.estimate):
        return "–" if difference is None else "undefined"
    if not base:
        return str(difference)  # nothing to be relative to
    low, high = sorted((100 * difference.low / base, 100 * difference.high / base))
    return f"{100 * difference.estimate / base:+.2f} % [{low:+.2f}, {high:+.2f}]"


def markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Gives the lines of a table."""
    lines = ["| " + " | ".join(headings) + " |", "|" + "---|" * len(headings)]
    return lines + ["| " + " | ".join(row) + " |" for row in rows]


def terminal(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Gives a table for a terminal."""
    from rich.console import Console
    from rich.table import Table

    table = Table(*headings)
    for row in rows:
        table.add_row(*row)
    console = Console(width=200)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def write_texts(out: Path, texts: Mapping[str, str]) -> None:
    """Writes files by name into a folder; each appears whole or not at all."""
    out.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        temporary = out / f".{name}.tmp"
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(out / name)


def write_report(report: Any, out: Path, name: str) -> None:
    """Writes a report as Markdown, HTML and JSON."""
    texts = {f"{name}.md": report.to_markdown(), f"{name}.html": report.to_html()}
    text = json.dumps(report.to_json(), indent=1, ensure_ascii=False)
    write_texts(out, texts | {f"{name}.json": text})
