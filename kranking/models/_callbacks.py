"""The callbacks of `fit`, `evaluate` and `predict`: checked, and told which direction is better."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import keras


def checked_callbacks(callbacks: Any) -> list[keras.callbacks.Callback]:
    """Returns callbacks as a list; raises `ValueError` unless each is a callback."""
    if callbacks is None:
        return []
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return list(callbacks.callbacks)
    listed = keras.tree.flatten(callbacks)
    for one in listed:
        if not isinstance(one, keras.callbacks.Callback):
            hint = (
                f"the class {one.__name__}; create {one.__name__}(…)"
                if isinstance(one, type)
                else one
            )
            raise ValueError(
                "`callbacks` must be a list of objects of keras.callbacks.Callback, or None. "
                f"Received: {hint}"
            )
    return listed


def resolve_directions(callbacks: Any, own: Mapping[str, str | None], tasks: Sequence[str]) -> None:
    """Sets the mode of callbacks that monitor a log with mode "auto".

    Keras finds the better direction of a metric by its own name, without the name of the task, and knows
    no logs of other callbacks.

    Args:
        callbacks: The argument of `fit`.
        own: Direction of each log of the model, `"up"`, `"down"` or `None`.
        tasks: Names of the tasks of the model.

    Raises:
        ValueError: If there is no such log, or it has no better direction, such as a calibration.
    """
    listed = checked_callbacks(callbacks)
    known = {**own, **{f"val_{name}": direction for name, direction in own.items()}}
    for one in listed:
        known |= one.directions(tasks) if hasattr(one, "directions") else {}
    for one in listed:
        monitor: Any = getattr(one, "monitor", None)
        if getattr(one, "mode", None) != "auto" or not isinstance(monitor, str):
            continue
        if monitor not in known:
            same = [name for name in known if name.endswith(monitor.rpartition("_")[2])]
            near = get_close_matches(monitor, same or known, n=1)
            raise ValueError(
                f"{type(one).__name__} must monitor a log of the model or of RankingEvaluation, or have "
                f"mode='min' or mode='max'. Received: monitor={monitor!r}"
                + (f". Did you mean {near[0]!r}?" if near else "")
            )
        if known[monitor] is None:
            raise ValueError(
                f"{type(one).__name__} must monitor a log with a better direction, such as a normalized "
                f"entropy; pass mode='min' or mode='max' otherwise. Received: monitor={monitor!r}"
            )
        one.mode = "max" if known[monitor] == "up" else "min"
