"""Names and version numbers of models in the folder of a server."""

import re
from pathlib import Path

from kranking._core import check_positive_int
from kranking._folders import renamed

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def check_name(name: str) -> None:
    """Raises `ValueError` unless the name of a model is valid as a folder and as a part of a URL."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(
            "`name` must consist of letters, digits, '_', '-' and '.', and begin with a letter or digit, "
            f"because it is used as a folder and in URLs. Received: name={name!r}"
        )


def next_version(model: Path, version: int | None = None) -> Path:
    """Returns the folder of a new version: `version`, or 1 more than the largest existing one."""
    check_positive_int("version", version, optional=True)
    taken = [int(p.name) for p in model.glob("*") if p.name.isascii() and p.name.isdigit()]
    following = max(taken, default=0) + 1
    if version in taken:
        raise ValueError(
            "`version` must be new, because versions that may be in use are not changed. Received: "
            f"version={version}, which exists in {model}. The next version is {following}."
        )
    return model / str(version or following)


def add_version(staging: Path, model: Path, version: int | None = None) -> Path:
    """Renames a finished folder to a new version, which no other process can have chosen too.

    Args:
        staging: The folder, on the same file system.
        model: Folder of the versions.
        version: Number of the version; by default, 1 more than the largest existing one.

    Raises:
        ValueError: If `version` exists.
    """
    while not renamed(staging, target := next_version(model, version)):
        continue
    return target
