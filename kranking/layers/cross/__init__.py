"""Cross networks, which multiply a vector by projections of itself: DCN to SDCNv3."""

from kranking.layers.cross._cross_network import CrossNetwork as CrossNetwork
from kranking.layers.cross._exponential_cross_network import (
    ExponentialCrossNetwork as ExponentialCrossNetwork,
)
from kranking.layers.cross._field_halves import FieldHalves as FieldHalves
from kranking.layers.cross._gated_cross_network import GatedCrossNetwork as GatedCrossNetwork
from kranking.layers.cross._linear_cross_network import LinearCrossNetwork as LinearCrossNetwork
from kranking.layers.cross._low_rank_cross_network import LowRankCrossNetwork as LowRankCrossNetwork
from kranking.layers.cross._mixture_cross_network import MixtureCrossNetwork as MixtureCrossNetwork
from kranking.layers.cross._vector_cross_network import VectorCrossNetwork as VectorCrossNetwork

__all__ = [
    "CrossNetwork",
    "ExponentialCrossNetwork",
    "FieldHalves",
    "GatedCrossNetwork",
    "LinearCrossNetwork",
    "LowRankCrossNetwork",
    "MixtureCrossNetwork",
    "VectorCrossNetwork",
]
