"""Models whose weights wait until they are needed, or stand for trained ones."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import keras
import numpy as np

_ENABLED = ContextVar("weights_enabled", default=True)
_MOST = 2**20  # numbers: a converter looks into no table


def weights_enabled() -> bool:
    """Whether a model creates its weights when it is constructed."""
    return _ENABLED.get()


@contextmanager
def without_weights() -> Iterator[None]:
    """Lets `RankingModel`s be constructed without weights, to ask what they would cost.

    Such a model answers `work` and `layer_work` within milliseconds, however large its tables are. Its
    weights are made by `build`, which `compile`, `fit`, `save` and a first call do. Until then `weights` is
    empty.

    >>> table = kr.features.Categorical("user", hash_buckets=10**9, embedding_dim=64)
    >>> with without_weights():
    ...     model = kr.RankingModel([table], [kr.layers.MLP([8])], [kr.Task("save")])
    >>> model.built, model.work().parameters
    (False, 64000000593)
    """
    token = _ENABLED.set(False)
    try:
        yield
    finally:
        _ENABLED.reset(token)


def perturbed(model: Any, seed: int = 0) -> Any:
    """Moves weights that start as one number repeated, as training would: `w + 0.02 ε`, `ε ~ N(0, 1)`.

    A converter leaves out a bias of zeros and a scale of ones, so that an untrained model is served by
    another graph than a trained one. What is measured on the first says little of the second.

    Args:
        model: A Keras model; its weights change. What is drawn at random, as kernels and tables are, stays,
            and so do weights of more than 2²⁰ numbers.
        seed: Seed of `ε`.

    Returns:
        The model.

    >>> age = kr.features.Numeric("age", mean=40.0, std=10.0)
    >>> model = perturbed(kr.RankingModel([age], [kr.layers.MLP([4])], [kr.Task("save")]))
    >>> any((w == 0).all() for w in model.get_weights())
    False
    """
    random = np.random.default_rng(seed)
    if not model.built:
        model.build()
    for weight in model.weights:
        if "float" in str(weight.dtype) and np.prod(weight.shape) <= _MOST:
            values = np.asarray(keras.ops.convert_to_numpy(weight), "float32")
            if values.size and np.ptp(values) == 0:
                weight.assign(
                    values + 0.02 * random.standard_normal(values.shape).astype("float32")
                )
    return model
