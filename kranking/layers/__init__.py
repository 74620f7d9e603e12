"""Layers for feature interaction, gating, pooling and heads, independent of feature names.

Each subpackage is a family of layers with its own `__all__`; this module concatenates them.
"""

from kranking.layers import (
    attention,
    core,
    cross,
    dot,
    factorization,
    gating,
    heads,
    memorization,
    mixing,
)
from kranking.layers._contract._flow import takes_of as takes_of
from kranking.layers._contract._open_arguments import fill_open_arguments as fill_open_arguments
from kranking.layers._contract._work import Work as Work
from kranking.layers._contract._work import work_of as work_of
from kranking.layers.attention import *
from kranking.layers.core import *
from kranking.layers.cross import *
from kranking.layers.dot import *
from kranking.layers.factorization import *
from kranking.layers.gating import *
from kranking.layers.heads import *
from kranking.layers.memorization import *
from kranking.layers.mixing import *

__all__ = ["Work", "fill_open_arguments", "takes_of", "work_of"]
__all__ += attention.__all__
__all__ += core.__all__
__all__ += cross.__all__
__all__ += dot.__all__
__all__ += factorization.__all__
__all__ += gating.__all__
__all__ += heads.__all__
__all__ += memorization.__all__
__all__ += mixing.__all__
