"""Attention layers: AutoInt, Transformer, Hiformer, TransAct."""

from kranking.layers.attention._heterogeneous_transformer_layer import (
    HeterogeneousTransformerLayer as HeterogeneousTransformerLayer,
)
from kranking.layers.attention._hiformer_layer import HiformerLayer as HiformerLayer
from kranking.layers.attention._interacting_layer import InteractingLayer as InteractingLayer
from kranking.layers.attention._transformer_encoder_layer import (
    TransformerEncoderLayer as TransformerEncoderLayer,
)
from kranking.layers.attention._user_sequence_transformer import (
    UserSequenceTransformer as UserSequenceTransformer,
)

__all__ = [
    "HeterogeneousTransformerLayer",
    "HiformerLayer",
    "InteractingLayer",
    "TransformerEncoderLayer",
    "UserSequenceTransformer",
]
