"""Names and numbers of versions in a folder that a server reads."""

import re
from pathlib import Path

from kranking._core import check_positive_int

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


def check_name(name: str) -> None:
    """Raises unless a served model's name can be a folder and a part of a URL."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(
            "`name` should be letters, digits, '_', '-' and '.', a letter or digit first: it becomes "
            f"a folder and a part of a URL. Received: name={name!r}"
        )


def next_version(model: Path, version: int | None = None) -> Path:
    """Gives the folder of a new version: number `version`, or the one after the greatest there is."""
    check_positive_int("version", version, optional=True)
    taken = [int(p.name) for p in model.glob("*") if p.name.isascii() and p.name.isdigit()]
    following = max(taken, default=0) + 1
    if version in taken:
        raise ValueError(
            "`version` should be new: one that somebody may be served from is never changed. "
            f"Received: version={version}, in {model} already; {following} is the next one"
        )
    return model / str(version or following)
