"""GDCN."""

from collections.abc import Iterable, Sequence
from typing import Any

from kranking import layers
from kranking.architectures._cross_blocks import DEEP, STRUCTURE, cross_blocks, mlp_factory
from kranking.architectures._registry import Hyperparameter, architecture
from kranking.features import Feature, Task
from kranking.models import RankingModel


@architecture(
    paper="Wang et al., GDCN, 2023, https://arxiv.org/abs/2311.04635",
    hyperparameters=[STRUCTURE, Hyperparameter("depth", low=1, high=8, default=3), *DEEP],
)
def gdcn(
    features: Iterable[Feature],
    tasks: Iterable[Task],
    *,
    model_structure: str = "parallel",
    depth: int = 3,
    units: Sequence[int] = (512, 256),
    dropout: float = 0.0,
    batch_norm: bool = False,
    bias_initializer: Any = "zeros",
) -> RankingModel:
    """A gated cross network and an MLP: `c[l+1] = c[0] ⊙ (c[l] Wc[l] + b[l]) ⊙ σ(c[l] Wg[l]) + c[l]`.

    `logit_t = h · v_t + d_t`, where `h` is `c[L] ‖ MLP(c[0])` for `"parallel"` (GDCN-P) and `MLP(c[L])` for
    `"stacked"` (GDCN-S). For the other idea of the paper, one embedding width per field, see
    `kranking.training.field_dims_from_tables`.

    Args:
        features: Fitted feature declarations.
        tasks: Tasks to predict.
        model_structure: `"stacked"` or `"parallel"`.
        depth: Number of cross steps.
        units: Widths of the MLP.
        dropout: Dropout rate after each layer of the MLP.
        batch_norm: Whether to use batch normalization in the MLP.
        bias_initializer: Initializer of the biases of the cross network. The authors' code uses
            `keras.initializers.RandomUniform(0, 1)`.

    >>> gdcn([kr.features.Numeric("age", mean=40.0, std=10.0)], [kr.Task("save")], units=(8,)).name
    'gdcn'
    """
    blocks = cross_blocks(
        layers.GatedCrossNetwork(depth, bias_initializer=bias_initializer),
        mlp_factory(units, dropout, batch_norm),
        model_structure,
        ("stacked", "parallel"),
    )
    return RankingModel(features, blocks, tasks, name="gdcn")
