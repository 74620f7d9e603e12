"""Comparison of model variants over seeds, with confidence intervals, costs and budgets."""

from kranking._report import markdown_table as markdown_table
from kranking._report import write_files as write_files
from kranking.comparison._compare import compare as compare
from kranking.comparison._comparison import Comparison as Comparison
from kranking.comparison._comparison import Row as Row
from kranking.comparison._feature_importance import feature_importance as feature_importance
from kranking.comparison._importance_report import FeatureImportance as FeatureImportance
from kranking.comparison._importance_report import Importance as Importance
from kranking.comparison._intervals import Interval as Interval
from kranking.comparison._intervals import paired_difference as paired_difference
from kranking.comparison._intervals import paired_over_seeds as paired_over_seeds
from kranking.comparison._intervals import spread as spread
from kranking.comparison._intervals import wider as wider
from kranking.comparison._learning import learning_experiments as learning_experiments
from kranking.comparison._learning_report import LearningReport as LearningReport
from kranking.comparison._recurring import recurring_training as recurring_training
from kranking.comparison._recurring_report import Period as Period
from kranking.comparison._recurring_report import RecurringReport as RecurringReport
from kranking.comparison._served_latencies import served_latencies as served_latencies

__all__ = [
    "Comparison",
    "FeatureImportance",
    "Importance",
    "Interval",
    "LearningReport",
    "Period",
    "RecurringReport",
    "Row",
    "compare",
    "feature_importance",
    "learning_experiments",
    "markdown_table",
    "paired_difference",
    "paired_over_seeds",
    "recurring_training",
    "served_latencies",
    "spread",
    "wider",
    "write_files",
]
