"""DCN-V2."""

from collections.abc import Iterable, Sequence
from typing import Any

from kranking import layers
from kranking.architectures._cross_blocks import DEEP, STRUCTURE, cross_blocks, mlp_factory
from kranking.architectures._registry import Hyperparameter, architecture
from kranking.features import Feature, Task
from kranking.models import RankingModel


@architecture(
    paper="Wang et al., DCN V2, 2021, https://arxiv.org/abs/2008.13535",
    hyperparameters=[
        STRUCTURE,
        Hyperparameter("depth", low=1, high=8, default=3),
        Hyperparameter("low_rank", choices=(32, 128, 512, None), default=None),
        *DEEP,
    ],
)
def dcn_v2(
    features: Iterable[Feature],
    tasks: Iterable[Task],
    *,
    model_structure: str = "parallel",
    depth: int = 3,
    low_rank: int | None = None,
    inner_activation: Any = None,
    units: Sequence[int] = (512, 256),
    dropout: float = 0.0,
    batch_norm: bool = False,
) -> RankingModel:
    """A cross network with one kernel per step, and an MLP: `x[l+1] = x[0] ⊙ (x[l] A[l] + b[l]) + x[l]`.

    `logit_t = h · v_t + c_t`, where `h` is `x[L] ‖ MLP(x[0])` for `"parallel"`, `MLP(x[L])` for
    `"stacked"`, `x[L]` for `"crossnet_only"` and `MLP(x[L]) ‖ MLP'(x[0])` for `"stacked_parallel"`.

    Args:
        features: Fitted feature declarations.
        tasks: Tasks to predict.
        model_structure: `"crossnet_only"`, `"stacked"`, `"parallel"` or `"stacked_parallel"`.
        depth: Number of cross steps.
        low_rank: Rank of each kernel, factorized into two matrices; `None` for full rank.
        inner_activation: Activation between the two factors, such as `"relu"` at Pinterest.
        units: Widths of the MLP, or of both MLPs in `"stacked_parallel"`.
        dropout: Dropout rate after each layer of the MLP.
        batch_norm: Whether to use batch normalization in the MLP.

    Raises:
        ValueError: If `inner_activation` is given without `low_rank`.

    >>> dcn_v2([kr.features.Numeric("age", mean=40.0, std=10.0)], [kr.Task("save")], units=(8,)).name
    'dcn_v2'
    """
    if low_rank is not None:
        cross = layers.LowRankCrossNetwork(depth, low_rank, inner_activation)
    elif inner_activation is None:
        cross = layers.CrossNetwork(depth)
    else:
        raise ValueError(
            "`inner_activation` is applied between the two factors of a kernel and requires `low_rank`. "
            f"Received: inner_activation={inner_activation!r}, low_rank=None"
        )
    blocks = cross_blocks(cross, mlp_factory(units, dropout, batch_norm), model_structure)
    return RankingModel(features, blocks, tasks, name="dcn_v2")
