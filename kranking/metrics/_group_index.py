"""Integer index of the group of each row."""

import numpy as np


def group_index(groups: np.ndarray, name: str = "groups") -> tuple[np.ndarray, np.ndarray]:
    """Returns the distinct groups in ascending order, and the index of each row's group.

    Args:
        groups: Group of each row, for example its user or session: integers or strings, `(rows,)`.
        name: Name of the argument in error messages.

    Returns:
        The distinct groups, `(groups,)`, and integer indices, `(rows,)`.

    Raises:
        ValueError: If the group of a row is null; such rows must not be merged into one large group.

    >>> names, index = group_index(np.array(["ann", "bob", "ann"]))
    >>> names.tolist(), index.tolist()
    (['ann', 'bob'], [0, 1, 0])
    """
    groups = np.reshape(groups, -1)
    if groups.dtype.kind == "O":
        null = np.array([group is None or group != group for group in groups], bool)
    else:
        null = groups != groups  # NaN
    if null.any():
        raise ValueError(
            f"`{name}` must not be null in any row. Received: null in row {int(np.argmax(null))}"
        )
    return np.unique(groups, return_inverse=True)
