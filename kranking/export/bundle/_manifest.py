"""The manifest of a bundle: its contents, its origin and the results of its checks."""

import hashlib
import importlib.metadata
import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kranking._files import write_json

MANIFEST = "manifest.json"
FORMAT = "kranking bundle"
FORMAT_VERSION = 1

_READ_IF_THERE = ("weights.bin", "tables.json")
_PACKAGES = ("kranking", "keras", "tensorflow", "tf2onnx", "onnx", "onnxruntime", "numpy")


def versions(*packages: str) -> dict[str, str]:
    """Returns the versions of Python and of the packages that an artefact depends on."""
    found = {"python": platform.python_version()}
    for package in dict.fromkeys((*_PACKAGES, *packages)):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def describe_files(folder: Path) -> dict[str, dict[str, Any]]:
    """Returns the size in bytes and the SHA-256 of every file in `folder`, by relative POSIX path."""
    return {
        path.relative_to(folder).as_posix(): {
            "bytes": path.stat().st_size,
            "sha256": sha256_of(path),
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MANIFEST
    }


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Writes `manifest.json` atomically."""
    write_json(
        folder / MANIFEST, manifest, indent=2, fsync=True, ensure_ascii=False, allow_nan=False
    )


def read_manifest(folder: Path) -> dict[str, Any]:
    """Reads `manifest.json`; raises `ValueError` if there is no bundle that this version can read."""
    path = folder / MANIFEST
    if not path.is_file():
        raise ValueError(
            f"`directory` must contain a bundle with a {MANIFEST}. Received: directory={str(folder)!r}"
        )
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        found = (manifest["format"], manifest["format_version"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} must be a complete JSON object with `format` and `format_version`. "
            f"Received: {type(error).__name__}: {error}"
        ) from error
    if found[0] != FORMAT or found[1] != FORMAT_VERSION:
        raise ValueError(
            f"{path} must have format {FORMAT!r}, version {FORMAT_VERSION}. "
            f"Received: format {found[0]!r}, version {found[1]!r}"
        )
    return manifest


def check_files(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Raises `ValueError` unless every listed file exists with its size and SHA-256."""
    for name, expected in manifest["files"].items():
        check_file(folder, name, expected)
    for name in _READ_IF_THERE:
        if (folder / name).exists() and name not in manifest["files"]:
            raise ValueError(
                f"{folder / MANIFEST} must list all files that the outputs depend on. "
                f"Received: {name} is in the bundle, but not listed"
            )
    for name, described in manifest.get("signatures", {}).items():
        if "onnx" in described and described["onnx"] not in manifest["files"]:
            raise ValueError(
                f"{folder / MANIFEST} must list the file of the signature {name!r} under `files`. "
                f"Received: {described['onnx']!r}, which is not listed"
            )


def check_file(folder: Path, name: str, expected: Mapping[str, Any]) -> None:
    """Raises `ValueError` unless a file of the bundle exists with the size and SHA-256 in `expected`."""
    path = file_within(folder, name)
    if not path.is_file():
        raise ValueError(f"{path} must exist, because the manifest lists it. Received: no file")
    size = path.stat().st_size
    if size != expected["bytes"]:
        raise ValueError(f"{path} must have {expected['bytes']} bytes. Received: {size} bytes")
    received = sha256_of(path)
    if received != expected["sha256"]:
        raise ValueError(f"{path} must have SHA-256 {expected['sha256']}. Received: {received}")


def file_within(folder: Path, name: str) -> Path:
    """Returns the path of a file of the bundle; raises `ValueError` if it is outside the folder."""
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ValueError(
            f"{folder / MANIFEST} must only list files inside the bundle. Received: {name!r}"
        )
    return path


def sha256_of(path: Path) -> str:
    """Returns the SHA-256 of a file as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
