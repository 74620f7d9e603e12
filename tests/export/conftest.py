import sys
from pathlib import Path

import pytest

# The samples hold layers that a child process imports by name, as a user's own modules would be.
sys.path.append(str(Path(__file__).parent))

import export_samples


@pytest.fixture(scope="session")
def awkward(tmp_path_factory):
    return export_samples.awkward_bundle(tmp_path_factory.getbasetemp())
