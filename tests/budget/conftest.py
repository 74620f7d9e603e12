import pytest

import kranking as kr


@pytest.fixture
def features():
    """A table, a number and a given vector."""
    return [
        kr.features.Categorical("user", hash_buckets=1000, embedding_dim=8, side="user"),
        kr.features.Numeric("age", mean=40.0, std=10.0),
        kr.features.Embedding("cover", dim=16),
    ]


@pytest.fixture
def tasks():
    return [kr.Task("save"), kr.Task("hide")]


@pytest.fixture
def model(features, tasks):
    with kr.models.without_weights():
        return kr.RankingModel(
            features, [kr.layers.CrossNetwork(depth=2), kr.layers.MLP([32, 16])], tasks
        )
