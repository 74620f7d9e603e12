"""A cross network and an MLP, stacked or in parallel, as in DCN and its successors."""

from collections.abc import Callable, Sequence

import keras

from kranking import layers
from kranking._core import check_choice
from kranking.architectures._registry import Hyperparameter

STRUCTURES = ("crossnet_only", "stacked", "parallel", "stacked_parallel")

DEEP = [
    Hyperparameter("units", choices=((256, 128), (512, 256), (1024, 512)), default=(512, 256)),
    Hyperparameter("dropout", low=0.0, high=0.5, default=0.0),
]
STRUCTURE = Hyperparameter("model_structure", choices=("stacked", "parallel"), default="parallel")


def cross_blocks(
    cross: keras.layers.Layer,
    mlp: Callable[[], keras.layers.Layer],
    model_structure: str,
    structures: Sequence[str] = STRUCTURES,
) -> list[keras.layers.Layer]:
    """Returns the blocks of a model with one cross network and the MLPs of its structure."""
    check_choice("model_structure", model_structure, structures)
    if model_structure == "crossnet_only":
        return [cross]
    if model_structure == "stacked":
        return [cross, mlp()]
    if model_structure == "parallel":
        return [layers.Parallel([cross, mlp()])]
    return [layers.Parallel([keras.Sequential([cross, mlp()], name="stacked"), mlp()])]


def mlp_factory(units: Sequence[int], dropout: float, batch_norm: bool) -> Callable[[], layers.MLP]:
    """Returns a function that creates MLPs with these settings."""
    return lambda: layers.MLP(units, dropout=dropout, batch_norm=batch_norm)
