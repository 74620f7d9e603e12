"""DCN-V2."""

from collections.abc import Iterable, Sequence
from typing import Any

from kranking import layers
from kranking.architectures._crossed import DEEP, STRUCTURE, crossed, mlps
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
    """Crosses with one kernel per step, and an MLP: `x[l+1] = x[0] ⊙ (x[l] A[l] + b[l]) + x[l]`.

    `"parallel"`: `logit_t = (x[L] ‖ MLP(x[0])) · v_t + c_t`. `"stacked"`: of `MLP(x[L])`.
    `"crossnet_only"`: of `x[L]`. `"stacked_parallel"`: of `MLP(x[L]) ‖ MLP'(x[0])`.

    Args:
        features: Fitted declarations.
        tasks: The actions to predict.
        model_structure: `"crossnet_only"`, `"stacked"`, `"parallel"` or `"stacked_parallel"`.
        depth: Number of cross steps.
        low_rank: Makes each kernel a product of two with this inner size; `None` keeps it full.
        inner_activation: Activation between the two factors, such as Pinterest's `"relu"`.
        units: Widths of the MLP; of each, if there are two.
        dropout: Dropout rate after each layer of the MLP.
        batch_norm: Whether the MLP normalises over the batch.

    >>> dcn_v2([kr.features.Numeric("age", mean=40.0, std=10.0)], [kr.Task("save")], units=(8,)).name
    'dcn_v2'
    """
    if low_rank is not None:
        cross = layers.LowRankCrossNetwork(depth, low_rank, inner_activation)
    elif inner_activation is None:
        cross = layers.CrossNetwork(depth)
    else:
        raise ValueError(
            "`inner_activation` stands between the two factors of a kernel: give `low_rank`. "
            f"Received: inner_activation={inner_activation!r}, low_rank=None"
        )
    blocks = crossed(cross, mlps(units, dropout, batch_norm), model_structure)
    return RankingModel(features, blocks, tasks, name="dcn_v2")
