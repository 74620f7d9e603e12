"""Declaration of a user's past events, and the ways to pool them."""

from dataclasses import KW_ONLY, asdict, dataclass
from typing import Any, ClassVar

from kranking._core import check_choice, check_number, check_positive_int
from kranking.features._categorical import _valid_vocabulary
from kranking.features._feature import Feature, InputSpec, check_table, not_fitted


@dataclass(frozen=True)
class Pooling:
    """Pools a sequence by its masked mean, sum or maximum.

    Args:
        mode: `"mean"`, `"sum"` or `"max"`. An empty sequence gives zeros.

    >>> Pooling("max")
    Pooling(mode='max')
    """

    mode: str = "mean"

    def __post_init__(self):
        check_choice("mode", self.mode, ("mean", "sum", "max"))

    def width(self, token_dim: int) -> int:
        """Width of the field, from the width of one event."""
        return token_dim


@dataclass(frozen=True)
class TransAct:
    """Encodes a sequence with `kranking.layers.UserSequenceTransformer`, defaults as published.

    Args:
        num_layers: Transformer encoder layers.
        num_heads: Attention heads; divides the width of one event.
        feedforward_dim: Hidden width of the feed-forward part.
        dropout: Dropout rate inside the encoder.
        first_k: Newest events whose outputs are kept beside the pooled one.
        time_window: Seconds; in training, events newer than a random part of it are hidden. 0 is off.

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
            check_positive_int(name, getattr(self, name))
        check_number("dropout", self.dropout, low=0.0, high=1.0)
        check_number("time_window", self.time_window, low=0.0)

    def width(self, token_dim: int) -> int:
        """Width of the field, from the width of one event."""
        return (self.first_k + 1) * token_dim


UNITS_PER_SECOND = {"s": 1.0, "ms": 1e3, "us": 1e6}
_ENCODERS = {"Pooling": Pooling, "TransAct": TransAct}


@dataclass(frozen=True, repr=False)
class Sequence(Feature):
    """Ids of past events that share another feature's table, newest events kept.

    Each event is the vector of its id, then, if declared, the vector of its action and the vector of
    the candidate. The encoded input holds the newest event first, padded with −1.

    Args:
        name: Name of the feature, of its field and of its model input.
        of: Name of the `Categorical` whose vocabulary and table the ids use.
        max_length: Events kept; older ones are dropped.
        side: `"user"`, `"item"` or `"context"`.
        column: Column of the log; `None` reads the column called `name`.
        order: How the log stores events: `"newest_last"` or `"newest_first"`.
        action: Column with the kind of each event, a list as long as the ids.
        action_vocabulary: The kinds of events; `None` learns them with `fit`.
        action_dim: Width of an action's vector.
        time: Column with the time of each event, a list as long as the ids.
        request_time: Column with the time of the request; needed with `time`.
        time_unit: Unit of both time columns: `"s"`, `"ms"` or `"us"`.
        encoder: `Pooling(...)` or `TransAct(...)`.
        candidate: Name of the `Categorical` of the candidate, to put its vector beside each event.
            The field then belongs to the item's side: it cannot be computed once per user.
        l2_normalize: Scales the field to unit length.
        initializer: Keras initializer of the action table.
        regularizer: Keras regularizer of the action table.

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
        check_positive_int("max_length", self.max_length)
        check_positive_int("action_dim", self.action_dim)
        check_choice("order", self.order, ("newest_last", "newest_first"))
        check_choice("time_unit", self.time_unit, tuple(UNITS_PER_SECOND))
        check_table(self)
        if (self.time is None) != (self.request_time is None):
            raise ValueError(
                f"`time` and `request_time` of feature {self.name!r} go together: the model sees how long "
                f"ago each event was. Received: time={self.time!r}, request_time={self.request_time!r}"
            )
        if self.candidate is not None and self.side == "user":
            raise ValueError(
                f"A sequence with a `candidate` differs from item to item: give {self.name!r} "
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
                f"`time_window` of feature {self.name!r} needs the times of events: give `time` and "
                f"`request_time`. Received: time_window={self.encoder.time_window}, time=None"
            )
        if isinstance(self.encoder, TransAct) and self.encoder.first_k > self.max_length:
            raise ValueError(
                f"`first_k` of feature {self.name!r} must be at most `max_length`. "
                f"Received: first_k={self.encoder.first_k}, max_length={self.max_length}"
            )

    @property
    def columns(self) -> tuple[str, ...]:
        """Every log column that this feature reads."""
        extra = (self.action, self.time, self.request_time)
        return (self.source, *(c for c in extra if c is not None))

    @property
    def fitted(self) -> bool:
        """Whether the vocabulary of actions is known, if there is one."""
        return self.action is None or self.action_vocabulary is not None

    @property
    def num_action_rows(self) -> int:
        """Rows of the action table, the out-of-vocabulary row included."""
        if self.action_vocabulary is None:
            raise not_fitted(self)
        return 1 + len(self.action_vocabulary)

    def inputs(self) -> dict[str, InputSpec]:
        """Ids, and `name.action` and `name.age` (seconds) if declared."""
        shape = (self.max_length,)
        inputs = {self.name: InputSpec(shape, "int32")}
        if self.action is not None:
            inputs[f"{self.name}.action"] = InputSpec(shape, "int32")
        if self.time is not None:
            inputs[f"{self.name}.age"] = InputSpec(shape, "float32")
        return inputs


def encoder_config(encoder: Pooling | TransAct) -> dict[str, Any]:
    """Gives the plain mapping of a sequence encoder."""
    return {"class": type(encoder).__name__, **asdict(encoder)}


def _encoder_from(config: dict[str, Any]) -> Pooling | TransAct:
    config = dict(config)
    return _ENCODERS[config.pop("class")](**config)
