"""Permutation importance of features, measured by normalized entropy."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from kranking._core import check_positive_int
from kranking.comparison._importance_report import FeatureImportance, Importance
from kranking.comparison._intervals import paired_difference
from kranking.comparison._session_values import entropy_by_session
from kranking.features import Feature
from kranking.models import RankingModel
from kranking.training import RankingEvaluation

Rows = tuple[Any, Any, Any]


def feature_importance(
    model: RankingModel,
    data: Any,
    session: np.ndarray | str | None = None,
    *,
    groups: Mapping[str, Sequence[str]] | None = None,
    repeats: int = 5,
    seed: int = 0,
    batch_size: int = 4096,
    verbose: Any = "auto",
) -> FeatureImportance:
    """Measures the increase in normalized entropy when the values of a feature are permuted between rows.

    `change[t] = NE[t](permuted) - NE[t]` for each task `t`, with an interval over permutations and
    sessions. A feature is permuted as a whole: a sequence with its actions, ages and padding, a multivalued
    feature with all its values, an embedding with all its components. Features that read the same column
    are permuted together, as are those of a group. All features use the same permutations.

    The result shows what *this* model uses, not the potential of a feature: of two redundant features, one
    may appear useless. All rows are held in memory, and scored once per feature and permutation.

    Args:
        model: A trained model.
        data: Rows that the model was not trained on, as in `RankingEvaluation`.
        session: Session of each row, or the name of its column. `None` treats each row as a session; the
            intervals are then too narrow if the rows of a session are correlated.
        groups: Features to permute together, by name of the group. Other features are not affected.
        repeats: Number of permutations per feature.
        seed: Seed of the permutations.
        batch_size: Number of rows scored at a time.
        verbose: 0 for silent, 2 for one line, other values for a progress bar.

    Returns:
        A `FeatureImportance`.

    Raises:
        ValueError: If a group has an unknown feature, or a feature is in two groups.

    >>> age = kr.features.Numeric("age", mean=0.0, std=1.0)
    >>> model = kr.RankingModel([age], [kr.layers.MLP([4])], [kr.Task("save")])
    >>> rows = {"age": np.array([-1, 1, 2], "float32")}, {"save": np.array([0, 1, 0])}
    >>> feature_importance(model, rows, verbose=0)["age"].features
    ('age',)

    Reference: [Zhang et al., 2023](https://arxiv.org/abs/2311.09544), who rank features in this way
    """
    check_positive_int("repeats", repeats)
    check_positive_int("seed", seed, minimum=0)
    if not isinstance(model, RankingModel):
        raise ValueError(
            "`model` must be a kranking.RankingModel, whose declarations map inputs to features. "
            f"Received: a model of class {type(model).__name__}"
        )
    moved = movable(model.features, groups or {})
    index = RankingEvaluation(data, session, ["ne"]).session  # raises for shuffled rows
    rows = _whole(data)
    index = np.arange(len(next(iter(rows[0].values())))) if index is None else index
    before = _entropies(model, rows, index, batch_size)
    orders = [np.random.default_rng([seed, r]).permutation(len(index)) for r in range(repeats)]
    verbose = 1 if verbose == "auto" else int(verbose)
    bar = keras.utils.Progbar(len(moved), verbose=verbose, unit_name="feature")
    found = []
    for name, features in moved.items():
        inputs = [i for f in features for i in f.inputs()]
        after = [_entropies(model, _dealt(rows, inputs, o), index, batch_size) for o in orders]
        changes = {
            task: paired_difference(np.stack([a[task] for a in after]), values)
            for task, values in before.items()
        }
        varies = any(np.any(rows[0][i] != rows[0][i][:1]) for i in inputs)
        found.append(Importance(name, tuple(f.name for f in features), changes, varies))
        bar.add(1)
    base = {task: float(np.mean(values)) for task, values in before.items()}
    return FeatureImportance(found, base, len(index), int(index.max()) + 1, repeats)


def movable(
    features: Sequence[Feature], groups: Mapping[str, Sequence[str]]
) -> dict[str, list[Feature]]:
    """Returns features to permute together by name: the groups, then the other features by column."""
    by_name = {feature.name: feature for feature in features}
    asked = [name for names in groups.values() for name in names]
    for name in asked:
        if name not in by_name or asked.count(name) > 1:
            problem = "is in two groups" if name in by_name else "is not a feature"
            raise ValueError(
                f"`groups` must contain features of the model, each at most once: {list(by_name)}. "
                f"Received: {name!r}, which {problem}"
            )
    moved = {group: [by_name[name] for name in names] for group, names in groups.items() if names}
    columns: dict[str, list[Feature]] = {}
    for feature in features:
        if feature.name not in asked:
            columns.setdefault(feature.source, []).append(feature)
    for together in columns.values():
        name = " + ".join(feature.name for feature in together)
        if name in moved:
            raise ValueError(
                f"The names of `groups` must differ from those of ungrouped features. Received: {name!r}"
            )
        moved[name] = together
    return moved


def _whole(data: Any) -> Rows:
    """Returns inputs, labels and weights of all rows; weights may be `None`."""
    batches = [data] if isinstance(data, tuple) else data
    parts = [keras.utils.unpack_x_y_sample_weight(batch) for batch in batches]
    if not parts:
        raise ValueError("`data` must yield at least one batch. Received: none")

    def joined(*values):
        return np.concatenate([keras.ops.convert_to_numpy(v) for v in values])

    x, y, weight = (
        None if column[0] is None else keras.tree.map_structure(joined, *column)
        for column in zip(*parts)
    )
    if y is None:
        raise ValueError("`data` must have labels. Received: inputs only")
    return x, y, weight


def _dealt(rows: Rows, inputs: Sequence[str], order: np.ndarray) -> Rows:
    x, *rest = rows
    return (x | {name: x[name][order] for name in inputs}, *rest)


def _entropies(model: Any, rows: Rows, index: np.ndarray, batch_size: int) -> dict[str, np.ndarray]:
    """Returns values per session by task, whose mean is the normalized entropy."""
    found = RankingEvaluation(rows, metrics=["ne"], batch_size=batch_size).collect(model)
    values = {}
    for task, (y, score, weight) in found.items():
        if not np.isfinite(score).all():
            raise ValueError(
                "`model` must return finite scores. Received: "
                f"{np.sum(~np.isfinite(score))} non-finite scores for task {task!r}"
            )
        kept = weight != 0  # labels of masked rows are undefined
        y, score, weight = (
            np.where(kept, part, 0).astype("float64") for part in (y, score, weight)
        )
        values[task] = entropy_by_session(y, score, weight, index)
    return values
