"""ONNX external data: one file with the large weights of all ONNX files of a bundle."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

WEIGHTS_FILE = "weights.bin"

_LEAST = 2**20  # bytes: smaller weights stay in the graph, where runtimes may rearrange them
_PAGE = 4096  # offsets are page-aligned, so that a runtime can map the file instead of reading it


def is_large(shape: Any, dtype: Any = "float32") -> bool:
    """Whether a weight is large enough to be stored in the file."""
    return int(np.prod(shape)) * np.dtype(dtype).itemsize >= _LEAST


class WeightsFile:
    """Appends arrays to the file, and stores arrays with the same bytes once.

    The file is created with the first array.

    Args:
        folder: Folder of the ONNX files.
    """

    def __init__(self, folder: Path):
        self._path = folder / WEIGHTS_FILE
        self._end = 0
        self._places: dict[bytes, int] = {}

    def tensor(self, name: str, array: np.ndarray) -> Any:
        """Writes an array to the file and returns an ONNX constant with this name that refers to it."""
        from onnx import TensorProto, helper

        array = np.ascontiguousarray(array)
        content = (
            array.reshape(-1).view(np.uint8).data
        )  # bfloat16 does not support the buffer protocol
        key = hashlib.sha256(content).digest()
        if key not in self._places:
            with self._path.open("r+b" if self._end else "wb") as file:
                file.seek(self._end)
                file.write(content)
            self._places[key] = self._end
            self._end += -(-array.nbytes // _PAGE) * _PAGE
        made = TensorProto(
            name=name,
            data_type=helper.np_dtype_to_tensor_dtype(array.dtype),
            dims=array.shape,
            data_location=TensorProto.EXTERNAL,
        )
        place = {"location": WEIGHTS_FILE, "offset": self._places[key], "length": array.nbytes}
        for word, value in place.items():
            made.external_data.add(key=word, value=str(value))
        return made

    def take_from(self, graph: Any, folder: Path | None = None) -> None:
        """Moves constants of a graph into the file: large ones, and external ones in `folder`."""
        from onnx import numpy_helper

        for constant in graph.initializer:
            if constant.data_type == constant.STRING:
                continue
            # `raw_data` are bytes, whatever the dtype.
            if constant.external_data or is_large(len(constant.raw_data), "uint8"):
                array = numpy_helper.to_array(constant, str(folder or ""))
                constant.CopyFrom(self.tensor(constant.name, array))
