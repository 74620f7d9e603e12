import sys
from pathlib import Path

import pytest

# The samples are those of the export tests, and so is their bundle: it is exported once.
sys.path.append(str(Path(__file__).parents[1] / "export"))

import export_samples


@pytest.fixture(scope="session")
def awkward(tmp_path_factory):
    return export_samples.awkward_bundle(tmp_path_factory.getbasetemp())
