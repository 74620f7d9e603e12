"""The pages of docs/adr are numbered without gaps, and its index lists each with its title."""

import re
from pathlib import Path

import pytest

DECISIONS = Path(__file__).parents[2] / "docs" / "adr"
ROW = re.compile(r"^\| \[(\d+)\]\((\S+)\) \| (.+?) \| (.+?) \|$", re.MULTILINE)

pytestmark = pytest.mark.once


def test_numbers_have_no_gaps():
    numbers = [int(page.name[:4]) for page in sorted(DECISIONS.glob("[0-9]*.md"))]
    assert numbers == list(range(1, len(numbers) + 1))


def test_index_lists_every_page():
    pages = []
    for page in sorted(DECISIONS.glob("[0-9]*.md")):
        number, title = page.read_text("utf-8").splitlines()[0].removeprefix("# ").split(". ", 1)
        assert int(number) == int(page.name[:4])
        pages.append((number, page.name, title))
    rows = ROW.findall((DECISIONS / "README.md").read_text("utf-8"))
    assert [row[:3] for row in rows] == pages


def test_every_page_has_the_same_parts():
    parts = ["Context", "Decision", "Consequences"]
    for page in sorted(DECISIONS.glob("[0-9]*.md")):
        assert re.findall(r"^## (.+)$", page.read_text("utf-8"), re.MULTILINE) == parts, page.name
