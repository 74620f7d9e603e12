"""The Sequential-style builder: declarations, blocks and tasks in, one Keras model out."""

from kranking.models._ranking_model import RankingModel as RankingModel

__all__ = ["RankingModel"]
