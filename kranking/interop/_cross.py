"""Conversion of `Cross` and `MultiLayerDCN` (TFRS) and `FeatureCross` (keras-rs) to a cross network."""

from typing import Any

import numpy as np

from kranking.interop._source import activation_of, arrays, chain, kind, label, refuse, settings
from kranking.layers import CrossNetwork, LowRankCrossNetwork

CROSSES = ("Cross", "FeatureCross", "MultiLayerDCN")


def from_tfrs_cross(layers: Any) -> CrossNetwork | LowRankCrossNetwork:
    """Converts a stack of `Cross` layers to one cross network with the same weights.

    The stack computes `x = cross_l(x0, x)` with the same `x0` for every layer. The `diag_scale` c of a
    full-rank layer is added to its kernel, `A + c I`; a missing bias becomes zeros.

    Args:
        layers: One `tfrs.layers.dcn.Cross` or `keras_rs.layers.FeatureCross` layer, or several in order; or
            one `tfrs.layers.feature_interaction.MultiLayerDCN`. Each must have been called at least once.

    Returns:
        A built `CrossNetwork`, or a `LowRankCrossNetwork` for layers with a `projection_dim`.

    Raises:
        ValueError: If a layer uses an option without an equivalent, which the message names: a
            `preactivation`, a `diag_scale` together with a `projection_dim`, or unequal `projection_dim`s.

    >>> class Cross(keras.layers.Dense):  # only the class name, the config and the weights are read
    ...     def get_config(self):
    ...         return {"projection_dim": None, "diag_scale": 0.5, "preactivation": "linear"}
    >>> cross = Cross(3)
    >>> cross.build((None, 3))
    >>> network = kr.interop.from_tfrs_cross([cross])
    >>> network.depth, [tuple(w.shape) for w in network.weights]
    (1, [(3, 3), (3,)])
    """
    stack = chain(layers)
    wrong = [label(layer) for layer in stack if kind(layer) not in CROSSES]
    if not stack or wrong:
        raise ValueError(f"`layers` must be instances of {', '.join(CROSSES)}. Received: {wrong}")
    steps = [step for layer in stack for step in _steps(layer, alone=len(stack) == 1)]
    ranks = {down.shape[1] if down is not None else None for down, _, _ in steps}
    if len(ranks) > 1:
        raise refuse(
            stack[0],
            "projection_dim",
            sorted(ranks, key=str),
            "all layers of a stack must have the same `projection_dim`.",
        )
    rank = ranks.pop()
    width = steps[0][1].shape[-1]
    made: Any
    if rank is None:
        made = CrossNetwork(depth=len(steps))
    else:
        made = LowRankCrossNetwork(depth=len(steps), rank=rank)
    made.build((None, width))
    made.set_weights([weight for step in steps for weight in step if weight is not None])
    return made


def _steps(layer: Any, alone: bool) -> list[tuple[Any, np.ndarray, np.ndarray]]:
    """Returns `(down or None, kernel or up, bias)` for each cross step."""
    config, weights = settings(layer), arrays(layer)
    if kind(layer) == "MultiLayerDCN":
        if not alone:
            raise ValueError(
                f"{label(layer)} is a complete stack: convert it separately. Received: several layers"
            )
        count = config["num_layers"]
        downs, rest = (
            weights[:count],
            weights[count:],
        )  # the first factors of all steps precede the rest
        per_step = len(rest) // count
        parts = [rest[i * per_step : (i + 1) * per_step] for i in range(count)]
        return [(down, part[0], _bias(part)) for down, part in zip(downs, parts, strict=True)]
    option = "preactivation" if kind(layer) == "Cross" else "pre_activation"
    if activation_of(layer, config.get(option), option) != "linear":
        reason = (
            "cross networks support no activation there; `inner_activation` is between the factors."
        )
        raise refuse(layer, option, config[option], reason)
    scale = config.get("diag_scale") or 0.0
    if config.get("projection_dim") is None:
        kernel = weights[0]
        return [(None, kernel + scale * np.eye(len(kernel), dtype=kernel.dtype), _bias(weights))]
    if scale:
        raise refuse(layer, "diag_scale", scale, "a low-rank kernel cannot represent a diagonal.")
    return [(weights[0], weights[1], _bias(weights[1:]))]


def _bias(weights: list[np.ndarray]) -> np.ndarray:
    kernel = weights[0]
    return weights[1] if len(weights) > 1 else np.zeros(kernel.shape[-1], kernel.dtype)
