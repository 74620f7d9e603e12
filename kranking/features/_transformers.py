"""Creation of the layer for sequences declared with `TransAct`, and its input shapes."""

from kranking._core import Shape
from kranking.features._sequence import Sequence, TransAct
from kranking.layers import UserSequenceTransformer


def transformer_of(sequence: Sequence) -> UserSequenceTransformer:
    """Creates the transformer of a sequence without building it."""
    encoder = sequence.encoder
    assert isinstance(encoder, TransAct)
    return UserSequenceTransformer(
        num_layers=encoder.num_layers,
        num_heads=encoder.num_heads,
        feedforward_dim=encoder.feedforward_dim,
        dropout=encoder.dropout,
        first_k=encoder.first_k,
        time_window=encoder.time_window,
    )


def transformer_shapes(sequence: Sequence, event_width: int) -> list[Shape]:
    """Returns the shapes of events, mask and, if times are declared, ages."""
    length = sequence.max_length
    shapes: list[Shape] = [(None, length, event_width), (None, length)]
    return shapes if sequence.time is None else [*shapes, (None, length)]
