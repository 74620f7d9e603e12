"""Trains on two replicas, where a row of the second one overflows the scaled gradient."""

import keras
import numpy as np

import kranking as kr

BATCH = 16


def main() -> None:
    strategy = kr.training.mirrored_strategy(num_logical_cpus=2)
    keras.utils.set_random_seed(0)
    country = kr.features.Categorical("country", vocabulary=("DE",), embedding_dim=4)
    with strategy.scope():
        blocks = [keras.layers.Identity()]
        model = kr.RankingModel([country], blocks, [kr.Task("save")], dtype="mixed_float16")
        model.compile("adam", weighted_metrics=None)
    weights = np.ones(BATCH, "float32")
    weights[BATCH // 2] = 1e4  # the first row of the second replica
    losses = model.fit(
        {"country": np.ones(BATCH, "int32")},
        {"save": np.ones((BATCH, 1), "float32")},
        sample_weight={"save": weights},
        batch_size=BATCH,
        epochs=20,
        shuffle=False,
        verbose=0,
    ).history["loss"]
    assert np.isfinite(losses).all(), losses
    assert losses[-1] < losses[0]
    scale = keras.ops.convert_to_numpy(model.optimizer.dynamic_scale)
    assert 1.0 < scale < model.optimizer.initial_scale


if __name__ == "__main__":
    main()
