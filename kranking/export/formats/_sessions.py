"""Sessions of ONNX Runtime, and their settings by its own names."""

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kranking._core import check_positive_int
from kranking.export.formats._external_data import linked_weights, with_weights_at

CPU = "CPUExecutionProvider"
_FOLDER = "session.model_external_initializers_file_folder_path"  # of a file given as bytes


@dataclass(frozen=True)
class SessionSettings:
    """How sessions are opened.

    Args:
        threads: Number of threads; `None` uses the default of ONNX Runtime.
        providers: Execution providers in order of preference, as `onnxruntime.InferenceSession` takes
            them; `None` means the CPU.
        options: An `onnxruntime.SessionOptions`, in place of `threads`.

    Raises:
        ValueError: If a provider is not available, or `threads` and `options` are both given.
    """

    threads: int | None = None
    providers: Sequence[Any] | None = None
    options: Any = None

    def __post_init__(self):
        check_positive_int("threads", self.threads, optional=True)
        if self.providers is not None:
            _check_providers(self.providers)
        if self.options is not None:
            self._check_options()

    def _check_options(self):
        import onnxruntime

        if not isinstance(self.options, onnxruntime.SessionOptions) or self.threads is not None:
            raise ValueError(
                "`session_options` must be an onnxruntime.SessionOptions, and `threads` be None, because "
                "`intra_op_num_threads` is one of these options. Received: "
                f"session_options={self.options!r}, threads={self.threads}"
            )

    @property
    def survive_a_fork(self) -> bool:
        """Whether sessions have no threads, which a forked process would not have."""
        return self.threads == 1 and self.providers is None

    def open(self, path: Path) -> Any:
        """Opens an `onnxruntime.InferenceSession`.

        Raises:
            ValueError: If ONNX Runtime cannot load the file, or not with the first provider.
        """
        import onnxruntime

        options = self.options
        if options is None:
            options = onnxruntime.SessionOptions()
            if self.threads is not None:
                options.intra_op_num_threads = self.threads
                options.inter_op_num_threads = 1
        providers = list(self.providers or [CPU])
        try:
            content: Any = str(path)
            weights = linked_weights(path)
            if weights is not None:
                content = with_weights_at(path, weights)
                _set_folder(options, str(weights.parent))
            session = onnxruntime.InferenceSession(
                content, sess_options=options, providers=providers
            )
        except Exception as error:  # errors of ONNX Runtime have no common public class
            raise ValueError(
                f"{path} could not be loaded by ONNX Runtime {onnxruntime.__version__}. Received: {error}"
            ) from error
        first, used = _names(providers)[0], session.get_providers()
        if first not in used:  # ONNX Runtime only warns, and uses the next one
            raise ValueError(
                f"`providers` must begin with one that can run on this machine. Received: {first!r}, which "
                f"ONNX Runtime could not start for {path}; it would use {used}"
            )
        return session


def _set_folder(options: Any, folder: str) -> None:
    """Sets the folder of external constants, once: ONNX Runtime warns of a second time."""
    try:
        known = options.get_session_config_entry(_FOLDER)
    except RuntimeError:  # not set
        known = None
    if known != folder:
        options.add_session_config_entry(_FOLDER, folder)


def open_session(path: Path, threads: int | None = None) -> Any:
    """Opens an `onnxruntime.InferenceSession` on the CPU with this number of threads."""
    return SessionSettings(threads).open(path)


def keep_forever(session: Any) -> None:
    """Keeps an inherited session alive: its end would wait for threads that this process does not have."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(session))


def _names(providers: Sequence[Any]) -> list[Any]:
    return [p[0] if isinstance(p, tuple | list) and p else p for p in providers]


def _check_providers(providers: Any) -> None:
    import onnxruntime

    available = onnxruntime.get_available_providers()
    good = isinstance(providers, list | tuple) and len(providers) > 0
    if not good or not all(name in available for name in _names(providers)):
        raise ValueError(
            f"`providers` must be a list of providers that the installed ONNX Runtime has, {available}. "
            f"Received: providers={providers!r}"
        )
