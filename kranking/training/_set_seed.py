"""Two trainings that give the same weights."""

import os

import keras

from kranking._core import check_positive_int

_seeds: list[int] = []


def set_seed(seed: int) -> None:
    """Makes what follows repeatable: on a processor, two runs give identical weights.

    Seeds Python, NumPy, Keras and the backend, and then asks the backend for algorithms that give the same
    bits each time:

    - TensorFlow: `tf.config.experimental.enable_op_determinism`. It cannot be taken back in a process, and
      costs speed, on GPUs above all.
    - PyTorch: `use_deterministic_algorithms`, no choice of cuDNN algorithms by timing, and
      `CUBLAS_WORKSPACE_CONFIG` unless it is set. An operation without such an algorithm raises.
    - JAX: nothing on a processor, where it is so already. For GPUs, `--xla_gpu_deterministic_ops=true` is
      added to `XLA_FLAGS`, which has an effect only if JAX has not started its GPU yet.

    Call it first, before the model and the readers are made; readers take a `seed` of their own. The same
    bits need the same machine, versions and number of threads. Nothing here was tried on a GPU: there,
    cuBLAS, another model of GPU, or several of them at once can give other sums.

    Args:
        seed: A non-negative integer below 2^32.

    Raises: `ValueError` for another seed.

    Reference: `keras.utils.set_random_seed`, which leaves the algorithms as they are.
    """
    check_positive_int("seed", seed, minimum=0)
    if seed >= 2**32:
        raise ValueError(f"`seed` must be below 2**32, as NumPy wants it. Received: seed={seed}")
    keras.utils.set_random_seed(seed)
    _seeds[:] = [seed]
    _DETERMINISM.get(keras.backend.backend(), _nothing)()


def last_seed() -> int | None:
    """Gives what `set_seed` was last called with in this process."""
    return _seeds[0] if _seeds else None


def _tensorflow() -> None:
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()


def _torch() -> None:
    # Read by cuBLAS when it starts; without it, PyTorch refuses matrix products on a GPU.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch

    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False


def _jax() -> None:
    # Asking JAX whether there is a GPU would start it, and it reads the flags only then.
    flags = os.environ.get("XLA_FLAGS", "")
    if "xla_gpu_deterministic_ops" not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} --xla_gpu_deterministic_ops=true".strip()


def _nothing() -> None:
    """NumPy has no more to ask for."""


_DETERMINISM = {"tensorflow": _tensorflow, "torch": _torch, "jax": _jax}
