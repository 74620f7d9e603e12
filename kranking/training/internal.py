"""Internals of the training that other rooms use; not part of the public API."""

from kranking.training._layers_in import layers_in as layers_in

__all__ = ["layers_in"]
