import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kranking.data import split_by_session, split_by_time

ROWS = 5_000


@pytest.fixture
def log(tmp_path):
    """Rows in no order of time, in three files; a session's rows lie in different files."""
    random = np.random.default_rng(0)
    columns = {
        "row": np.arange(ROWS),
        "time": random.permutation(ROWS) * 10,
        "session": np.arange(ROWS) % 500,
        "name": np.array([f"s{i % 500}" for i in range(ROWS)]),
        "list": [[i, i + 1] for i in range(ROWS)],
    }
    table = pa.table(columns)
    for i, (start, size) in enumerate([(0, 2_000), (2_000, 10), (2_010, 2_990)]):
        pq.write_table(table.slice(start, size), tmp_path / f"{i}.parquet", row_group_size=700)
    return tmp_path


def parts(out):
    tables = {folder.name: pq.read_table(folder) for folder in sorted(out.iterdir())}
    rows = np.sort(np.concatenate([table["row"].to_numpy() for table in tables.values()]))
    np.testing.assert_array_equal(rows, np.arange(ROWS))  # each row once
    for table in tables.values():
        assert (np.diff(table["row"].to_numpy()) > 0).all()  # in the order of the log
        assert table["list"][0].as_py()[1] == table["row"][0].as_py() + 1
    return tables


def test_shares_in_the_order_of_time(log):
    rows = split_by_time(log, "time", log / "out", rows_per_file=1_500)
    assert rows == {"train": 4_000, "valid": 500, "test": 500}
    tables = parts(log / "out")
    times = {name: table["time"].to_numpy() for name, table in tables.items()}
    assert times["train"].max() < times["valid"].min()
    assert times["valid"].max() < times["test"].min()
    assert len(list((log / "out" / "train").glob("*.parquet"))) > 1


def test_cutoffs(log):
    shares = {"old": 0.5, "new": 0.5}
    rows = split_by_time(log, "time", log / "out", shares=shares, cutoffs=[100])
    assert rows == {"old": 10, "new": ROWS - 10}


def test_time_stamps(tmp_path):
    times = np.array([3, 1, 2, 0], "datetime64[D]")
    pq.write_table(pa.table({"time": times, "row": np.arange(4)}), tmp_path / "0.parquet")
    split_by_time(tmp_path, "time", tmp_path / "out", shares={"old": 0.5, "new": 0.5})
    assert pq.read_table(tmp_path / "out" / "old")["row"].to_pylist() == [1, 3]


@pytest.mark.parametrize("column", ["session", "name"])
def test_sessions_never_straddle(log, column):
    files = str(log / "*.parquet")
    split_by_time(files, "time", log / "time", session=column)
    split_by_session(files, column, log / "session")
    for out in ("time", "session"):
        tables = parts(log / out)
        sessions = [set(table[column].to_pylist()) for table in tables.values()]
        assert sum(map(len, sessions)) == 500
        assert all(sessions)
    train = len(tables["train"])
    assert abs(train / ROWS - 0.8) < 0.1


def test_by_session_is_a_function_of_id_and_seed(log, tmp_path):
    def train(paths, name, **arguments):
        split_by_session(paths, "session", tmp_path / name, **arguments)
        return set(pq.read_table(tmp_path / name / "train")["session"].to_pylist())

    whole = train(str(log / "*.parquet"), "a")
    assert train(log / "2.parquet", "b") <= whole
    assert train(str(log / "*.parquet"), "c", seed=1) != whole


def test_nothing_is_left_of_a_split_that_fails(log):
    table = pq.read_table(log / "2.parquet")
    sessions = table["session"].to_pylist()
    sessions[-1] = None
    table = table.set_column(2, "session", pa.array(sessions))
    pq.write_table(table, log / "2.parquet")
    with pytest.raises(
        ValueError, match=r"'session' must not contain nulls.*row 2989 of .*2.parquet"
    ):
        split_by_session(log, "session", log / "out")
    assert not list((log / "out").iterdir())


def test_existing_parts_are_not_touched(log):
    (log / "out" / "valid").mkdir(parents=True)
    with pytest.raises(ValueError, match="`out` must not contain 'valid' yet"):
        split_by_time(log, "time", log / "out")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"column": "nope"}, "`column` must be a column of every file. Received: 'nope'"),
        ({"column": "name"}, "Column 'name' must contain finite numbers or timestamps"),
        ({"session": "nope"}, "`column` must be a column of every file. Received: 'nope'"),
        ({"shares": {"a": 1.0}}, "`shares` must have at least two parts"),
        ({"shares": {"a": 0.5, "b": 0.6}}, "`shares` must have at least two parts"),
        ({"cutoffs": [5]}, r"`cutoffs` must be 2 times in ascending order.*cutoffs=\[5\]"),
        ({"cutoffs": [5, 4]}, "`cutoffs` must be 2 times in ascending order"),
    ],
)
def test_rejects(log, arguments, text):
    with pytest.raises(ValueError, match=text):
        split_by_time(log, out=log / "out", **{"column": "time", **arguments})
