"""What every test starts from: a quiet TensorFlow of two devices, and a seed.

Keras is imported in the functions: xdist's main process, which runs no test, goes without.
"""

import ast
import gc
import inspect
import os
import textwrap
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before anything imports TensorFlow
# JAX's programs here are small and run once: compiling is what costs. Processes share what they compiled.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path(__file__).parents[1] / ".jax_cache"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
if os.environ.get("KERAS_BACKEND") == "jax":
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false")

pytest_plugins = ["cpu_seconds"]
# Files, processes and statistics around a training loop that `training` and `models` test; sizes and wiring
# of architectures, whose answers on each backend `integration` compares.
ONCE_FOLDERS = ("architectures", "comparison", "docs", "interop", "recipes", "search", "serving")
ONCE = pytest.mark.skip(reason="does not depend on the backend: runs on tensorflow")
ONE_CONTRACT = pytest.mark.skip(
    reason="a layer's last configuration is checked; on tensorflow all are"
)


def pytest_collection():
    """Splits TensorFlow's processor into two devices, for tests of strategies, before it starts."""
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        two = [tf.config.LogicalDeviceConfiguration() for _ in range(2)]
        tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], two)


def pytest_collection_finish():
    """Keeps the garbage collector from walking through all modules while graphs are traced."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def pytest_collection_modifyitems(items):
    """Leaves to the default backend what is the same on every one, and all contracts of a layer but one."""
    import keras

    if addresses := [item.nodeid for item in items if " at 0x" in item.nodeid]:
        raise pytest.UsageError(f"xdist needs the same ids in each process. Received: {addresses}")

    if keras.backend.backend() == "tensorflow":
        return
    contracts = {item: contract for item in items if (contract := _contract(item))}
    by_oracle = sorted(contracts, key=lambda item: contracts[item][1])
    # The last one with an oracle, if any of the layer's has one.
    last = {contracts[item][0]: item for item in by_oracle}
    for item in items:
        if _is_once(item):
            item.add_marker(ONCE)
        elif item in contracts and last[contracts[item][0]] is not item:
            item.add_marker(ONE_CONTRACT)


def _is_once(item):
    if item.get_closest_marker("each_backend"):
        return False
    folder, *file = item.path.relative_to(Path(__file__).parent).parts
    return item.get_closest_marker("once") or folder in ONCE_FOLDERS or not file


def _contract(item):
    """Returns ((file, class) of the layer, whether with an oracle) of a test that calls `check_layer`."""
    if Path(__file__).parent / "layers" not in item.path.parents:
        return None
    source = ast.parse(textwrap.dedent(inspect.getsource(item.function)))
    for call in ast.walk(source):
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "check_layer":
            return (item.path, ast.unparse(call.args[0])), len(call.args) > 3
    return None


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


@pytest.fixture(scope="module")
def eager_training():
    """Trains without tracing TensorFlow's graph of a step, which takes longer than a small log's steps."""
    import keras

    with pytest.MonkeyPatch.context() as patch:
        if keras.backend.backend() == "tensorflow":
            always = property(lambda model: True, lambda model, value: None)
            patch.setattr(keras.Model, "run_eagerly", always)
        yield
