"""Loading a bundle after checking all of its parts."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from kranking._paths import as_path
from kranking.export.bundle._bundle import Bundle
from kranking.export.bundle._manifest import MANIFEST, check_files, files_in, read_manifest
from kranking.export.bundle._sections import REQUIRED, check_sections, wrong_section
from kranking.export.formats._onnx import ONNX_FILE
from kranking.export.formats._sessions import SessionSettings
from kranking.export.functions._served_function import IDS

_TRIES = 20  # of a folder that is replaced again and again


def load_bundle(
    directory: str | Path,
    features: Iterable[Any] | None = None,
    *,
    threads: int | None = None,
    providers: Sequence[Any] | None = None,
    session_options: Any = None,
) -> Bundle:
    """Loads a bundle after checking all of its files against the manifest.

    If the folder is replaced meanwhile, the old bundle or the new one is loaded, never parts of both.

    Args:
        directory: Folder that `export_model` wrote with the format `"onnx"`. Its files may be symbolic
            links, as in a content store.
        features: Features to compare with those of the bundle; `None` skips the comparison.
        threads: Number of threads of ONNX Runtime; `None` uses its default.
        providers: Execution providers in order of preference, as `onnxruntime.InferenceSession` takes
            them, such as `["CUDAExecutionProvider", "CPUExecutionProvider"]`; `None` means the CPU.
        session_options: An `onnxruntime.SessionOptions` for all other settings, in place of `threads`.

    Returns:
        A `Bundle`.

    Raises:
        ValueError: If there is no manifest or it has an unknown format, if a file is missing, truncated
            or changed, if its parts do not agree, if `features` differ from those of the bundle, or if
            ONNX Runtime does not have or cannot start a provider.

    >>> load_bundle("nowhere")
    Traceback (most recent call last):
      ...
    ValueError: `directory` must contain a bundle with a manifest.json. Received: directory='nowhere'
    """
    settings = SessionSettings(threads, providers, session_options)
    directory = as_path("directory", directory)
    bundle = load_with(directory, settings)
    if features is not None:
        _check_features(directory, bundle.manifest, features)
    return bundle


def load_with(directory: Path, settings: SessionSettings) -> Bundle:
    """Loads a bundle with these settings; see `load_bundle`."""
    for _ in range(_TRIES):
        before = _state(directory)
        try:
            bundle = _load(directory, settings)
        except Exception as error:  # of whatever reads a damaged part
            if _state(directory) != before:
                continue
            if isinstance(error, ValueError):
                raise
            raise ValueError(
                f"{directory} must be a bundle that can be read. "
                f"Received: {type(error).__name__}: {error}"
            ) from error
        if _state(directory) == before:
            return bundle
    raise ValueError(
        f"`directory` must not be replaced all the time. Received: directory={str(directory)!r}, which "
        f"changed during each of {_TRIES} tries to load it"
    )


def _load(directory: Path, settings: SessionSettings) -> Bundle:
    manifest = read_manifest(directory)
    check_sections(directory / MANIFEST, manifest, REQUIRED)
    check_files(directory, manifest)
    if ONNX_FILE not in manifest["files"]:
        raise ValueError(
            f"`directory` must contain a bundle exported with the format 'onnx'. "
            f"Received: formats={manifest['formats']}"
        )
    described = manifest["signatures"].get(IDS)
    if described is None or described.get("onnx") != ONNX_FILE:
        expected = f"describe {IDS!r} with the file {ONNX_FILE!r}"
        raise wrong_section(directory / MANIFEST, "signatures", expected, described)
    return Bundle(directory, manifest, settings)


def _state(directory: Path) -> dict[str, tuple[int, ...]]:
    """Identifies the contents of a folder without reading them."""
    found: dict[str, tuple[int, ...]] = {}
    try:
        files = files_in(directory)
    except OSError:  # replaced at this moment
        return {"": ()}
    for name, path in files.items():
        try:
            stat = os.stat(path)
        except OSError:  # replaced at this moment, or a broken link
            found[name] = ()
        else:
            found[name] = (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)
    return found


def _check_features(directory: Path, manifest: Mapping[str, Any], features: Iterable[Any]) -> None:
    from kranking.features import schema_hash

    expected, received = manifest["schema_hash"], schema_hash(features)
    if received != expected:
        raise ValueError(
            f"`features` must be the features that the bundle {str(directory)!r} was exported with, whose "
            f"schema hash is {expected}. Received: features with schema hash {received}"
        )
