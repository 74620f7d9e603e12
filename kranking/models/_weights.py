"""Models with deferred weights, and with weights that resemble trained ones."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import keras
import numpy as np

from kranking._core import check_instance

_ENABLED = ContextVar("weights_enabled", default=True)
_MOST = 2**20  # numbers; converters do not inspect the values of tables


def weights_enabled() -> bool:
    """Whether a model creates its weights when it is constructed."""
    return _ENABLED.get()


@contextmanager
def without_weights() -> Iterator[None]:
    """Context in which `RankingModel`s are created without weights, for example to compute their cost.

    The methods `work` and `layer_work` of such a model take milliseconds, no matter how large its tables
    are. `build` creates the weights; `compile`, `fit`, `save` and the first call do so as well. Until then
    `weights` is empty.

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
    """Perturbs constant weights as training would: `w + 0.02 ε`, `ε ~ N(0, 1)`.

    Converters remove biases of zeros and scales of ones, so the served graph of an untrained model differs
    from that of a trained one, and measurements on the former do not apply to the latter.

    Args:
        model: A Keras model, which is modified. Weights with random initial values, such as kernels and
            tables, and weights of more than 2²⁰ numbers are not changed.
        seed: Seed of `ε`.

    Returns:
        The same model.

    >>> age = kr.features.Numeric("age", mean=40.0, std=10.0)
    >>> model = perturbed(kr.RankingModel([age], [kr.layers.MLP([4])], [kr.Task("save")]))
    >>> any((w == 0).all() for w in model.get_weights())
    False
    """
    check_instance("model", model, keras.Model)
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
