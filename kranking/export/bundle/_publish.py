"""Making a directory appear whole, or not at all."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from kranking.export.bundle._manifest import MANIFEST, read_manifest


def check_replaceable(directory: Path) -> None:
    """Raises unless `directory` is new, empty or an earlier bundle and nothing else."""
    if not directory.exists():
        return
    if not directory.is_dir():
        raise ValueError(
            f"`directory` should be a directory. Received: directory={str(directory)!r}, a file"
        )
    found = {p.relative_to(directory).as_posix() for p in directory.rglob("*") if not p.is_dir()}
    known = {MANIFEST, *read_manifest(directory)["files"]} if MANIFEST in found else set()
    if found - known:
        raise ValueError(
            "`directory` should be new, empty, or hold a bundle and nothing else: it is replaced as "
            f"a whole. Received: directory={str(directory)!r} with {sorted(found - known)[:5]}"
        )


def check_beside(directory: Path, source: Path) -> None:
    """Raises if a bundle that is made of another would lie in it, around it or in its place."""
    directory, folder = directory.resolve(), source.resolve()
    if directory.is_relative_to(folder) or folder.is_relative_to(directory):
        raise ValueError(
            "`directory` should lie beside the source, which stays as it is. "
            f"Received: directory={str(directory)!r}, source={str(folder)!r}"
        )


@contextlib.contextmanager
def publish(directory: Path) -> Iterator[Path]:
    """Gives a new folder that becomes `directory` when the block ends well, and vanishes if not.

    It lies beside `directory`, so that the change of name is one step of the file system. What was
    there is moved aside first, and back if the step fails. A killed process can leave hidden
    folders behind, named after `directory` and ending in `.unfinished` or `.replaced`; only one
    killed between the two changes of name leaves `directory` missing, and then whole in
    `.replaced`.
    """
    directory.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{directory.name}."
    staging = Path(tempfile.mkdtemp(prefix=prefix, suffix=".unfinished", dir=directory.parent))
    try:
        yield staging
        # mkdtemp keeps the folder to its owner; a server may run as somebody else.
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
    directory.rename(aside)  # onto an empty folder: POSIX replaces it
    try:
        staging.rename(directory)
    except OSError:
        aside.rename(directory)
        raise
    shutil.rmtree(aside)
