"""The same log as every kind of rows, in every call: the same answer; what is no rows, by name."""

import datetime
import gzip
import pickle
import types

import keras
import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

import kranking as kr
from kranking._rows import first_rows
from kranking.export.internal import open_log
from kranking.features import (
    Age,
    Categorical,
    Numeric,
    Preprocessor,
    RawColumns,
    TimePart,
    fit,
    infer,
)

pytestmark = pytest.mark.once
MADE = datetime.datetime(1969, 12, 31, 20, 30)
TABLE = pa.table(
    {
        "country": ["DE", "DE", "DE", "FR", "FR", "FR"],
        "user": ["a", None, "b", "a", "c", "a"],
        "item": pa.array([1, 2, 3, 1, None, 2]),
        "age": [1.5, 2.0, 2.5, 5.5, 6.0, 6.5],
        "save": [0, 1, 0, 1, 1, 0],
        "time": [1, 2, 3, 4, 5, 6],
        "made": [MADE, MADE, None, *(MADE + i * datetime.timedelta(hours=6) for i in (1, 2, 3))],
        "shown": [MADE + datetime.timedelta(days=9)] * 6,
    }
)
FEATURES = [
    Categorical("country", side="user"),
    Categorical("user", side="user", hash_buckets=20),
    Categorical("item", side="item"),
    Numeric("age", side="item"),
    Categorical("hour", column=TimePart("made", "hour"), side="item"),
    Numeric("old", column=Age("made", at="shown"), side="item", nulls="mean"),
]


class Stream:
    """What polars frames, DuckDB's results and others have."""

    def __arrow_c_stream__(self, requested_schema=None):
        return TABLE.__arrow_c_stream__(requested_schema)


class Interchange:
    """What frames without Arrow's protocol have."""

    def __dataframe__(self, nan_as_null=False, allow_copy=True):
        return TABLE.__dataframe__(nan_as_null, allow_copy)


def frame(library, change=lambda frame: frame):
    return lambda folder: change(pytest.importorskip(library).DataFrame(TABLE.to_pydict()))


def in_memory(folder):
    fsspec = pytest.importorskip("fsspec")
    with fsspec.filesystem("memory").open("/rows/log/0.parquet", "wb") as file:
        pq.write_table(TABLE, file)
    return "memory://rows/log"


KINDS = {
    "dict of lists": lambda folder: TABLE.to_pydict(),
    "dict of Arrow": lambda folder: dict(zip(TABLE.column_names, TABLE.columns)),
    "dict of NumPy": lambda folder: {
        c: np.array(v, object if None in v else None) for c, v in TABLE.to_pydict().items()
    },
    "table": lambda folder: TABLE,
    "chunks": lambda folder: pa.concat_tables([TABLE.slice(0, 4), TABLE.slice(4)]),
    "batch": lambda folder: TABLE.to_batches()[0],
    "reader of batches": lambda folder: TABLE.to_reader(),
    "structs": lambda folder: pa.array(TABLE.to_pylist()),
    "stream": lambda folder: Stream(),
    "interchange": lambda folder: Interchange(),
    "pandas": frame("pandas", lambda f: f.astype({"item": "Int64"})),
    "pandas, nullable, with gaps": frame(
        "pandas", lambda f: f.convert_dtypes().set_index(f.index * 3 + 1)
    ),
    "pandas, category": frame("pandas", lambda f: f.astype({"user": "category", "item": "Int64"})),
    "polars": frame("polars"),
    "dicts": lambda folder: TABLE.to_pylist(),
    "generator of dicts": lambda folder: (row for row in TABLE.to_pylist()),
    "file": lambda folder: folder / "parquet" / "0.parquet",
    "folder": lambda folder: str(folder / "parquet"),
    "glob": lambda folder: f"{folder}/p*/*.parquet",
    "list of files": lambda folder: [folder / "parquet" / "0.parquet"],
    "generator of files": lambda folder: (folder / "parquet").glob("*.parquet"),
    "CSV": lambda folder: folder / "csv" / "0.csv",
    "CSV folder": lambda folder: folder / "csv",
    "compressed CSV": lambda folder: folder / "gz",
    "tabs": lambda folder: folder / "tsv",
    "partitions": lambda folder: folder / "hive",
    "glob of partitions": lambda folder: f"{folder}/hive/country=*",
    "file URL": lambda folder: f"file://{folder}/parquet/*.parquet",
    "memory URL": in_memory,
    "dataset": lambda folder: ds.dataset(folder / "hive", partitioning="hive"),
    "filtered dataset": lambda folder: ds.dataset(folder / "parquet").filter(ds.field("age") > 0),
    "dataset in memory": lambda folder: ds.dataset(TABLE),
}


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rows")
    for name in ("parquet", "csv", "gz", "tsv"):
        (folder / name).mkdir()
    pq.write_table(TABLE, folder / "parquet" / "0.parquet")
    pacsv.write_csv(TABLE, folder / "csv" / "0.csv")
    with gzip.open(folder / "gz" / "0.csv.gz", "wb") as file:
        pacsv.write_csv(TABLE, file)
    pacsv.write_csv(TABLE, folder / "tsv" / "0.tsv", pacsv.WriteOptions(delimiter="\t"))
    keys = ds.partitioning(pa.schema([("country", pa.string())]), flavor="hive")
    ds.write_dataset(TABLE, folder / "hive", format="parquet", partitioning=keys)
    return folder


@pytest.fixture(scope="session")
def bundle(tmp_path_factory):
    keras.utils.set_random_seed(0)
    features = fit(FEATURES, TABLE)
    model = kr.RankingModel(features, [kr.layers.MLP([4])], [kr.Task("save")])
    directory = tmp_path_factory.mktemp("bundle") / "bundle"
    kr.export.export_model(model, directory, formats=["onnx"])
    return kr.export.load_bundle(directory, threads=1)


def batches(rows, features):
    model = types.SimpleNamespace(features=features, tasks=[kr.Task("save")])
    [(x, y, _)] = kr.data.read(rows, model)
    return {**x, "label": y["save"]}


def parts(folder):
    files = sorted(folder.rglob("*.parquet"))  # a part without rows has none
    return {f.parent.name: pq.read_table(f).select(TABLE.column_names).to_pydict() for f in files}


def split(by):
    def call(rows, bundle, tmp_path):
        by(rows, "time", tmp_path / "out", shares={"a": 0.5, "b": 0.5})
        return parts(tmp_path / "out")

    return call


def scored(rows, bundle, tmp_path):
    kr.serving.score_parquet(bundle.directory, rows, tmp_path / "out", keep=["user"], threads=1)
    return pq.read_table(tmp_path / "out").to_pydict()


READ = ["country", "user", "item", "age", "made", "shown"]
CALLS = {
    "fit": lambda rows, bundle, _: kr.features.to_json(fit(FEATURES, rows)),
    "infer": lambda rows, bundle, _: sorted(map(repr, infer(rows, exclude=["save", "time"]))),
    "Preprocessor": lambda rows, bundle, _: Preprocessor(bundle.features())(rows),
    "RawColumns": lambda rows, bundle, _: RawColumns(bundle.features())(rows),
    "read": lambda rows, bundle, _: batches(rows, bundle.features()),
    "score": lambda rows, bundle, _: bundle.score(rows),
    "tensors": lambda rows, bundle, _: bundle.tensors("rank", rows),
    "rank": lambda rows, bundle, _: bundle.rank(TABLE.slice(0, 1), rows),
    "user_tower": lambda rows, bundle, _: {"user": bundle.user_tower(rows)},
    "rows of verify_bundle": lambda rows, bundle, _: Preprocessor(bundle.features())(
        first_rows(open_log(rows, bundle.features()), READ, 6)
    ),
    "split_by_time": split(kr.data.split_by_time),
    "split_by_session": split(kr.data.split_by_session),
    "score_parquet": scored,
}


@pytest.fixture(scope="session")
def answers(bundle, tmp_path_factory):
    """Returns the answer of each call on the plain table."""
    return {
        name: call(TABLE, bundle, tmp_path_factory.mktemp("answers"))
        for name, call in CALLS.items()
    }


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(
            kind, marks=[pytest.mark.extra] if kind.startswith(("pandas", "polars")) else []
        )
        for kind in KINDS
    ],
)
def test_every_kind_of_rows_has_the_same_answer(kind, call, folder, bundle, answers, tmp_path):
    answer = CALLS[call](KINDS[kind](folder), bundle, tmp_path)
    if isinstance(answer, dict):
        assert answer.keys() == answers[call].keys()
        for name, expected in answers[call].items():
            if isinstance(expected, np.ndarray):
                assert answer[name].dtype == expected.dtype
                np.testing.assert_array_equal(answer[name], expected)
            else:
                assert answer[name] == expected
    else:
        assert answer == answers[call]


NO_ROWS = {
    "None": (None, "Received: None"),
    "number": (3, "Received: 3"),
    "bytes": (b"log.parquet", "Received: b'log.parquet'"),
    "matrix": (np.zeros((2, 2)), "Received: a ndarray"),
    "records": (np.zeros(2, [("age", "f8")]), "Received: a ndarray"),
    "empty list": ([], "Received: an empty list"),
    "list of numbers": ([1, 2], "Received: a list of int"),
    "dicts and others": ([{"age": 1}, 2], "Received: a list of dict and int"),
    "column": (pa.chunked_array([[1.0]]), "a ChunkedArray that Arrow cannot read as a table"),
    "set of paths": ({"a.parquet", "b.parquet"}, "Received: a set"),
    "schema": (TABLE.schema, "Received: a Schema"),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("what", NO_ROWS)
def test_what_is_no_rows_is_refused_with_what_is(what, call, bundle, tmp_path):
    rows, received = NO_ROWS[what]
    if (what, call) == ("empty list", "rank"):
        return  # a request without candidates
    with pytest.raises(ValueError, match=rf"^Rows must be a dict of columns.*{received}"):
        CALLS[call](rows, bundle, tmp_path)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "rows",
    [
        pa.Table.from_arrays([*TABLE.columns, TABLE["age"]], [*TABLE.column_names, "age"]),
        {**TABLE.to_pydict(), 3: [1] * 6},
    ],
    ids=["column twice", "no text as a name"],
)
def test_names_of_columns_are_text_and_different(rows, call, bundle, tmp_path):
    with pytest.raises(ValueError, match=r"Columns must have (names that are str|different names)"):
        CALLS[call](rows, bundle, tmp_path)


def test_columns_that_differ_in_case_are_two():
    fitted = fit([Categorical("c"), Categorical("C")], {"c": ["a"], "C": ["b"]})
    assert [feature.vocabulary for feature in fitted] == [("a",), ("b",)]


def test_a_key_that_a_dict_lacks_is_null():
    rows = [{"c": "a"}, {"d": 1}, {"c": "b", "d": 2}]
    encoded = Preprocessor([Categorical("c", vocabulary=("a", "b"))])(rows)
    assert encoded["c"].tolist() == [1, 0, 2]


def test_only_columns_that_are_read_are_converted(tmp_path):
    rows = {"age": [1.0, 2.0], "other": [1, "a"]}
    assert fit([Numeric("age")], rows)[0].mean == 1.5
    draft = infer(rows)
    assert [feature.name for feature in draft] == ["age"]
    assert "Column 'other' must contain one value per row" in draft.skipped["other"]
    with pytest.raises(ValueError, match="Column 'other' must contain one value per row"):
        kr.data.split_by_time(rows, "age", tmp_path / "out")


def test_pickled_reader_reads_the_same(folder):
    model = types.SimpleNamespace(features=fit(FEATURES, TABLE), tasks=[kr.Task("save")])
    for rows in (TABLE, folder / "hive", ds.dataset(folder / "hive", partitioning="hive")):
        source = kr.data.read(rows, model)._source
        again = pickle.loads(pickle.dumps(source))
        read = [next(s.read(s.units[0], ["age"], 10))[0] for s in (source, again)]
        assert read[0].equals(read[1])


@pytest.mark.parametrize("kind", ["table", "dataset"])
def test_shuffling_mixes_rows_in_memory_and_row_groups(kind, tmp_path):
    table = pa.table({"n": np.arange(1000.0)})
    pq.write_table(table, tmp_path / "0.parquet", row_group_size=100)
    rows = table if kind == "table" else ds.dataset(tmp_path)
    model = types.SimpleNamespace(features=[Numeric("n", transform="none")], tasks=[])
    how = {"labels": False, "block_rows": 200, "shuffle": True}
    x = np.concatenate([x["n"] for (x,) in kr.data.read(rows, model, 100, **how)])
    np.testing.assert_array_equal(np.sort(x), np.arange(1000))
    assert np.ptp(x[:100]) > 200  # of several row groups, not of one block
    shards = [kr.data.read(rows, model, 100, labels=False, shard=(i, 3)) for i in range(3)]
    shards = np.concatenate([x["n"] for shard in shards for (x,) in shard])
    np.testing.assert_array_equal(shards, np.arange(1000))


def test_columns_in_memory_without_those_of_the_model_are_named():
    model = types.SimpleNamespace(features=[Numeric("x", mean=0.0, std=1.0)], tasks=[kr.Task("s")])
    with pytest.raises(ValueError, match=r"'x' needs column 'x'.*Received: \['y'\]"):
        kr.data.read({"y": [1.0, 2.0]}, model)
