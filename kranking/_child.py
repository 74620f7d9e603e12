"""Runs work in a child process: on another backend, or to measure its memory."""

import json
import os
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from kranking._files import temporary_beside

REQUEST, ARRAYS, RESULT = "request.json", "arrays.npz", "result.json"


class ChildError(RuntimeError):
    """Raised if the child process fails or exits without a result."""


def ask_child(
    module: str,
    request: Mapping[str, Any],
    backend: str,
    arrays: Mapping[str, np.ndarray] | None = None,
    *,
    accelerators: bool = False,
) -> dict[str, Any]:
    """Runs `python -m module FOLDER` and returns its result.

    Args:
        module: Module whose `__main__` block calls `answer_parent`.
        request: JSON-serializable request.
        backend: Keras backend of the child.
        arrays: Arrays sent with the request.
        accelerators: Whether the child may use GPUs, whose memory the parent may already hold.

    Raises:
        ChildError: If the child fails; the message contains the end of its output.
    """
    shared = Path(tempfile.gettempdir(), "kranking")
    with temporary_beside(shared, folder=True, mode=0o700) as folder:
        np.savez(folder / ARRAYS, **(arrays or {}))  # pyright: ignore[reportArgumentType]
        (folder / REQUEST).write_text(json.dumps(request), "utf-8")
        child = subprocess.run(
            [sys.executable, "-P", "-m", module, str(folder)],
            env=_environment(backend, accelerators),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )
        result = folder / RESULT
        answer = json.loads(result.read_text("utf-8")) if result.is_file() else {}
    if "error" in answer or not answer:
        message = answer.get("error") or f"exit status {child.returncode}"
        raise ChildError(f"{message}\nEnd of its output:\n{child.stdout[-2000:]}")
    return answer


def answer_parent(answer: Callable[[dict[str, Any], Mapping[str, np.ndarray]], Any]) -> None:
    """Reads the request from the folder in `sys.argv[1]` and writes the result of `answer` to it."""
    folder = Path(sys.argv[1])
    request = json.loads((folder / REQUEST).read_text("utf-8"))
    try:
        with np.load(folder / ARRAYS) as file:
            result = answer(request, {name: file[name] for name in file.files})
    except Exception as error:
        traceback.print_exc()
        result = {"error": f"{type(error).__name__}: {error}"}
    (folder / RESULT).write_text(json.dumps(result), "utf-8")


def _environment(backend: str, accelerators: bool) -> dict[str, str]:
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3"),
        # The child imports the caller's modules (custom layers) from the same paths.
        "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
    }
    if backend != "jax":
        # TensorFlow aborts on XLA flags that it does not know, such as those set for JAX.
        environment.pop("XLA_FLAGS", None)
    if not accelerators:
        environment |= {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}
    else:  # the parent may hold part of the GPU memory, so allocating all of it would fail
        environment.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
        environment.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    return environment
