"""The Homefeed ranking model that Pinterest launched."""

from collections.abc import Iterable, Sequence

from kranking import layers
from kranking._core import check_choice
from kranking.architectures._pinterest import PAPER, scale_widths, unit_length
from kranking.architectures._registry import Hyperparameter, architecture
from kranking.features import Feature, Task
from kranking.models import RankingModel


@architecture(
    paper=PAPER,
    hyperparameters=[
        Hyperparameter("num_blocks", low=1, high=6, default=3),
        Hyperparameter("block_dim", low=128, high=1024, log=True, default=512),
        Hyperparameter("projection_ratio", low=0.5, high=4.0, log=True, default=2.0),
        Hyperparameter("depth", low=1, high=8, default=4),
        Hyperparameter("units", choices=((256, 128), (512, 256), (1024, 512)), default=(512, 256)),
    ],
)
def pinterest_launch(
    features: Iterable[Feature],
    tasks: Iterable[Task],
    *,
    num_blocks: int = 3,
    block_dim: int = 512,
    projection_ratio: float = 2.0,
    reading: str = "reduce",
    depth: int = 4,
    units: Sequence[int] = (512, 256),
    scale: float = 1.0,
) -> RankingModel:
    """Three parallel mask blocks, then four full-rank DCNv2 layers on their output (Figure 2b).

    `m = mask₁(x) ‖ mask₂(x) ‖ mask₃(x)`, `c = cross(m)`, `h = MLP(c)`, `logit_t = h · w_t + b_t`. Unlike
    the baseline, it does not concatenate the input and the output of the cross layers, and its MLP is
    smaller (the widths are unpublished; the defaults are ours).

    "Projection ratio 2.0" in the paper is ambiguous. With `reading="reduce"`, the default, the hidden layer
    of a mask is `W / 2.0` wide; only then do parameters and latency stay close to the baseline, as the
    paper claims. With `reading="expand"` it is `2.0 · W` wide, as the ratio is defined in MaskNet. Layer
    normalization is applied to the whole embedding, since per field it would erase numbers; the paper does
    not specify it.

    Args:
        features: Fitted feature declarations.
        tasks: Tasks to predict.
        num_blocks: Number of mask blocks.
        block_dim: Output width of each mask block.
        projection_ratio: Ratio between the total field width W and the width of the hidden layer of a mask.
        reading: `"reduce"` or `"expand"`.
        depth: Number of cross layers.
        units: Widths of the MLP.
        scale: Factor on `block_dim` and `units`, for small machines.

    >>> age = kr.features.Numeric("age", mean=40.0, std=10.0)
    >>> pinterest_launch([age], [kr.Task("save")], scale=0.02).name
    'pinterest_launch'
    """
    check_choice("reading", reading, ("reduce", "expand"))
    ratio = projection_ratio if reading == "expand" else 1.0 / projection_ratio
    blocks = [
        layers.ParallelMaskNet(
            num_blocks=num_blocks,
            block_dim=scale_widths([block_dim], scale)[0],
            reduction_ratio=ratio,
            ln_emb="whole",
        ),
        layers.CrossNetwork(depth),
        layers.MLP(scale_widths(units, scale)),
    ]
    return RankingModel(unit_length(features), blocks, tasks, name="pinterest_launch")
