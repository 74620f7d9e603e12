"""Callbacks and utilities for training ranking models with `fit`."""

from kranking.training._field_dims import embedding_tables as embedding_tables
from kranking.training._field_dims import field_dims_from_tables as field_dims_from_tables
from kranking.training._field_dims import with_field_dims as with_field_dims
from kranking.training._mirrored_strategy import mirrored_strategy as mirrored_strategy
from kranking.training._protocol import Protocol as Protocol
from kranking.training._ranking_evaluation import RankingEvaluation as RankingEvaluation
from kranking.training._run_record import RunRecord as RunRecord
from kranking.training._set_seed import set_seed as set_seed
from kranking.training._stability_event import StabilityEvent as StabilityEvent
from kranking.training._stability_guard import StabilityGuard as StabilityGuard
from kranking.training._state_file import load_state as load_state
from kranking.training._state_file import save_state as save_state
from kranking.training._structural_pruning import StructuralPruning as StructuralPruning

__all__ = [
    "Protocol",
    "RankingEvaluation",
    "RunRecord",
    "StabilityEvent",
    "StabilityGuard",
    "StructuralPruning",
    "embedding_tables",
    "field_dims_from_tables",
    "load_state",
    "mirrored_strategy",
    "save_state",
    "set_seed",
    "with_field_dims",
]
