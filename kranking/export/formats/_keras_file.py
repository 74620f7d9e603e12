"""The `.keras` file inside a bundle."""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from kranking.export._error import ExportError

KERAS_FILE = "model.keras"


def load_keras(folder: Path, modules: Sequence[str] = ()) -> Any:
    """Loads `model.keras` in the safe mode of Keras, which executes no code stored in the file.

    Args:
        folder: Folder of the bundle.
        modules: Modules that register custom layers of the model.
    """
    try:
        for module in modules:
            importlib.import_module(module)
        return keras.saving.load_model(folder / KERAS_FILE, compile=False, safe_mode=True)
    except Exception as error:  # Keras, zip and HDF5 raise different errors
        raise ExportError(
            f"`{KERAS_FILE}` could not be loaded. If the model has custom layers, list the modules that "
            f"register them in `modules`. Received: {type(error).__name__}: {error}"
        ) from error
