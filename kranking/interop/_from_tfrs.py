"""A trained ranking model of tensorflow-recommenders as a kranking model, checked."""

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
    """Turns a trained ranking model of tensorflow-recommenders into a kranking model, and compares both.

    A TFRS model is a class of your own: you name its parts, and what it does with them is taken to be
    `logits(deep(interaction(e₁ ‖ … ‖ e_F)))`, with `e` in the order of `towers`. Whether that holds is
    settled by predicting `rows` with both. Nothing of TFRS or Keras 2 is imported: give its objects.

    Args:
        model: The trained model: called with `rows`, it gives logits or probabilities, as an array for one
            task, `(rows, tasks)`, a list or a dict by task. Any function of the rows will do.
        towers: By feature name, in the order of concatenation, what `from_tfrs_tower` takes.
        tasks: The actions, in the order of the logits.
        rows: Some rows of the log by feature name, as `model` takes them.
        interaction: `Cross` layers that share one `x0`, as a list, or one `MultiLayerDCN`. Crosses in a
            Sequential take their own input as `x0`. One `DotInteraction` of the embeddings. A kranking
            or Keras 3 layer is taken as it is.
        bottom: DLRM's layers on the numbers, for a `DotInteraction`: their output is its last vector, and
            stands in front of its products as well, as in `tfrs.experimental.models.Ranking`.
        deep: Layers after the interaction, as `from_tfrs_dense` takes them. The last one gives the logits,
            unless `logits` does.
        logits: The layer of the logits; or, by task name, a chain of layers that ends in one unit.
        sides: `"user"` or `"item"` by feature name, for serving; others are `"context"`.
        tolerance: Allowed difference, as a share of `1 + |prediction|`.

    Returns:
        A built `RankingModel` with the source's weights, not compiled.

    Raises:
        ValueError: For a part that has no counterpart, and for predictions that differ.

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
    model(rows)  # layers of Keras have weights once they were called
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
    """Gives the layers that all tasks share, and the chains that end in logits."""
    shared = chain(deep)
    if isinstance(logits, Mapping):
        missing = [task.name for task in tasks if task.name not in logits]
        if missing:
            raise ValueError(
                f"`logits` must hold the layers of every task. Missing: {missing}. "
                f"Received: {sorted(logits)}"
            )
        return shared, [chain(logits[task.name]) for task in tasks]
    shared += [] if logits is None else chain(logits)
    if not shared:
        raise ValueError(
            "`deep` or `logits` must hold the layer that gives the logits. Received: neither"
        )
    return shared[:-1], [shared[-1:]]


def _check_width(features: list[Any], layers: list[keras.layers.Layer]) -> None:
    """Raises `ValueError` unless the first layer takes what the towers give."""
    first = layers[0].steps[0] if hasattr(layers[0], "steps") else layers[0]
    wanted = getattr(first.input_spec, "axes", None) if first.input_spec else None
    widths = {feature.name: feature.width for feature in features}
    if wanted and wanted.get(-1) not in (None, sum(widths.values())):
        raise ValueError(
            f"The towers must give the width that {first.name!r} was trained on, {wanted[-1]}. "
            f"Received: {sum(widths.values())}, from {widths}"
        )
