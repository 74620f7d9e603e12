import keras
import numpy as np

import kranking as kr


def model():
    keras.utils.set_random_seed(0)
    features = [kr.features.Categorical("user", hash_buckets=9, embedding_dim=4)]
    blocks = [keras.layers.BatchNormalization(), kr.layers.MLP([3], dropout=0.5)]
    return kr.RankingModel(features, blocks, [kr.Task("save")])


def test_every_number_moves_up_a_little():
    before, after = model().get_weights(), kr.models.perturbed(model()).get_weights()
    kinds = set()
    for old, new in zip(before, after, strict=True):
        kinds.add(old.dtype.kind)
        if old.dtype.kind == "f":
            assert np.all((new > old) & (new < old + 0.2))
        else:
            np.testing.assert_array_equal(old, new)  # the seed of dropout
    assert kinds >= {"f"}


def test_the_seed_decides():
    one, same, other = (kr.models.perturbed(model(), seed).get_weights() for seed in (3, 3, 4))
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(one, other, strict=True))
