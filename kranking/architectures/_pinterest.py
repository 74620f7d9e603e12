"""Shared helpers of the Pinterest Homefeed models."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from kranking.features import Feature, Numeric

PAPER = (
    "Malreddy et al., Improving feature interactions at Pinterest under industry constraints, "
    "2024, https://arxiv.org/abs/2412.01985"
)


def unit_length(features: Iterable[Feature]) -> list[Feature]:
    """Returns the declarations with L2 normalization of every sparse, embedding and sequence field."""
    return [
        feature
        if isinstance(feature, Numeric) and not feature.bucketized
        else replace(feature, l2_normalize=True)
        for feature in features
    ]


def scale_widths(sizes: Sequence[int], scale: float) -> list[int]:
    """Multiplies widths by `scale`, rounded to multiples of 8, at least 8."""
    return [max(8, round(size * scale / 8) * 8) for size in sizes]
