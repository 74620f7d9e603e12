"""What the tests of tables and those of reports share."""

import re

import pytest


@pytest.fixture
def cells_of():
    """Returns a function that splits a row of a Markdown table as GitHub does, escapes taken away."""

    def split(line):
        assert line.startswith("| ")
        assert line.endswith(" |")
        cells = re.findall(r"((?:\\.|[^\\|])*)\|", line[1:])
        return [re.sub(r"\\([\\|])", r"\1", cell.strip()) for cell in cells]

    return split
