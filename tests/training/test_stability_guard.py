import json
import math
import statistics

import keras
import numpy as np
import pytest
from keras import ops

import kranking as kr
from kranking.training import StabilityEvent, StabilityGuard
from kranking.training._last_losses import LastLosses

ROWS, BATCH = 96, 8
STEPS = ROWS // BATCH
BACKEND = keras.backend.backend()


@keras.saving.register_keras_serializable(package="tests")
class Breaks(keras.layers.Layer):
    """The identity, but at training step `at`, counted from 1, its output or its gradient is not finite."""

    def __init__(self, at, how="output", factor=math.inf, **kwargs):
        super().__init__(**kwargs)
        self.at, self.how, self.factor = at, how, factor

    def build(self, input_shape):
        self.counter = self.add_weight(
            shape=(), dtype="int32", initializer="zeros", trainable=False, name="counter"
        )

    def call(self, inputs, training=False):
        if training:
            self.counter.assign(self.counter + 1)
        now = ops.logical_and(ops.equal(self.counter, self.at), training)
        if self.how == "output":
            return inputs * ops.where(now, self.factor, 1.0)
        # sqrt has an infinite slope at 0, and 0 times that is NaN.
        zero = ops.where(now, ops.mean(inputs, keepdims=True) * 0.0, 1.0)
        return inputs + ops.sqrt(zero) - ops.stop_gradient(ops.sqrt(zero))


def network(*middle, optimizer=None, **kwargs):
    keras.utils.set_random_seed(3)
    layers = [keras.layers.Dense(6, "tanh", name="first"), keras.layers.Dropout(0.2), *middle]
    layers.append(keras.layers.Dense(1, name="last"))
    model = keras.Sequential([keras.Input((4,)), *layers])
    model.compile(optimizer or keras.optimizers.Adam(0.01), "mse", **kwargs)
    return model


def data():
    random = np.random.default_rng(0)
    x = random.normal(size=(ROWS, 4)).astype("float32")
    return x, (x[:, :1] * 0.5 + 1).astype("float32")


def fit(model, *callbacks, epochs=2, **kwargs):
    x, y = kwargs.pop("data", None) or data()
    return model.fit(
        x,
        y,
        batch_size=BATCH,
        epochs=epochs,
        callbacks=list(callbacks),
        verbose=0,
        shuffle=False,
        **kwargs,
    )


def values(model):
    variables = [*model.variables, *model.optimizer.variables]
    return [np.array(ops.convert_to_numpy(v.value)) for v in variables]


def finite(model):
    return all(np.isfinite(a).all() for a in values(model) if a.dtype.kind == "f")


class Keep(keras.callbacks.Callback):
    """Copies everything at the end of each step."""

    def __init__(self):
        super().__init__()
        self.steps, self.losses = [], []

    def on_train_batch_end(self, batch, logs=None):
        if hasattr(self.model, "jax_state_sync"):
            self.model.jax_state_sync()
        self.steps.append(values(self.model))
        self.losses.append(logs["loss"])


def test_leaves_a_good_training_as_it_is():
    guard = StabilityGuard("rollback", check_every=3)
    alone = network()
    expected = fit(alone).history
    watched = network()  # after the other's fit: on PyTorch, dropout draws from a common generator
    history = fit(watched, guard).history
    assert guard.events == []
    assert history.pop("guard_events") == [0.0, 0.0]
    assert history == expected
    for ours, theirs in zip(values(watched), values(alone), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert not hasattr(watched.train_function, "without_recorder")


@pytest.mark.parametrize(
    ("at", "check_every"), [(1, 1), (1, 100), (2, 4), (7, 1), (7, 100), (STEPS + 5, 4)]
)
def test_names_step_and_layer_of_an_infinite_output(at, check_every):
    model = network(keras.layers.Dense(5, name="before"), Breaks(at, name="breaks"))
    guard = StabilityGuard("stop", check_every)
    history = fit(model, guard).history
    (event,) = guard.events
    assert (event.kind, event.step, event.seen_at, event.layer) == ("loss", at, at, "breaks")
    assert event.exact
    assert event.epoch == (at - 1) // STEPS == len(history["loss"]) - 1
    assert not math.isfinite(event.loss)
    assert event.action == "stop"
    assert finite(model)
    assert history["guard_events"][-1] == 1.0
    assert math.isnan(history["loss"][-1])  # no step is left in this epoch


@pytest.mark.parametrize("check_every", [1, 5])
def test_names_the_layer_at_which_the_gradient_breaks(check_every):
    model = network(
        keras.layers.Dense(5, name="before"),
        Breaks(7, "gradient", name="breaks"),
        keras.layers.Dense(3, name="after"),
    )
    guard = StabilityGuard("stop", check_every)
    fit(model, guard)
    (event,) = guard.events
    # Backwards, `after` has a finite gradient still, and `before` is the first that has not.
    assert (event.kind, event.step, event.layer) == ("gradient", 7, "before")
    assert event.exact
    assert 7 <= event.seen_at <= 10
    assert finite(model)


def test_a_rate_of_1e30():
    model = network(optimizer=keras.optimizers.SGD(1e30))
    guard = StabilityGuard("rollback", max_rollbacks=2)
    fit(model, guard)
    assert [event.kind for event in guard.events] == ["loss"] * 3
    assert [event.step for event in guard.events] == [2, 4, 6]
    assert [event.action for event in guard.events] == ["rollback", "rollback", "stop"]
    # The first step is finite and leaves weights of 1e30: they are too large for the square in the loss.
    assert {event.layer for event in guard.events} == {"loss"}
    assert [event.learning_rate for event in guard.events] == pytest.approx([5e29, 2.5e29, 2.5e29])
    assert finite(model)


def test_an_update_that_overflows_is_no_gradient():
    model = network(optimizer=keras.optimizers.SGD(3e38))
    guard = StabilityGuard("stop", check_every=1)
    x, y = data()
    fit(model, guard, data=(x, 100 * y))
    (event,) = guard.events
    assert (event.kind, event.step) == ("weight", 1)


@pytest.mark.parametrize(
    ("part", "layer"), [(0, "inputs"), (1, "labels")], ids=["inputs", "labels"]
)
def test_blames_the_batch(part, layer):
    rows = [array.copy() for array in data()]
    rows[part][3 * BATCH + 2] = np.nan
    guard = StabilityGuard("stop", check_every=2)
    fit(network(), guard, data=tuple(rows))
    assert [(e.kind, e.step, e.layer) for e in guard.events] == [("loss", 4, layer)]


@pytest.mark.parametrize("check_every", [1, 3])
def test_rollback_restores_all_and_goes_on_with_a_lower_rate(check_every):
    keep, at = Keep(), 8
    x, y = data()
    x[(at - 1) * BATCH] = np.nan
    model = network(keras.layers.BatchNormalization())
    guard = StabilityGuard("rollback", check_every, rate_factor=0.25, max_rollbacks=2)
    history = fit(model, guard, keep, data=(x, y)).history
    first, second = guard.events  # in each epoch, the batch is there
    # A state is good once the step after it is: that of step 7 would have been so after step 8.
    assert first.restored_step == 6
    good, after = keep.steps[first.restored_step - 1], keep.steps[at - 1]
    variables = [*model.variables, *model.optimizer.variables]
    for variable, ours, theirs in zip(variables, after, good, strict=True):
        factor = 0.25 if variable.name == "learning_rate" else 1
        np.testing.assert_array_equal(ours, theirs * factor, err_msg=variable.path)
    assert not np.array_equal(keep.steps[at][0], after[0])  # and on it goes
    assert [event.action for event in guard.events] == ["rollback"] * 2
    assert first.learning_rate == pytest.approx(0.0025)
    assert second.learning_rate == pytest.approx(0.000625)
    assert np.isfinite(history["loss"]).all()  # of the steps after
    assert history["guard_events"] == [1.0, 1.0]
    assert finite(model)
    assert len(keep.steps) == 2 * STEPS


def test_steps_after_a_rollback_are_counted_on():
    model = network(Breaks(5, name="breaks"))
    guard = StabilityGuard("rollback", check_every=2, max_rollbacks=3)
    fit(model, guard)
    # The counter of `Breaks` goes back too, so that it breaks again and again.
    first = guard.events[0]
    assert (first.step, first.restored_step) == (5, 2)
    gaps = {b.step - a.step for a, b in zip(guard.events, guard.events[1:])}
    assert gaps == {3}
    assert [event.action for event in guard.events] == ["rollback"] * 3 + ["stop"]
    assert all(event.exact and event.layer == "breaks" for event in guard.events)


def test_rate_of_a_schedule():
    schedule = keras.optimizers.schedules.ExponentialDecay(0.01, 10, 0.5)
    model = network(Breaks(6), optimizer=keras.optimizers.Adam(schedule))
    guard = StabilityGuard("rollback", check_every=1, rate_factor=0.1, max_rollbacks=1)
    keep = Keep()
    fit(model, guard, keep, epochs=1)
    first = guard.events[0]
    assert first.learning_rate == pytest.approx(0.1 * 0.01 * 0.5 ** (first.restored_step / 10))
    # The step after it is taken at that rate: of Adam, no weight moves by much more.
    step = [np.abs(a - b).max() for a, b in zip(keep.steps[6], keep.steps[5])][:2]
    assert max(step) < 3 * first.learning_rate
    again = keras.optimizers.Adam.from_config(model.optimizer.get_config())
    assert float(again.learning_rate) == pytest.approx(0.001)


def test_spike():
    rows = [array.copy() for array in data()]
    at = STEPS - 2
    rows[1][at * BATCH : (at + 1) * BATCH] += 100
    model = network()
    guard = StabilityGuard("rollback", check_every=4, spike_factor=20.0)
    fit(model, guard, data=tuple(rows), epochs=2)
    # In the first epoch there are too few losses for a median.
    (event,) = guard.events
    assert (event.kind, event.step, event.epoch) == ("spike", STEPS + at + 1, 1)
    assert event.layer in {"first", "last"}
    assert event.loss > 1000
    silent = StabilityGuard("rollback", spike_factor=None)
    fit(network(), silent, data=tuple(rows), epochs=2)
    assert silent.events == []


def test_median():
    losses, kept = LastLosses(5), []
    for value in [3.0, 1.0, 1.0, 2.0, 9.0, 4.0, 4.0, 0.5, 7.0]:
        losses.add(value)
        kept = [*kept, value][-5:]
        assert losses.median() == statistics.median_high(kept)


def test_a_skipped_overflow_is_no_event():
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = network()
    finally:
        keras.config.set_dtype_policy(policy)
    optimizer = model.optimizer
    assert isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    optimizer.build(model.trainable_variables)
    optimizer.dynamic_scale.assign(2.0**30)
    guard, keep = StabilityGuard("rollback", check_every=1), Keep()
    fit(model, guard, keep, epochs=2)
    assert float(ops.convert_to_numpy(optimizer.dynamic_scale.value)) < 2.0**30  # it did skip
    assert guard.events == []


def test_names_the_layer_inside_a_ranking_model():
    features = [
        kr.features.Categorical("country", vocabulary=("DE", "FR"), embedding_dim=4),
        kr.features.Numeric("age", mean=0.0, std=1.0),
    ]
    blocks = [kr.layers.CrossNetwork(2), Breaks(6, name="breaks"), kr.layers.MLP([8])]
    model = kr.RankingModel(features, blocks, [kr.Task("save"), kr.Task("hide")])
    model.compile(keras.optimizers.Adam(0.01))
    random = np.random.default_rng(0)
    x = {"country": random.integers(0, 3, ROWS).astype("int32")}
    x["age"] = random.normal(size=ROWS).astype("float32")
    y = {name: random.integers(0, 2, ROWS).astype("float32") for name in ("save", "hide")}
    guard = StabilityGuard("stop", check_every=4)
    fit(model, guard, data=(x, y))
    (event,) = guard.events
    assert (event.kind, event.step, event.exact) == ("loss", 6, True)
    assert event.layer.endswith("breaks")
    assert finite(model)


@pytest.mark.skipif(BACKEND == "torch", reason="Keras has one step per execution there")
def test_several_steps_per_execution_are_seen_but_not_replayed():
    model = network(Breaks(5, name="breaks"), steps_per_execution=3)
    guard = StabilityGuard("stop")
    fit(model, guard)
    (event,) = guard.events
    assert (event.kind, event.step, event.exact) == ("loss", 6, False)
    assert event.layer == "first"  # every weight is NaN by then
    assert finite(model)


def test_an_interrupted_fit_leaves_nothing_behind():
    class Interrupt(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise KeyboardInterrupt

    model = network()
    with pytest.raises(KeyboardInterrupt):
        fit(model, StabilityGuard(), Interrupt())
    guard = StabilityGuard()
    fit(model, guard, epochs=1)
    assert guard.events == []
    assert not hasattr(model.train_function, "without_recorder")


def test_refuses_weights_that_are_broken_before():
    model = network()
    kernel = model.layers[-1].kernel
    kernel.assign(np.full(kernel.shape, np.nan))
    with pytest.raises(ValueError, match=r"requires finite initial weights.*Received: .*last'"):
        fit(model, StabilityGuard())


def test_event_as_json():
    event = StabilityEvent("loss", 2, 3, 0, "mlp", True, math.inf, "rollback", 1, 0.1)
    assert json.loads(event.to_json()) == {
        "kind": "loss",
        "step": 2,
        "seen_at": 3,
        "epoch": 0,
        "layer": "mlp",
        "exact": True,
        "loss": "inf",
        "action": "rollback",
        "restored_step": 1,
        "learning_rate": 0.1,
    }
    assert "step 2" in str(event)
    assert "mlp" in str(event)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"action": "skip"}, r"`action` must be one of \['stop', 'rollback'\]. Received: action="),
        ({"check_every": 0}, r"`check_every` must be a positive integer. Received: check_every=0"),
        ({"spike_factor": 0.5}, r"`spike_factor` must be a number in \[1, inf\] or None"),
        ({"window": 3}, r"`window` must be an integer of at least 16. Received: window=3"),
        ({"rate_factor": 1.5}, r"`rate_factor` must be a number in \[0, 1\]"),
        ({"max_rollbacks": -1}, r"`max_rollbacks` must be an integer of at least 0"),
    ],
    ids=str,
)
def test_rejects(arguments, message):
    with pytest.raises(ValueError, match=message):
        StabilityGuard(**arguments)
