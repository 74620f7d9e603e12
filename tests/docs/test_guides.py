"""Guides are short, show code first, and leave dated figures to docs/results."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
WORDS, WORDS_BEFORE_CODE = 600, 120
FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
DATE = re.compile(r"\b(?:January|February|March|April|May|June|July|August|September|October"
                  r"|November|December) 20\d\d")  # fmt: skip

pytestmark = pytest.mark.once


def guides():
    """Returns the pages under "Guides" in the navigation that are written in docs/."""
    navigation = (DOCS / "index.md").read_text("utf-8")
    names = re.search(r":caption: Guides\n\n(.*?)```", navigation, re.DOTALL)[1].split()
    pages = [DOCS / f"{name}.md" for name in names]
    return [page for page in pages if "The text of this page is" not in page.read_text("utf-8")]


def words(text):
    return re.findall(r"\S*\w\S*", text)


def test_there_are_guides():
    assert {"getting-started", "serving"} <= {page.stem for page in guides()}


@pytest.mark.parametrize("page", guides(), ids=lambda page: page.stem)
def test_guide_is_short_and_shows_code_first(page):
    text = page.read_text("utf-8")
    assert len(words(FENCED.sub("", text))) <= WORDS
    assert len(words(text[: FENCED.search(text).start()])) <= WORDS_BEFORE_CODE
    assert not DATE.search(text)
