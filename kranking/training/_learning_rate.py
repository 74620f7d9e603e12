"""Reading and changing the learning rate during training."""

from typing import Any

import keras
from keras.optimizers.schedules import LearningRateSchedule

from kranking._core import serializable


@serializable
class ScaledSchedule(LearningRateSchedule):
    """A schedule multiplied by a factor.

    Args:
        schedule: The schedule.
        factor: The factor.

    >>> schedule = keras.optimizers.schedules.CosineDecay(0.1, 100)
    >>> round(float(ScaledSchedule(schedule, 0.5)(0)), 4)
    0.05
    """

    def __init__(self, schedule: Any, factor: float):
        super().__init__()
        self.schedule = schedule
        self.factor = factor

    def __call__(self, step):
        return self.schedule(step) * self.factor

    def get_config(self):
        """Returns the constructor arguments as a dict."""
        schedule = keras.saving.serialize_keras_object(self.schedule)
        return {"schedule": schedule, "factor": self.factor}

    @classmethod
    def from_config(cls, config):
        """Creates a schedule from the output of `get_config`."""
        return cls(keras.saving.deserialize_keras_object(config["schedule"]), config["factor"])


def rate_of(model: Any) -> float:
    """Returns the learning rate of the next step."""
    return float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))


def has_fixed_rate(model: Any) -> bool:
    """Whether the rate is a variable that can be set, rather than a schedule or a function."""
    return isinstance(_inner(model)._learning_rate, keras.Variable)


def set_rate(model: Any, rate: float, factor: float) -> bool:
    """Sets a fixed rate to `rate`, or scales a schedule by `factor`.

    Returns:
        Whether the training function must be rebuilt because it has captured the old schedule.
    """
    optimizer = _inner(model)
    if has_fixed_rate(model):
        optimizer.learning_rate = rate
        return False
    if factor == 1.0:
        return False
    before = optimizer._learning_rate  # the property returns the current value instead
    if isinstance(before, LearningRateSchedule):
        optimizer.learning_rate = ScaledSchedule(before, factor)
    else:
        optimizer.learning_rate = lambda: before() * factor
    return True


def _inner(model: Any) -> Any:
    """Returns the optimizer with the rate, which a `LossScaleOptimizer` wraps."""
    return getattr(model.optimizer, "inner_optimizer", model.optimizer)
