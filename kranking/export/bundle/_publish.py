"""Atomic creation and replacement of bundles."""

from contextlib import AbstractContextManager
from pathlib import Path

from kranking._folders import replaced_folder
from kranking.export.bundle._manifest import MANIFEST, read_manifest


def check_replaceable(directory: Path) -> None:
    """Raises `ValueError` unless `directory` is new, empty or only contains an earlier bundle."""
    if not directory.exists():
        return
    if not directory.is_dir():
        raise ValueError(
            f"`directory` must be a directory. Received: directory={str(directory)!r}, a file"
        )
    found = {p.relative_to(directory).as_posix() for p in directory.rglob("*") if not p.is_dir()}
    known = {MANIFEST, *read_manifest(directory)["files"]} if MANIFEST in found else set()
    if found - known:
        raise ValueError(
            "`directory` must be new, empty, or contain a bundle and no other files, because it is "
            f"replaced. Received: directory={str(directory)!r} with {sorted(found - known)[:5]}"
        )


def check_beside(directory: Path, source: Path) -> None:
    """Raises `ValueError` if `directory` is the folder of the source bundle, or inside or around it."""
    directory, folder = directory.resolve(), source.resolve()
    if directory.is_relative_to(folder) or folder.is_relative_to(directory):
        raise ValueError(
            "`directory` must be outside the folder of `source`, and must not contain it, because the "
            f"source is not changed. Received: directory={str(directory)!r}, source={str(folder)!r}"
        )


def publish(directory: Path) -> AbstractContextManager[Path]:
    """Returns a context with a new folder, which becomes the bundle `directory` if there is no error.

    See `replaced_folder`. Files that others put into `directory` meanwhile are not replaced.
    """
    return replaced_folder(directory, check_replaceable)
