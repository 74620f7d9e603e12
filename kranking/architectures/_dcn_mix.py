"""DCN-Mix."""

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
        Hyperparameter("num_experts", low=1, high=8, default=4),
        Hyperparameter("low_rank", low=8, high=256, log=True, default=32),
        *DEEP,
    ],
)
def dcn_mix(
    features: Iterable[Feature],
    tasks: Iterable[Task],
    *,
    model_structure: str = "parallel",
    depth: int = 3,
    num_experts: int = 4,
    low_rank: int = 32,
    inner_activation: Any = "tanh",
    gate: str = "softmax",
    units: Sequence[int] = (512, 256),
    dropout: float = 0.0,
    batch_norm: bool = False,
) -> RankingModel:
    """A cross network whose steps are gated mixtures of low-rank experts, and an MLP.

    `x[l+1] = Σ_k G_k(x[l]) (x[0] ⊙ (U[l,k] · g(C[l,k] · g(V[l,k]ᵀ x[l])) + b[l])) + x[l]`; all steps share
    the gates. `"parallel"`: `logit_t = (x[L] ‖ MLP(x[0])) · v_t + c_t`; the other structures as in
    `dcn_v2`.

    Args:
        features: Fitted feature declarations.
        tasks: Tasks to predict.
        model_structure: `"crossnet_only"`, `"stacked"`, `"parallel"` or `"stacked_parallel"`.
        depth: Number of cross steps.
        num_experts: Number of experts in each step.
        low_rank: Rank of every expert. The paper recommends a quarter of the total field width.
        inner_activation: Activation `g`; `None` for none.
        gate: `"softmax"` or `"sigmoid"`.
        units: Widths of the MLP, or of both MLPs in `"stacked_parallel"`.
        dropout: Dropout rate after each layer of the MLP.
        batch_norm: Whether to use batch normalization in the MLP.

    >>> dcn_mix([kr.features.Numeric("age", mean=40.0, std=10.0)], [kr.Task("save")], units=(8,)).name
    'dcn_mix'
    """
    cross = layers.MixtureCrossNetwork(depth, num_experts, low_rank, inner_activation, gate)
    blocks = cross_blocks(cross, mlp_factory(units, dropout, batch_norm), model_structure)
    return RankingModel(features, blocks, tasks, name="dcn_mix")
