"""The mark that tells model inputs from columns of a log."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from kranking._core import check_mapping


class ModelInput(np.ndarray):
    """An array of model inputs: table rows, or numbers that are already transformed.

    `Preprocessor` and the readers return such arrays, and a model takes them as they are. Arrays of any
    other kind are columns of a log, which it encodes. Slices, copies and concatenations keep the mark.
    """

    __array_priority__: Any = 1.0  # so that `np.concatenate` keeps the class

    def __repr__(self) -> str:
        return repr(np.asarray(self))


def as_model_inputs(arrays: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Marks arrays as model inputs, so that a model does not take them for columns of a log.

    Needed for inputs that were stored, or computed by hand; those of `Preprocessor` are marked.

    Args:
        arrays: Table rows and transformed numbers, by name of the input.

    >>> age = kr.features.Numeric("age", mean=40.0, std=10.0)
    >>> model = kr.RankingModel([age], [kr.layers.MLP([8])], [kr.Task("save")])
    >>> stored = {"age": np.array([-1.0, 0.5], "float32")}
    >>> model.predict(as_model_inputs(stored), verbose=0)["save"].shape
    (2, 1)
    """
    check_mapping("arrays", arrays, "arrays by name of the input")
    return {name: np.asarray(values).view(ModelInput) for name, values in arrays.items()}
