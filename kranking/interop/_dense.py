"""Conversion of the layers after the interaction: Dense, the layers between them, and the logits."""

from typing import Any

import keras
import numpy as np

from kranking.interop._source import (
    activation_of,
    arrays,
    chain,
    dense_arrays,
    kind,
    label,
    refuse,
    settings,
)
from kranking.layers import MLP, SharedBottom

# Layers of both Keras 2 and 3, and the settings that determine what they compute.
_KERAS_LAYERS = {
    "BatchNormalization": ("momentum", "epsilon", "center", "scale"),
    "LayerNormalization": ("epsilon", "center", "scale"),
    "Dropout": ("rate",),
    "ReLU": ("max_value", "negative_slope", "threshold"),
    "LeakyReLU": ("negative_slope",),
    "Activation": ("activation",),
}


def from_tfrs_dense(layers: Any) -> list[keras.layers.Layer]:
    """Converts a chain of dense layers to blocks with the same weights.

    Consecutive Dense layers with equal activation become one `kranking.layers.MLP`, including a Dropout
    of equal rate after each of them. BatchNormalization, LayerNormalization, Dropout, Activation, ReLU and
    LeakyReLU become the Keras 3 layers of the same name.

    Args:
        layers: A Sequential, a `tfrs.layers.blocks.MLP` or a list of layers. Each must have been called at
            least once.

    Returns:
        The built blocks, in order.

    Raises:
        ValueError: If a layer or an activation has no equivalent. The message names it.

    >>> source = keras.Sequential([keras.layers.Dense(8, "relu"), keras.layers.Dense(4, "relu")])
    >>> source.build((None, 6))
    >>> [block.units for block in kr.interop.from_tfrs_dense(source)]
    [(8, 4)]
    """
    rest, blocks, width = chain(layers), [], None
    while rest:
        if kind(rest[0]) == "Dense":
            block, taken, width = _mlp(rest)
        elif kind(rest[0]) in _KERAS_LAYERS:
            block, taken = _keras_layer(rest[0], width), 1
        else:
            raise ValueError(
                f"{label(rest[0])} cannot be converted. Supported: Dense, {', '.join(_KERAS_LAYERS)}. "
                f"Received: {[kind(layer) for layer in chain(layers)]}"
            )
        blocks.append(block)
        rest = rest[taken:]
    return blocks


def heads_from(towers: list[list[Any]], num_tasks: int) -> SharedBottom:
    """Converts the last layers to heads.

    Args:
        towers: One chain of layers for all tasks, or one per task; each ends with a Dense.
        num_tasks: Number of tasks.
    """
    if not all(towers):
        raise ValueError("`logits` must contain a layer for every task. Received: an empty chain")
    lasts = [tower[-1] for tower in towers]
    endings = {_ending(last) for last in lasts}
    units = sum(dense_arrays(last)[1].size for last in lasts)
    if units != num_tasks or len(endings) > 1:
        raise ValueError(
            f"The last layers must output one logit per task, {num_tasks}, with equal activations. "
            f"Received: {units} from {[label(last) for last in lasts]}, {sorted(endings)}"
        )
    hidden = [_tower(tower[:-1]) for tower in towers]
    plans = {(units, activation) for units, activation, _ in hidden}
    if len(plans) > 1:
        raise ValueError(
            f"The tasks' towers must have equal units and activations. Received: {sorted(plans)}"
        )
    tower_units, activation, _ = hidden[0]
    heads = SharedBottom(num_tasks, tower_units, activation=activation, dtype="float32")
    ends = [dense_arrays(last) for last in lasts]
    first = hidden[0][2][0] if hidden[0][2] else ends[0][0]
    heads.build((None, first.shape[0]))
    if not tower_units:  # one projection for all tasks
        ends = [tuple(np.concatenate(parts, axis=-1) for parts in zip(*ends))]
    weights = [weight for _, _, tower in hidden for weight in tower]
    heads.set_weights([*weights, *(weight for end in ends for weight in end)])
    return heads


def _ending(layer: Any) -> str:
    """Returns the activation of a last layer: linear for logits, sigmoid for probabilities."""
    if kind(layer) != "Dense":
        raise ValueError(
            f"The last layer must be a Dense whose outputs are the logits. Received: {label(layer)}"
        )
    activation = settings(layer).get("activation", "linear")
    if activation not in ("linear", "sigmoid"):
        raise refuse(
            layer,
            "activation",
            activation,
            "the last layer must have a linear or sigmoid activation.",
        )
    return activation


def _tower(layers: list[Any]) -> tuple[tuple[int, ...], str, list[np.ndarray]]:
    """Returns units, activation and weights of the hidden layers of one task."""
    wrong = [label(layer) for layer in layers if kind(layer) != "Dense"]
    activations = {activation_of(layer, settings(layer).get("activation")) for layer in layers}
    if wrong or len(activations) > 1:
        raise ValueError(
            "The tower of a task must consist of Dense layers with equal activations. "
            f"Received: {wrong or sorted(activations)}"
        )
    weights = [weight for layer in layers for weight in dense_arrays(layer)]
    units = tuple(weight.size for weight in weights[1::2])
    return units, activations.pop() if activations else "relu", weights


def _mlp(layers: list[Any]) -> tuple[keras.layers.Layer, int, int]:
    """Converts the leading Dense layers to an MLP; returns it, the number of layers and its width."""
    steps, taken = [], 0
    while taken < len(layers) and kind(layers[taken]) == "Dense":
        dense = layers[taken]
        config = settings(dense)
        after = layers[taken + 1] if taken + 1 < len(layers) else None
        rate = settings(after)["rate"] if kind(after) == "Dropout" else 0.0
        key = (activation_of(dense, config.get("activation")), config.get("use_bias", True), rate)
        if steps and key != steps[0][0]:
            break
        steps.append((key, arrays(dense)))
        taken += 1 + (rate > 0)
    (activation, use_bias, rate), first = steps[0]
    units = [weights[0].shape[-1] for _, weights in steps]
    mlp = MLP(units, activation=activation, dropout=float(rate), use_bias=bool(use_bias))
    mlp.build((None, first[0].shape[0]))
    mlp.set_weights([weight for _, weights in steps for weight in weights])
    return mlp, taken, units[-1]


def _keras_layer(layer: Any, width: int | None) -> keras.layers.Layer:
    """Creates the Keras 3 layer of the same class, with the weights of the source."""
    config = settings(layer)
    if "axis" in config and np.ravel(config["axis"]).tolist() not in ([-1], [1]):
        raise refuse(
            layer, "axis", config["axis"], "only normalization over the last axis is supported."
        )
    if "alpha" in config:  # the name in Keras 2
        config["negative_slope"] = config.pop("alpha")
    if "activation" in config:
        activation_of(layer, config["activation"])
    numbers = {key: config[key] for key in _KERAS_LAYERS[kind(layer)]}
    numbers = {
        k: float(v) if isinstance(v, np.ndarray | np.number) else v for k, v in numbers.items()
    }
    made = getattr(keras.layers, kind(layer))(**numbers)
    weights = layer.get_weights()
    if weights:
        made.build((None, np.asarray(weights[0]).shape[0]))
        made.set_weights(weights)
    elif width is not None:
        made.build((None, width))
    return made
