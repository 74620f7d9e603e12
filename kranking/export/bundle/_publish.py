"""Atomic creation and replacement of directories."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

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


@contextlib.contextmanager
def publish(directory: Path) -> Iterator[Path]:
    """Yields a new folder that is renamed to `directory` on success and deleted on failure.

    The folder is created next to `directory`, so that renaming it is atomic. An existing `directory` is
    moved away first, and moved back if renaming fails. A killed process can leave hidden folders behind,
    named after `directory` and ending in `.unfinished` or `.replaced`. Only if it is killed between the
    two renames, `directory` is missing; its complete contents are then in the `.replaced` folder.
    """
    directory.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{directory.name}."
    staging = Path(tempfile.mkdtemp(prefix=prefix, suffix=".unfinished", dir=directory.parent))
    try:
        yield staging
        # mkdtemp creates a folder that only its owner can read; a server may run as another user.
        umask = os.umask(0)
        os.umask(umask)
        staging.chmod(0o777 & ~umask)
        _swap(staging, directory, prefix)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _swap(staging: Path, directory: Path, prefix: str) -> None:
    if not directory.exists():
        staging.rename(directory)
        return
    aside = Path(tempfile.mkdtemp(prefix=prefix, suffix=".replaced", dir=directory.parent))
    directory.rename(aside)  # POSIX replaces an empty folder
    try:
        staging.rename(directory)
    except OSError:
        aside.rename(directory)
        raise
    shutil.rmtree(aside)
