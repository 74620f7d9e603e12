"""Ranking models for recommendation and ads in Keras 3, on TensorFlow, JAX and PyTorch.

Feature-interaction layers, a model builder that maps the columns of a log to action probabilities,
and exports that are verified before serving. Subpackages that need more than Keras are imported on
first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from kranking import features as features
from kranking import layers as layers
from kranking import losses as losses
from kranking import metrics as metrics
from kranking import models as models
from kranking import ops as ops
from kranking import optimizers as optimizers
from kranking.features import Task as Task
from kranking.models import RankingModel as RankingModel

if TYPE_CHECKING:
    from kranking import architectures as architectures
    from kranking import budget as budget
    from kranking import comparison as comparison
    from kranking import data as data
    from kranking import export as export
    from kranking import interop as interop
    from kranking import search as search
    from kranking import serving as serving
    from kranking import testing as testing
    from kranking import training as training

__version__ = "0.1.0"

__all__ = [
    "RankingModel",
    "Task",
    "architectures",
    "budget",
    "comparison",
    "data",
    "export",
    "features",
    "interop",
    "layers",
    "losses",
    "metrics",
    "models",
    "ops",
    "optimizers",
    "search",
    "serving",
    "testing",
    "training",
]


def __getattr__(name: str):
    if name in __all__:
        return import_module(f"kranking.{name}")
    raise AttributeError(f"module 'kranking' has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
