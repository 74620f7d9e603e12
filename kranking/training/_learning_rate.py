"""A lower learning rate in the middle of a training."""

from typing import Any

import keras
from keras.optimizers.schedules import LearningRateSchedule

from kranking._core import serializable


@serializable
class ScaledSchedule(LearningRateSchedule):
    """Another schedule's rate times a factor.

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
        """Gives the arguments."""
        schedule = keras.saving.serialize_keras_object(self.schedule)
        return {"schedule": schedule, "factor": self.factor}

    @classmethod
    def from_config(cls, config):
        """Makes a schedule from `get_config`."""
        return cls(keras.saving.deserialize_keras_object(config["schedule"]), config["factor"])


def rate_of(model: Any) -> float:
    """Gives the learning rate of the next step."""
    return float(keras.ops.convert_to_numpy(model.optimizer.learning_rate))


def has_fixed_rate(model: Any) -> bool:
    """Tells whether the rate is a variable that can be set, neither a schedule nor a function."""
    return isinstance(_inner(model)._learning_rate, keras.Variable)


def set_rate(model: Any, rate: float, factor: float) -> bool:
    """Sets a fixed rate to `rate`, or scales a schedule by `factor`.

    Returns:
        Whether the training function has to be made again, because the old one holds the schedule.
    """
    optimizer = _inner(model)
    if has_fixed_rate(model):
        optimizer.learning_rate = rate
        return False
    if factor == 1.0:
        return False
    before = optimizer._learning_rate  # the property gives its present value
    if isinstance(before, LearningRateSchedule):
        optimizer.learning_rate = ScaledSchedule(before, factor)
    else:
        optimizer.learning_rate = lambda: before() * factor
    return True


def _inner(model: Any) -> Any:
    """Gives the optimizer that holds the rate: a LossScaleOptimizer wraps it."""
    return getattr(model.optimizer, "inner_optimizer", model.optimizer)
