"""Fitted fractions of the saved activations that are in memory at the peak of a training step."""

import json
from functools import cache
from importlib.resources import files

from kranking.layers import Work


def peak_share(name: str) -> float:
    """Returns the fitted factor of a layer class, or the common factor if no fitted model contained it.

    Args:
        name: Name of the class; `"gradients"` and `"table_gradients"` for the gradients of parameters.
    """
    shares = _shares()
    return shares.get(name, shares[""])


def peak_elements(work: Work) -> float:
    """Returns how many of the saved activations per row are in memory at the peak."""
    return sum(peak_share(name) * saved for name, saved in work.saved_by.items())


@cache
def _shares() -> dict[str, float]:
    path = files("kranking.budget").joinpath("peak_shares.json")
    return json.loads(path.read_text("utf-8"))["shares"]
