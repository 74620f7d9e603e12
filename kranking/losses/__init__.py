"""Losses on logits."""

from kranking.losses._binary_crossentropy import BinaryCrossentropy as BinaryCrossentropy

__all__ = ["BinaryCrossentropy"]
