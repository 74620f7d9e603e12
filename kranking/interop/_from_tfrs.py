"""Conversion of a trained tensorflow-recommenders ranking model, checked by comparing predictions."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import keras

from kranking.features import Task
from kranking.interop._check_same_predictions import check_same_predictions
from kranking.interop._dense import from_tfrs_dense, heads_from
from kranking.interop._interaction import interaction_from
from kranking.interop._source import chain
from kranking.interop._tower import from_tfrs_tower
from kranking.models import RankingModel


def from_tfrs(
    model: Callable[[Any], Any],
    towers: Mapping[str, Any],
    tasks: Iterable[Task],
    *,
    rows: Mapping[str, Any],
    interaction: Any = None,
    bottom: Any = None,
    deep: Any = (),
    logits: Any = None,
    sides: Mapping[str, str] | None = None,
    tolerance: float = 1e-5,
) -> RankingModel:
    """Converts a trained tensorflow-recommenders (TFRS) ranking model and compares the predictions.

    A TFRS model is a user-defined class, so its parts are passed individually. They are assumed to be
    composed as `logits(deep(interaction(e₁ ‖ … ‖ e_F)))`, with `e` in the order of `towers`; this is
    verified by predicting `rows` with both models. TFRS and Keras 2 are never imported: pass their objects.

    Args:
        model: The trained model, or any function that maps `rows` to logits or probabilities: an array for
            one task, `(rows, tasks)`, a list, or a dict by task.
        towers: Towers by feature name in the order of concatenation, as in `from_tfrs_tower`.
        tasks: Tasks in the order of the logits.
        rows: Some rows of the log by feature name, in the form that `model` accepts.
        interaction: A list of `Cross` layers that share one `x0`, or one `MultiLayerDCN`. In a Sequential,
            the `x0` of each cross is its own input. Or one `DotInteraction` on the embeddings. Layers of
            kranking and Keras 3 are used unchanged.
        bottom: DLRM's layers on the numbers, for a `DotInteraction`. Their output is its last input vector
            and is also concatenated in front of its products, as in `tfrs.experimental.models.Ranking`.
        deep: Layers after the interaction, as in `from_tfrs_dense`. The last one outputs the logits unless
            `logits` is given.
        logits: The layer that outputs the logits; or, by task name, a chain of layers that ends with one
            unit.
        sides: `"user"` or `"item"` by feature name, for serving; other features are `"context"`.
        tolerance: Allowed difference, relative to `1 + |prediction|`.

    Returns:
        A built `RankingModel` with the weights of the source, not compiled.

    Raises:
        ValueError: If a part has no equivalent, or if the predictions differ.

    >>> country = keras.Sequential([keras.layers.Embedding(3, 4)])
    >>> deep = keras.Sequential([keras.layers.Dense(8, "relu"), keras.layers.Dense(1)])
    >>> model = kr.interop.from_tfrs(
    ...     lambda rows: deep(country(rows["country"])),
    ...     {"country": country},
    ...     [kr.Task("save")],
    ...     rows={"country": np.array([0, 2, 1])},
    ...     deep=deep,
    ... )
    >>> [type(block).__name__ for block in model.blocks]
    ['MLP']
    """
    tasks, sides = list(tasks), dict(sides or {})
    unknown = sorted(set(sides) - set(towers))
    if unknown:
        raise ValueError(f"`sides` must name features of `towers`. Received: {unknown}")
    model(rows)  # Keras layers create their weights at the first call
    converted = [
        from_tfrs_tower(name, tower, sides.get(name, "context")) for name, tower in towers.items()
    ]
    features = [feature for feature, _ in converted]
    hidden, lasts = _split(deep, logits, tasks)
    blocks, reorder = interaction_from(interaction, bottom, features)
    if hidden:
        hidden = reorder(hidden)
    else:
        lasts = [reorder(last) for last in lasts]
    blocks += from_tfrs_dense(hidden)
    heads = heads_from(lasts, len(tasks))
    _check_width(features, [*blocks, heads])
    made = RankingModel(features, blocks, tasks, heads)
    made.build()
    for feature, table in converted:
        if table is not None:
            made.encoder.set_table(feature.name, table)
    check_same_predictions(made, model, rows, tolerance)
    return made


def _split(deep: Any, logits: Any, tasks: list[Task]) -> tuple[list[Any], list[list[Any]]]:
    """Returns the layers shared by all tasks, and the chains that end with the logits."""
    shared = chain(deep)
    if isinstance(logits, Mapping):
        missing = [task.name for task in tasks if task.name not in logits]
        if missing:
            raise ValueError(
                f"`logits` must contain the layers of every task. Missing: {missing}. "
                f"Received: {sorted(logits)}"
            )
        return shared, [chain(logits[task.name]) for task in tasks]
    shared += [] if logits is None else chain(logits)
    if not shared:
        raise ValueError(
            "`deep` or `logits` must contain the layer that outputs the logits. Received: neither"
        )
    return shared[:-1], [shared[-1:]]


def _check_width(features: list[Any], layers: list[keras.layers.Layer]) -> None:
    """Raises `ValueError` unless the total width of the towers fits the first layer."""
    first = layers[0].steps[0] if hasattr(layers[0], "steps") else layers[0]
    wanted = getattr(first.input_spec, "axes", None) if first.input_spec else None
    widths = {feature.name: feature.width for feature in features}
    if wanted and wanted.get(-1) not in (None, sum(widths.values())):
        raise ValueError(
            f"The total width of the towers must be {wanted[-1]}, the input width of {first.name!r}. "
            f"Received: {sum(widths.values())}, from {widths}"
        )
