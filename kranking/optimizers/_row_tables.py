"""Which tables an optimizer updates row by row."""

from collections.abc import Iterable
from typing import Any

import keras

from kranking.ops import is_embedding_table
from kranking.optimizers._split import Split
from kranking.optimizers._summed_slices import SMALL_TABLE
from kranking.optimizers._table_rows import TableRows

_METHODS_OF_GRADIENTS = (
    "apply",
    "stateless_apply",
    "update_step",
    "_backend_apply_gradients",
    "_backend_update_step",
    "_clip_gradients",
)


def row_tables(optimizer: Any, variables: Iterable[Any]) -> list[Any]:
    """Returns the large tables whose gradients an optimizer takes by row on JAX and PyTorch.

    None if it scales, clips or accumulates gradients, for which Keras needs them whole, if a subclass may
    do so, or if variables are spread over devices; none of another model's, whose optimizer JAX may use.
    """
    if keras.backend.backend() == "tensorflow" or keras.distribution.distribution() is not None:
        return []
    parts = [optimizer, optimizer.tables] if isinstance(optimizer, Split) else [optimizer]
    if not isinstance(parts[-1], TableRows) or any(map(_reads_whole_gradients, parts)):
        return []
    large = [v for v in variables if is_embedding_table(v) and v.shape[0] > SMALL_TABLE]
    if not optimizer.built:
        return large
    own = {id(v) for v in optimizer._trainable_variables}
    return [v for v in large if id(v) in own]


def _reads_whole_gradients(optimizer: Any) -> bool:
    options = ("clipnorm", "clipvalue", "global_clipnorm", "gradient_accumulation_steps")
    if any(getattr(optimizer, name) is not None for name in (*options, "loss_scale_factor")):
        return True
    methods = [getattr(optimizer, name) for name in _METHODS_OF_GRADIENTS]
    return any(method.__module__.split(".")[0] not in ("keras", "kranking") for method in methods)
