"""DCN-V2 with parallel cross networks."""

from collections.abc import Iterable, Sequence

from kranking import layers
from kranking._core import check_positive_int
from kranking.architectures._cross_blocks import DEEP
from kranking.architectures._pinterest import PAPER
from kranking.architectures._registry import Hyperparameter, architecture
from kranking.features import Feature, Task
from kranking.models import RankingModel


@architecture(
    paper=PAPER,
    hyperparameters=[
        Hyperparameter("num_stacks", low=1, high=8, default=4),
        Hyperparameter("depth", low=1, high=4, default=2),
        Hyperparameter("merge", choices=("mean", "sum", "concat"), default="concat"),
        *DEEP,
    ],
)
def parallel_dcn_v2(
    features: Iterable[Feature],
    tasks: Iterable[Task],
    *,
    num_stacks: int = 4,
    depth: int = 2,
    merge: str = "concat",
    units: Sequence[int] = (512, 256),
    dropout: float = 0.0,
    batch_norm: bool = False,
) -> RankingModel:
    """Several full-rank cross networks on the same fields, merged, then an MLP (section 5.2.2).

    `h = MLP(cross₁(x) ‖ … ‖ cross_p(x))`, `logit_t = h · w_t + b_t`. Pinterest used four networks of two or
    three steps. That the input of each is `x` is consistent with the memory and latency in Table 1 of the
    paper; how the outputs were merged is unverified and does not follow from that table.

    Args:
        features: Fitted feature declarations.
        tasks: Tasks to predict.
        num_stacks: Number of cross networks p.
        depth: Number of steps of each cross network.
        merge: `"concat"`, `"sum"` or `"mean"`.
        units: Widths of the MLP, unpublished in the paper.
        dropout: Dropout rate after each layer of the MLP.
        batch_norm: Whether to use batch normalization in the MLP.

    >>> age = kr.features.Numeric("age", mean=40.0, std=10.0)
    >>> parallel_dcn_v2([age], [kr.Task("save")], units=(8,)).name
    'parallel_dcn_v2'
    """
    check_positive_int("num_stacks", num_stacks)
    blocks = [
        layers.Parallel([layers.CrossNetwork(depth) for _ in range(num_stacks)], merge=merge),
        layers.MLP(units, dropout=dropout, batch_norm=batch_norm),
    ]
    return RankingModel(features, blocks, tasks, name="parallel_dcn_v2")
