"""The mark of variables that are read row by row."""

from typing import Any


def embedding_table(variable: Any) -> Any:
    """Marks a variable as an embedding table, `(num_rows, width)`, and returns it.

    A step reads few rows of a table. Optimizers of `kranking.optimizers` update no others.

    >>> table = kr.ops.embedding_table(keras.Variable(np.zeros((3, 2), "float32")))
    >>> kr.ops.is_embedding_table(table)
    True
    """
    variable._is_embedding_table = True
    return variable


def is_embedding_table(variable: Any) -> bool:
    """Returns whether `embedding_table` marked a variable."""
    return getattr(variable, "_is_embedding_table", False)
