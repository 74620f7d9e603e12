import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

# The samples hold layers that a child process imports by name, as a user's own modules would be.
sys.path.append(str(Path(__file__).parent))

import export_samples

from kranking.export import export_model


@pytest.fixture(scope="session")
def awkward(tmp_path_factory):
    """One model with awkward names and its bundle; tests read it and copy it, never change it."""
    model = export_samples.awkward_model()
    folder = tmp_path_factory.mktemp("export") / "served" / "näme with space"
    given = export_samples.random_inputs(model, 5, seed=3)
    report = export_model(
        model,
        folder,
        signatures=("serve",),
        num_check_rows=20,
        check_rows=given,
        seed=11,
        counts={"dense": {"rows": 10, "out_of_vocabulary": 2}},
        metadata={"cost": {"parameters": model.count_params()}},
    )
    return SimpleNamespace(model=model, folder=folder, report=report)
