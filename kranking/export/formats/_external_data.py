"""Where the weights of ONNX files are: inside, or in the one file of weights next to them."""

import mmap
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kranking.export.formats._weights_file import WEIGHTS_FILE

_KEY = b"location"  # of the name of the file in each external constant


def external_files(path: Path) -> set[str]:
    """Returns the names of the files that an ONNX file reads constants from.

    Raises:
        ValueError: If the file is no ONNX file.
    """
    import onnx

    if not _has_external(path):  # most files, which need not be parsed
        return set()
    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as error:  # of protocol buffers
        raise ValueError(
            f"{path} must be an ONNX file. Received: {type(error).__name__}: {error}"
        ) from error
    return {e.value for constant in _constants(model) for e in _locations(constant)}


def check_external_files(path: Path) -> None:
    """Raises `ValueError` if an ONNX file reads constants from another file than that of the weights.

    No hash of the manifest would be checked for it.
    """
    others = sorted(external_files(path) - {WEIGHTS_FILE})
    if others:
        raise ValueError(
            f"{path} must store its weights inside, or in {WEIGHTS_FILE} in the same folder. "
            f"Received: weights in {others[:5]}"
        )


def linked_weights(path: Path) -> Path | None:
    """Returns the real path of the weights if ONNX Runtime would not follow the link to them.

    It follows links within the folder of the ONNX file, or of the file that this one links to.
    """
    weights = path.parent / WEIGHTS_FILE
    real = Path(os.path.realpath(weights))
    known = os.path.realpath(path.parent), os.path.dirname(os.path.realpath(path))
    if any(real.is_relative_to(folder) for folder in known) or not _has_external(path):
        return None
    return real


def with_weights_at(path: Path, weights: Path) -> bytes:
    """Returns an ONNX file whose external constants are in a file of another name."""
    import onnx

    model = onnx.load(str(path), load_external_data=False)
    for constant in _constants(model):
        for entry in _locations(constant):
            entry.value = weights.name
    return model.SerializeToString()


@contextmanager
def unlinked_weights(folder: Path) -> Iterator[Path]:
    """Yields a folder with the file of the weights, or a copy of it if it has links, which onnx refuses."""
    weights = folder / WEIGHTS_FILE
    if not weights.is_symlink() and not (weights.exists() and weights.stat().st_nlink > 1):
        yield folder
        return
    with tempfile.TemporaryDirectory() as name:
        shutil.copyfile(weights, Path(name, WEIGHTS_FILE))
        yield Path(name)


def _has_external(path: Path) -> bool:
    with path.open("rb") as file:
        if not os.fstat(file.fileno()).st_size:
            return False
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return content.find(_KEY) >= 0


def _locations(constant: Any) -> Iterator[Any]:
    return (entry for entry in constant.external_data if entry.key == "location")


def _constants(message: Any) -> Iterator[Any]:
    """Yields all constants below a message: of graphs within nodes, of functions, and sparse ones too."""
    if message.DESCRIPTOR.name == "TensorProto":
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in value if field.is_repeated else [value]:
                yield from _constants(part)
