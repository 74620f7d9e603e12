"""FINAL, also called FinalNet."""

from collections.abc import Iterable, Sequence
from typing import Any

import keras

from kranking import layers
from kranking._core import check_choice
from kranking.architectures._registry import Hyperparameter, architecture
from kranking.features import Feature, Task
from kranking.models import RankingModel

_UNITS = ((64,), (64, 64, 64), (400,), (400, 400), (400, 400, 400))
_TWO = ("block_type", "2B")


@architecture(
    paper="Zhu et al., FINAL, 2023, https://doi.org/10.1145/3539618.3591988",
    hyperparameters=[
        Hyperparameter("block_type", choices=("1B", "2B"), default="2B"),
        Hyperparameter("units1", choices=_UNITS, default=(64, 64, 64)),
        Hyperparameter("units2", choices=_UNITS, default=(64, 64, 64), when=_TWO),
        Hyperparameter("merge", choices=("concat", "sum"), default="concat"),
        Hyperparameter("activation", choices=(None, "relu"), default=None),
        Hyperparameter("dropout1", low=0.0, high=0.5, default=0.0),
        Hyperparameter("dropout2", low=0.0, high=0.5, default=0.0, when=_TWO),
        Hyperparameter("use_field_gate", choices=(False, True), default=True),
    ],
    views=("tokens", "flat"),
)
def final_net(
    features: Iterable[Feature],
    tasks: Iterable[Task],
    *,
    block_type: str = "2B",
    units1: Sequence[int] = (64, 64, 64),
    units2: Sequence[int] = (64, 64, 64),
    merge: str = "concat",
    activation: Any = None,
    dropout1: float = 0.0,
    dropout2: float = 0.0,
    batch_norm: bool = True,
    use_field_gate: bool = True,
    auxiliary_loss: Any = "distillation",
) -> RankingModel:
    """One or two stacks of layers that multiply two linear maps of their input, without an MLP.

    `[u ‖ v] = h A + b`, `h ← u ‖ u ⊙ v`, a polynomial of degree `2ⁿ` after `n` layers. The input of the
    first block is the fields and their gated products, that of the second the fields alone. With two
    blocks `logit_t` is the mean of their logits, and each block is also trained to predict what the mean
    predicts (`kranking.losses.SelfDistillation`).

    The gate needs fields of equal width; if the widths differ, its block uses projected fields.

    Args:
        features: Fitted feature declarations.
        tasks: Tasks to predict.
        block_type: Number of blocks, `"1B"` or `"2B"`.
        units1: Widths of the layers of the first block; even for `merge="concat"`.
        units2: Widths of the layers of the second block.
        merge: `"concat"`, or `"sum"` for `h ← u + u ⊙ v`, with twice as many parameters.
        activation: Activation of every layer, after normalization.
        dropout1: Dropout rate after each layer of the first block.
        dropout2: Dropout rate after each layer of the second block.
        batch_norm: Whether to use batch normalization in every layer.
        use_field_gate: Whether the first block uses the gate.
        auxiliary_loss: Loss on the logits of both blocks, as in `kranking.layers.MeanHeads`; `None` for
            no auxiliary loss.

    >>> country = kr.features.Categorical("country", vocabulary=("DE", "FR"), embedding_dim=8)
    >>> final_net([country], [kr.Task("save")], units1=(8,), units2=(4,)).name
    'final_net'
    """
    check_choice("block_type", block_type, ("1B", "2B"))
    options = {"merge": merge, "activation": activation, "batch_norm": batch_norm}
    first: Any = layers.FactorizedNetwork(units1, dropout=dropout1, name="block_1", **options)
    if use_field_gate:
        first = keras.Sequential([layers.FieldGate(), keras.layers.Flatten(), first], name="gated")
    if block_type == "1B":
        return RankingModel(features, [first], tasks, name="final_net")
    second = layers.FactorizedNetwork(units2, dropout=dropout2, name="block_2", **options)
    heads = layers.MeanHeads(widths=(units1[-1], units2[-1]), auxiliary_loss=auxiliary_loss)
    blocks = [layers.Parallel([first, second])]
    return RankingModel(features, blocks, tasks, heads=heads, name="final_net")
