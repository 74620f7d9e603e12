"""Internals of the metrics that other rooms use; not part of the public API."""

from kranking.metrics._evaluation_metrics import EvaluationMetrics as EvaluationMetrics
from kranking.metrics._evaluation_metrics import Rows as Rows

__all__ = ["EvaluationMetrics", "Rows"]
