"""Hyperparameter and architecture search within a cost budget, based on KerasTuner."""

from kranking.search._budget_oracle import BudgetOracle as BudgetOracle
from kranking.search._found import Found as Found
from kranking.search._rejection import NoFeasiblePoint as NoFeasiblePoint
from kranking.search._rejection import Rejection as Rejection
from kranking.search._search import search as search
from kranking.search._search_result import SearchResult as SearchResult
from kranking.search._search_space import SearchSpace as SearchSpace
from kranking.search._training import Training as Training

__all__ = [
    "BudgetOracle",
    "Found",
    "NoFeasiblePoint",
    "Rejection",
    "SearchResult",
    "SearchSpace",
    "Training",
    "search",
]
