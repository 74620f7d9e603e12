"""The package as others meet it: what `import kranking` costs, and what it says of itself."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import keras
import pytest

import kranking as kr

ROOT = Path(__file__).parents[1]
# Keras itself imports what is installed of scikit-learn and others: what kranking adds counts.
LIST_MODULES = """
import json, sys, keras
before = set(sys.modules)
import kranking
added = sorted(set(sys.modules) - before)
import kranking.export, kranking.serving
print(json.dumps([added, sorted(sys.modules)]))
"""


@pytest.fixture(scope="module")
def modules():
    """Returns the modules that `import kranking` adds to Keras's, and all once two rooms are there too."""
    child = subprocess.run(
        [sys.executable, "-c", LIST_MODULES],
        env={**os.environ, "KERAS_BACKEND": keras.backend.backend()},
        capture_output=True,
        text=True,
        check=True,
    )
    return [set(names) for names in json.loads(child.stdout.splitlines()[-1])]


@pytest.fixture(scope="module")
def imported(modules):
    return modules[0]


def test_import_adds_only_pyarrow(imported):
    """No other backend, no ONNX, no plots: those come when a function needs them."""
    assert {name.split(".")[0] for name in imported} <= {"kranking", "pyarrow"}


@pytest.mark.parametrize(
    "room", ["architectures", "data", "export", "search", "serving", "testing", "training"]
)
def test_import_leaves_rooms_for_later(imported, room):
    assert f"kranking.{room}" not in imported


def test_import_of_export_and_serving_stays_cheap(modules):
    assert {"onnx", "onnxruntime", "tf2onnx"} & modules[1] == set()


def test_version_is_the_projects():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert kr.__version__ == project["version"]


def test_types_are_shipped():
    assert (ROOT / "kranking" / "py.typed").exists()


def test_constraints_cover_every_requirement():
    """An unpinned requirement is whatever was published this morning."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    pinned = {
        line.split("==")[0].lower().replace("-", "_")
        for line in (ROOT / "constraints.txt").read_text("utf-8").splitlines()
        if not line.startswith("#")
    }
    groups = [project["dependencies"], *project["optional-dependencies"].values()]
    names = {_name(requirement) for group in groups for requirement in group}
    assert names - {"kranking"} <= pinned


def _name(requirement):
    return requirement.split(">")[0].split("[")[0].strip().lower().replace("-", "_")
