"""Which tables an optimizer updates row by row."""

from collections.abc import Iterable
from typing import Any

import keras

from kranking.ops import is_embedding_table
from kranking.optimizers._split import Split
from kranking.optimizers._summed_slices import SMALL_TABLE
from kranking.optimizers._table_rows import TableRows


def row_tables(optimizer: Any, variables: Iterable[Any]) -> list[Any]:
    """Returns the large tables whose gradients an optimizer takes by row on JAX and PyTorch.

    None if it scales, clips, accumulates or averages gradients, for which Keras needs them whole, or if
    variables are spread over devices.
    """
    if keras.backend.backend() == "tensorflow" or keras.distribution.distribution() is not None:
        return []
    parts = [optimizer, optimizer.tables] if isinstance(optimizer, Split) else [optimizer]
    if not isinstance(parts[-1], TableRows) or any(map(_reads_whole_gradients, parts)):
        return []
    return [v for v in variables if is_embedding_table(v) and v.shape[0] > SMALL_TABLE]


def _reads_whole_gradients(optimizer: Any) -> bool:
    options = ("clipnorm", "clipvalue", "global_clipnorm", "gradient_accumulation_steps")
    return any(getattr(optimizer, name) is not None for name in (*options, "loss_scale_factor"))
