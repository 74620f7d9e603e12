"""Internals of the models that other rooms use; not part of the public API."""

from kranking.models._model_identity import model_config as model_config
from kranking.models._model_identity import model_identity as model_identity
from kranking.models._model_identity import optimizer_identity as optimizer_identity

__all__ = ["model_config", "model_identity", "optimizer_identity"]
