"""MemoNet."""

from collections.abc import Iterable, Sequence

import keras

from kranking import layers
from kranking.architectures._registry import Hyperparameter, architecture
from kranking.features import Feature, Task
from kranking.models import RankingModel


@architecture(
    paper="Zhang and Zhang, MemoNet, 2023, https://arxiv.org/abs/2211.01334",
    hyperparameters=[
        Hyperparameter("num_codewords", low=1_000, high=1_000_000, log=True, default=100_000),
        Hyperparameter("num_hashes", low=1, high=4, default=2),
        Hyperparameter("restore", choices=("linear", "attentive"), default="linear"),
        Hyperparameter(
            "units", choices=((64, 64), (256, 128), (400, 400), (1024, 512)), default=(400, 400)
        ),
        Hyperparameter("dropout", low=0.0, high=0.5, default=0.0),
        Hyperparameter("batch_norm", choices=(False, True), default=False),
    ],
    views=("flat", "ids", "categorical"),
)
def memonet(
    features: Iterable[Feature],
    tasks: Iterable[Task],
    *,
    num_codewords: int = 100_000,
    codeword_dim: int | None = None,
    num_hashes: int = 2,
    restore: str = "linear",
    units: Sequence[int] = (400, 400),
    dropout: float = 0.0,
    batch_norm: bool = False,
) -> RankingModel:
    """An MLP on the fields and on a learned, hashed memory of all pairs of categorical values.

    `logit_t = MLP(E ‖ V) · v_t + c_t`, with `V = HCNet(ids, E)`: for each field, the sum over its pairs of
    a vector looked up in a codebook by hashing. `E` contains all fields. Pairs are formed from the
    single-valued categorical features, of which there must be at least two.

    Args:
        features: Fitted feature declarations.
        tasks: Tasks to predict.
        num_codewords: Number of rows in the codebook. In the paper it grows with the data, up to a million.
        codeword_dim: Width of a codeword; `None` uses the embedding width.
        num_hashes: Number of codewords per pair.
        restore: `"linear"`, or `"attentive"` to weight codewords by the embeddings of the pair.
        units: Widths of the MLP.
        dropout: Dropout rate after each layer of the MLP.
        batch_norm: Whether to use batch normalization in the MLP.

    >>> words = {"vocabulary": ("a", "b"), "embedding_dim": 4}
    >>> pair = [kr.features.Categorical("country", **words), kr.features.Categorical("app", **words)]
    >>> memonet(pair, [kr.Task("save")], num_codewords=100, units=(8,)).name
    'memonet'
    """
    memory = layers.HCNet(num_codewords, codeword_dim, num_hashes, restore)
    blocks = [
        layers.Parallel([keras.layers.Identity(), memory]),
        layers.MLP(units, dropout=dropout, batch_norm=batch_norm),
    ]
    return RankingModel(features, blocks, tasks, name="memonet")
