"""The manifest of a bundle: its contents, its origin and the results of its checks."""

import hashlib
import importlib.metadata
import json
import platform
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from kranking._files import write_json
from kranking.export.bundle._sections import check_sections
from kranking.export.formats._external_data import check_external_files

MANIFEST, FEATURES_FILE = "manifest.json", "features.json"
FORMAT = "kranking bundle"
FORMAT_VERSION = 1

# What is read if it is there: no file may have one of these names without being listed.
_READ_IF_THERE = re.compile(
    r"features\.json|model\.keras|tables\.json|[^/]*\.(onnx|bin|data|npy)|(saved_model|tables)/.*"
)
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
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(
            f"{path} must be a complete JSON object with `format` and `format_version`. "
            f"Received: {type(error).__name__}: {error}"
        ) from error
    if found[0] != FORMAT or found[1] != FORMAT_VERSION:
        raise ValueError(
            f"{path} must have format {FORMAT!r}, version {FORMAT_VERSION}. "
            f"Received: format {found[0]!r}, version {found[1]!r}"
        )
    check_sections(path, manifest, ["files"])
    return manifest


def check_files(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Raises `ValueError` unless every listed file exists with its size and SHA-256, and reads no other."""
    for name, expected in manifest["files"].items():
        check_file(folder, name, expected)
        if name.endswith(".onnx"):
            check_external_files(folder / name)
    check_listed(folder, manifest)
    for name, described in manifest.get("signatures", {}).items():
        if "onnx" in described and described["onnx"] not in manifest["files"]:
            raise ValueError(
                f"{folder / MANIFEST} must list the file of the signature {name!r} under `files`. "
                f"Received: {described['onnx']!r}, which is not listed"
            )


def check_listed(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Raises `ValueError` if a file that readers of a bundle would read is not listed."""
    for name in files_in(folder):
        if _READ_IF_THERE.fullmatch(name) and name not in manifest["files"]:
            raise ValueError(
                f"{folder / MANIFEST} must list all files that the outputs depend on. "
                f"Received: {name} is in the bundle, but not listed"
            )


def files_in(folder: Path) -> dict[str, Path]:
    """Returns the files of a folder by their relative POSIX paths."""
    found = (p for p in sorted(folder.rglob("*")) if not p.is_dir())
    return {p.relative_to(folder).as_posix(): p for p in found}


def check_file(folder: Path, name: str, expected: Mapping[str, Any]) -> None:
    """Raises `ValueError` unless a file of the bundle exists with the size and SHA-256 in `expected`."""
    path = folder / name
    if not _is_inside(folder, name):
        raise ValueError(
            f"{folder / MANIFEST} must only list files inside the bundle. Received: {name!r}"
        )
    if not path.is_file():
        raise ValueError(f"{path} must exist, because the manifest lists it. Received: no file")
    size = path.stat().st_size
    if size != expected["bytes"]:
        raise ValueError(f"{path} must have {expected['bytes']} bytes. Received: {size} bytes")
    received = sha256_of(path)
    if received != expected["sha256"]:
        raise ValueError(f"{path} must have SHA-256 {expected['sha256']}. Received: {received}")


def _is_inside(folder: Path, name: str) -> bool:
    """Whether the name is of a file in the folder. The file may be a link into a content store."""
    parts = PurePosixPath(name).parts
    if not parts or parts[0] == "/" or ".." in parts or "\\" in name or not name.isprintable():
        return False
    return (folder / name).parent.resolve().is_relative_to(folder.resolve())


def sha256_of(path: Path) -> str:
    """Returns the SHA-256 of a file as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
