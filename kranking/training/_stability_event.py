"""What a `StabilityGuard` saw and did."""

import json
import math
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class StabilityEvent:
    """One fault in a training: what, when, where, and what was done about it.

    Attributes:
        kind: `"loss"` (not finite), `"gradient"` (of a finite loss, not finite), `"weight"` (not finite
            though the gradient is, or the guard cannot tell), `"spike"` (a loss far above its median).
        step: Step at fault, from 1, counted over this `fit`.
        seen_at: Step at whose end it was seen; later than `step` if only a check of the weights showed it.
        epoch: Epoch in which it was seen, as Keras counts, from 0.
        layer: Path of the layer at fault; `"inputs"` or `"labels"` if the batch is; `"loss"` if every
            layer's output is finite and the loss is not; `None` if nothing tells.
        exact: Whether step and layer come from a replay of the steps. If not, `layer` is a guess from the
            weights, and `step` is `seen_at`.
        loss: Loss of the step `seen_at`.
        action: What was done: `"stop"` or `"rollback"`.
        restored_step: Step whose state the model has now.
        learning_rate: Learning rate from now on.

    >>> event = kr.training.StabilityEvent(
    ...     "loss", 7, 7, 0, "mlp/dense_1", True, float("nan"), "stop", 5, 0.001
    ... )
    >>> event.to_json()[:55]
    '{"kind": "loss", "step": 7, "seen_at": 7, "epoch": 0, "'
    """

    kind: str
    step: int
    seen_at: int
    epoch: int
    layer: str | None
    exact: bool
    loss: float
    action: str
    restored_step: int
    learning_rate: float

    def to_json(self) -> str:
        """Gives the event as a JSON object; a number that is not finite is a string, as `"nan"`."""
        values = {
            name: str(value) if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in asdict(self).items()
        }
        return json.dumps(values, allow_nan=False)

    def __str__(self) -> str:
        place = f"at {self.layer!r}" if self.layer else "at no layer that could be named"
        guess = "" if self.exact else " (not replayed)"
        done = "stopped" if self.action == "stop" else f"goes on at rate {self.learning_rate:g}"
        return (
            f"step {self.step}: {self.kind} at fault, first {place}{guess}; loss {self.loss:g}. "
            f"Back at the state of step {self.restored_step}, {done}."
        )
