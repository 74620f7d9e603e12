"""How much of what a layer says it keeps is in memory at the peak of XLA's training step."""

import json
from functools import cache
from importlib.resources import files


def kept_share(name: str) -> float:
    """Gives the fitted factor of a class of layers, the common one for a class that no fitted model had.

    Args:
        name: Name of the class; `"gradients"` and `"table_gradients"` are those of the parameters.
    """
    shares = _shares()
    return shares.get(name, shares[""])


@cache
def _shares() -> dict[str, float]:
    path = files("kranking.budget").joinpath("kept_shares.json")
    return json.loads(path.read_text("utf-8"))["shares"]
