"""One short function per paper over the builder, listed by `names()`."""

from kranking.architectures._masknet import masknet as masknet
from kranking.architectures._mlp import mlp as mlp
from kranking.architectures._pinterest_baseline import pinterest_baseline as pinterest_baseline
from kranking.architectures._pinterest_launch import pinterest_launch as pinterest_launch
from kranking.architectures._registry import Architecture as Architecture
from kranking.architectures._registry import Hyperparameter as Hyperparameter
from kranking.architectures._registry import get as get
from kranking.architectures._registry import names as names

__all__ = [
    "Architecture",
    "Hyperparameter",
    "get",
    "masknet",
    "mlp",
    "names",
    "pinterest_baseline",
    "pinterest_launch",
]
