"""The manifest of a bundle: what it holds, what made it, how well it was checked."""

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
    """Gives the versions of Python and of the packages that an artefact depends on."""
    found = {"python": platform.python_version()}
    for package in dict.fromkeys((*_PACKAGES, *packages)):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found


def describe_files(folder: Path) -> dict[str, dict[str, Any]]:
    """Gives size in bytes and SHA-256 of every file below `folder`, by relative POSIX path."""
    return {
        path.relative_to(folder).as_posix(): {
            "bytes": path.stat().st_size,
            "sha256": sha256_of(path),
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != MANIFEST
    }


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Writes `manifest.json` in one step: it is there whole, or not at all."""
    write_json(
        folder / MANIFEST, manifest, indent=2, fsync=True, ensure_ascii=False, allow_nan=False
    )


def read_manifest(folder: Path) -> dict[str, Any]:
    """Reads `manifest.json`, or raises if this is no bundle that this version can read."""
    path = folder / MANIFEST
    if not path.is_file():
        raise ValueError(
            f"`directory` should hold a bundle with a {MANIFEST}. Received: directory={str(folder)!r}"
        )
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        found = (manifest["format"], manifest["format_version"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path} should be a whole JSON object with `format` and `format_version`. "
            f"Received: {type(error).__name__}: {error}"
        ) from error
    if found[0] != FORMAT or found[1] != FORMAT_VERSION:
        raise ValueError(
            f"{path} should be of format {FORMAT!r}, version {FORMAT_VERSION}. "
            f"Received: format {found[0]!r}, version {found[1]!r}"
        )
    return manifest


def check_files(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Raises unless every file of the manifest is there with its size and its SHA-256."""
    for name, expected in manifest["files"].items():
        check_file(folder, name, expected)
    for name in _READ_IF_THERE:
        if (folder / name).exists() and name not in manifest["files"]:
            raise ValueError(
                f"{folder / MANIFEST} should list every file that answers depend on. "
                f"Received: {name} in the bundle, but not in the list"
            )
    for name, described in manifest.get("signatures", {}).items():
        if "onnx" in described and described["onnx"] not in manifest["files"]:
            raise ValueError(
                f"{folder / MANIFEST} should list the file of the signature {name!r} among the bundle's "
                f"files. Received: {described['onnx']!r}"
            )


def check_file(folder: Path, name: str, expected: Mapping[str, Any]) -> None:
    """Raises unless a file that the manifest lists lies in the bundle as the manifest describes it."""
    path = file_within(folder, name)
    if not path.is_file():
        raise ValueError(f"{path} should exist: the bundle's manifest lists it. Received: no file")
    size = path.stat().st_size
    if size != expected["bytes"]:
        raise ValueError(f"{path} should have {expected['bytes']} bytes. Received: {size} bytes")
    received = sha256_of(path)
    if received != expected["sha256"]:
        raise ValueError(f"{path} should have SHA-256 {expected['sha256']}. Received: {received}")


def file_within(folder: Path, name: str) -> Path:
    """Gives the path of a bundle's file, or raises if it leaves the bundle."""
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        raise ValueError(
            f"{folder / MANIFEST} should list files of the bundle only. Received: {name!r}"
        )
    return path


def sha256_of(path: Path) -> str:
    """Gives the SHA-256 of a file's content, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
