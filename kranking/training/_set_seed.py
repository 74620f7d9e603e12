"""Seeding for reproducible training."""

import os

import keras

from kranking._core import check_positive_int

_seeds: list[int] = []


def set_seed(seed: int) -> None:
    """Makes training reproducible: on a CPU, two runs end with bitwise identical weights.

    Seeds Python, NumPy, Keras and the backend, then enables deterministic algorithms of the backend:

    - TensorFlow: `tf.config.experimental.enable_op_determinism`. It cannot be disabled again in the same
      process and is slower, especially on GPUs.
    - PyTorch: `use_deterministic_algorithms`, no cuDNN benchmarking, and `CUBLAS_WORKSPACE_CONFIG` unless
      it is set. Operations without a deterministic algorithm raise.
    - JAX: nothing on a CPU, which is deterministic already. For GPUs, `--xla_gpu_deterministic_ops=true`
      is added to `XLA_FLAGS`, which has no effect once JAX has initialized its GPU backend.

    Call it before creating the model and the readers; readers have their own `seed`. Identical results
    require the same machine, versions and number of threads. This has not been tested on a GPU, where
    cuBLAS, another GPU model or several GPUs can change the order of sums.

    Args:
        seed: A non-negative integer below 2^32.

    Raises:
        ValueError: If `seed` is not in this range.

    Reference: `keras.utils.set_random_seed`, which does not change the algorithms.
    """
    check_positive_int("seed", seed, minimum=0)
    if seed >= 2**32:
        raise ValueError(
            f"`seed` must be less than 2**32, the limit of NumPy. Received: seed={seed}"
        )
    keras.utils.set_random_seed(seed)
    _seeds[:] = [seed]
    _DETERMINISM.get(keras.backend.backend(), _nothing)()


def last_seed() -> int | None:
    """Returns the seed of the last call of `set_seed` in this process, or `None`."""
    return _seeds[0] if _seeds else None


def _tensorflow() -> None:
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()


def _torch() -> None:
    # Read by cuBLAS at initialization; without it, PyTorch raises for matrix products on a GPU.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch

    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False


def _jax() -> None:
    # Asking JAX for GPUs would initialize it, which is when it reads the flags.
    flags = os.environ.get("XLA_FLAGS", "")
    if "xla_gpu_deterministic_ops" not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} --xla_gpu_deterministic_ops=true".strip()


def _nothing() -> None:
    """Does nothing: NumPy is deterministic."""


_DETERMINISM = {"tensorflow": _tensorflow, "torch": _torch, "jax": _jax}
