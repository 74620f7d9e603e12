"""Arguments that a model builder fills in."""

from typing import Any

import keras

# These describe a view and hold for any reader; `field_dims` holds only for the flat vector of fields.
_OF_VIEWS = ("id_sizes", "kinds", "num_tasks")


def required_argument(layer: keras.layers.Layer, name: str, source: str) -> Any:
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


def fill_open_arguments(layer: keras.layers.Layer, sees_fields: bool = True, **values: Any) -> None:
    """Sets attributes that a layer or its inner layers left as `None` for the builder.

    Args:
        layer: Keras layer. A layer with inner layers lists them in `inner_layers`; it sets
            `shows_fields = False` if the flat vector that they read is not the concatenated fields.
        sees_fields: Whether the layer reads the fields directly. `field_dims`, `id_sizes` and
            `kinds` are set only then.
        **values: Values for attributes that are `None`; `num_tasks` is set in every layer.
    """
    for name, value in values.items():
        wanted = sees_fields or name == "num_tasks"
        if wanted and not layer.built and getattr(layer, name, value) is None:
            setattr(layer, name, value)
    chain = isinstance(layer, keras.Sequential)
    if not getattr(layer, "shows_fields", True):
        values = {name: value for name, value in values.items() if name in _OF_VIEWS}
    for position, inner in enumerate(layer.layers if chain else getattr(layer, "inner_layers", ())):
        fill_open_arguments(inner, sees_fields and not (chain and position), **values)
