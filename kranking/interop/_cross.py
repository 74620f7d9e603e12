"""`Cross` and `MultiLayerDCN` of TFRS, and `FeatureCross` of keras-rs, as one cross network."""

from typing import Any

import numpy as np

from kranking.interop._source import activation_of, arrays, chain, kind, label, refuse, settings
from kranking.layers import CrossNetwork, LowRankCrossNetwork

CROSSES = ("Cross", "FeatureCross", "MultiLayerDCN")


def from_tfrs_cross(layers: Any) -> CrossNetwork | LowRankCrossNetwork:
    """Turns a stack of `Cross` layers into one cross network with their weights.

    The layers are those of `x = cross_l(x0, x)`, each fed the same `x0`. `diag_scale` of a full-rank layer
    becomes part of its kernel, `A + c I`; a bias that is not there becomes zeros.

    Args:
        layers: `tfrs.layers.dcn.Cross` layers in order, or one; `keras_rs.layers.FeatureCross` as well; or
            one `tfrs.layers.feature_interaction.MultiLayerDCN`. Called at least once.

    Returns:
        A built `CrossNetwork`; a `LowRankCrossNetwork` for layers with a `projection_dim`.

    Raises:
        ValueError: For an option without a counterpart, named: a `preactivation`, a `diag_scale` beside a
            `projection_dim`, unequal `projection_dim`s.

    >>> class Cross(keras.layers.Dense):  # what is read: the class's name, its config and its weights
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
        raise ValueError(
            f"`layers` must be layers of the classes {', '.join(CROSSES)}. Received: {wrong}"
        )
    steps = [step for layer in stack for step in _steps(layer, alone=len(stack) == 1)]
    ranks = {down.shape[1] if down is not None else None for down, _, _ in steps}
    if len(ranks) > 1:
        raise refuse(
            stack[0],
            "projection_dim",
            sorted(ranks, key=str),
            "one stack has one `projection_dim`.",
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
    """Gives `(down or None, kernel or up, bias)` of each cross step."""
    config, weights = settings(layer), arrays(layer)
    if kind(layer) == "MultiLayerDCN":
        if not alone:
            raise ValueError(
                f"{label(layer)} is a stack by itself: convert it alone. Received: several layers"
            )
        count = config["num_layers"]
        downs, rest = weights[:count], weights[count:]  # all first factors come first
        per_step = len(rest) // count
        parts = [rest[i * per_step : (i + 1) * per_step] for i in range(count)]
        return [(down, part[0], _bias(part)) for down, part in zip(downs, parts, strict=True)]
    option = "preactivation" if kind(layer) == "Cross" else "pre_activation"
    if activation_of(layer, config.get(option), option) != "linear":
        reason = (
            "cross networks have no activation there; `inner_activation` acts between the factors."
        )
        raise refuse(layer, option, config[option], reason)
    scale = config.get("diag_scale") or 0.0
    if config.get("projection_dim") is None:
        kernel = weights[0]
        return [(None, kernel + scale * np.eye(len(kernel), dtype=kernel.dtype), _bias(weights))]
    if scale:
        raise refuse(layer, "diag_scale", scale, "a kernel of low rank has no room for a diagonal.")
    return [(weights[0], weights[1], _bias(weights[1:]))]


def _bias(weights: list[np.ndarray]) -> np.ndarray:
    kernel = weights[0]
    return weights[1] if len(weights) > 1 else np.zeros(kernel.shape[-1], kernel.dtype)
