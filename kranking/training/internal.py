"""Internals of the training that other rooms use; not part of the public API."""

from kranking.training._layers_in import layers_in as layers_in
from kranking.training._model_identity import model_config as model_config

__all__ = ["layers_in", "model_config"]
