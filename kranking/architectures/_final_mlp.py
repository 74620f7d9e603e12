"""FinalMLP."""

from collections.abc import Iterable, Sequence
from typing import Any

from kranking import layers
from kranking.architectures._registry import Hyperparameter, architecture
from kranking.features import Categorical, Feature, Task
from kranking.models import RankingModel

_UNITS = ((64, 64), (512, 256), (1024, 512), (1024, 512, 256))


@architecture(
    paper="Mao et al., FinalMLP, 2023, https://arxiv.org/abs/2304.00902",
    hyperparameters=[
        Hyperparameter("units1", choices=_UNITS, default=(512, 256)),
        Hyperparameter("units2", choices=_UNITS, default=(512, 256)),
        Hyperparameter("num_heads", choices=(1, 2, 4, 8, 16), default=2),
        Hyperparameter("dropout1", low=0.0, high=0.5, default=0.0),
        Hyperparameter("dropout2", low=0.0, high=0.5, default=0.0),
        Hyperparameter("fs_hidden_units", choices=((64,), (256,), (512,)), default=(64,)),
    ],
    views=("flat", "ids"),
)
def final_mlp(
    features: Iterable[Feature],
    tasks: Iterable[Task],
    *,
    units1: Sequence[int] = (512, 256),
    units2: Sequence[int] = (512, 256),
    num_heads: int = 2,
    dropout1: float = 0.0,
    dropout2: float = 0.0,
    batch_norm: bool = False,
    use_fs: bool = True,
    fs_hidden_units: Sequence[int] = (64,),
    fs1_context: Sequence[str] = (),
    fs2_context: Sequence[str] = (),
) -> RankingModel:
    """Two MLPs on differently gated features, with a bilinear interaction of their outputs.

    `h_s = 2σ(gate_s(context_s)) ⊙ E`, `o_s = MLP_s(h_s)`, and over `num_heads` parts `j`
    `logit_t = b_t + o₁ w₁ₜ + o₂ w₂ₜ + Σ_j o₁ⱼ W_tj o₂ⱼᵀ`. In the paper the context of one stream is the
    user and that of the other the item. The gates use separate embeddings for their contexts, with the
    same declarations as those of the model. Without a context, a gate is a learned vector.

    Args:
        features: Fitted feature declarations.
        tasks: Tasks to predict.
        units1: Widths of the first MLP.
        units2: Widths of the second MLP.
        num_heads: Number of parts of the bilinear form. Must divide the last width of both MLPs. 1 is the
            full form.
        dropout1: Dropout rate after each layer of the first MLP.
        dropout2: Dropout rate after each layer of the second MLP.
        batch_norm: Whether to use batch normalization in both MLPs.
        use_fs: Whether to use the gates (feature selection). Without them both MLPs have the same input.
        fs_hidden_units: Widths of the hidden layers between a context and its gate.
        fs1_context: Names of single-valued `Categorical` features, the context of the first gate.
        fs2_context: Context of the second gate, likewise.

    Raises:
        ValueError: If a context is given with `use_fs=False`, or names other features.

    >>> users = kr.features.Categorical("user", vocabulary=("a", "b"), embedding_dim=4)
    >>> final_mlp([users], [kr.Task("save")], units1=(8,), units2=(4,), fs1_context=["user"]).name
    'final_mlp'
    """
    features = tuple(features)
    if not use_fs and (fs1_context or fs2_context):
        raise ValueError(
            "`fs1_context` and `fs2_context` are inputs of the gates and require use_fs=True. "
            f"Received: fs1_context={fs1_context}, fs2_context={fs2_context}"
        )
    streams: list[Any] = [
        layers.MLP(units1, dropout=dropout1, batch_norm=batch_norm, name="stream_1"),
        layers.MLP(units2, dropout=dropout2, batch_norm=batch_norm, name="stream_2"),
    ]
    if use_fs:
        contexts = {"fs1_context": fs1_context, "fs2_context": fs2_context}
        streams = [
            _gate(stream, features, *context, fs_hidden_units)
            for stream, context in zip(streams, contexts.items(), strict=True)
        ]
    heads = layers.BilinearFusion(num_heads=num_heads, widths=(units1[-1], units2[-1]))
    return RankingModel(features, [layers.Parallel(streams)], tasks, heads=heads, name="final_mlp")


def _gate(stream, features, argument, names, hidden_units) -> layers.FeatureGate:
    """Creates the gate of a stream; its embeddings use the declarations of the context features."""
    columns = [f for f in features if isinstance(f, Categorical) and not f.multivalued]
    positions = {feature.name: position for position, feature in enumerate(columns)}
    unknown = [name for name in names if name not in positions]
    if isinstance(names, str) or unknown:
        raise ValueError(
            f"`{argument}` must be a list of names of single-valued Categoricals, from {list(positions)}. "
            f"Received: {argument}={names!r}"
        )
    context = [positions[name] for name in names]
    chosen = [columns[position] for position in context]
    return layers.FeatureGate(
        stream,
        context,
        [feature.width for feature in chosen],
        hidden_units,
        embeddings_initializer=[feature.initializer for feature in chosen],
        embeddings_regularizer=[feature.regularizer for feature in chosen],
    )
