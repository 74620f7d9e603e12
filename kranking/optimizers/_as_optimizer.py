"""An optimizer from what a caller gives."""

from typing import Any

import keras


def as_optimizer(given: Any, name: str = "optimizer") -> Any:
    """Returns an optimizer; raises `ValueError` if it is none, nor its name or configuration."""
    try:
        given = dict(given) if isinstance(given, dict) else given  # which Keras changes
        found = None if given is None else keras.optimizers.get(given)
    except Exception:  # of a configuration, too
        found = None
    if not isinstance(found, keras.optimizers.Optimizer):
        what = f"the class {given.__name__}" if isinstance(given, type) else repr(given)
        raise ValueError(
            f"`{name}` must be an object of keras.optimizers or its name, such as 'adam'. "
            f"Received: {name}={what}"
        )
    return found
