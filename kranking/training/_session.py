"""Sessions of Keras for trainings that follow one another in one process."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras

from kranking.training._random_states import random_states, save_random_states


def reset_session(seed: int) -> None:
    """Clears the Keras session and sets the seeds; keeps what the caller has set in the session.

    Keras also forgets the distribution, the dtype policy and its settings of logging: a search would
    train in another precision, or on one device.
    """
    distribution = keras.distribution.distribution()
    policy = keras.config.dtype_policy()
    logs = keras.config.is_interactive_logging_enabled()
    filters = keras.config.is_traceback_filtering_enabled()
    keras.backend.clear_session()
    if distribution is not None:
        keras.distribution.set_distribution(distribution)
    keras.config.set_dtype_policy(policy)
    if not logs:
        keras.config.disable_interactive_logging()
    if not filters:
        keras.config.disable_traceback_filtering()
    keras.utils.set_random_seed(seed)


@contextmanager
def keep_random_states() -> Iterator[None]:
    """Restores the random states of Python, NumPy and PyTorch, which trainings with own seeds set."""
    restore = random_states(*save_random_states())
    try:
        yield
    finally:
        restore()
