"""Rows that artefacts are checked with hold what a log holds: known and unknown values, and some nulls."""

import numpy as np
import pytest

from kranking.export.functions._raw_rows import log_columns
from kranking.features import Categorical

pytestmark = pytest.mark.once
ROWS = 1000


@pytest.mark.parametrize("vocabulary", [("a", "b"), (3, 5)], ids=["strings", "integers"])
def test_drawn_ids_are_known_unknown_and_null(vocabulary):
    features = [Categorical("c", vocabulary=vocabulary)]
    values = log_columns(features, ROWS, np.random.default_rng(0))["c"].to_pylist()
    known = sum(value in vocabulary for value in values)
    nulls = sum(value is None for value in values)
    # Nine of ten are there, and seven of ten of those are known; ten deviations are 158 at most.
    assert known == pytest.approx(0.9 * 0.7 * ROWS, abs=158)
    assert nulls == pytest.approx(0.1 * ROWS, abs=95)
    assert known + nulls < ROWS


def test_drawn_hashed_ids_are_sometimes_null():
    values = log_columns([Categorical("c", hash_buckets=9)], ROWS, np.random.default_rng(0))["c"]
    assert values.null_count == pytest.approx(0.1 * ROWS, abs=95)


def test_drawn_lists_are_sometimes_null():
    features = [Categorical("c", vocabulary=("a",), max_length=3)]
    values = log_columns(features, ROWS, np.random.default_rng(0))["c"]
    assert values.null_count == pytest.approx(0.1 * ROWS, abs=95)
