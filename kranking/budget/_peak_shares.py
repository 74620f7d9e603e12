"""How much of what a layer says it keeps is in memory at the peak of XLA's training step."""

import json
from functools import cache
from importlib.resources import files

from kranking.layers import Work


def peak_share(name: str) -> float:
    """Returns the fitted factor of a class of layers, or the common one if no fitted model had the class.

    Args:
        name: Name of the class; `"gradients"` and `"table_gradients"` are those of the parameters.
    """
    shares = _shares()
    return shares.get(name, shares[""])


def peak_elements(work: Work) -> float:
    """Returns the activations per row that are in memory at the peak, of those that layers save."""
    return sum(peak_share(name) * saved for name, saved in work.saved_by.items())


@cache
def _shares() -> dict[str, float]:
    path = files("kranking.budget").joinpath("peak_shares.json")
    return json.loads(path.read_text("utf-8"))["shares"]
