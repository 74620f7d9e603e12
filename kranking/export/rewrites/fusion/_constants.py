"""The constants of an ONNX graph."""

from collections.abc import Mapping
from typing import Any

import numpy as np


class Constants(Mapping[str, np.ndarray]):
    """The constants of a graph by name; each is converted on first access, because tables are large.

    Args:
        initializers: Initializers of the graph; those with external data are excluded.
        read: Constants of an earlier graph, to reuse converted ones.
    """

    def __init__(self, initializers: Any, read: "Constants | None" = None):
        self._kept = {c.name: c for c in initializers if not c.external_data}
        self._read = {} if read is None else read._read

    def __getitem__(self, name: str) -> np.ndarray:
        from onnx import numpy_helper

        if name not in self._read:
            self._read[name] = numpy_helper.to_array(self._kept[name])
        return self._read[name]

    def __iter__(self):
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, name: object) -> bool:
        return name in self._kept
