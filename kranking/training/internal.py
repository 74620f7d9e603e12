"""Internals of the training that other rooms use; not part of the public API."""

from kranking.training._layers_in import layers_in as layers_in
from kranking.training._session import keep_random_states as keep_random_states
from kranking.training._session import reset_session as reset_session

__all__ = ["keep_random_states", "layers_in", "reset_session"]
