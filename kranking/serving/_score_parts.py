"""The parts of the scores of a log, and the record of the bundle and log they belong to."""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kranking._files import create_text, is_temporary, remove_abandoned
from kranking._paths import make_folder
from kranking._rows import Source, folder_keys
from kranking.export import Bundle

# Dataset readers ignore names that begin with an underscore.
SCORES_FILE = "_scores.json"
FORMAT, FORMAT_VERSION = "kranking scores", 1


def kept_column(name: str, tasks: Collection[str]) -> str:
    """Returns the name of a column of the log among scores, where a task's name is its probability."""
    return f"{name}_label" if name in tasks else name


@dataclass(frozen=True)
class Block:
    """Consecutive rows of one file that are written as one part with this number."""

    number: int
    file: str
    first: int
    rows: int

    def path(self, directory: Path) -> Path:
        """Returns the path of the finished part."""
        return directory / f"part-{self.number:06d}.parquet"


def blocks_of(source: Source, block_rows: int) -> list[Block]:
    """Splits files into blocks; a log without rows is one empty block, so that its scores have columns."""
    cuts = []
    for file in source.files:
        rows = sum(unit.rows for unit in source.units if unit.file == file)
        cuts += [
            (file, first, min(block_rows, rows - first)) for first in range(0, rows, block_rows)
        ]
    return [Block(i, *cut) for i, cut in enumerate(cuts or [(source.files[0], 0, 0)])]


def claim(
    directory: Path,
    bundle: Bundle,
    source: Source,
    blocks: Sequence[Block],
    how: Mapping[str, Any],
) -> None:
    """Creates a folder with a record of the bundle and the log, or checks the record of an existing one.

    Args:
        directory: Folder of the parts.
        bundle: The bundle; its manifest contains the hashes of its files.
        source: Source of the rows of the log.
        blocks: Blocks of the parts to write.
        how: Other arguments that the parts depend on.

    Raises:
        ValueError: If the folder contains other files, or parts of a different call.
    """
    noted = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "bundle": _digest(bundle.manifest),
        "log": [_identity(source, file) for file in source.files],
        **how,
        "parts": len(blocks),
        "rows": sum(block.rows for block in blocks),
    }
    path = directory / SCORES_FILE
    remove_abandoned(directory)  # left by a killed run
    if path.is_file():
        _check_same(path, noted)
        return
    if directory.exists() and (not directory.is_dir() or _others(directory)):
        raise ValueError(
            f"`directory` must be a folder that is new, empty, or has a {SCORES_FILE} of an earlier call. "
            f"Received: directory={str(directory)!r}"
        )
    make_folder(directory)
    if not create_text(path, json.dumps(noted, indent=2, ensure_ascii=False) + "\n"):
        _check_same(path, noted)  # of a run that began at the same time


def _identity(source: Source, file: str) -> dict[str, Any]:
    stated = folder_keys(getattr(source, "log_files", {}).get(file))
    return {"file": Path(file).name, "sha256": source.sha256(file), **stated}


def _digest(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _others(directory: Path) -> bool:
    """Whether a folder has files, apart from those that another run is writing."""
    return not all(is_temporary(path.name) for path in directory.iterdir())


def _check_same(path: Path, noted: Mapping[str, Any]) -> None:
    try:
        found = dict(json.loads(path.read_text("utf-8")))
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} must be a complete JSON object. Received: {error}") from error
    other = [name for name in noted if found.get(name) != noted[name]]
    if other:
        raise ValueError(
            f"`directory` must be new, or contain parts for the same bundle, log, `keep` and `block_rows`, "
            f"as recorded in {path}. Received: parts with another "
            + ", ".join(f"{name} ({found.get(name)}, not {noted[name]})" for name in other[:1])
        )
