"""Conversion of trained models from other libraries to kranking models with equal predictions."""

from kranking.interop._check_same_predictions import (
    check_same_predictions as check_same_predictions,
)
from kranking.interop._cross import from_tfrs_cross as from_tfrs_cross
from kranking.interop._dense import from_tfrs_dense as from_tfrs_dense
from kranking.interop._from_tfrs import from_tfrs as from_tfrs
from kranking.interop._tower import from_tfrs_tower as from_tfrs_tower

__all__ = [
    "check_same_predictions",
    "from_tfrs",
    "from_tfrs_cross",
    "from_tfrs_dense",
    "from_tfrs_tower",
]
