import gzip
import types

import numpy as np
import pytest

from kranking.data import read_csv
from kranking.features import Categorical, Embedding, Numeric, Sequence, Task

FEATURES = [
    Numeric("row", transform="none"),
    Numeric("price", mean=0.0, std=1.0, nulls="mean"),
    Categorical("country", vocabulary=("DE", "FR")),
    Categorical("pin", vocabulary=tuple(range(100))),
    Categorical("tags", vocabulary=("a", "b"), max_length=2, separator="|"),
    Embedding("cover", dim=2),
    Sequence("seen", of="pin", max_length=3, time="at", request_time="now"),
]
MODEL = types.SimpleNamespace(features=FEATURES, tasks=[Task("save"), Task("hide", nulls="mask")])
HEADER = "row,price,country,pin,tags,cover,seen,at,now,save,hide,session\n"


def line(i):
    seen = " ".join(str(n) for n in range(i % 4))
    price = "" if i % 3 == 0 else i / 2
    hide = "" if i % 5 == 0 else i % 2
    return f"{i},{price},{'DE' if i % 2 else ''},{i},a|b,{i}.5 -1,{seen},{seen},10,{i % 2},{hide},s{i}\n"


@pytest.fixture
def folder(tmp_path):
    for number, (start, stop) in enumerate([(0, 30), (30, 73)]):
        text = HEADER + "".join(line(i) for i in range(start, stop))
        (tmp_path / f"{number}.csv").write_text(text)
    return tmp_path


def test_rows_are_typed_by_their_declarations(folder):
    reader = read_csv(folder, MODEL, batch_size=32)
    assert (len(reader), reader.num_rows) == (3, 73)
    batches = list(reader)
    assert [len(y["save"]) for _, y, _ in batches] == [32, 32, 9]
    x, y, w = batches[0]
    number = np.arange(32)
    np.testing.assert_array_equal(x["row"], number)
    np.testing.assert_array_equal(x["price"], np.where(number % 3 == 0, 0, number / 2))
    np.testing.assert_array_equal(x["country"], number % 2)
    np.testing.assert_array_equal(x["pin"], number + 1)
    np.testing.assert_array_equal(x["tags"], np.tile([1, 2], (32, 1)))
    np.testing.assert_array_equal(x["cover"], np.stack([number + 0.5, np.full(32, -1)], 1))
    np.testing.assert_array_equal(x["seen"][:4], [[-1] * 3, [1, -1, -1], [2, 1, -1], [3, 2, 1]])
    np.testing.assert_array_equal(x["seen.age"][3], [8, 9, 10])
    np.testing.assert_array_equal(y["save"], number % 2)
    np.testing.assert_array_equal(w["hide"], number % 5 != 0)
    assert reader.column("session").tolist() == [f"s{i}" for i in range(73)]


@pytest.mark.parametrize("count", [1, 3])
def test_shuffled_shards_cover_the_log(folder, count):
    def rows(index):
        reader = read_csv(folder, MODEL, 10, shard=(index, count), shuffle=True, block_rows=20)
        return np.concatenate([x["row"] for x, _, _ in reader])

    shards = np.concatenate([rows(index) for index in range(count)])
    np.testing.assert_array_equal(np.sort(shards), np.arange(73))
    assert not np.array_equal(shards, np.arange(73))


def test_delimiter(tmp_path):
    (tmp_path / "a.tsv").write_text("row\tsave\n1\t1\n")
    model = types.SimpleNamespace(features=FEATURES[:1], tasks=[Task("save")])
    [(x, y, _)] = read_csv(tmp_path / "a.tsv", model, delimiter="\t")
    assert (x["row"][0], y["save"][0]) == (1, 1)


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("price,", "prize,", r"Feature 'price' needs column 'price', which is missing in .*1.csv"),
        ("45.5 -1", "45.5 x", r"Column 'cover' must hold lists of float.*row 0 of .*1.csv"),
        ("45.5 -1", "45.5", r"Feature 'cover' needs vectors of width 2.*row 15 of .*1.csv"),
        ("\n45,", "\nx,", r"Column 'row' of .*1.csv' must hold numbers.*Received: 'x', after row"),
        (
            "\n45,",
            "\nnan,",
            r"Feature 'row' must not contain null.*column 'row', row 15 of .*1.csv",
        ),
        (
            ",10,1,,s45",
            ",10,inf,,s45",
            r"Task 'save' does not accept null.*inf in col.*row 15 of .*1.csv",
        ),
        ("s45\n", "s45,more\n", r"1.csv' cannot be read.*Expected 12 columns, got 13"),
    ],
)
def test_bad_rows_name_the_file(folder, old, new, text):
    file = folder / "1.csv"
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))
    with pytest.raises(ValueError, match=text):
        list(read_csv(folder, MODEL))


def test_no_file_and_no_rows(tmp_path):
    with pytest.raises(ValueError, match=r"`paths` must match existing .csv or .tsv files"):
        read_csv(tmp_path, MODEL)
    (tmp_path / "a.csv").touch()
    with pytest.raises(ValueError, match=r"a.csv' cannot be read as CSV.*[Ee]mpty"):
        read_csv(tmp_path, MODEL)
    (tmp_path / "a.csv").write_text(HEADER)
    with pytest.raises(ValueError, match=r"must contain at least 1 rows.*a.csv"):
        read_csv(tmp_path, MODEL)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("age,save\n1,yes\n2,no\n", r"Column 'save' of .* labels 0 or 1. Received: 'yes', after row 0"),
        ('age,save\n1,"1,5"\n', r"Column 'save' of .* must hold numbers such as 1.5.*'1,5'"),
        ("age,save\n1,1,5\n", "Expected 2 columns, got 3.*must be quoted; `delimiter` states another"),
        ("age;save\n1;1,5\n", "Expected 1 columns, got 2.*must be quoted; `delimiter` states another"),
    ],
)  # fmt: skip
def test_values_that_are_no_numbers_are_named(tmp_path, text, match):
    (tmp_path / "a.csv").write_text(text)
    model = types.SimpleNamespace(
        features=[Numeric("age", mean=0.0, std=1.0)], tasks=[Task("save")]
    )
    with pytest.raises(ValueError, match=match):
        list(read_csv(tmp_path, model))


@pytest.mark.parametrize(
    ("contents", "match"),
    [
        (HEADER.encode("utf-16"), "UTF-16; save it in UTF-8"),
        (HEADER.encode("utf-16-be"), "UTF-16; save it in UTF-8"),
        (gzip.compress(HEADER.encode()), "gzip; name the file .csv.gz"),
        (b"PK\x03\x04", "a ZIP archive or a spreadsheet; export it as CSV"),
        (b"PAR1", "Parquet; name the file .parquet"),
    ],
)
def test_other_formats_called_csv_are_named(tmp_path, contents, match):
    (tmp_path / "a.csv").write_bytes(contents)
    with pytest.raises(ValueError, match=rf"a.csv' must be CSV in UTF-8. Received: {match}"):
        read_csv(tmp_path, MODEL)
