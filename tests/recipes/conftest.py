"""Every recipe runs as a reader would run it: by its command, in a process of its own.

That takes half a minute each, so that all are marked slow; CI runs them, by `pytest -m slow tests/recipes`.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import pytest

ROOT = Path(__file__).parents[2]

if keras.backend.backend() != "tensorflow":
    collect_ignore_glob = ["test_*.py"]  # one session runs the recipes, to save time


@pytest.fixture(scope="session")
def run():
    """Gives a function that runs `recipes/recipe --smoke` and gives its result.json."""

    def recipe(name: str, out: Path, *arguments: str) -> dict[str, float]:
        command = [sys.executable, str(ROOT / "recipes" / name), "--smoke", "--out", str(out)]
        environment = {**os.environ, "MPLBACKEND": "agg"}
        done = subprocess.run(
            [*command, *arguments],
            cwd=out.parent,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        result = json.loads((out / "result.json").read_text())
        assert all(isinstance(value, float) for value in result.values()), result
        return result

    return recipe
