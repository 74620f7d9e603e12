"""Checks of the files and versions of a bundle against its manifest."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kranking.export._finding import OK, WARNING, Finding, find
from kranking.export.bundle._manifest import MANIFEST, check_file, read_manifest, versions
from kranking.export.bundle._sections import REQUIRED, check_sections
from kranking.export.formats._onnx import ONNX_FILE
from kranking.export.formats._saved_model import SAVED_MODEL


def read_whole_manifest(directory: Path) -> dict[str, Any]:
    """Reads a manifest; raises `ValueError` unless it is complete and its formats match its files."""
    manifest = read_manifest(directory)
    manifest.setdefault("cost", {})  # absent in bundles of earlier versions
    check_sections(directory / MANIFEST, manifest, ["cost", *REQUIRED])
    files, formats = manifest["files"], manifest["formats"]
    there = {
        "saved_model": any(name.startswith(f"{SAVED_MODEL}/") for name in files),
        "onnx": ONNX_FILE in files,
    }
    held = [name for name, is_there in there.items() if is_there]
    if sorted(formats) != sorted(held) or not held:
        raise ValueError(
            f"{MANIFEST} must list files of its formats, and of no other formats. "
            f"Received: formats={formats}, files of {held}"
        )
    return manifest


def check_files(directory: Path, manifest: Mapping[str, Any]) -> Iterator[Finding]:
    """Checks all listed files, and that there are no other files."""
    for name, entry in manifest["files"].items():

        def look(name=name, entry=entry) -> str:
            check_file(directory, name, entry)
            return f"{entry['bytes']:,} bytes, SHA-256 as listed"

        yield find("file", name, look)
    yield find("file", "others", lambda: _no_others(directory, manifest["files"]))


def _no_others(directory: Path, listed: Mapping[str, Any]) -> str:
    there = {p.relative_to(directory).as_posix() for p in directory.rglob("*") if not p.is_dir()}
    unknown = sorted(there - {MANIFEST, *listed})
    if unknown:
        raise ValueError(
            f"{MANIFEST} must list all files of the bundle. Received: unlisted files {unknown}"
        )
    size = sum((directory / name).stat().st_size for name in there)
    return f"none; {size:,} bytes in {len(there)} files in total"


def check_versions(manifest: Mapping[str, Any]) -> Iterator[Finding]:
    """Compares the versions at export with the installed ones; a difference is a warning."""
    exported, installed = manifest["versions"], versions(manifest["backend"])
    for name in exported | installed:
        then, now = exported.get(name, "none"), installed.get(name, "none")
        if then == now:
            yield Finding("version", name, OK, now)
        else:
            yield Finding("version", name, WARNING, f"{now} installed, exported with {then}")
