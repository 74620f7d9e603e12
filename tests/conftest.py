"""What every test starts from: a quiet TensorFlow of two devices, and a seed.

Keras is imported in the functions: xdist's main process, which runs no test, goes without.
"""

import os

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before anything imports TensorFlow

pytest_plugins = ["cpu_seconds"]
ONCE = pytest.mark.skip(reason="does not depend on the backend: runs on tensorflow")


def pytest_collection():
    """Splits TensorFlow's processor into two devices, for tests of strategies, before it starts."""
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        two = [tf.config.LogicalDeviceConfiguration() for _ in range(2)]
        tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], two)


def pytest_collection_modifyitems(items):
    """Leaves tests that are the same on every backend to the default one."""
    import keras

    if keras.backend.backend() != "tensorflow":
        for item in items:
            if item.get_closest_marker("once"):
                item.add_marker(ONCE)


@pytest.fixture(autouse=True)
def _seed():
    """Draws the same numbers in a test, whichever tests ran before it."""
    import keras

    keras.utils.set_random_seed(0)


@pytest.fixture(scope="session")
def two_replicas():
    """Returns a strategy of two replicas, the only one: TensorFlow mixes up the reductions of two."""
    import kranking as kr

    return kr.training.mirrored_strategy(num_logical_cpus=2)
