"""Widths from trained tables: against scikit-learn's principal components, and through a model."""

import numpy as np
import pytest
from sklearn.decomposition import PCA

import kranking as kr
from kranking.features import Categorical, Numeric, Sequence
from kranking.training import embedding_tables, field_dims_from_tables, with_field_dims


def spread(rows, width, decay, seed=0):
    """A table whose directions matter less and less, turned and moved away from the origin."""
    random = np.random.default_rng(seed)
    turn = np.linalg.qr(random.standard_normal((width, width)))[0]
    values = random.standard_normal((rows, width)) * decay ** np.arange(width)
    return (values @ turn + 3.0).astype("float32")


def expected(table, ratio):
    explained = np.cumsum(PCA().fit(table.astype("float64")).explained_variance_ratio_)
    return int(np.argmax(explained >= ratio - 1e-12)) + 1


@pytest.mark.parametrize("ratio", [0.5, 0.8, 0.95, 0.98, 0.9999])
@pytest.mark.parametrize(
    ("rows", "width", "decay"), [(500, 16, 0.7), (40, 8, 0.9), (5, 16, 0.9), (2, 4, 1.0)]
)
def test_equals_principal_components(rows, width, decay, ratio):
    table = spread(rows, width, decay)
    found = field_dims_from_tables({"f": table}, ratio)
    assert found == {"f": expected(table, ratio)}
    assert found["f"] <= min(rows, width)


def test_many_rows_are_summed_up_by_parts(monkeypatch):
    table = spread(1000, 8, 0.6)
    whole = field_dims_from_tables({"f": table}, 0.9)
    monkeypatch.setattr("kranking.training._field_dims._ROWS_AT_ONCE", 64)
    assert field_dims_from_tables({"f": table}, 0.9) == whole


def test_a_known_spectrum():
    """Variances 8, 4, 2, 1 of 15: 8/15 = 0.53, 12/15 = 0.8, 14/15 = 0.93."""
    rows = np.kron(np.diag(np.sqrt([8.0, 4.0, 2.0, 1.0])), [[1.0], [-1.0]])
    dims = [field_dims_from_tables({"f": rows}, r)["f"] for r in (0.0, 0.5, 0.54, 0.81, 0.94, 1.0)]
    assert dims == [1, 1, 2, 3, 4, 4]


@pytest.mark.parametrize(
    "table",
    [np.zeros((5, 4)), np.full((7, 4), 0.1, "float32"), np.full((7, 4), 1e6 / 3), np.ones((1, 4))],
    ids=["zeros", "tenths", "large", "one row"],
)
@pytest.mark.parametrize("ratio", [0.5, 1.0])
def test_a_constant_table_needs_one(table, ratio):
    assert field_dims_from_tables({"f": table}, ratio) == {"f": 1}


def test_a_full_ratio_counts_the_directions_there_are():
    flat = np.random.default_rng(0).standard_normal((50, 3)) @ np.eye(3, 8)
    assert field_dims_from_tables({"f": flat}, 1.0) == {"f": 3}


def test_the_scale_of_a_table_does_not_matter():
    table = spread(60, 8, 0.7)
    dims = field_dims_from_tables({"a": table, "b": table * 1e-6, "c": table * 1e6}, 0.9)
    assert len(set(dims.values())) == 1


FEATURES = [
    Categorical("country", vocabulary=tuple("abcdefg"), embedding_dim=8),
    Numeric("price", mean=0.0, std=1.0),
    Numeric("age", transform="bucketize", boundaries=(18, 30, 50), embedding_dim=8),
    Categorical("item", vocabulary=tuple(range(10)), embedding_dim=8),
    Sequence("saves", of="item", max_length=4),
]


def test_a_models_tables_by_name_give_a_smaller_model():
    model = kr.RankingModel(FEATURES, [kr.layers.MLP([4])], [kr.Task("save")])
    low_rank = spread(8, 2, 1.0) @ np.eye(2, 8) - 3.0
    (table,) = model.encoder.tables  # all three have one width, and so one variable
    table.assign(np.concatenate([low_rank, spread(5, 8, 1.0), spread(11, 8, 1.0)]))
    tables = embedding_tables(model)
    assert {n: t.shape for n, t in tables.items()} == {
        "country": (8, 8),
        "age": (5, 8),
        "item": (11, 8),
    }
    np.testing.assert_allclose(tables["country"], low_rank, rtol=1e-6)
    dims = field_dims_from_tables(tables, 0.999)
    assert dims["country"] == 2
    assert dims["age"] == 4  # five rows around their mean
    smaller = with_field_dims(FEATURES, dims)
    assert [f.name for f in smaller] == [f.name for f in FEATURES]
    assert smaller[1] == FEATURES[1]
    again = kr.RankingModel(smaller, [kr.layers.MLP([4])], [kr.Task("save")])
    assert again.encoder.field_widths == {**dims, "price": 1, "saves": dims["item"]}


def test_features_without_a_new_width_stay_as_they_are():
    assert with_field_dims(FEATURES, {}) == FEATURES
    assert with_field_dims(FEATURES, {"age": 3})[2].embedding_dim == 3
    assert FEATURES[2].embedding_dim == 8


@pytest.mark.parametrize("table", [np.ones(3), np.ones((0, 4)), np.full((2, 2), np.nan)], ids=str)
def test_rejects_tables_that_are_none(table):
    with pytest.raises(
        ValueError, match=r"`tables\['f'\]` must be a finite, non-empty array .*Received: shape"
    ):
        field_dims_from_tables({"f": table})


@pytest.mark.parametrize("ratio", [-0.1, 1.1, "0.9", None])
def test_rejects_a_bad_ratio(ratio):
    with pytest.raises(ValueError, match=r"`ratio` must be a number in \[0, 1\]. Received: ratio="):
        field_dims_from_tables({}, ratio)


@pytest.mark.parametrize("name", ["price", "saves", "nothing"])
def test_rejects_a_feature_without_a_table(name):
    with pytest.raises(ValueError, match=rf"features with an embedding table.*Received: '{name}'"):
        with_field_dims(FEATURES, {name: 2})


def test_rejects_a_bad_width_and_suggests_a_name():
    with pytest.raises(ValueError, match=r"`dims\['age'\]` must be a positive integer.*=0"):
        with_field_dims(FEATURES, {"age": 0})
    with pytest.raises(ValueError, match=r"Did you mean 'country'"):
        with_field_dims(FEATURES, {"county": 2})
