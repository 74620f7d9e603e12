"""Outputs of TFRS's layers and ours with equal weights, as JSON: Keras 2 needs a process of its own."""

import json

import keras
import numpy as np
import tensorflow as tf
import tensorflow_recommenders as tfrs

import kranking as kr

WIDTH, ROWS = 7, 16


def drawn(shape, seed):
    return np.random.default_rng(seed).normal(size=shape).astype("float32")


def randomised(layer, seed):
    layer.set_weights([drawn(w.shape, seed + i) / 2 for i, w in enumerate(layer.get_weights())])
    return layer


def outputs(ours, theirs):
    ours = keras.ops.convert_to_numpy(ours)
    return {"ours": ours.tolist(), "theirs": theirs.numpy().tolist()}


def cross(config, depth):
    x = x0 = drawn((ROWS, WIDTH), 0)
    layers = [tfrs.layers.dcn.Cross(**config) for _ in range(depth)]
    for seed, layer in enumerate(layers):
        layer(x0)
        x = randomised(layer, 10 * seed)(x0, x)
    return outputs(kr.interop.from_tfrs_cross(layers)(x0), x)


def multi_layer_dcn(config):
    x = drawn((ROWS, WIDTH), 0)
    layer = tfrs.layers.feature_interaction.MultiLayerDCN(**config)
    layer(x)
    return outputs(kr.interop.from_tfrs_cross(randomised(layer, 3))(x), layer(x))


def dot(own):
    x = drawn((ROWS, 5, WIDTH), 1)
    layer = tfrs.layers.feature_interaction.DotInteraction(self_interaction=own)
    theirs = layer([tf.constant(x[:, i]) for i in range(5)])
    return outputs(kr.layers.DotInteraction(self_interaction=own)(x), theirs)


def main():
    report = {}
    for config in (
        {},
        {"use_bias": False},
        {"diag_scale": 0.5},
        {"projection_dim": 3},
        {"projection_dim": 3, "use_bias": False},
        {"preactivation": "linear"},
    ):
        for depth in (1, 3):
            report[f"TFRS Cross {config}, {depth} steps"] = cross(config, depth)
    for config in (
        {},  # a rank of 1
        {"projection_dim": 3, "num_layers": 2, "use_bias": False},
        {"projection_dim": WIDTH, "num_layers": 4},  # both factors are square: their order counts
    ):
        report[f"TFRS MultiLayerDCN {config}"] = multi_layer_dcn(config)
    for own in (False, True):
        report[f"TFRS DotInteraction{', diagonal' * own}"] = dot(own)
    print(json.dumps(report))


if __name__ == "__main__":
    main()
