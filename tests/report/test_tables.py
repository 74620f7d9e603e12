"""Tables, pages and files of reports: no text in a cell breaks what it stands in."""

import html
import re

import pytest

from kranking._report import (
    Html,
    aligned_table,
    bullet_list,
    heading,
    html_page,
    html_table,
    image,
    markdown_list,
    markdown_table,
    panels,
    paragraph,
    save_figure,
    terminal_table,
    write_files,
)

pytestmark = pytest.mark.once

HOSTILE = [
    "a|b",
    "a\\|b",
    "ends in \\",
    "two\nlines",
    "[bold]no markup[/]",
    "[/]",
    ":smile:",
    "<script>alert('&')</script>",
    "",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown_row_is_one_line_of_as_many_cells(text, cells_of):
    lines = markdown_table([text, "n"], [[text, "1"], ["plain", text]], left=1)
    assert lines[1] == "|---|---:|"
    assert all("\n" not in line for line in lines)
    flat = text.replace("\n", " ")
    assert [cells_of(line) for line in (lines[0], *lines[2:])] == [
        [flat, "n"],
        [flat, "1"],
        ["plain", flat],
    ]


def test_markdown_of_plain_cells_is_as_written():
    lines = markdown_table(["a", "b"], [["`x`", "*1* [link](#x)"]])
    assert lines == ["| a | b |", "|---|---|", "| `x` | *1* [link](#x) |"]
    assert markdown_table(["a", "b"], []) == lines[:2]


@pytest.mark.parametrize("text", [t for t in HOSTILE if "\n" not in t])
def test_terminal_shows_cells_as_they_are(text):
    table = terminal_table(["heading " + text, "n"], [["cell " + text, "1"]])
    assert "heading " + text in table
    assert "cell " + text in table


def test_terminal_keeps_columns_under_each_other():
    lines = terminal_table(["name", "n"], [["two\nlines", "1"]]).splitlines()
    assert len({len(line) for line in lines}) == 1


def test_aligned_table():
    lines = aligned_table(["name", "n"], [["a|b", "1"], ["two\nlines", "22"]])
    assert lines == ["name       n", "a|b        1", "two lines  22"]


@pytest.mark.parametrize("text", HOSTILE)
def test_html_is_escaped(text):
    escaped = html.escape(text)
    assert html_table([text], [[text]]).count(escaped) >= 2
    parts = [heading(text), paragraph(text), bullet_list([text])]
    page = html_page(text, parts)
    assert "<script>" not in page
    assert f"<title>{escaped}</title>" in page
    for tag in ("h1", "h2", "p", "li"):
        assert f"<{tag}>{escaped}</{tag}>" in page


def test_html_cell_stays_html():
    assert "<td><b>1</b></td>" in html_table(["n"], [[Html("<b>1</b>")]])


def test_list_item_is_one_line():
    assert markdown_list(["one\nitem", "two"]) == ["- one item", "- two"]


def test_page_needs_no_other_file():
    figure, axes = panels(2)
    assert len(axes) == 2
    assert tuple(figure.get_size_inches()) == (11.0, 3.8)
    page = html_page("t", [image('a "plot"', figure)])
    assert 'alt="a &quot;plot&quot;" src="data:image/png;base64,iVBOR' in page
    assert not re.search(r"<script|<link|src=\"http", page)


@pytest.mark.parametrize(("name", "start"), [("x.png", b"\x89PNG"), ("x.svg", b"<?xml")])
def test_figure_is_saved_as_its_name_says(tmp_path, name, start):
    figure, _ = panels(1)
    save_figure(figure, tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(start)
    assert list(tmp_path.iterdir()) == [tmp_path / name]


def test_write_files(tmp_path):
    folder = tmp_path / "made" / "for it"
    write_files(folder, {"a.md": "é", "b.json": {"name": "é", "of": [1]}})
    assert (folder / "a.md").read_bytes() == "é".encode()
    assert (folder / "b.json").read_text("utf-8") == '{\n "name": "é",\n "of": [\n  1\n ]\n}\n'
    assert sorted(path.name for path in folder.iterdir()) == ["a.md", "b.json"]
