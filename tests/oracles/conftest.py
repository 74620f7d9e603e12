"""What the oracle tests share: the comparison, and a table of what was found."""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.append(str(Path(__file__).parent))  # for what several files import by name

FOUND = []


@pytest.fixture
def compare():
    """Gives a function that asserts |Δ| ≤ 1e-5 (1 + |y|) on outputs that vary, and keeps the figure."""

    def check(name, ours, theirs):
        ours, theirs = (np.asarray(x, "float64") for x in (ours, theirs))
        assert ours.shape == theirs.shape
        assert np.std(theirs) > 0.05, "an output that does not vary proves nothing"
        gap = float(np.max(np.abs(ours - theirs) / (1 + np.abs(theirs))))
        FOUND.append((name, gap))
        assert gap <= 1e-5

    return check


@pytest.fixture(scope="module", autouse=True)
def _table():
    """Prints the figures of a file when it is done; `pytest -s` shows them."""
    FOUND.clear()
    yield
    for name, gap in FOUND:
        print(f"\n| {name} | {gap:.1e} |", end="")
