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
    """Dot products between all embeddings, one of them from an MLP on the numbers, followed by an MLP.

    `logit_t = MLP(d₀ ‖ (⟨T_i, T_j⟩ for i > j)) · v_t + c_t` with `d₀ = MLP'(numbers)` and `T = [d₀; E]`.
    Without plain numbers there is no `d₀`, and the input of the MLP is the products of the embeddings.

    Args:
        features: Fitted feature declarations, at least one of them not a plain number. Embeddings of
            unequal widths are projected to a common width, except for `"cat"` without numbers.
        tasks: Tasks to predict.
        interaction_op: `"dot"`, or `"cat"` to concatenate the embeddings instead.
        self_interaction: Whether to include the products `⟨T_i, T_i⟩`.
        bottom_mlp_units: Hidden widths of the MLP on the numbers. Its output has the embedding width.
        top_mlp_units: Widths of the MLP on the interactions.
        dropout: Dropout rate after each layer of the MLP on the interactions.
        batch_norm: Whether to use batch normalization in the MLP on the interactions.

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
