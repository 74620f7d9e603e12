"""A small log and a small space that the tests of the search share, those in other processes too."""

import pytest

import kranking as kr
from kranking.comparison import LogFiles

pytest.importorskip("keras_tuner")


@pytest.fixture(scope="session")
def log(tmp_path_factory):
    return small_log(tmp_path_factory.mktemp("log"))


@pytest.fixture(scope="session")
def space(log):
    return small_space(log)


def small_log(folder):
    """Writes the log, unless it is there."""
    kr.data.write_homefeed(folder, num_rows=2000, seed=0)
    columns = [
        kr.features.Categorical("topic", side="item", embedding_dim=4),
        kr.features.Numeric("pin_saves", side="item", transform="log"),
    ]
    features = kr.features.fit(columns, folder / "train")
    parts = (folder / part for part in ("train", "valid", "test"))
    return LogFiles(*parts, features, [kr.Task("save"), kr.Task("closeup")], "session_id")


def small_space(log):
    """Models of 9 to 8,000 parameters, conditional on the architecture."""
    parameters = {
        "mlp/units": lambda hp, name: [hp.Int(name, 4, 64) or 1],
        "units": (8,),
        "dropout": 0.0,
        "depth": lambda hp, name: hp.Int(name, 1, 3),
        "low_rank": None,
        "embedding_scale": 1.0,
    }
    parameters = {name: value for name, value in parameters.items() if value is not None}
    return kr.search.SearchSpace(
        ["mlp", "dcn_v2"], log.features, log.tasks, parameters=parameters, batch_size=256
    )
