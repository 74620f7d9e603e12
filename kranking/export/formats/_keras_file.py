"""The model itself, as it lies in a bundle."""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from kranking.export._error import ExportError

KERAS_FILE = "model.keras"


def load_keras(folder: Path, modules: Sequence[str] = ()) -> Any:
    """Loads `model.keras` in Keras's safe mode, which runs no code that a file brings with it.

    Args:
        folder: The bundle.
        modules: Modules that register the model's own layers.
    """
    try:
        for module in modules:
            importlib.import_module(module)
        return keras.saving.load_model(folder / KERAS_FILE, compile=False, safe_mode=True)
    except Exception as error:  # whatever Keras, zip and HDF5 raise
        raise ExportError(
            f"`{KERAS_FILE}` should load; name the modules that register custom layers in `modules`. "
            f"Received: {type(error).__name__}: {error}"
        ) from error
