"""Groups of rows as numbers."""

import numpy as np


def group_index(groups: np.ndarray, name: str = "groups") -> tuple[np.ndarray, np.ndarray]:
    """Gives the distinct groups in ascending order, and each row's position among them.

    Args:
        groups: Group of each row, for example its user or session: integers or strings, `(rows,)`.
        name: What an error calls them.

    Returns:
        The distinct groups, `(groups,)`, and integers, `(rows,)`.

    Raises:
        ValueError: When a row's group is null. Rows without one must not become one large group.

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
            f"`{name}` must be known in every row. Received: null in row {int(np.argmax(null))}"
        )
    return np.unique(groups, return_inverse=True)
