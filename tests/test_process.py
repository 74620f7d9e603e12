"""Settings of the process are restored, whatever the order in which threads end."""

import sys
import threading
import warnings

import keras
import pytest

from kranking._process import Setting, no_output, no_warnings
from kranking.training._session import keep_random_states, reset_session

pytestmark = pytest.mark.once


def fail_in(context, check):
    with context:
        check()
        raise KeyError


def overlapping(context, seconds=5.0):
    """Enters a context twice, in two threads, and leaves first what was entered first.

    A context that is entered by one thread at a time has to be left after some seconds.
    """
    steps = [threading.Event() for _ in range(3)]

    def first():
        with context():
            steps[0].set()
            steps[1].wait(seconds)

    def second():
        steps[0].wait(seconds)
        with context():
            steps[1].set()
            steps[2].wait(seconds)

    threads = [threading.Thread(target=work) for work in (first, second)]
    for thread in threads:
        thread.start()
    threads[0].join(10)
    steps[2].set()
    threads[1].join(10)


def test_a_setting_is_restored_by_the_last_of_its_users():
    held, seen = {"value": "before"}, []
    setting = Setting(lambda: held["value"], lambda value: held.update(value=value))
    overlapping(lambda: setting.held("other"))
    assert held == {"value": "before"}
    with pytest.raises(KeyError):
        fail_in(setting.held("other"), lambda: seen.append(held["value"]))
    assert seen == ["other"]
    assert held == {"value": "before"}


def test_a_setting_is_kept_until_its_last_user_ends():
    held = {"value": 0}
    setting = Setting(lambda: held["value"], lambda value: held.update(value=value))
    with setting.held(1):
        with setting.held(1):
            pass
        assert held == {"value": 1}


@pytest.mark.parametrize("context", [no_output, no_warnings])
def test_streams_and_filters_survive_threads(context):
    before = sys.stdout, list(warnings.filters)
    overlapping(context, 0.05)
    assert (sys.stdout, list(warnings.filters)) == before


@pytest.fixture
def of_the_caller():
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    keras.config.disable_interactive_logging()
    keras.config.disable_traceback_filtering()
    yield
    keras.config.set_dtype_policy(policy)
    keras.config.enable_interactive_logging()
    keras.config.enable_traceback_filtering()


def test_a_new_session_has_the_settings_of_the_caller(of_the_caller):
    reset_session(0)
    assert keras.config.dtype_policy().name == "mixed_bfloat16"
    assert not keras.config.is_interactive_logging_enabled()
    assert not keras.config.is_traceback_filtering_enabled()
    assert keras.layers.Dense(1).compute_dtype == "bfloat16"


def test_random_states_are_kept():
    import random

    import numpy as np

    keras.utils.set_random_seed(5)
    expected = random.random(), np.random.rand()  # noqa: NPY002
    keras.utils.set_random_seed(5)
    with pytest.raises(KeyError):
        fail_in(keep_random_states(), lambda: reset_session(7))
    assert (random.random(), np.random.rand()) == expected  # noqa: NPY002


def test_short_products_are_switched_off_only_for_an_accelerator(monkeypatch):
    import tensorflow as tf

    from kranking.export.checks._reference import full_precision

    enabled, seen = tf.config.experimental.tensor_float_32_execution_enabled, []
    assert enabled()
    with full_precision():
        assert enabled() == (not tf.config.list_physical_devices("GPU"))
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: ["GPU:0"])
    with pytest.raises(KeyError):
        fail_in(full_precision(), lambda: seen.append(enabled()))
    assert seen == [False]
    assert enabled()
    overlapping(full_precision)
    assert enabled()
