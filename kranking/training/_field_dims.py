"""Embedding dimensions per feature, computed from the tables of a trained model."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from typing import Any

import keras
import numpy as np

from kranking._core import as_tuple, check_instance, check_mapping, check_number, check_positive_int
from kranking.features import Categorical, Feature, Numeric
from kranking.models import RankingModel

_ROWS_AT_ONCE = 65_536


def embedding_tables(model: RankingModel) -> dict[str, np.ndarray]:
    """Returns the embedding table `(rows, width)` of every feature that has one, by feature name.

    Features of equal width share one variable in the model; each is returned as its own array. Row 0
    is for values outside the vocabulary, or nulls.

    Args:
        model: The model.

    >>> country = kr.features.Categorical("country", vocabulary=("DE", "FR"), embedding_dim=4)
    >>> model = kr.RankingModel([country], [kr.layers.MLP([8])], [kr.Task("save")])
    >>> {name: table.shape for name, table in kr.training.embedding_tables(model).items()}
    {'country': (3, 4)}
    """
    check_instance("model", model, RankingModel)
    return {
        feature.name: np.asarray(keras.ops.convert_to_numpy(model.encoder.table(feature.name)))
        for feature in model.features
        if _has_table(feature)
    }


def field_dims_from_tables(tables: Mapping[str, Any], ratio: float = 0.95) -> dict[str, int]:
    """Returns the embedding dimension of each feature, from the principal components of its table.

    Field-level Dimension Optimization of GDCN: train once with one generous width, count the principal
    components of each table that explain `ratio` of its variance, then train from scratch with these
    widths (`with_field_dims`):

        dim = min { k : λ_1 + … + λ_k ≥ ratio · (λ_1 + … + λ_width) }

    where `λ` are the squared singular values of the centered table, largest first. All rows have equal
    weight, even those never trained. The paper mentions singular values; this follows the code of its
    authors, which sums their squares.

    Args:
        tables: Tables `(rows, width)` by feature name, such as `embedding_tables(model)`.
        ratio: Fraction of the variance of each table to keep. The paper tries 0.8 to 0.98; on Criteo,
            0.95 leaves 2 to 15 of 16 dimensions.

    Returns:
        A dict from feature name to width, at least 1 and at most the number of rows and columns of the
        table; 1 if all rows are equal.

    Raises:
        ValueError: If a table is empty, not finite or not a matrix.

    >>> table = np.array([[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.1, 0.0]])
    >>> kr.training.field_dims_from_tables({"country": table}, ratio=0.9)
    {'country': 1}

    Reference: [Wang et al., 2023](https://arxiv.org/abs/2311.04635)
    """
    check_number("ratio", ratio, low=0.0, high=1.0)
    check_mapping("tables", tables, "tables by feature name")
    return {name: _dim_of(name, np.asarray(table), ratio) for name, table in tables.items()}


def with_field_dims(features: Iterable[Feature], dims: Mapping[str, int]) -> list[Feature]:
    """Returns the declarations with new embedding widths, in the same order.

    Args:
        features: Declarations, fitted or not.
        dims: New `embedding_dim` by feature name. Other features are unchanged; a sequence follows the
            feature whose table it reads.

    Raises:
        ValueError: If a name is not a feature with an embedding table.

    >>> country = kr.features.Categorical("country", vocabulary=("DE", "FR"), embedding_dim=16)
    >>> kr.training.with_field_dims([country], {"country": 2})[0].embedding_dim
    2
    """
    features = as_tuple("features", features, "declarations", Feature)
    check_mapping("dims", dims, "widths by feature name")
    known = [feature.name for feature in features if _has_table(feature)]
    for name, dim in dims.items():
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ValueError(
                f"The keys of `dims` must be features with an embedding table: {known}. "
                f"Received: {name!r}.{hint}"
            )
        check_positive_int(f"dims[{name!r}]", dim)
    changed: list[Feature] = []
    for feature in features:
        if isinstance(feature, Categorical | Numeric) and feature.name in dims:
            feature = replace(feature, embedding_dim=dims[feature.name])
        changed.append(feature)
    return changed


def _has_table(feature: Feature) -> bool:
    return isinstance(feature, Categorical) or (isinstance(feature, Numeric) and feature.bucketized)


def _dim_of(name: str, table: np.ndarray, ratio: float) -> int:
    if table.ndim != 2 or 0 in table.shape or not np.isfinite(table).all():
        raise ValueError(
            f"`tables[{name!r}]` must be a finite, non-empty array of shape (rows, width). "
            f"Received: shape {table.shape}"
        )
    variances = _variances(table)[: min(table.shape)]
    total = variances.sum()
    # For equal rows, only rounding errors remain.
    if total <= (np.finfo("float64").eps * np.abs(table).max()) ** 2 * table.size:
        return 1
    explained = np.cumsum(variances) / total
    # Rounding may leave a sum just below 1.
    return min(int(np.sum(explained < ratio - 1e-12)) + 1, len(explained))


def _variances(table: np.ndarray) -> np.ndarray:
    """Returns the squared singular values of the centered table, largest first.

    Uses the width × width scatter matrix, accumulated in chunks, since tables have millions of rows.
    """
    parts = [slice(start, start + _ROWS_AT_ONCE) for start in range(0, len(table), _ROWS_AT_ONCE)]
    mean = sum(table[part].sum(axis=0, dtype="float64") for part in parts) / len(table)
    scatter = np.zeros((table.shape[1],) * 2)
    for part in parts:
        centred = table[part].astype("float64") - mean
        scatter += centred.T @ centred
    return np.maximum(np.linalg.eigvalsh(scatter)[::-1], 0.0)
