"""What each feature is worth to a trained model: permuted between rows, its normalised entropy rises."""

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
    """Measures how much worse a model predicts when a feature's values are dealt to other rows.

    `change[t] = NE[t](permuted) - NE[t]`, for each task `t`, with an interval over permutations and
    sessions. A feature moves as a whole: a sequence with its actions, ages and padding, a multi-valued
    one with all its values, a given vector with all its numbers. Features that read the same column move
    together, and so do those of a group. Every feature gets the same permutations.

    It says what *this* model uses, not what a feature could give: of two features that say the same, one
    may look worthless. All rows are in memory, and scored once for each feature and permutation.

    Args:
        model: A trained model.
        data: Rows the model was not trained on, as `RankingEvaluation` takes them.
        session: Session of each row, or the column's name. `None` takes each row as a session, and the
            intervals are then too narrow if the rows of a session are alike.
        groups: Features to move together, by the group's name; the others move as they would without.
        repeats: Permutations of each feature.
        seed: Seed of the permutations.
        batch_size: Rows scored at once.
        verbose: 0 is silent, 2 a line, anything else a progress bar.

    Raises: `ValueError` for a group with an unknown feature, or one that is in two.

    >>> age = kr.features.Numeric("age", mean=0.0, std=1.0)
    >>> model = kr.RankingModel([age], [kr.layers.MLP([4])], [kr.Task("save")])
    >>> rows = {"age": np.array([-1, 1, 2], "float32")}, {"save": np.array([0, 1, 0])}
    >>> feature_importance(model, rows, verbose=0)["age"].features
    ('age',)

    Reference: [Zhang et al., 2023](https://arxiv.org/abs/2311.09544), who rank features so
    """
    check_positive_int("repeats", repeats)
    check_positive_int("seed", seed, minimum=0)
    if not isinstance(model, RankingModel):
        raise ValueError(
            "`model` must be a kranking.RankingModel, whose declarations say which inputs are one "
            f"feature. Received: {type(model).__name__}"
        )
    moved = movable(model.features, groups or {})
    index = RankingEvaluation(
        data, session, ["ne"]
    ).session  # refuses rows in another order each time
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
    """Gives what moves together, by name: the groups, then by column what is in none."""
    by_name = {feature.name: feature for feature in features}
    asked = [name for names in groups.values() for name in names]
    for name in asked:
        if name not in by_name or asked.count(name) > 1:
            problem = "is in two" if name in by_name else "is no feature"
            raise ValueError(
                f"`groups` must hold features of the model, each once, of {list(by_name)}. "
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
                f"`groups` must have names that no feature outside has. Received: {name!r}"
            )
        moved[name] = together
    return moved


def _whole(data: Any) -> Rows:
    """Gives inputs, labels and weights of all rows; weights may be `None`."""
    batches = [data] if isinstance(data, tuple) else data
    parts = [keras.utils.unpack_x_y_sample_weight(batch) for batch in batches]
    if not parts:
        raise ValueError("`data` must hold at least one batch. Received: none")

    def joined(*values):
        return np.concatenate([keras.ops.convert_to_numpy(v) for v in values])

    x, y, weight = (
        None if column[0] is None else keras.tree.map_structure(joined, *column)
        for column in zip(*parts)
    )
    if y is None:
        raise ValueError("`data` must hold labels. Received: inputs only")
    return x, y, weight


def _dealt(rows: Rows, inputs: Sequence[str], order: np.ndarray) -> Rows:
    x, *rest = rows
    return (x | {name: x[name][order] for name in inputs}, *rest)


def _entropies(model: Any, rows: Rows, index: np.ndarray, batch_size: int) -> dict[str, np.ndarray]:
    """Gives by task a value per session, whose mean is the normalised entropy."""
    found = RankingEvaluation(rows, metrics=["ne"], batch_size=batch_size).collect(model)
    values = {}
    for task, (y, score, weight) in found.items():
        if not np.isfinite(score).all():
            raise ValueError(
                f"`model` must give finite scores. Received: {np.sum(~np.isfinite(score))} of task "
                f"{task!r} that are not"
            )
        kept = weight != 0  # whatever stands in a masked row is no label
        y, score, weight = (
            np.where(kept, part, 0).astype("float64") for part in (y, score, weight)
        )
        values[task] = entropy_by_session(y, score, weight, index)
    return values
