import keras
import numpy as np

import kranking as kr


def model():
    keras.utils.set_random_seed(0)
    features = [kr.features.Categorical("user", hash_buckets=9, embedding_dim=4)]
    blocks = [keras.layers.BatchNormalization(), kr.layers.MLP([3], dropout=0.5)]
    return kr.RankingModel(features, blocks, [kr.Task("save")])


def test_what_is_one_number_repeated_moves_a_little():
    before, after = model().get_weights(), kr.models.perturbed(model()).get_weights()
    moved = 0
    for old, new in zip(before, after, strict=True):
        if old.dtype.kind == "f" and np.ptp(old) == 0:
            assert np.all(new != old)
            np.testing.assert_allclose(new, old, atol=0.1)
            moved += 1
        else:  # a kernel, a table, the seed of dropout
            np.testing.assert_array_equal(old, new)
    assert moved == 6  # two biases; γ, β, mean and variance


def test_the_seed_decides():
    one, same, other = (kr.models.perturbed(model(), seed).get_weights() for seed in (3, 3, 4))
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert any(not np.array_equal(a, b) for a, b in zip(one, other, strict=True))
