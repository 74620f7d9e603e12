"""A training that notices when it breaks, says where, and goes on from before."""

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

# A median of fewer losses than this says too little to call another one high.
_LEAST_LOSSES = 16


class StabilityGuard(keras.callbacks.Callback):
    """Stops a training that breaks, or takes it back to its last good state with a lower rate.

    A step breaks when its loss is not finite, when a weight or an optimizer's slot is not, or when the loss
    `L` is a spike: `L − median > (spike_factor − 1) · |median|` over the last `window` good losses.

    Each step costs a look at the loss. Every `check_every` steps all weights and slots are tested on the
    device, and copied to main memory; that state counts as good once the loss after it is. Keras shows
    callbacks neither gradients nor batches, so the guard also holds on to the batches since the last good
    state. When something breaks, it does those steps again from there, and then names the first step and
    the first layer at fault: the innermost whose output is not finite, or the one from which on, backwards,
    weights are not. For a spike it names the layer that has moved most since the good state.

    In `fit`, place it first in a *list* of callbacks. Both actions leave the good state in the model:
    weights, random states and slots; `"stop"` then ends the training, `"rollback"` goes on with the next
    batch. Metrics of the epoch start anew then, and are NaN if no step follows in it.
    `logs["guard_events"]` has the number of events in the epoch. A step that a `LossScaleOptimizer` skips
    has a finite loss, and is no event.

    Under tf.distribute and with `steps_per_execution > 1` batches cannot be kept; the layer is then guessed
    from the weights, and its event says so. On a GPU a replay can differ in the last bits.

    Args:
        action: `"stop"` or `"rollback"`.
        check_every: Steps between two tests of the weights. At most twice as many are lost, and kept.
        spike_factor: How many times the median a loss may be. `None` for no test.
        window: Losses that the median is of, at least 16.
        rate_factor: What a rollback multiplies the learning rate by.
        max_rollbacks: Rollbacks after which the next event stops the training.

    Attributes:
        events: `StabilityEvent`s so far, of this `fit`.

    >>> x, y = np.ones((64, 4), "float32"), np.zeros((64, 1), "float32")
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1, name="out")])
    >>> model.compile(keras.optimizers.SGD(1e30), "mse")
    >>> guard = kr.training.StabilityGuard("stop")
    >>> history = model.fit(x, y, batch_size=8, verbose=0, shuffle=False, callbacks=[guard])
    >>> [(event.kind, event.step, event.layer) for event in guard.events]
    [('loss', 2, 'loss')]

    Reference: rollbacks to before a spike, of [Chowdhery et al., 2022, section
    5.1](https://arxiv.org/abs/2204.02311), which skips batches too; the lower rate is ours.
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
        self._running = "loss" in names  # or else a train_step of the user's own gives each step's
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        if not all_finite(model):
            raise ValueError(
                "`StabilityGuard` must begin at finite weights, or there is nothing to go back to. "
                f"Received: a model that is not finite in {broken_layers(model) or 'its optimizer'}"
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
                "`callbacks` must be a list, or Keras calls a callback while the next step runs. "
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
        if self._next is not None:  # the loss after it is good
            self._good, self._next = self._next, None
            self._recorder.batches = self._recorder.batches[-1:]
        if self._step - self._checked >= self.check_every:
            self._check(loss)

    def on_epoch_end(self, epoch, logs=None):
        if logs is None:
            return
        logs["guard_events"] = float(len(self.events) - self._before)
        if not self._num_losses and len(self.events) > self._before:
            # Metrics without a step would read as 0, the best of all losses.
            logs.update(
                {name: math.nan for name in logs if not name.startswith(("val_", "guard_"))}
            )

    def on_train_end(self, logs=None):
        self._recorder.detach()
        self._good = self._next = None

    def _loss_of(self, logs, done: int) -> float:
        """Gives the loss of the last `done` steps; Keras logs the mean of the epoch so far."""
        if "loss" not in logs:
            raise ValueError(f"`logs` of a step must have a 'loss'. Received: {sorted(logs)}")
        mean, total = float(logs["loss"]), self._total
        self._num_losses += done
        self._total = mean * self._num_losses
        # In Keras's float32, it is known to one part in 10^7 for each step of the epoch.
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
        set_random_state(random)  # an order of rows that was drawn should not be drawn again
        rollbacks = sum(event.action == "rollback" for event in self.events)
        action = self.action if rollbacks < self.max_rollbacks else "stop"
        model.stop_training = action == "stop"
        # When it stops, too: the good state may hold the rate of before an earlier rollback.
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
        """Gives the first fault, and whether it was met again."""
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
        """After an event, and in a new epoch, Keras's mean starts anew."""
        self._total, self._num_losses = 0.0, 0
