"""Keras metrics for `fit`, and exact metrics on NumPy arrays, of probabilities or logits."""

from kranking.metrics._as_text import as_text as as_text
from kranking.metrics._binned_auc import BinnedAUC as BinnedAUC
from kranking.metrics._calibration import Calibration as Calibration
from kranking.metrics._exact_auc import auc as auc
from kranking.metrics._exact_auc import grouped_auc as grouped_auc
from kranking.metrics._group_index import group_index as group_index
from kranking.metrics._hit_at_k import HitAtK as HitAtK
from kranking.metrics._log_loss import LogLoss as LogLoss
from kranking.metrics._normalized_entropy import NormalizedEntropy as NormalizedEntropy
from kranking.metrics._pointwise import calibration as calibration
from kranking.metrics._pointwise import expected_calibration_error as expected_calibration_error
from kranking.metrics._pointwise import log_loss as log_loss
from kranking.metrics._pointwise import normalized_entropy as normalized_entropy

__all__ = [
    "BinnedAUC",
    "Calibration",
    "HitAtK",
    "LogLoss",
    "NormalizedEntropy",
    "as_text",
    "auc",
    "calibration",
    "expected_calibration_error",
    "group_index",
    "grouped_auc",
    "log_loss",
    "normalized_entropy",
]
