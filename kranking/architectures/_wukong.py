"""Wukong."""

from collections.abc import Iterable, Sequence

from kranking import layers
from kranking._core import check_positive_int
from kranking.architectures._registry import Hyperparameter, architecture
from kranking.features import Feature, Task
from kranking.models import RankingModel

UNITS = ((64, 32), (256, 128), (512, 256), (1024, 512))


@architecture(
    paper="Zhang et al., Wukong, 2024, https://arxiv.org/abs/2403.02545",
    hyperparameters=[
        Hyperparameter("num_wukong_layers", low=1, high=8, default=3),
        Hyperparameter("fmb_features", low=4, high=64, log=True, default=8),
        Hyperparameter("lcb_features", low=4, high=64, log=True, default=8),
        Hyperparameter("fmb_rank_k", low=4, high=64, log=True, default=24),
        Hyperparameter("fmb_mlp_units", choices=UNITS, default=(512, 256)),
        Hyperparameter("units", choices=UNITS, default=(512, 256)),
        Hyperparameter("dropout", low=0.0, high=0.5, default=0.0),
    ],
    views=("tokens",),
)
def wukong(
    features: Iterable[Feature],
    tasks: Iterable[Task],
    *,
    num_wukong_layers: int = 3,
    fmb_features: int = 8,
    lcb_features: int = 8,
    fmb_rank_k: int = 24,
    fmb_mlp_units: Sequence[int] = (512, 256),
    units: Sequence[int] = (512, 256),
    dropout: float = 0.0,
    batch_norm: bool = False,
) -> RankingModel:
    """Stacked factorization machines, each followed by an MLP that creates the tokens of the next layer.

    `X[i+1] = LN([FMB(X[i]); LCB(X[i])] + X[i])` and `logit_t = MLP(vec(X[l])) · v_t + c_t`. After l layers
    the tokens contain interactions of orders 1 to 2^l. The default sizes of the layers are among the
    smaller ones in the paper; those of both kinds of MLP are ours.

    Args:
        features: Fitted feature declarations. Fields of unequal widths are projected to a common width.
        tasks: Tasks to predict.
        num_wukong_layers: Number of layers l.
        fmb_features: Number of output tokens of a factorization machine block.
        lcb_features: Number of output tokens of a linear compression block.
        fmb_rank_k: Number k of projected tokens that the tokens are multiplied with.
        fmb_mlp_units: Hidden widths of the MLP in a factorization machine block.
        units: Widths of the final MLP.
        dropout: Dropout rate after each layer of the final MLP.
        batch_norm: Whether to use batch normalization in the final MLP.

    >>> words = {"vocabulary": ("a", "b"), "embedding_dim": 4}
    >>> pair = [kr.features.Categorical("country", **words), kr.features.Categorical("app", **words)]
    >>> wukong(pair, [kr.Task("save")], fmb_mlp_units=(8,), units=(8,)).name
    'wukong'
    """
    check_positive_int("num_wukong_layers", num_wukong_layers)
    blocks = [
        layers.WukongLayer(fmb_features, lcb_features, fmb_rank_k, fmb_mlp_units)
        for _ in range(num_wukong_layers)
    ]
    top = layers.MLP(units, dropout=dropout, batch_norm=batch_norm)
    return RankingModel(features, [*blocks, top], tasks, name="wukong")
