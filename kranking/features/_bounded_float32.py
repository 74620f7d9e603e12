"""The dtype policy of a model that was trained in float16 and computes in float32."""

from typing import Any

import keras

from kranking._core import serializable


@serializable
class BoundedFloat32(keras.DTypePolicy):
    """float32, with numbers of a log bounded as under `mixed_float16`: see `bounded_cast`.

    Saved with a model, so that its graphs have the bound, too.

    Args:
        name: `"float32"`, which Keras passes on.
    """

    def __init__(self, name: str = "float32"):
        super().__init__("float32")

    def get_config(self) -> dict[str, Any]:
        return {"name": "float32"}
