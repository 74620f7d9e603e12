"""Internals of the models that other rooms use; not part of the public API."""

from kranking.models._call_arguments import as_optimizer as as_optimizer
from kranking.models._model_identity import model_config as model_config
from kranking.models._model_identity import model_identity as model_identity
from kranking.models._model_identity import optimizer_identity as optimizer_identity

__all__ = ["as_optimizer", "model_config", "model_identity", "optimizer_identity"]
