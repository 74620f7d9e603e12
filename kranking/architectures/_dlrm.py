"""DLRM."""

from collections.abc import Iterable, Sequence

from kranking import layers
from kranking._core import check_choice
from kranking.architectures._registry import Hyperparameter, architecture
from kranking.features import Feature, Numeric, Task
from kranking.models import RankingModel

UNITS = ((64, 32), (256, 128), (512, 256), (400, 400, 400), (1024, 512, 256))


@architecture(
    paper="Naumov et al., DLRM, 2019, https://arxiv.org/abs/1906.00091",
    hyperparameters=[
        Hyperparameter("interaction_op", choices=("dot", "cat"), default="dot"),
        Hyperparameter("bottom_mlp_units", choices=UNITS, default=(512, 256)),
        Hyperparameter("top_mlp_units", choices=UNITS, default=(512, 256)),
        Hyperparameter("dropout", low=0.0, high=0.5, default=0.0),
        Hyperparameter("batch_norm", choices=(False, True), default=False),
    ],
    views=("numeric", "embeddings", "tokens", "flat"),
)
def dlrm(
    features: Iterable[Feature],
    tasks: Iterable[Task],
    *,
    interaction_op: str = "dot",
    self_interaction: bool = False,
    bottom_mlp_units: Sequence[int] = (512, 256),
    top_mlp_units: Sequence[int] = (512, 256),
    dropout: float = 0.0,
    batch_norm: bool = False,
) -> RankingModel:
    """Makes one embedding of all numbers, multiplies all embeddings with each other, and adds an MLP.

    `logit_t = MLP(d₀ ‖ (⟨T_i, T_j⟩ for i > j)) · v_t + c_t` with `d₀ = MLP'(numbers)` and `T = [d₀; E]`.
    Without plain numbers there is no `d₀`: the MLP reads the products of the embeddings alone.

    Args:
        features: Fitted declarations, not only plain numbers. Embeddings of unequal widths are projected to
            one, but for `"cat"` without numbers.
        tasks: The actions to predict.
        interaction_op: `"dot"`, or `"cat"` to concatenate all embeddings instead.
        self_interaction: Takes `⟨T_i, T_i⟩` as well.
        bottom_mlp_units: Hidden widths of the numbers' MLP; its output is as wide as an embedding.
        top_mlp_units: Widths of the MLP over the interactions.
        dropout: Dropout rate after each layer of the latter.
        batch_norm: Whether the latter normalises over the batch.

    >>> words = {"vocabulary": ("a", "b"), "embedding_dim": 4}
    >>> pair = [kr.features.Categorical("country", **words), kr.features.Categorical("app", **words)]
    >>> dlrm(pair, [kr.Task("save")], top_mlp_units=(8,)).name
    'dlrm'
    """
    check_choice("interaction_op", interaction_op, ("dot", "cat"))
    features = tuple(features)
    top = layers.MLP(top_mlp_units, dropout=dropout, batch_norm=batch_norm)
    if any(isinstance(f, Numeric) and not f.bucketized for f in features):
        first = [layers.DLRMInteraction(bottom_mlp_units, interaction_op, self_interaction)]
    else:
        first = [layers.DotInteraction(self_interaction)] if interaction_op == "dot" else []
    return RankingModel(features, [*first, top], tasks, name="dlrm")
