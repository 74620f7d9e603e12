"""Self-contained HTML pages: no scripts, no links, inline images."""

import base64
import html
import io
from collections.abc import Sequence
from typing import Any

_STYLE = (
    "body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:75rem;padding:0 1rem}"
    "table{border-collapse:collapse;font-variant-numeric:tabular-nums}"
    "th,td{padding:.3rem .6rem;border-bottom:1px solid #ddd;text-align:left}"
    "img{max-width:100%}"
)


def html_page(title: str, parts: Sequence[str]) -> str:
    """Returns an HTML page with an escaped title and parts that are HTML already."""
    title = html.escape(title)
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style><h1>{title}</h1>{''.join(parts)}</html>\n"
    )


def heading(text: str) -> str:
    """Returns the heading of a section; the text is escaped."""
    return f"<h2>{html.escape(text)}</h2>"


def paragraph(text: str) -> str:
    """Returns a paragraph; the text is escaped."""
    return f"<p>{html.escape(text)}</p>"


def bullet_list(lines: Sequence[str]) -> str:
    """Returns a list with one item per line; the lines are escaped."""
    return "<ul>" + "".join(f"<li>{html.escape(line)}</li>" for line in lines) + "</ul>"


def image(description: str, figure: Any) -> str:
    """Returns a matplotlib figure as an inline PNG image."""
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=110)
    text = base64.b64encode(data.getvalue()).decode("ascii")
    return f'<img alt="{html.escape(description)}" src="data:image/png;base64,{text}">'
