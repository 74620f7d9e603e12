"""What Pinterest's Homefeed models share."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from kranking.features import Feature, Numeric

PAPER = (
    "Malreddy et al., Improving feature interactions at Pinterest under industry constraints, "
    "2024, https://arxiv.org/abs/2412.01985"
)


def unit_length(features: Iterable[Feature]) -> list[Feature]:
    """Gives the declarations with every sparse, embedding and sequence field L2-normalised."""
    return [
        feature
        if isinstance(feature, Numeric) and not feature.bucketized
        else replace(feature, l2_normalize=True)
        for feature in features
    ]


def scaled(sizes: Sequence[int], scale: float) -> list[int]:
    """Gives widths times `scale`, in steps of 8, at least 8."""
    return [max(8, round(size * scale / 8) * 8) for size in sizes]
