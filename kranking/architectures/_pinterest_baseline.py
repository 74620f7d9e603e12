"""Pinterest's Homefeed ranking model before its search for feature interactions."""

from collections.abc import Iterable, Sequence

import keras

from kranking import layers
from kranking.architectures._pinterest import PAPER, scaled, unit_length
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
    """Four full-rank DCNv2 layers, their output beside their input, a shared MLP: Figure 2a.

    `c = cross(x)`, `h = MLP(c ‖ x)`, `logit_t = h · w_t + b_t`; sparse, embedding and sequence fields have
    unit length. There is no projection ratio here. The MLP's widths are unpublished: `units` is ours.

    Args:
        features: Fitted declarations.
        tasks: The actions to predict.
        depth: Number of cross layers.
        units: Widths of the MLP.
        scale: Multiplies `units`, for small machines. The crosses are as wide as the fields.

    >>> age = kr.features.Numeric("age", mean=40.0, std=10.0)
    >>> pinterest_baseline([age], [kr.Task("save")], scale=0.01).name
    'pinterest_baseline'
    """
    blocks = [
        layers.Parallel([layers.CrossNetwork(depth), keras.layers.Identity()], merge="concat"),
        layers.MLP(scaled(units, scale)),
    ]
    return RankingModel(unit_length(features), blocks, tasks, name="pinterest_baseline")
