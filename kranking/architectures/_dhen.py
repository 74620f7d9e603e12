"""DHEN, a deep and hierarchical ensemble of interaction modules."""

from collections.abc import Callable, Iterable, Sequence

import keras

from kranking import layers
from kranking._core import check_choice, check_positive_int
from kranking.architectures._registry import Hyperparameter, architecture
from kranking.features import Feature, Task
from kranking.models import RankingModel

MODULES = ("attention", "linear", "cross", "gram", "convolution", "mask", "dlrm")


@architecture(
    paper="Zhang et al., DHEN, 2022, https://arxiv.org/abs/2203.11014",
    views=("tokens",),
    hyperparameters=[
        Hyperparameter(
            "modules",
            choices=(
                ("attention", "linear"),
                ("dlrm", "linear"),
                ("cross", "linear"),
                ("cross", "mask"),
                ("attention", "cross", "linear"),
            ),
            default=("attention", "linear"),
        ),
        Hyperparameter("num_layers", low=1, high=8, default=5),
        Hyperparameter("num_tokens", choices=(4, 8, 16, 32), default=16),
        Hyperparameter("ensemble", choices=("concat", "sum", "weighted_sum"), default="concat"),
        Hyperparameter("units", choices=((256, 128), (512, 256), (1024, 512)), default=(512, 256)),
    ],
)
def dhen(
    features: Iterable[Feature],
    tasks: Iterable[Task],
    *,
    modules: Sequence[str] = ("attention", "linear"),
    num_layers: int = 5,
    num_tokens: int = 16,
    ensemble: str = "concat",
    num_heads: int = 1,
    feedforward_dim: int = 64,
    block_dim: int = 64,
    units: Sequence[int] = (512, 256),
) -> RankingModel:
    """Stacked layers, each an ensemble of different interaction modules, followed by an MLP.

    `X[n+1] = LN(Ensᵢ Intᵢ(X[n]) + ShortCut(X[n]))` on tokens, then `h = MLP(vec(X[N]))` and
    `logit_t = h · w_t + b_t`. The default is the configuration of the paper: five layers of attention and
    linear modules; the sizes inside the modules are unpublished. For modules that differ between layers,
    or other modules, use a `kranking.layers.DHEN` with a list of lists in a `RankingModel`.

    Args:
        features: Fitted feature declarations.
        tasks: Tasks to predict.
        modules: Modules of every layer: `"attention"` (a Transformer layer), `"linear"` (a linear map of
            the tokens), `"cross"` (`x ⊙ (x A + b)` on the flat vector), `"gram"` (equation 7 of the paper
            literally), `"convolution"`, `"mask"` (a mask block), `"dlrm"` (our `AdvancedDLRM`; the
            paper's, used together with `"linear"` in 2, 4 and 8 layers, is not public).
        num_layers: Number of layers N.
        num_tokens: Number of output tokens of each module.
        ensemble: How the modules are combined: `"concat"`, `"sum"` or `"weighted_sum"`.
        num_heads: Number of attention heads. Must divide the token width.
        feedforward_dim: Hidden width of the feed-forward network after attention.
        block_dim: Output width of a mask block.
        units: Widths of the MLP.

    >>> age = kr.features.Numeric("age", mean=40.0, std=10.0)
    >>> dhen([age], [kr.Task("save")], num_layers=1, num_tokens=2, units=(8,)).name
    'dhen'
    """
    check_positive_int("num_layers", num_layers)
    for name in modules:
        check_choice("modules", name, MODULES)
    make: dict[str, Callable[[], keras.layers.Layer]] = {
        "attention": lambda: layers.TransformerEncoderLayer(num_heads, feedforward_dim),
        "linear": lambda: layers.TokenLinear(num_tokens),
        "cross": layers.DHENCross,
        "gram": lambda: layers.GramCross(num_tokens),
        "convolution": layers.ConvolutionInteraction,
        "mask": lambda: layers.ParallelMaskNet(1, block_dim),
        "dlrm": lambda: layers.AdvancedDLRM(num_tokens),
    }
    stack = [[make[name]() for name in modules] for _ in range(num_layers)]
    blocks = [layers.DHEN(stack, num_tokens, ensemble), layers.MLP(units)]
    return RankingModel(features, blocks, tasks, name="dhen")
