"""The constants of an ONNX graph."""

from collections.abc import Mapping
from typing import Any

import numpy as np


class Constants(Mapping[str, np.ndarray]):
    """The constants of a graph by name, each read when it is asked for, for tables are large.

    Args:
        initializers: Those of the graph; what lies in another file is left out.
        read: Constants of which some were read already.
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
