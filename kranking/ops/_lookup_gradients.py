"""Gradients of tables by lookup, in place of gradients as large as the tables."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import keras

# A table with fewer rows per id of the batch is cheaper to update whole than to find its distinct ids.
ROWS_PER_ID = 4


class LookupGradients:
    """What `take_rows` reads of some tables in a step, and the gradients of what it read.

    TensorFlow's gradient of a lookup has the looked-up rows alone, PyTorch's does if it is asked to. On JAX
    a gradient has the shape of what it is a gradient of, so that the rows are noted on the way back: a
    lookup has its own rule, which keeps ids and gradients and gives the table none. A lookup inside another
    transformation, such as a loop, a branch or a rematerialized layer, has its usual gradient: what is
    noted there would not be defined outside.

    Args:
        tables: Keras variables whose gradients are to be by row.
    """

    def __init__(self, tables: Iterable[Any]):
        self._noted: dict[int, list[tuple[Any, Any]]] = {id(table): [] for table in tables}
        self._whole: set[int] = set()  # tables that something reads besides lookups
        self._trace: Any = None  # the one that is differentiated, with JAX

    def __contains__(self, table: Any) -> bool:
        return id(table) in self._noted

    def marked(self, variables: Iterable[Any], values: Iterable[Any]) -> list[Any]:
        """Returns the values with JAX, those of tables such that other readers than lookups are noticed."""
        self._trace = _current_trace()
        pairs = zip(variables, values, strict=True)
        return [self._watched(v, value) if v in self else value for v, value in pairs]

    def take(self, table: Any, value: Any, rows: Any) -> Any:
        """Returns rows of a table's value with JAX; their gradient is noted."""
        import jax
        import jax.numpy as jnp

        if _current_trace() != self._trace:
            return jnp.take(value, rows, axis=0)

        @jax.custom_vjp
        def take(value, rows):
            return jnp.take(value, rows, axis=0)

        def backward(rows, gradient):
            self._noted[id(table)].append((rows, gradient))
            return None, None

        take.defvjp(lambda value, rows: (take(value, rows), rows), backward)
        return take(value, rows)

    def of(self, table: Any, gradient: Any) -> tuple[Any, Any]:
        """Returns ids, each once, and gradients of rows with JAX, or `None` and that of a whole table.

        As many ids as lookups; those left over are the number of rows, which is no row, with gradient 0.
        """
        import jax
        import jax.numpy as jnp

        noted = self._noted.get(id(table))
        if not noted:
            return None, gradient
        width = table.shape[-1]
        # Small integers could not hold the number of rows.
        ids = jnp.concatenate([rows.reshape(-1).astype("int32") for rows, _ in noted])
        values = jnp.concatenate([g.reshape(-1, width) for _, g in noted]).astype(gradient.dtype)
        if id(table) in self._whole or table.shape[0] < ROWS_PER_ID * ids.shape[0]:
            return None, gradient.at[ids].add(values)
        once, places = jnp.unique(
            ids, return_inverse=True, size=ids.shape[0], fill_value=table.shape[0]
        )
        return once, jax.ops.segment_sum(values, places.reshape(-1), ids.shape[0])

    def _watched(self, table: Any, value: Any) -> Any:
        import jax
        from jax.custom_derivatives import SymbolicZero

        @jax.custom_vjp
        def same(value):
            return value

        def backward(_, gradient):
            if isinstance(gradient, SymbolicZero):
                return (None,)
            self._whole.add(id(table))
            return (gradient,)

        same.defvjp(lambda value: (value.value, None), backward, symbolic_zeros=True)
        return same(value)


def _current_trace() -> Any:
    from jax.extend.core import get_opaque_trace_state

    return get_opaque_trace_state()


_current: ContextVar[LookupGradients | None] = ContextVar("lookup_gradients", default=None)


def current_lookup_gradients() -> LookupGradients | None:
    """Returns those of the training step that runs, if it has some."""
    return _current.get()


@contextmanager
def lookup_gradients(tables: Iterable[Any]) -> Iterator[LookupGradients]:
    """Makes gradients of tables be by row in a training step on JAX or PyTorch."""
    token = _current.set(LookupGradients(tables))
    try:
        yield _current.get()  # pyright: ignore
    finally:
        _current.reset(token)


def has_row_gradient(table: Any) -> bool:
    """Returns whether the gradient of a table is by row in the training step that runs."""
    gradients = _current.get()
    return isinstance(table, keras.Variable) and gradients is not None and table in gradients
