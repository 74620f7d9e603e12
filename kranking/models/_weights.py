"""Models whose weights wait until they are needed."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_WANTED = ContextVar("weights_wanted", default=True)


def wanted() -> bool:
    """Says whether a model makes its weights when it is constructed."""
    return _WANTED.get()


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
    token = _WANTED.set(False)
    try:
        yield
    finally:
        _WANTED.reset(token)
