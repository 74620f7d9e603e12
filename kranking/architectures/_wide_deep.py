"""Wide & Deep."""

from collections.abc import Iterable, Sequence
from itertools import combinations

from kranking import layers
from kranking.architectures._registry import Hyperparameter, architecture
from kranking.architectures._sum_of_logits import DEEP, LOGIT, deep_part, sum_of_logits
from kranking.features import Categorical, Feature, Task
from kranking.models import RankingModel


@architecture(
    paper="Cheng et al., Wide & Deep, 2016, https://arxiv.org/abs/1606.07792",
    hyperparameters=[
        Hyperparameter("cross_buckets", choices=(10_000, 100_000, 1_000_000), default=100_000),
        *DEEP,
    ],
    views=("linear", "ids", "flat"),
)
def wide_deep(
    features: Iterable[Feature],
    tasks: Iterable[Task],
    *,
    crosses: Sequence[tuple[str, str]] | str | None = "all",
    cross_buckets: int = 100_000,
    units: Sequence[int] = (400, 400, 400),
    dropout: float = 0.0,
    batch_norm: bool = False,
) -> RankingModel:
    """Sum of a wide part that memorizes pairs of values and an MLP on embeddings that generalizes.

    `logit_t = Σ_f w_ft[x_f] + Σ_(f,g) v_t[x_f, x_g] + MLP(E)_t`, with a single bias, in the output of the
    MLP. Pairs are hashed into one table. The paper trains the wide part with a separate optimizer (FTRL
    with L1 regularization); here one optimizer trains everything. In other libraries this name refers to
    the model without pairs, `crosses=None`.

    Args:
        features: Fitted feature declarations.
        tasks: Tasks to predict.
        crosses: Pairs of names of single-valued `Categorical` features that you expect to interact, such
            as `[("user_id", "genre")]`. `"all"` uses all pairs: fine for twenty features, with 190 lookups
            per row, but slow for a hundred. `None` uses no pairs.
        cross_buckets: Number of rows in the table of pairs.
        units: Widths of the MLP.
        dropout: Dropout rate after each layer of the MLP.
        batch_norm: Whether to use batch normalization in the MLP.

    Raises:
        ValueError: If `crosses` has another form or names other features.

    >>> words = {"vocabulary": ("a", "b"), "embedding_dim": 4}
    >>> pair = [kr.features.Categorical("country", **words), kr.features.Categorical("app", **words)]
    >>> wide_deep(pair, [kr.Task("save")], crosses=[("country", "app")], units=(8,)).name
    'wide_deep'
    """
    features, tasks = tuple(features), tuple(tasks)
    pairs = _positions(features, crosses)
    parts = [layers.LinearTerm(use_bias=False, **LOGIT)]
    if pairs:
        parts.append(layers.CrossedFeatures(pairs, cross_buckets, **LOGIT))
    parts.append(deep_part(units, len(tasks), dropout, batch_norm))
    return sum_of_logits(features, tasks, parts, name="wide_deep")


def _positions(features, crosses) -> list[tuple[int, int]]:
    """Converts pairs of names to pairs of positions among the single-valued categorical features."""
    names = [f.name for f in features if isinstance(f, Categorical) and not f.multivalued]
    if isinstance(crosses, str) and crosses == "all":
        return list(combinations(range(len(names)), 2))
    pairs = () if crosses is None else crosses
    if isinstance(pairs, str) or any(isinstance(pair, str) or len(pair) != 2 for pair in pairs):
        raise ValueError(
            '`crosses` must be "all", None, or a list of pairs of feature names. '
            f"Received: crosses={crosses!r}"
        )
    unknown = [name for pair in pairs for name in pair if name not in names]
    if unknown:
        raise ValueError(
            f"`crosses` must name single-valued Categoricals, from {names}. Received: {unknown[0]!r}"
        )
    return [(names.index(left), names.index(right)) for left, right in pairs]
