"""A Sequential-style builder of Keras models from feature declarations, blocks and tasks."""

from kranking.models._ranking_model import RankingModel as RankingModel
from kranking.models._walk import walk as walk
from kranking.models._weights import perturbed as perturbed
from kranking.models._weights import without_weights as without_weights
from kranking.models._wiring import wiring as wiring

__all__ = ["RankingModel", "perturbed", "walk", "wiring", "without_weights"]
