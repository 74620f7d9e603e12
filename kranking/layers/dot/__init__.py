"""Dot-product interactions of tokens: DLRM and compressed dot products."""

from kranking.layers.dot._advanced_dlrm import AdvancedDLRM as AdvancedDLRM
from kranking.layers.dot._attentive_dot_compression import (
    AttentiveDotCompression as AttentiveDotCompression,
)
from kranking.layers.dot._dlrm_interaction import DLRMInteraction as DLRMInteraction
from kranking.layers.dot._dot_compression import DotCompression as DotCompression
from kranking.layers.dot._dot_interaction import DotInteraction as DotInteraction

__all__ = [
    "AdvancedDLRM",
    "AttentiveDotCompression",
    "DLRMInteraction",
    "DotCompression",
    "DotInteraction",
]
