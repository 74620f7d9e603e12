"""What every test starts from: a quiet TensorFlow, and a seed."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before anything imports TensorFlow

import keras
import pytest


@pytest.fixture(autouse=True)
def _seed():
    """Draws the same numbers in a test, whichever tests ran before it."""
    keras.utils.set_random_seed(0)
