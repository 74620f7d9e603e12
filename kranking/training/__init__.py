"""What Keras's `fit` lacks for ranking."""

from kranking.training._ranking_evaluation import RankingEvaluation as RankingEvaluation

__all__ = ["RankingEvaluation"]
