"""Heads, which map feature vectors to one logit per task."""

from kranking.layers.heads._bilinear_fusion import BilinearFusion as BilinearFusion
from kranking.layers.heads._mean_heads import MeanHeads as MeanHeads
from kranking.layers.heads._multi_gate_mixture_of_experts import (
    MultiGateMixtureOfExperts as MultiGateMixtureOfExperts,
)
from kranking.layers.heads._progressive_layered_extraction import (
    ProgressiveLayeredExtraction as ProgressiveLayeredExtraction,
)
from kranking.layers.heads._shared_bottom import SharedBottom as SharedBottom

__all__ = [
    "BilinearFusion",
    "MeanHeads",
    "MultiGateMixtureOfExperts",
    "ProgressiveLayeredExtraction",
    "SharedBottom",
]
