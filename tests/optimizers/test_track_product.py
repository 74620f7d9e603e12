"""Nadam's product of momenta is state of the optimizer, also inside a loss scaler."""

import keras
import numpy as np

import kranking as kr


def test_the_product_is_tracked_and_moves():
    features = [kr.features.Categorical("country", vocabulary=("DE",), embedding_dim=2)]
    model = kr.RankingModel(features, [keras.layers.Identity()], [kr.Task("save")])
    scaler = keras.optimizers.LossScaleOptimizer(keras.optimizers.Nadam(0.1), initial_scale=2.0)
    model.compile(scaler, weighted_metrics=None)
    product = scaler.inner_optimizer._u_product
    assert any(v is product for v in scaler.variables)
    x, y = {"country": np.ones(4, "int32")}, {"save": np.ones(4, "float32")}
    for _ in range(2):
        model.train_on_batch(x, y)
    # 0.9 (1 − 0.5 · 0.96^t) for t = 1 and 2
    expected = 0.9 * (1 - 0.5 * 0.96) * 0.9 * (1 - 0.5 * 0.96**2)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(product), expected, rtol=1e-5)
