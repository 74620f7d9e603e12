"""What every test starts from: a quiet TensorFlow, and a seed.

Keras is imported in the functions: xdist's main process, which runs no test, goes without.
"""

import os

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before anything imports TensorFlow

pytest_plugins = ["cpu_seconds"]
ONCE = pytest.mark.skip(reason="does not depend on the backend: runs on tensorflow")


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
