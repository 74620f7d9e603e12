"""Transformer on the fields, as evaluated by Pinterest."""

from collections.abc import Iterable, Sequence

from kranking import layers
from kranking._core import check_positive_int
from kranking.architectures._pinterest import PAPER
from kranking.architectures._registry import Hyperparameter, architecture
from kranking.features import Feature, Task
from kranking.models import RankingModel


@architecture(
    paper=f"{PAPER}, section 5.3.1",
    hyperparameters=[
        Hyperparameter("depth", low=1, high=2, default=2),
        Hyperparameter("token_dim", choices=(16, 32, 64, 128), default=32),
        Hyperparameter("num_heads", choices=(1, 2, 4), default=2),
        Hyperparameter("feedforward_dim", low=32, high=512, log=True, default=64),
        Hyperparameter("units", choices=((256, 128), (512, 256), (1024, 512)), default=(512, 256)),
        Hyperparameter("dropout", low=0.0, high=0.5, default=0.0),
    ],
    views=("fields",),
)
def transformer(
    features: Iterable[Feature],
    tasks: Iterable[Task],
    *,
    depth: int = 2,
    token_dim: int = 32,
    num_numeric_tokens: int = 4,
    num_sequence_tokens: int = 4,
    num_heads: int = 2,
    feedforward_dim: int = 64,
    norm_first: bool = True,
    units: Sequence[int] = (512, 256),
    dropout: float = 0.0,
) -> RankingModel:
    """Transformer encoder on tokens of fields, numbers and sequences, with an MLP on all tokens.

    `X = [S tokens; C numeric tokens; U tokens of each sequence]`, then `depth` layers of attention and
    feed-forward networks without positional encoding, then `h = MLP(vec(X))`. C = U = 4 and at most two
    layers are from the paper; the widths, the number of heads and the position of the normalizations are
    unpublished, and the defaults are ours. Fields are normalized to unit length only if declared so.

    Args:
        features: Fitted feature declarations.
        tasks: Tasks to predict.
        depth: Number of encoder layers.
        token_dim: Width of every token.
        num_numeric_tokens: Number of tokens C for all numbers together.
        num_sequence_tokens: Number of tokens U for each sequence.
        num_heads: Number of attention heads. Must divide `token_dim`.
        feedforward_dim: Hidden width of the feed-forward networks.
        norm_first: Whether to normalize before attention and feed-forward network instead of after.
        units: Widths of the MLP.
        dropout: Dropout rate of the encoder layers and after each layer of the MLP.

    >>> age = kr.features.Numeric("age", mean=40.0, std=10.0)
    >>> transformer([age], [kr.Task("save")], units=(8,)).name
    'transformer'
    """
    check_positive_int("depth", depth)
    tokenizer = layers.Tokenizer(
        token_dim, num_numeric_tokens=num_numeric_tokens, num_sequence_tokens=num_sequence_tokens
    )
    encoder = [
        layers.TransformerEncoderLayer(num_heads, feedforward_dim, dropout, norm_first)
        for _ in range(depth)
    ]
    blocks = [tokenizer, *encoder, layers.MLP(units, dropout=dropout)]
    return RankingModel(features, blocks, tasks, name="transformer")
