import hashlib
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kranking.data import (
    HOMEFEED_VERSION,
    HomefeedLog,
    bayes_optimal,
    homefeed_declarations,
    truth_table,
    write_homefeed,
)
from kranking.features import Preprocessor, fit

SMALL = {"num_rows": 20_000, "num_users": 200, "num_pins": 300}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("homefeed")
    HomefeedLog(**SMALL).write(folder, rows_per_file=15_000)
    return folder


def read(folder, columns=None):
    files = sorted(folder.rglob("*.parquet"))
    return pa.concat_tables([pq.read_table(f, columns=columns) for f in files]).combine_chunks()


def test_rows_are_exact_and_split_in_time_by_whole_sessions(folder):
    parts = [read(folder / split) for split in ("train", "valid", "test")]
    assert sum(part.num_rows for part in parts) == SMALL["num_rows"]
    sessions = [part["session_id"].to_numpy() for part in parts]
    times = [part["request_time"].to_numpy() for part in parts]
    for i in (0, 1):
        assert sessions[i].max() < sessions[i + 1].min()
        assert times[i].max() <= times[i + 1].min()
        assert 0.08 < len(sessions[i + 1]) / SMALL["num_rows"] < 0.12
    sizes = np.bincount(np.concatenate(sessions))[:-1]  # the last makes the rows exact
    assert sizes.min() >= 10
    assert sizes.max() <= 25


def test_sessions_have_one_user_and_no_pin_twice(folder):
    table = read(folder, ["session_id", "user_id", "pin_id", "request_time"])
    session, user, pin, time = (table[name].to_numpy() for name in table.column_names)
    rows = np.stack([session, pin], axis=1)
    assert len(np.unique(rows, axis=0)) == len(rows)
    users = np.unique(np.stack([session, user, time], axis=1), axis=0)
    assert len(users) == len(np.unique(session))


def test_same_arguments_same_rows_and_other_seed_other_rows():
    def first(**arguments):
        return next(HomefeedLog(**{**SMALL, **arguments}).blocks())

    assert first().equals(first())
    assert not first().equals(first(seed=1))


def test_frozen():
    """The rows of version 1: if this fails, the version must change, and so must all results."""
    assert HOMEFEED_VERSION == 1
    block = next(HomefeedLog(**SMALL).blocks())
    digest = hashlib.sha256()
    for name in ("session_id", "user_id", "pin_id", "hour", "save", "closeup", "hide"):
        digest.update(block.column(name).to_numpy().astype("<i8").tobytes())
    assert digest.hexdigest()[:16] == "4d46f013e0e9d342"


def test_hash_depends_on_every_argument():
    logs = [HomefeedLog(**{**SMALL, **change}) for change in ({}, {"seed": 1}, {"num_pins": 400})]
    assert len({log.hash for log in logs}) == 3
    assert logs[0].hash == HomefeedLog(**SMALL).hash


def test_labels_follow_the_true_probabilities():
    log = HomefeedLog(num_rows=100_000)
    _, terms, labels = log.terms()
    for task, rate in (("save", 0.03), ("closeup", 0.1), ("hide", 0.005)):
        y, p = labels[task], 1 / (1 + np.exp(-log.truth.logits(terms, task)))
        error = np.sqrt((p * (1 - p)).sum())
        assert abs(y.sum() - p.sum()) < 4 * error
        assert 0.8 * rate < y.mean() < 1.2 * rate


def test_terms_are_standardised_and_uncorrelated():
    _, terms, _ = HomefeedLog(num_rows=100_000).terms()
    np.testing.assert_allclose(terms.std(axis=1), 1, atol=0.1)
    assert np.abs(np.corrcoef(terms) - np.eye(len(terms))).max() < 0.05


def test_each_order_adds_to_what_can_be_reached():
    table = truth_table(HomefeedLog(num_rows=100_000))
    parts = ["order 1", "order <= 2", "order <= 3", "order <= 4", "all (Bayes)"]
    for task in ("save", "closeup"):
        aucs = [table[task][part]["auc"] for part in parts]
        entropies = [table[task][part]["ne"] for part in parts]
        assert aucs == sorted(aucs)
        assert entropies == sorted(entropies, reverse=True)
        assert table[task]["no additive"]["auc"] > table[task]["order 1"]["auc"] + 0.05
    save = table["save"]
    assert 0.83 < save["all (Bayes)"]["auc"] < 0.87
    assert save["all (Bayes)"]["auc"] > save["order 1"]["auc"] + 0.15
    assert save["all (Bayes)"]["hit@3"] > 3 * save["all (Bayes)"]["hit@3 random"]


def test_bayes_optimal_reads_the_probabilities_of_the_files(folder):
    scores = bayes_optimal(folder)
    assert set(scores) == {"save", "closeup", "hide"}
    assert scores["save"]["auc"] > 0.75
    assert scores["save"]["ne"] < 1


def test_factors_can_be_seen_in_the_columns():
    """What the truth multiplies, a linear map of columns gives back, nearly."""
    truth = HomefeedLog(num_rows=1_000).truth
    population, rng = truth.population, np.random.default_rng(1)
    rows = population.impressions(rng, 0, rng.integers(10, 26, 500), 500)
    factors = truth.factors(rows)
    kept = np.arange(5) < population.num_interests[:, None]
    bags = np.stack([np.bincount(i[k], minlength=24) for i, k in zip(population.interests, kept)])
    bags = (bags / kept.sum(1, keepdims=True))[rows.user][rows.session]
    style = population.s[population.event_pin[rows.user[:, None], rows.events]]
    history = (style * rows.event_mask[..., None]).sum(1)[rows.session]
    for columns, name, share in (
        (population.cover[rows.pin], "v", 0.98),
        (population.cover[rows.pin], "s", 0.98),
        (bags, "u", 0.75),
        (history, "h", 0.8),
    ):
        design = np.c_[columns, np.ones(len(columns))]
        rest = factors[name] - design @ np.linalg.lstsq(design, factors[name], rcond=None)[0]
        assert (1 - rest.var(0) / factors[name].var(0)).min() > share, name


def test_declarations_encode_the_log_and_never_read_the_truth(folder):
    features, tasks = homefeed_declarations()
    assert [task.name for task in tasks] == ["save", "closeup", "hide"]
    fitted = fit(features, folder / "train")
    preprocessor = Preprocessor(fitted)
    assert not any(column.startswith("p_") for column in preprocessor.columns)
    assert not {"save", "closeup", "hide", "session_id"} & set(preprocessor.columns)
    table = read(folder / "valid")
    inputs = preprocessor({name: table[name] for name in preprocessor.columns})
    assert all(np.isfinite(value).all() for value in inputs.values())
    assert inputs["engaged_pins.age"].min() >= 0  # nothing from the future


def test_writing_again_leaves_a_complete_log_and_refuses_another(tmp_path):
    log = write_homefeed(tmp_path, **SMALL)
    description = json.loads((tmp_path / "homefeed.json").read_text())
    assert description["hash"] == log.hash
    assert description["version"] == HOMEFEED_VERSION
    before = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.parquet")}
    write_homefeed(tmp_path, **SMALL)
    assert before == {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.parquet")}
    with pytest.raises(ValueError, match="`directory` must be empty or contain this log"):
        write_homefeed(tmp_path, **{**SMALL, "seed": 1})


def test_a_killed_run_is_written_anew(tmp_path):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "part-00099.parquet").write_bytes(b"half a file")
    write_homefeed(tmp_path, **SMALL)
    assert read(tmp_path).num_rows == SMALL["num_rows"]
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.mark.parametrize("name", ["num_rows", "num_users", "num_pins"])
@pytest.mark.parametrize("value", [0, 1.5, True])
def test_rejects(name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be .*Received: {name}="):
        HomefeedLog(**{name: value})
