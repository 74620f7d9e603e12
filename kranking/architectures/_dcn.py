"""DCN, the original Deep & Cross Network."""

from collections.abc import Iterable, Sequence

from kranking import layers
from kranking.architectures._cross_blocks import DEEP, cross_blocks, mlp_factory
from kranking.architectures._registry import Hyperparameter, architecture
from kranking.features import Feature, Task
from kranking.models import RankingModel


@architecture(
    paper="Wang et al., Deep & Cross Network, 2017, https://arxiv.org/abs/1708.05123",
    hyperparameters=[Hyperparameter("depth", low=1, high=8, default=3), *DEEP],
)
def dcn(
    features: Iterable[Feature],
    tasks: Iterable[Task],
    *,
    depth: int = 3,
    units: Sequence[int] = (512, 256),
    dropout: float = 0.0,
    batch_norm: bool = False,
) -> RankingModel:
    """A cross network with one weight vector per step, in parallel with an MLP on the same fields.

    `x[l+1] = x[0] (x[l] · w[l]) + b[l] + x[l]` and `logit_t = (x[L] ‖ MLP(x[0])) · v_t + c_t`.

    Args:
        features: Fitted feature declarations.
        tasks: Tasks to predict.
        depth: Number of cross steps.
        units: Widths of the MLP.
        dropout: Dropout rate after each layer of the MLP.
        batch_norm: Whether to use batch normalization in the MLP.

    >>> dcn([kr.features.Numeric("age", mean=40.0, std=10.0)], [kr.Task("save")], units=(8,)).name
    'dcn'
    """
    blocks = cross_blocks(
        layers.VectorCrossNetwork(depth), mlp_factory(units, dropout, batch_norm), "parallel"
    )
    return RankingModel(features, blocks, tasks, name="dcn")
