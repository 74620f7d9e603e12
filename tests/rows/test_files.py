"""Files of a log: which are read, with which columns, and what is refused."""

import datetime
import gzip
import os
import types
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

import kranking as kr
from kranking._rows import PARQUET, find_log_files, open_rows
from kranking.features import Categorical, Embedding, Numeric, Preprocessor, find_files, fit, infer

pytestmark = pytest.mark.once


def write(path, **columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return path


def text(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(rows, "utf-8")
    return path


def read(rows, *features):
    """Returns what a reader encodes with declarations that it fits to the same rows."""
    model = types.SimpleNamespace(features=fit(features, rows), tasks=[])
    parts = [x for (x,) in kr.data.read(rows, model, labels=False)]
    columns = {name: np.concatenate([x[name] for x in parts]).tolist() for name in parts[0]}
    return model.features, columns


# Which files are read.

HIDDEN = ("_b", ".c", "_temporary/0/d", ".split.7.tmp/train/e", "sub/_f", "sub/.g/h")


@pytest.fixture
def folder(tmp_path):
    for name in ("a", "sub/i", *HIDDEN):
        write(tmp_path / f"{name}.parquet", c=["x"])
    (tmp_path / "_SUCCESS").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("", ["a", "sub/i"]),
        ("*.parquet", ["a"]),
        ("*", ["a", "sub/i"]),
        ("**/*.parquet", ["a", "sub/i"]),
        ("*/*.parquet", ["sub/i"]),
        ("s?b/[ij].parquet", ["sub/i"]),
        ("_*.parquet", ["_b"]),
        ("_b.parquet", ["_b"]),
        ("_temporary", ["_temporary/0/d"]),
        (".split*/train", [".split.7.tmp/train/e"]),
    ],
)
def test_hidden_files_are_read_only_if_asked_for(folder, pattern, found):
    names = [f"{folder}/{name}.parquet" for name in found]
    assert find_files(f"{folder}/{pattern}") == names
    assert find_files(f"file://{folder}/{pattern}".rstrip("/")) == names


def test_hidden_files_are_those_of_arrow(folder):
    assert find_files(folder) == sorted(ds.dataset(folder, exclude_invalid_files=True).files)
    model = types.SimpleNamespace(features=[Categorical("c", hash_buckets=3)], tasks=[])
    assert kr.data.read_parquet(folder, model, labels=False).num_rows == 2
    assert kr.data.split_by_session(folder, "c", folder / "_parts")["train"] in (0, 2)
    assert fit([Categorical("c")], folder)[0].observed["rows"] == 2


def test_relative_paths_and_links(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(folder)
    assert find_files("sub") == find_files("sub/") == ["sub/i.parquet"]
    assert find_files(".") == ["./a.parquet", "./sub/i.parquet"]
    os.symlink(folder / "sub", tmp_path / "link")
    assert find_files("link") == ["link/i.parquet"]


@pytest.mark.parametrize("pattern", ["", "/**", "/**/*.parquet", "/*"])
@pytest.mark.parametrize("scheme", ["", "file://", "local://"])
@pytest.mark.parametrize("links", [{"sub/loop": ""}, {"one/two": "sub", "sub/one": "one"}])
def test_folders_that_link_to_one_above_are_refused(folder, links, scheme, pattern):
    (folder / "one").mkdir()
    for link, target in links.items():
        os.symlink(folder / target, folder / link)
    expected = rf"same rows twice. Received: .*({'|'.join(links)}).*are both '{folder}"
    with pytest.raises(ValueError, match=expected):
        fit([Categorical("c")], f"{scheme}{folder}{pattern}")


@pytest.mark.parametrize("pattern", ["", "/*", "/**/*.parquet", "/*/*.parquet"])
@pytest.mark.parametrize(
    ("link", "target"),
    [("latest", "sub"), ("sub/j.parquet", "sub/i.parquet"), ("new/j.parquet", "sub/i.parquet")],
)
def test_rows_are_not_read_twice_through_a_link(folder, link, target, pattern):
    (folder / "new").mkdir()
    os.symlink(folder / target, folder / link)
    with pytest.raises(ValueError, match=rf"same rows twice.*are both '{folder}/{target}"):
        find_files(f"{folder}{pattern}")
    os.remove(folder / link)
    assert f"{folder}/sub/i.parquet" in find_files(f"{folder}{pattern}")


def test_many_links_end(tmp_path):
    for level in range(30):  # 2^30 paths
        (tmp_path / f"_{level}").mkdir()
        for name in "ab":
            os.symlink(tmp_path / f"_{level + 1}", tmp_path / f"_{level}" / name)
    with pytest.raises(ValueError, match="same rows twice"):
        find_files(tmp_path / "_0/**/*.parquet")


def test_links_into_a_store_are_followed(folder, tmp_path):
    log = tmp_path / "_log"
    log.mkdir()
    write(tmp_path / "_store" / "5ad1", c=["y"])
    for name in ("0.parquet", "1.parquet"):  # files of equal contents
        os.symlink("../_store/5ad1", log / name)
    os.symlink("../sub", log / "2")
    os.symlink("..", log / "_hidden")
    expected = [f"{log}/{name}.parquet" for name in ("0", "1", "2/i")]
    for pattern in ("", "/**/*.parquet", "/*"):
        assert find_files(f"{log}{pattern}") == expected
    assert fit([Categorical("c")], log)[0].observed["rows"] == 3
    os.remove(tmp_path / "_store" / "5ad1")
    for pattern in ("", "/*"):
        with pytest.raises(ValueError, match=r"0.parquet'.* (leads to nothing|No such file)"):
            fit([Categorical("c")], f"{log}{pattern}")


def test_only_hidden_files_are_none(tmp_path):
    write(tmp_path / "_a.parquet", c=["x"])
    for call in (lambda rows: fit([Categorical("c")], rows), infer):
        with pytest.raises(ValueError, match=r"must match existing .parquet or .csv.*hidden files"):
            call(tmp_path)


@pytest.mark.parametrize("pattern", ["", "/*", "/**/*", "/b.parquet"])
def test_pipes_and_devices_are_not_waited_for(tmp_path, pattern):
    write(tmp_path / "a.parquet", c=["x"])
    os.mkfifo(tmp_path / "b.parquet")
    with pytest.raises(ValueError, match=r"Received: '.*b.parquet', a pipe or device"):
        fit([Categorical("c")], f"{tmp_path}{pattern}")


def test_folder_called_like_a_file(tmp_path):
    write(tmp_path / "log.parquet" / "part-0.PARQUET", c=["x"])
    assert find_files(tmp_path) == [f"{tmp_path}/log.parquet/part-0.PARQUET"]
    assert fit([Categorical("c")], tmp_path / "log.parquet")[0].vocabulary == ("x",)


def test_file_systems_of_fsspec():
    fsspec = pytest.importorskip("fsspec")
    memory = fsspec.filesystem("memory")
    for name in ("day=1/a", "day=2/b", "day=2/_c"):
        with memory.open(f"/files/log/{name}.parquet", "wb") as file:
            pq.write_table(pa.table({"c": [name[-1]]}), file)
    expected = ["memory://files/log/day=1/a.parquet", "memory://files/log/day=2/b.parquet"]
    for url in ("memory://files/log", "memory://files/log/*/*.parquet", "memory://files/**/log"):
        assert [name.replace(":///", "://") for name in find_files(url)] == expected
        assert read(url, Categorical("c"), Numeric("day"))[1] == {"c": [1, 2], "day": [-1.0, 1.0]}
    assert fit([Categorical("c")], find_files("memory://files/log"))[0].vocabulary == ("a", "b")


@pytest.mark.parametrize("url", ["nowhere://log", "s3://", "memory://nothing/there"])
def test_urls_that_name_nothing(url):
    with pytest.raises(ValueError, match=rf"{url}.*(cannot be opened|cannot be listed|match|URI)"):
        find_files(url)


def test_without_fsspec_a_url_says_so(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "fsspec.core", None)
    with pytest.raises(ValueError, match="install fsspec to read it"):
        find_files("memory://log")


def test_formats_are_not_mixed(tmp_path):
    write(tmp_path / "a.parquet", c=["x"])
    text(tmp_path / "b.csv", "c\ny\n")
    with pytest.raises(ValueError, match=r"one format. Received: .*a.parquet' as Parquet and .*b"):
        fit([Categorical("c")], tmp_path)
    assert fit([Categorical("c")], tmp_path / "*.csv")[0].vocabulary == ("y",)


def test_format_of_a_file_without_a_suffix(tmp_path):
    write(tmp_path / "one", c=["x"])
    text(tmp_path / "two", "c\ny\n")
    found = [fit([Categorical("c")], tmp_path / name)[0].vocabulary for name in ("one", "two")]
    assert found == [("x",), ("y",)]


# Columns that folders state.


@pytest.mark.parametrize(
    ("values", "vocabulary"),
    [
        (("1", "-2"), (-2, 1)),
        (("01",), ("01",)),
        (("1", "02"), ("02", "1")),
        (("7", "x"), ("7", "x")),
        (("+1", "2"), ("+1", "2")),
        (("-0", "1e3"), ("-0", "1e3")),
        (("0x1", "true"), ("0x1", "true")),
        (("nan", "1.0"), ("1.0", "nan")),
        (("2026-01-02",), ("2026-01-02",)),
        (("1000000000000000000",), ("1000000000000000000",)),
        (("DE", "__HIVE_DEFAULT_PARTITION__"), ("DE",)),
        (("3", "__HIVE_DEFAULT_PARTITION__"), (3,)),
        (("a%20b", "c"), ("a b", "c")),
        (("3000000000", "4"), (4, 3000000000)),
    ],
)
def test_columns_of_folders(tmp_path, values, vocabulary):
    for number, value in enumerate(values):
        write(tmp_path / f"k={value}" / "0.parquet", c=[number])
    features, columns = read(tmp_path, Categorical("k"), Categorical("c"))
    assert features[0].vocabulary == vocabulary
    assert len(columns["k"]) == len(values)
    draft = infer(tmp_path, exclude=["c"])
    assert [f.vocabulary for f in (fit(draft, tmp_path) if draft else [])] in ([], [vocabulary])


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_only_columns_of_folders_are_read(tmp_path, suffix):
    for value in ("7", "8"):
        path = write(tmp_path / f"k={value}" / "0.parquet", a=[1, 2], b=["x", "y"])
        if suffix == "csv":
            os.remove(path)
            text(path.with_suffix(".csv"), "a,b\n1,x\n2,y\n")
    model = types.SimpleNamespace(features=[Categorical("k", vocabulary=(8, 7))], tasks=[])
    reader = kr.data.read(tmp_path, model, labels=False)
    assert reader.column("k").tolist() == [7, 7, 8, 8]
    assert [x["k"].tolist() for (x,) in reader] == [[2, 2, 1, 1]]
    assert fit([Categorical("k")], tmp_path)[0].vocabulary == (7, 8)


def test_columns_of_folders_that_are_declared_as_numbers(tmp_path):
    for value in ("01", "2", "1e1"):
        write(tmp_path / f"k={value}" / "0.parquet", c=[1])
    assert read(tmp_path, Numeric("k", transform="none"))[1]["k"] == [1.0, 10.0, 2.0]
    write(tmp_path / "k=x" / "0.parquet", c=[1])
    with pytest.raises(ValueError, match=r"Column 'k'.* Expected: numbers\. Received: string"):
        fit([Numeric("k")], tmp_path)


def test_another_kind_of_id_in_a_folder_is_refused(tmp_path):
    write(tmp_path / "train" / "zip=12" / "0.parquet", c=[1])
    write(tmp_path / "test" / "zip=01" / "0.parquet", c=[1])
    [feature] = fit([Categorical("zip")], tmp_path / "train")
    assert feature.vocabulary == (12,)
    with pytest.raises(ValueError, match="'01'"):
        Preprocessor([feature])(tmp_path / "test")
    [feature] = fit([Categorical("zip")], tmp_path / "test")
    assert feature.vocabulary == ("01",)
    assert Preprocessor([feature])(tmp_path / "train")["zip"].tolist() == [0]


def test_nested_folders_and_csv(tmp_path):
    text(tmp_path / "k=a" / "day=1" / "0.csv", "c\nx\ny\n")
    text(tmp_path / "k=b" / "day=2" / "0.csv", "c\nz\n")
    features, columns = read(tmp_path, Categorical("k"), Numeric("day"), Categorical("c"))
    assert features[0].vocabulary == ("a", "b")
    assert features[1].mean == pytest.approx(4 / 3)
    assert columns["k"] == [1, 1, 2]


def test_folders_above_state_nothing(tmp_path):
    write(tmp_path / "run=1" / "k=2" / "0.parquet", c=[1])
    table = Preprocessor([Categorical("k", vocabulary=(2,))])(tmp_path / "run=1")
    assert table["k"].tolist() == [1]
    with pytest.raises(ValueError, match="needs column 'run', which is missing"):
        fit([Categorical("run")], tmp_path / "run=1")


def test_a_column_in_the_file_too_has_the_value_of_the_folder(tmp_path):
    write(tmp_path / "k=1" / "0.parquet", k=[1, 1])
    write(tmp_path / "k=2" / "0.parquet", k=[2, 2])
    assert read(tmp_path, Categorical("k"))[1] == {"k": [1, 1, 2, 2]}
    write(tmp_path / "k=2" / "0.parquet", k=[2, 3])
    with pytest.raises(ValueError, match=r"'k' must have one value per row. Received: 2 .* and 3"):
        fit([Categorical("k")], tmp_path)
    write(tmp_path / "k=1" / "k=2" / "0.parquet", c=[2, 3])
    with pytest.raises(
        ValueError, match=r"different names\. Received: 'k' more than once in the fol"
    ):
        fit([Categorical("c")], tmp_path)


# Columns that are there twice, differ or are missing.


@pytest.mark.parametrize("kind", ["parquet", "csv"])
def test_a_column_twice_is_refused(tmp_path, kind):
    twice = pa.Table.from_arrays([pa.array([1.0]), pa.array([2.0])], ["a", "a"])
    rows = tmp_path / f"0.{kind}"
    pq.write_table(twice, rows) if kind == "parquet" else text(rows, "a,a\n1,2\n")
    model = types.SimpleNamespace(features=[Numeric("a", mean=0.0, std=1.0)], tasks=[])
    for call in (
        lambda: fit([Numeric("a")], rows),
        lambda: infer(rows),
        lambda: Preprocessor(model.features)(rows),
        lambda: kr.data.read(rows, model),
        lambda: kr.data.read_csv(rows, model) if kind == "csv" else kr.data.read(rows, model),
        lambda: kr.data.split_by_time(rows, "a", tmp_path / "out"),
    ):
        with pytest.raises(ValueError, match=r"different names\. Received: 'a' more than once in"):
            call()


def test_missing_columns_name_the_file(tmp_path):
    write(tmp_path / "0.parquet", c=["x"], n=[1.0])
    write(tmp_path / "1.parquet", c=["y"])
    number = Numeric("n", mean=0.0, std=1.0, nulls=0.0)
    for rows in (tmp_path, ds.dataset(tmp_path)):
        with pytest.raises(ValueError, match=r"needs column 'n', which is missing in .*1\.parquet"):
            fit([number], rows)
        with pytest.raises(ValueError, match=r"must have the columns \['n'\].*1\.parquet'"):
            Preprocessor([number])(rows)
        with pytest.raises(ValueError, match=r"same columns. Received: \['c', 'n'\] in .*\['c'\]"):
            kr.data.split_by_session(rows, "c", tmp_path / "_out")
        draft = infer(rows)
        assert draft == [Categorical("c")]
        assert "1.parquet', which does not have ['n']" in draft.skipped["n"]


def test_types_that_differ_are_joined_or_named(tmp_path):
    write(tmp_path / "0.parquet", c=pa.array([1, 2], pa.int8()), d=pa.nulls(2), e=["1", "2"])
    write(tmp_path / "1.parquet", c=pa.array([3], pa.int64()), d=["x"], e=[1])
    known = [Categorical("c", vocabulary=(1, 2, 3)), Categorical("d", vocabulary=("x",))]
    encoded = Preprocessor(known)(tmp_path)
    assert (encoded["c"].tolist(), encoded["d"].tolist()) == ([1, 2, 3], [0, 0, 1])
    with pytest.raises(ValueError, match=r"Column 'e' must have the same type in all files"):
        Preprocessor([Categorical("e", vocabulary=("1",))])(tmp_path)
    with pytest.raises(ValueError, match=r"Columns must have the same type in all files.*e has"):
        kr.data.split_by_session(tmp_path, "c", tmp_path / "_out")


def test_parts_of_a_split_have_one_schema(tmp_path):
    write(tmp_path / "0.parquet", c=pa.array([1, 2], pa.int8()), d=pa.nulls(2))
    write(tmp_path / "1.parquet", d=["x"], c=pa.array([3], pa.int64()))
    shares = {"all": 0.99, "none": 0.01}
    assert kr.data.split_by_time(tmp_path, "c", tmp_path / "_out", shares=shares)["all"] >= 2
    part = pq.read_table(tmp_path / "_out" / "all")
    assert part.schema.field("c").type == pa.int64()
    assert part["d"].type == pa.string()


# Rows that are not there or damaged.


def test_no_rows_are_refused(tmp_path):
    write(tmp_path / "p" / "0.parquet", c=pa.array([], pa.string()))
    text(tmp_path / "c" / "0.csv", "c\n")
    known = [Categorical("c", vocabulary=("x",))]
    model = types.SimpleNamespace(features=known, tasks=[])
    for rows in (tmp_path / "p", tmp_path / "c", ds.dataset(tmp_path / "p")):
        for call in (
            lambda rows: fit([Categorical("c")], rows),
            infer,
            Preprocessor(known),
            lambda rows: kr.data.read(rows, model, labels=False),
            lambda rows: kr.data.split_by_time(rows, "c", tmp_path / "out"),
            lambda rows: kr.data.split_by_session(rows, "c", tmp_path / "out"),
        ):
            with pytest.raises(ValueError, match=r"no rows in|Received: 0 rows"):
                call(rows)


def damaged(path):
    data = bytearray(path.read_bytes())
    data[2000] ^= 1
    path.write_bytes(data)
    return path


def test_damaged_pages_are_noticed(tmp_path):
    random = np.random.default_rng(0)
    table = pa.table({"n": random.random(5000), "t": np.arange(5000)})
    plain = {"compression": "none", "use_dictionary": False}
    pq.write_table(table, tmp_path / "0.parquet", write_page_checksum=True, **plain)
    damaged(tmp_path / "0.parquet")
    known = [Numeric("n", mean=0.0, std=1.0)]
    model = types.SimpleNamespace(features=known, tasks=[])
    for rows in (tmp_path, ds.dataset(tmp_path)):
        for call in (
            lambda rows: fit([Numeric("n")], rows),
            Preprocessor(known),
            lambda rows: list(kr.data.read(rows, model, labels=False)),
            lambda rows: kr.data.split_by_time(rows, "t", tmp_path / "_out"),
        ):
            with pytest.raises(ValueError, match=r"0\.parquet' cannot be read after row 0.*CRC"):
                call(rows)
        assert [feature.name for feature in infer(rows)] == ["t"]


def test_files_that_are_written_have_checksums(tmp_path):
    table = pa.table({"n": np.random.default_rng(0).random(5000), "t": np.arange(5000)})
    kr.data.split_by_time(table, "t", tmp_path, shares={"a": 0.5, "b": 0.5})
    part = damaged(next((tmp_path / "a").iterdir()))
    with pytest.raises(ValueError, match=r"cannot be read after row 0.*CRC checksum"):
        fit([Numeric("n")], part)
    kr.data.write_homefeed(tmp_path / "log", num_rows=500, num_users=20, num_pins=60)
    part = damaged(next(iter((tmp_path / "log" / "train").glob("*.parquet"))))
    with pytest.raises(ValueError, match=r"cannot be read after row 0.*CRC checksum"):
        kr.data.split_by_time(part, "request_time", tmp_path / "out")


# CSV.


def one(tmp_path, rows, *features):
    return read(text(tmp_path / "0.csv", rows), *(features or [Categorical("c")]))


@pytest.mark.parametrize(
    ("rows", "vocabulary", "encoded"),
    [
        ("c,s\nNA,1\nnull,1\n,1\nNA,1\n", ("NA", "null"), [1, 2, 0, 1]),  # Namibia is no null
        ("c,s\n7,1\n,1\n8,1\n", (7, 8), [1, 0, 2]),
        ("c,s\n7.0,1\n,1\n8.0,1\n", (7, 8), [1, 0, 2]),  # as pandas writes integers with nulls
        ("c,s\n9007199254740993,1\n7.0,1\n", (7, 9007199254740993), [2, 1]),
        ("c,s\n007,1\n7,1\n", ("007", "7"), [1, 2]),
        ("c,s\n2024-01-02,1\n2024-01-01,1\n", ("2024-01-01", "2024-01-02"), [2, 1]),
        ("c,s\ntrue,1\nfalse,1\ntrue,1\n", (1, 0), [1, 2, 1]),
        ("c,s\ntrue,1\n1,1\ntrue,1\n", ("true", "1"), [1, 2, 1]),  # booleans to Arrow
        ('c,s\n"a\nb",1\n"a,b",1\n', ("a\nb", "a,b"), [1, 2]),
        ("c,s\r\nx,1\r\ny,1\r\n", ("x", "y"), [1, 2]),
        ("\ufeffc,s\nx,1\ny,1\n", ("x", "y"), [1, 2]),
    ],
)
def test_ids_in_csv(tmp_path, rows, vocabulary, encoded):
    [feature], columns = one(tmp_path, rows)
    assert feature.vocabulary == vocabulary
    assert columns["c"] == encoded
    with gzip.open(tmp_path / "1.csv.gz", "wt", encoding="utf-8", newline="") as file:
        file.write(rows)
    assert read(tmp_path / "1.csv.gz", Categorical("c")) == ([feature], columns)


def test_types_of_csv_files_are_joined(tmp_path):
    text(tmp_path / "0.csv", "c,d,n\n1,,1\n")
    text(tmp_path / "1.csv", "n,d,c\n2.5,5,x\n")
    features, columns = read(tmp_path, Categorical("c"), Categorical("d"), Numeric("n"))
    assert [feature.vocabulary for feature in features[:2]] == [("1", "x"), (5,)]
    assert (columns["c"], columns["d"]) == ([1, 2], [0, 1])


def test_one_column_with_two_readings(tmp_path):
    features, columns = one(
        tmp_path, "c\n1\n2\n", Categorical("c"), Numeric("n", column="c", transform="none")
    )
    assert (features[0].vocabulary, columns["n"]) == ((1, 2), [1.0, 2.0])


def test_lists_and_vectors_in_csv(tmp_path):
    features, columns = one(
        tmp_path,
        "c,t,v\nx y,a|b,1 2\n,,3 4\nz,b,5 6\n",
        Categorical("c", max_length=2),
        Categorical("t", max_length=2, separator="|"),
        Embedding("v", dim=2),
    )
    assert features[0].vocabulary == ("x", "y", "z")
    assert columns["c"] == [[1, 2], [-1, -1], [3, -1]]
    assert columns["t"] == [[2, 1], [-1, -1], [1, -1]]
    assert columns["v"] == [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("c,s\n1.5,1\n2.0,1\n", "Column 'c' must contain ids.*row 0 of .*0.csv.*'1.5'"),
        ("c,s\n18446744073709551615,1\n2,1\n", "Column 'c' must contain ids: 64-bit"),
        ("c,s\n1e3,1\n2,1\n", "Column 'c' must contain ids.*'1e3'"),
        ("c,s\n1,1\n2\n", r"0.csv' cannot be read.*Expected 2 columns, got 1"),
        ("", "0.csv' cannot be read as CSV.*Empty"),
    ],
)
def test_csv_that_is_refused(tmp_path, rows, message):
    with pytest.raises(ValueError, match=message):
        one(tmp_path, rows)


def test_bytes_of_another_encoding_are_named(tmp_path):
    (tmp_path / "0.csv").write_bytes("c,s\nMünchen,1\n".encode("latin1"))
    with pytest.raises(ValueError, match=r"0.csv' cannot be read as CSV in UTF-8.*column 'c'"):
        fit([Categorical("c")], tmp_path)


def test_values_after_the_first_block_name_column_and_file(tmp_path):
    text(tmp_path / "0.csv", "s,c\n" + "1,1\n" * 300_000 + "1,x\n")
    with pytest.raises(ValueError, match=r"Column 'c' of .*0.csv' must hold numbers.*'x', after"):
        fit([Numeric("c")], Path(tmp_path))


def test_draft_of_csv(tmp_path):
    rows = "user_id,day,at,x\n1,2024-01-01,10:00:00,1.5\n2,2024-01-02,11:00:00,2.5\n"
    draft = infer(text(tmp_path / "0.csv", rows))
    day = Categorical("day_weekday", column=kr.features.TimePart("day", "weekday"))
    assert draft == [Categorical("user_id", side="user"), day, Numeric("x")]
    assert list(draft.skipped) == ["at"]


def test_columns_of_folders_have_one_type_in_all_paths(tmp_path):
    for name in ("a/day=01", "b/day=2", "c/day=x", "d/day=1"):
        (tmp_path / name).mkdir(parents=True)
        pq.write_table(pa.table({"s": [1]}), tmp_path / name / "0.parquet")
    a, b, c, d = (str(tmp_path / name) for name in "abcd")
    for paths, days in (
        ([a, b], ["01", "2"]),
        ([b, d], [2, 1]),
        ([a, b, c], ["01", "2", "x"]),
        ([a, d], ["01", "1"]),
    ):
        assert [f.keys["day"].as_py() for f in find_log_files(paths, PARQUET)] == days


@pytest.mark.parametrize(
    ("folder", "value"),
    [
        ("true", True),
        ("01", "01"),
        ("01", 1),
        ("1", "01"),
        ("3", 3.0),
        ("1e3", 1000.0),
        ("x", "x"),
        ("2026-01-02", datetime.date(2026, 1, 2)),
    ],
)
def test_a_column_of_folder_and_file_is_compared_by_value(tmp_path, folder, value):
    (tmp_path / f"k={folder}").mkdir()
    pq.write_table(pa.table({"k": [value]}), tmp_path / f"k={folder}/0.parquet")
    source = open_rows(str(tmp_path))
    [(batch, _)] = source.read(source.units[0], ["k"], 1)
    assert batch["k"].to_pylist() == [value]


@pytest.mark.parametrize(
    ("folder", "value"), [("true", False), ("01", 2), ("01", "1x"), ("x", 1.0), ("1", None)]
)
def test_a_column_with_another_value_than_its_folder_is_refused(tmp_path, folder, value):
    (tmp_path / f"k={folder}").mkdir()
    pq.write_table(pa.table({"k": [value]}), tmp_path / f"k={folder}/0.parquet")
    source = open_rows(str(tmp_path))
    with pytest.raises(ValueError, match=f"{value!r} in the file"):
        list(source.read(source.units[0], ["k"], 1))


@pytest.mark.parametrize("kind", [pa.timestamp("us"), pa.list_(pa.timestamp("us"))], ids=str)
def test_a_dataset_does_not_take_times_without_a_zone_for_utc(tmp_path, kind):
    """Arrow casts the files of a dataset to the schema of the first one."""
    zoned = (
        pa.timestamp("us", "UTC")
        if pa.types.is_timestamp(kind)
        else pa.list_(pa.timestamp("us", "UTC"))
    )
    for name, one in (("a", kind), ("b", kind), ("c", zoned)):
        pq.write_table(pa.table({"t": pa.nulls(1, one), "n": [1]}), tmp_path / f"{name}.parquet")
    filtered = ds.dataset(tmp_path).filter(ds.field("n") > 0)
    union = ds.dataset([ds.dataset(tmp_path / "a.parquet"), ds.dataset(tmp_path / "b.parquet")])
    for dataset in (ds.dataset(tmp_path), filtered):
        with pytest.raises(
            ValueError, match=r"'t' must have .* time zone .* without in .*with in .*c.parquet"
        ):
            open_rows(dataset)
    assert len(open_rows(union).units) == 2


def test_far_times_of_old_parquet_files_are_read_as_written(tmp_path):
    """In nanoseconds, as Arrow reads INT96 otherwise, 9999 is 1816."""
    times = [datetime.datetime(9999, 12, 31, 13), datetime.datetime(1, 1, 1, 5), None]
    table = pa.table({"t": pa.array(times, pa.timestamp("us"))})
    pq.write_table(table, tmp_path / "log.parquet", use_deprecated_int96_timestamps=True)
    hour = Categorical("hour", column=kr.features.TimePart("t", "hour"))
    assert Preprocessor(fit([hour], tmp_path))(tmp_path)["hour"].tolist() == [14, 6, 0]


def test_folders_state_dates(tmp_path):
    for day in ("2026-01-05", "2026-01-11"):
        (tmp_path / f"day={day}").mkdir()
        pq.write_table(pa.table({"n": [1, 2]}), tmp_path / f"day={day}" / "0.parquet")
    weekday = Categorical("weekday", column=kr.features.TimePart("day", "weekday"))
    assert Preprocessor(fit([weekday], tmp_path))(tmp_path)["weekday"].tolist() == [1, 1, 7, 7]
