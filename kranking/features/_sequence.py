"""Declaration of a sequence of past events, and its encoders."""

from dataclasses import KW_ONLY, asdict, dataclass
from typing import Any, ClassVar

from kranking._core import check_choice, check_number, check_positive_int
from kranking.features._categorical import _valid_vocabulary
from kranking.features._feature import (
    MAX_LENGTH,
    MAX_WIDTH,
    Feature,
    InputSpec,
    check_table,
    not_fitted,
)


@dataclass(frozen=True)
class Pooling:
    """Pools a sequence by its masked mean, sum or maximum.

    Args:
        mode: `"mean"`, `"sum"` or `"max"`. The result for an empty sequence is zeros.

    >>> Pooling("max")
    Pooling(mode='max')
    """

    mode: str = "mean"

    def __post_init__(self):
        check_choice("mode", self.mode, ("mean", "sum", "max"))

    def width(self, token_dim: int) -> int:
        """Returns the width of the field, given the width of one event."""
        return token_dim


@dataclass(frozen=True)
class TransAct:
    """Encodes a sequence with `kranking.layers.UserSequenceTransformer`, with the published defaults.

    Args:
        num_layers: Number of Transformer encoder layers.
        num_heads: Number of attention heads. Must divide the width of one event.
        feedforward_dim: Hidden width of the feed-forward network.
        dropout: Dropout rate inside the encoder.
        first_k: Number of newest events whose outputs are kept in addition to the pooled output.
        time_window: Window in seconds; in training, events newer than a random fraction of it are hidden.
            0 disables it.

    Reference: [Xia et al., 2023](https://arxiv.org/abs/2306.00248)

    >>> TransAct(first_k=2).width(16)
    48
    """

    num_layers: int = 2
    num_heads: int = 1
    feedforward_dim: int = 32
    dropout: float = 0.1
    first_k: int = 10
    time_window: float = 0.0

    def __post_init__(self):
        for name in ("num_layers", "num_heads", "feedforward_dim", "first_k"):
            check_positive_int(name, getattr(self, name), maximum=MAX_WIDTH)
        check_number("dropout", self.dropout, low=0.0, high=1.0)
        check_number("time_window", self.time_window, low=0.0)

    def width(self, token_dim: int) -> int:
        """Returns the width of the field, given the width of one event."""
        return (self.first_k + 1) * token_dim


UNITS_PER_SECOND = {"s": 1.0, "ms": 1e3, "us": 1e6}
_ENCODERS = {"Pooling": Pooling, "TransAct": TransAct}


@dataclass(frozen=True, repr=False)
class Sequence(Feature):
    """A sequence of past events whose ids use the table of another feature; the newest are kept.

    The vector of an event is the vector of its id, followed by those of its action and of the candidate if
    these are declared. The model input contains the newest event first and is padded with −1.

    Args:
        name: Name of the feature, of its field and of its model input.
        of: Name of the `Categorical` whose vocabulary and table the ids use.
        max_length: Number of newest events to keep, at most 100,000; older events are dropped.
        side: `"user"`, `"item"` or `"context"`.
        column: Column of the log; `None` reads the column called `name`.
        order: Order of the events in the log: `"newest_last"` or `"newest_first"`.
        action: Column with the kinds of the events, lists as long as the ids.
        action_vocabulary: The kinds of events; `None` means that `fit` learns them.
        action_dim: Width of the vector of an action.
        time: Column with the times of the events, lists as long as the ids: numbers, timestamps, dates or
            text in ISO 8601.
        request_time: Column with the time of the request; required with `time`. Both columns have a time
            zone, as numbers do, or neither.
        time_unit: Unit of numbers in both time columns: `"s"`, `"ms"` or `"us"`.
        encoder: `Pooling(...)` or `TransAct(...)`.
        candidate: Name of the `Categorical` of the candidate, whose vector is concatenated with every
            event. The field then depends on the item, so it cannot be computed once per user.
        l2_normalize: Whether to scale the field to unit length.
        initializer: Keras initializer of the action table.
        regularizer: Keras regularizer of the action table.

    Raises:
        ValueError: If an argument is invalid or arguments exclude each other.

    >>> Sequence("watched", of="video_id", max_length=50, side="user").columns
    ('watched',)
    """

    kind: ClassVar[str] = "sequence"

    _: KW_ONLY
    of: str
    max_length: int
    order: str = "newest_last"
    action: str | None = None
    action_vocabulary: tuple[Any, ...] | None = None
    action_dim: int = 8
    time: str | None = None
    request_time: str | None = None
    time_unit: str = "s"
    encoder: Pooling | TransAct = Pooling()
    candidate: str | None = None
    l2_normalize: bool = False
    initializer: Any = "uniform"
    regularizer: Any = None

    def __post_init__(self):
        super().__post_init__()
        check_positive_int("max_length", self.max_length, maximum=MAX_LENGTH)
        check_positive_int("action_dim", self.action_dim, maximum=MAX_WIDTH)
        check_choice("order", self.order, ("newest_last", "newest_first"))
        check_choice("time_unit", self.time_unit, tuple(UNITS_PER_SECOND))
        check_table(self)
        if (self.time is None) != (self.request_time is None):
            raise ValueError(
                f"Feature {self.name!r} must have both `time` and `request_time`, from which the ages of "
                "the events are computed, or neither. "
                f"Received: time={self.time!r}, request_time={self.request_time!r}"
            )
        if self.candidate is not None and self.side == "user":
            raise ValueError(
                f"Sequence {self.name!r} with a `candidate` depends on the item and must have "
                f"side='item'. Received: side='user', candidate={self.candidate!r}"
            )
        if self.action_vocabulary is not None:
            checked = _valid_vocabulary(self.name, self.action_vocabulary)
            object.__setattr__(self, "action_vocabulary", checked)
        if isinstance(self.encoder, dict):
            object.__setattr__(self, "encoder", _encoder_from(self.encoder))
        if not isinstance(self.encoder, Pooling | TransAct):
            raise ValueError(
                f"`encoder` of feature {self.name!r} must be Pooling(...) or TransAct(...). "
                f"Received: encoder={self.encoder!r}"
            )
        if isinstance(self.encoder, TransAct) and self.encoder.time_window and self.time is None:
            raise ValueError(
                f"`time_window` of feature {self.name!r} requires `time` and `request_time`. "
                f"Received: time_window={self.encoder.time_window}, time=None"
            )
        if isinstance(self.encoder, TransAct) and self.encoder.first_k > self.max_length:
            raise ValueError(
                f"`first_k` of feature {self.name!r} must be at most `max_length`. "
                f"Received: first_k={self.encoder.first_k}, max_length={self.max_length}"
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns of the log that this feature reads."""
        extra = (self.action, self.time, self.request_time)
        return (*super().columns, *(c for c in extra if c is not None))

    @property
    def fitted(self) -> bool:
        """Whether the vocabulary of actions is known, if there are actions."""
        return self.action is None or self.action_vocabulary is not None

    @property
    def num_action_rows(self) -> int:
        """Number of rows in the action table, including the out-of-vocabulary row."""
        if self.action_vocabulary is None:
            raise not_fitted(self)
        return 1 + len(self.action_vocabulary)

    def inputs(self) -> dict[str, InputSpec]:
        """Returns the ids, and `name.action` and `name.age` (seconds) if declared."""
        shape = (self.max_length,)
        inputs = {self.name: InputSpec(shape, "int32")}
        if self.action is not None:
            inputs[f"{self.name}.action"] = InputSpec(shape, "int32")
        if self.time is not None:
            inputs[f"{self.name}.age"] = InputSpec(shape, "float32")
        return inputs


def encoder_config(encoder: Pooling | TransAct) -> dict[str, Any]:
    """Returns a sequence encoder as a JSON-serializable dict."""
    return {"class": type(encoder).__name__, **asdict(encoder)}


def _encoder_from(config: dict[str, Any]) -> Pooling | TransAct:
    config = dict(config)
    return _ENCODERS[config.pop("class")](**config)
