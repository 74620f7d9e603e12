"""Integer index of the group of each row."""

from collections.abc import Iterable
from typing import Any

import numpy as np


def group_index(groups: np.ndarray, name: str = "groups") -> tuple[np.ndarray, np.ndarray]:
    """Returns the distinct groups in ascending order, and the index of each row's group.

    Args:
        groups: Group of each row, for example its user or session: integers or strings, `(rows,)`.
        name: Name of the argument in error messages.

    Returns:
        The distinct groups, `(groups,)`, and integer indices, `(rows,)`.

    Raises:
        ValueError: If the group of a row is null; such rows must not be merged into one large group. If
            groups are of several kinds, or are lists.

    >>> names, index = group_index(np.array(["ann", "bob", "ann"]))
    >>> names.tolist(), index.tolist()
    (['ann', 'bob'], [0, 1, 0])
    """
    groups = np.reshape(np.asarray(groups), -1)  # first an array: pandas's own skip nulls
    if groups.dtype.kind == "O":
        for kind in set(map(type, groups)):
            if issubclass(kind, Iterable) and not issubclass(kind, str | bytes):
                raise ValueError(
                    f"`{name}` must have one value per row. Received: a {kind.__name__} as a value"
                )
        null = np.array([is_null(group) for group in groups], bool)
    else:
        null = groups != groups  # NaN
    if null.any():
        raise ValueError(
            f"`{name}` must not be null in any row. Received: null in row {int(np.argmax(null))}"
        )
    try:
        return np.unique(groups, return_inverse=True)
    except TypeError as error:
        raise ValueError(f"`{name}` must be of one kind in all rows. Received: {error}") from error


def is_null(group: Any) -> bool:
    """Whether a value of an array of objects is missing."""
    different = (
        group != group
    )  # true for NaN and NaT; NA of pandas for itself, which is no truth value
    return group is None or different is group or bool(different)
