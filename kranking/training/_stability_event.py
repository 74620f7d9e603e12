"""Events of a `StabilityGuard`."""

import json
import math
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class StabilityEvent:
    """A fault in a training: its kind, step and layer, and the action taken.

    Attributes:
        kind: `"loss"` (not finite), `"gradient"` (not finite although the loss is), `"weight"` (not finite
            although the gradient is, or the cause is unknown), `"spike"` (a loss far above the median).
        step: Step of the fault, counted from 1 over this `fit`.
        seen_at: Step after which it was detected; later than `step` if only a check of the weights
            detected it.
        epoch: Epoch in which it was detected, counted from 0 as in Keras.
        layer: Path of the faulty layer; `"inputs"` or `"labels"` if the batch is faulty; `"loss"` if the
            outputs of all layers are finite and the loss is not; `None` if unknown.
        exact: Whether step and layer come from a replay of the steps. If not, `layer` is a guess from the
            weights, and `step` is `seen_at`.
        loss: Loss of the step `seen_at`.
        action: The action taken: `"stop"` or `"rollback"`.
        restored_step: Step whose state has been restored.
        learning_rate: Learning rate after the action.

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
        """Returns the event as a JSON object; non-finite numbers are strings such as `"nan"`."""
        values = {
            name: str(value) if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in asdict(self).items()
        }
        return json.dumps(values, allow_nan=False)

    def __str__(self) -> str:
        place = f"in {self.layer!r}" if self.layer else "in an unknown layer"
        guess = "" if self.exact else " (not replayed)"
        done = (
            "stopped"
            if self.action == "stop"
            else f"continuing with learning rate {self.learning_rate:g}"
        )
        return (
            f"step {self.step}: faulty {self.kind}, first {place}{guess}; loss {self.loss:g}. "
            f"Restored the state of step {self.restored_step}, {done}."
        )
