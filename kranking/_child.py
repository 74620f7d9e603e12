"""Work that a process of its own does: on another backend, or because its memory is to be measured."""

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

REQUEST, ARRAYS, RESULT = "request.json", "arrays.npz", "result.json"


class ChildError(RuntimeError):
    """The child process ended without an answer, or with an error."""


def ask_child(
    module: str,
    request: Mapping[str, Any],
    backend: str,
    arrays: Mapping[str, np.ndarray] | None = None,
    *,
    accelerators: bool = False,
) -> dict[str, Any]:
    """Runs `python -m module FOLDER` and gives its answer.

    Args:
        module: A module whose main part calls `answer_parent`.
        request: What it is asked, as JSON can hold it.
        backend: Keras backend of the child.
        arrays: Arrays that go with the request.
        accelerators: Whether the child may use GPUs. The parent may hold their memory.

    Raises:
        ChildError: The child failed; the message holds the end of its output.
    """
    with tempfile.TemporaryDirectory(prefix="kranking-") as exchange:
        folder = Path(exchange)
        np.savez(folder / ARRAYS, **(arrays or {}))  # pyright: ignore[reportArgumentType]
        (folder / REQUEST).write_text(json.dumps(request), "utf-8")
        child = subprocess.run(
            [sys.executable, "-P", "-m", module, exchange],
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
        raise ChildError(f"{message}\nThe end of its output:\n{child.stdout[-2000:]}")
    return answer


def answer_parent(answer: Callable[[dict[str, Any], Mapping[str, np.ndarray]], Any]) -> None:
    """Reads the request in the folder that the command line names, and writes what `answer` makes of it."""
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
        # The caller's modules (custom layers) are found where the caller finds them.
        "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path),
    }
    if backend != "jax":
        # Flags meant for JAX's compiler can be unknown to TensorFlow's, which then aborts.
        environment.pop("XLA_FLAGS", None)
    if not accelerators:
        environment |= {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}
    else:  # taking all of a GPU at once, which the parent may hold in part, would fail
        environment.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
        environment.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    return environment
