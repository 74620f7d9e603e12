"""Pinterest's Homefeed ranking model before the study of feature interactions."""

from collections.abc import Iterable, Sequence

import keras

from kranking import layers
from kranking.architectures._pinterest import PAPER, scale_widths, unit_length
from kranking.architectures._registry import Hyperparameter, architecture
from kranking.features import Feature, Task
from kranking.models import RankingModel


@architecture(
    paper=PAPER,
    hyperparameters=[
        Hyperparameter("depth", low=1, high=8, default=4),
        Hyperparameter(
            "units", choices=((512, 256), (1024, 512), (2048, 1024)), default=(1024, 512)
        ),
    ],
)
def pinterest_baseline(
    features: Iterable[Feature],
    tasks: Iterable[Task],
    *,
    depth: int = 4,
    units: Sequence[int] = (1024, 512),
    scale: float = 1.0,
) -> RankingModel:
    """Four full-rank DCNv2 layers; an MLP on the concatenation of their output and input (Figure 2a).

    `c = cross(x)`, `h = MLP(c ‖ x)`, `logit_t = h · w_t + b_t`; sparse, embedding and sequence fields are
    normalized to unit length. This model has no projection ratio. The widths of the MLP are unpublished;
    the default `units` is ours.

    Args:
        features: Fitted feature declarations.
        tasks: Tasks to predict.
        depth: Number of cross layers.
        units: Widths of the MLP.
        scale: Factor on `units`, for small machines. The width of the cross layers is that of the fields.

    >>> age = kr.features.Numeric("age", mean=40.0, std=10.0)
    >>> pinterest_baseline([age], [kr.Task("save")], scale=0.01).name
    'pinterest_baseline'
    """
    blocks = [
        layers.Parallel([layers.CrossNetwork(depth), keras.layers.Identity()], merge="concat"),
        layers.MLP(scale_widths(units, scale)),
    ]
    return RankingModel(unit_length(features), blocks, tasks, name="pinterest_baseline")
