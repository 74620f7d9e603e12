"""Memorization of value pairs: the wide part of Wide & Deep, and the codebooks of MemoNet."""

from kranking.layers.memorization._crossed_features import CrossedFeatures as CrossedFeatures
from kranking.layers.memorization._hc_net import HCNet as HCNet

__all__ = [
    "CrossedFeatures",
    "HCNet",
]
