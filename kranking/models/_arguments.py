"""Arguments of a model: deserialization of declarations and checks of layers."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import keras

from kranking._core import as_tuple
from kranking._paths import as_path
from kranking.features import Feature, Task
from kranking.features.internal import check_tasks, from_config
from kranking.layers import SharedBottom


def as_features(features: Iterable[Feature | Mapping[str, Any]]) -> tuple[Feature, ...]:
    """Returns feature declarations; deserializes those given as configurations."""
    given = as_tuple("features", features, "declarations")
    return tuple(from_config(dict(f)) if isinstance(f, Mapping) else f for f in given)


def as_tasks(tasks: Iterable[Task | Mapping[str, Any]]) -> tuple[Task, ...]:
    """Returns tasks; deserializes those given as configurations. Raises `ValueError` if invalid."""
    given = as_tuple("tasks", tasks, "kranking.Task, such as [kr.Task('save')]")
    tasks = tuple(from_config(dict(t)) if isinstance(t, Mapping) else t for t in given)
    check_tasks(tasks)
    return tasks


def as_heads(heads: keras.layers.Layer | None) -> keras.layers.Layer:
    """Returns the heads, by default one linear logit per task; raises `ValueError` if not a layer."""
    if heads is not None and not isinstance(heads, keras.layers.Layer):
        raise ValueError(f"`heads` must be a Keras layer. Received: {heads!r}")
    return SharedBottom() if heads is None else heads


def check_block(block: Any, blocks: Iterable[keras.layers.Layer]) -> None:
    """Raises `ValueError` unless `block` is a layer that is not yet among `blocks`."""
    if not isinstance(block, keras.layers.Layer):
        raise ValueError(f"`block` must be a Keras layer. Received: {block!r}")
    if any(block is other for other in blocks):
        raise ValueError(
            f"A block can occur only once in a model. Received twice: {block.name!r}. "
            "Create a second instance, or share the weights inside a custom layer."
        )


def as_keras_path(filepath: Any) -> Path:
    """Returns the path of a `.keras` file; raises `ValueError` for others, which cannot be loaded again."""
    path = as_path("filepath", filepath)
    if path.suffix != ".keras":
        raise ValueError(
            "`filepath` must end in .keras. HDF5 does not hold the blocks of a model; for weights only, "
            f"use `save_weights`, and `export` to serve it. Received: filepath={str(filepath)!r}"
        )
    return path
