"""Arguments that a model builder fills in."""

from typing import Any

import keras


def filled(layer: keras.layers.Layer, name: str, source: str) -> Any:
    """Returns an argument that `RankingModel` fills in; raises `ValueError` if it is still `None`.

    Args:
        layer: The layer that needs it.
        name: Name of the argument.
        source: Where a `RankingModel` takes the value from, for the error message.
    """
    value = getattr(layer, name)
    if value is None:
        raise ValueError(
            f"`{layer.name}` needs `{name}`; a `RankingModel` fills it in from its {source}. "
            f"Received: {name}=None"
        )
    return value
