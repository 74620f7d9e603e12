"""Losses on logits, and auxiliary losses on the logits of parts of a model."""

from kranking.losses._binary_crossentropy import BinaryCrossentropy as BinaryCrossentropy
from kranking.losses._self_distillation import SelfDistillation as SelfDistillation
from kranking.losses._tri_bce import TriBCE as TriBCE

__all__ = ["BinaryCrossentropy", "SelfDistillation", "TriBCE"]
