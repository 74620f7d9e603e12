"""Gating layers: MaskNet masks, and feature and field gates."""

from kranking.layers.gating._feature_gate import FeatureGate as FeatureGate
from kranking.layers.gating._field_gate import FieldGate as FieldGate
from kranking.layers.gating._mask_block import MaskBlock as MaskBlock
from kranking.layers.gating._parallel_mask_net import ParallelMaskNet as ParallelMaskNet
from kranking.layers.gating._serial_mask_net import SerialMaskNet as SerialMaskNet
from kranking.layers.gating._squeeze_excitation import SqueezeExcitation as SqueezeExcitation

__all__ = [
    "FeatureGate",
    "FieldGate",
    "MaskBlock",
    "ParallelMaskNet",
    "SerialMaskNet",
    "SqueezeExcitation",
]
