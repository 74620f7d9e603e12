"""Settings of the search in a folder, to prevent another search from continuing in it."""

from pathlib import Path
from typing import Any

import keras

from kranking._core import versions
from kranking._files import write_json
from kranking._identity import changed, fingerprint, plain_json, read_settings
from kranking._paths import make_folder
from kranking.budget import Budget
from kranking.data import LogFiles
from kranking.search._baseline import Baseline
from kranking.search._objective import Objective
from kranking.search._search_space import SearchSpace
from kranking.search._training import Training

_NAME = "settings.json"


def search_settings(
    space: SearchSpace,
    budget: Budget,
    baseline: Baseline | None,
    *,
    log: LogFiles,
    training: Training,
    objective: Objective,
    seed: int,
    method: str,
    confirm: Any,
) -> dict[str, Any]:
    """Returns the settings that identify a search as a JSON-serializable dict."""
    settings = {
        "space": space.to_json(),
        "budget": budget.to_json(),
        "baseline": None if baseline is None else baseline.to_json(),
        "log": log.to_json(),
        "training": training.to_json(),
        "method": method,
        "objective": objective.name,
        "seed": seed,
        "confirm": fingerprint(confirm),
        "backend": keras.backend.backend(),
        "versions": versions("keras", "keras-tuner", keras.backend.backend()),
    }
    return plain_json(settings)


def check_same_search(out: Path, settings: dict[str, Any]) -> None:
    """Raises `ValueError` if a folder belongs to another search.

    Args:
        out: The folder, which need not exist.
        settings: The output of `search_settings`.
    """
    before, why = read_settings(out / _NAME), ""
    if out.exists() and not out.is_dir():
        why = "which is a file"
    elif before is None and any(
        (out / name).exists() for name in ("oracle.json", "tuner/oracle.json")
    ):
        why = f"which has a KerasTuner project without `{_NAME}`"
    elif before is not None:
        known = {name: before[name] for name in settings if name in before}
        differs = changed(known, settings)
        why = f"which differs in {differs}" if differs else ""
    if why:
        raise ValueError(
            "`out` must be a new folder or the folder of the same search. Set `accept_changes=True` to "
            f"continue with the earlier trials. Received: out={str(out)!r}, {why}"
        )


def write_settings(out: Path, settings: dict[str, Any]) -> None:
    """Writes the settings atomically."""
    make_folder(out)
    write_json(out / _NAME, settings, fsync=True)
