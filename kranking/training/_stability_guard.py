"""Detection of training instabilities, with a rollback to the last good state."""

import logging
import math
import threading
from typing import Any

import keras

from kranking._core import check_choice, check_number, check_positive_int
from kranking.training._fault import Fault, find_fault
from kranking.training._last_losses import LastLosses
from kranking.training._learning_rate import rate_of, set_rate
from kranking.training._model_state import (
    ModelState,
    all_finite,
    broken_layers,
    random_state,
    set_random_state,
    synchronize,
)
from kranking.training._recorder import Recorder
from kranking.training._stability_event import StabilityEvent

_log = logging.getLogger("kranking")

# Until this many losses are known, no loss counts as a spike.
_LEAST_LOSSES = 16


class StabilityGuard(keras.callbacks.Callback):
    """Stops a training that becomes unstable, or rolls it back with a lower learning rate.

    A step is faulty if its loss, a weight or an optimizer slot is not finite, or if its loss `L` is a
    spike: `L − median > (spike_factor − 1) · |median|` over the last `window` good losses.

    Each step reads the loss. Every `check_every` steps, all weights and slots are checked on the device
    and copied to host memory; that state counts as good once the next loss is good. Keras passes neither
    gradients nor batches to callbacks, so the guard also keeps the batches since the last good state. After
    a fault it replays those steps and reports the first faulty step and layer: the innermost layer whose
    output is not finite, or the last layer with non-finite weights, where backpropagation failed first. For
    a spike it reports the layer whose weights have changed most since the good state.

    In `fit`, place it first in a *list* of callbacks. Both actions restore the good state: weights, random
    states and slots. Then `"stop"` ends the training, and `"rollback"` continues with the next batch, with
    the metrics of the epoch reset; they are NaN if no step of the epoch follows. `logs["guard_events"]` is
    the number of events in the epoch. A step that a `LossScaleOptimizer` skips has a finite loss and is not
    an event.

    Under `tf.distribute` and with `steps_per_execution > 1`, batches cannot be kept; the layer is then
    guessed from the weights, and the event is marked so. On a GPU, a replay can differ in the last bits.

    Args:
        action: `"stop"` or `"rollback"`.
        check_every: Steps between checks of the weights. At most twice as many steps are lost, and as
            many batches kept.
        spike_factor: Largest allowed ratio of a loss to the median. `None` disables the test.
        window: Number of losses in the median, at least 16.
        rate_factor: Factor by which a rollback multiplies the learning rate.
        max_rollbacks: Number of rollbacks after which the next event stops the training.

    Attributes:
        events: List of `StabilityEvent` of this `fit`.

    >>> x, y = np.ones((64, 4), "float32"), np.zeros((64, 1), "float32")
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, name="out")])
    >>> model.compile(keras.optimizers.SGD(1e30), "mse")
    >>> guard = kr.training.StabilityGuard("stop")
    >>> history = model.fit(x, y, batch_size=8, verbose=0, shuffle=False, callbacks=[guard])
    >>> [(event.kind, event.step, event.layer) for event in guard.events]
    [('loss', 2, 'loss')]

    Reference: [Chowdhery et al., 2022, section 5.1](https://arxiv.org/abs/2204.02311) for the rollback to
    before a spike; it also skips batches, and does not lower the learning rate.
    """

    def __init__(
        self,
        action: str = "stop",
        check_every: int = 100,
        spike_factor: float | None = 5.0,
        window: int = 64,
        rate_factor: float = 0.5,
        max_rollbacks: int = 3,
    ):
        check_choice("action", action, ("stop", "rollback"))
        check_positive_int("check_every", check_every)
        check_number("spike_factor", spike_factor, low=1.0, optional=True)
        check_positive_int("window", window, minimum=_LEAST_LOSSES)
        check_number("rate_factor", rate_factor, low=0.0, high=1.0)
        check_positive_int("max_rollbacks", max_rollbacks, minimum=0)
        super().__init__()
        self.action = action
        self.check_every = check_every
        self.spike_factor = spike_factor
        self.window = window
        self.rate_factor = rate_factor
        self.max_rollbacks = max_rollbacks
        self.events: list[StabilityEvent] = []

    def on_train_begin(self, logs=None):
        model: Any = self.model
        self.events = []
        self._thread = threading.get_ident()
        self._step = self._epoch = self._checked = 0
        self._losses = LastLosses(self.window)
        names = [m.name for m in model.metrics if isinstance(m, keras.metrics.Mean)]
        self._running = "loss" in names  # otherwise a custom train_step returns the step's loss
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        if not all_finite(model):
            raise ValueError(
                "`StabilityGuard` requires finite initial weights as a state to return to. "
                f"Received: a model with non-finite values in {broken_layers(model) or 'its optimizer'}"
            )
        self._good: Any = ModelState(model, 0)
        self._next: Any = None
        self._recorder = Recorder(model, 2 * self.check_every + 1)
        self._recorder.attach()

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch, self._batches = epoch, 0
        self._before = len(self.events)
        self._restart()

    def on_train_batch_end(self, batch, logs=None):
        if threading.get_ident() != self._thread:
            raise ValueError(
                "`callbacks` must be a list; otherwise Keras runs the callback during the next step. "
                "Received: callbacks=StabilityGuard(...)"
            )
        done = batch + 1 - self._batches  # several, with `steps_per_execution`
        self._batches = batch + 1
        self._step += done
        loss = self._loss_of(logs or {}, done)
        kind = self._verdict(loss)
        if kind is not None:
            self._act(kind, loss)
            return
        self._losses.add(loss)
        if self._next is not None:  # the loss after it is good, so it is too
            self._good, self._next = self._next, None
            self._recorder.batches = self._recorder.batches[-1:]
        if self._step - self._checked >= self.check_every:
            self._check(loss)

    def on_epoch_end(self, epoch, logs=None):
        if logs is None:
            return
        logs["guard_events"] = float(len(self.events) - self._before)
        if not self._num_losses and len(self.events) > self._before:
            # Metrics without a step would be 0, which looks like the best loss.
            logs.update(
                {name: math.nan for name in logs if not name.startswith(("val_", "guard_"))}
            )

    def on_train_end(self, logs=None):
        self._recorder.detach()
        self._good = self._next = None

    def _loss_of(self, logs, done: int) -> float:
        """Returns the loss of the last `done` steps from the running mean that Keras logs."""
        if "loss" not in logs:
            raise ValueError(
                f"`logs` must have the key 'loss' at each step. Received: keys {sorted(logs)}"
            )
        mean, total = float(logs["loss"]), self._total
        self._num_losses += done
        self._total = mean * self._num_losses
        # The mean is float32, so the relative error is 1e-7 times the number of steps.
        return (self._total - total) / done if self._running else mean

    def _verdict(self, loss: float) -> str | None:
        if not math.isfinite(loss):
            return "loss"
        if self.spike_factor is None or len(self._losses) < _LEAST_LOSSES:
            return None
        median = self._losses.median()
        return "spike" if loss - median > (self.spike_factor - 1) * abs(median) else None

    def _check(self, loss: float) -> None:
        self._checked = self._step
        synchronize(self.model)
        if all_finite(self.model):
            self._next = ModelState(self.model, self._step)
        else:
            self._act("weight", loss)

    def _act(self, kind: str, loss: float) -> None:
        model: Any = self.model
        synchronize(model)
        rate, random = rate_of(model), random_state()
        fault, exact = self._find(kind)
        self._good.restore()
        set_random_state(random)  # the current one, so that no order of rows is repeated
        rollbacks = sum(event.action == "rollback" for event in self.events)
        action = self.action if rollbacks < self.max_rollbacks else "stop"
        model.stop_training = action == "stop"
        # For "stop" too: the good state may have the learning rate before an earlier rollback.
        factor = 1.0 if action == "stop" else self.rate_factor
        if set_rate(model, rate * factor, factor):
            self._recorder.detach()
            model.make_train_function(force=True)
            self._recorder.attach()
        model.reset_metrics()
        seen = self._step, self._epoch
        layer = fault.layer and fault.layer.removeprefix(f"{model.name}/")
        place = fault.kind, fault.step, *seen, layer, exact
        event = StabilityEvent(*place, loss, action, self._good.step, rate_of(model))
        self.events.append(event)
        _log.warning("%s", event)
        self._next, self._checked, self._recorder.batches = None, self._step, []
        self._restart()

    def _find(self, kind: str) -> tuple[Fault, bool]:
        """Returns the first fault, and whether the replay reproduced it."""
        if kind == "spike":
            return Fault(kind, self._step, self._good.moved_most()), True
        guess = Fault(kind, self._step, next(iter(broken_layers(self.model)), None))
        if not self._recorder.attached:
            return guess, False
        self._recorder.paused = True
        try:
            batches = self._recorder.batches
            fault = find_fault(self.model, self._good, batches, self._step - len(batches) + 1)
        finally:
            self._recorder.paused = False
        return fault or guess, fault is not None

    def _restart(self) -> None:
        """Resets the running mean, as Keras does after an event and in a new epoch."""
        self._total, self._num_losses = 0.0, 0
