"""MaskNet, serial and parallel."""

from collections.abc import Iterable, Sequence

import keras

from kranking import layers
from kranking._core import check_choice
from kranking.architectures._registry import Hyperparameter, architecture
from kranking.features import Feature, Task
from kranking.models import RankingModel


@architecture(
    paper="Wang et al., MaskNet, 2021, https://arxiv.org/abs/2102.07619",
    hyperparameters=[
        Hyperparameter("model_type", choices=("parallel", "serial"), default="parallel"),
        Hyperparameter("num_blocks", low=1, high=6, default=3),
        Hyperparameter("block_dim", low=32, high=512, log=True, default=64),
        Hyperparameter("reduction_ratio", low=0.5, high=4.0, log=True, default=1.0),
        Hyperparameter(
            "units",
            choices=((256, 128), (512, 256), (1024, 512)),
            default=(512, 256),
            when=("model_type", "parallel"),
        ),
        Hyperparameter("dropout", low=0.0, high=0.5, default=0.0),
    ],
)
def masknet(
    features: Iterable[Feature],
    tasks: Iterable[Task],
    *,
    model_type: str = "parallel",
    num_blocks: int = 3,
    block_dim: int = 64,
    reduction_ratio: float = 1.0,
    ln_emb: str = "per_field",
    layer_norm: bool = True,
    units: Sequence[int] = (512, 256),
    dropout: float = 0.0,
) -> RankingModel:
    """Serial or parallel blocks that multiply their input by masks computed from the embeddings.

    Parallel: `h = MLP(mask₁(v) ‖ … ‖ mask_K(v))`. Serial: `h = mask_K(v, … mask₁(v))`, without an MLP.

    Args:
        features: Fitted feature declarations.
        tasks: Tasks to predict.
        model_type: `"parallel"` or `"serial"`.
        num_blocks: Number of mask blocks.
        block_dim: Output width of each mask block.
        reduction_ratio: Width of the hidden layer of a mask, relative to the width of the masked input.
        ln_emb: Layer normalization of the embeddings: `"per_field"`, `"whole"` or `"none"`.
        layer_norm: Whether to normalize the output of each block.
        units: Widths of the MLP of the parallel model.
        dropout: Dropout rate after the mask blocks and after each layer of the MLP.

    >>> masknet([kr.features.Numeric("age", mean=40.0, std=10.0)], [kr.Task("save")]).name
    'masknet'
    """
    check_choice("model_type", model_type, ("parallel", "serial"))
    options = {"reduction_ratio": reduction_ratio, "ln_emb": ln_emb, "layer_norm": layer_norm}
    if model_type == "serial":
        blocks: list = [layers.SerialMaskNet([block_dim] * num_blocks, **options)]
    else:
        blocks = [
            layers.ParallelMaskNet(num_blocks, block_dim, **options),
            layers.MLP(units, dropout=dropout),
        ]
    if dropout:
        blocks.insert(1, keras.layers.Dropout(dropout, name="mask_dropout"))
    return RankingModel(features, blocks, tasks, name="masknet")
