"""What Keras's `fit` lacks for ranking."""

from kranking.training._mirrored_strategy import mirrored_strategy as mirrored_strategy
from kranking.training._ranking_evaluation import RankingEvaluation as RankingEvaluation

__all__ = ["RankingEvaluation", "mirrored_strategy"]
