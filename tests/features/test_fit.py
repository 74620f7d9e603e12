from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kranking.features import Categorical, Embedding, Numeric, Preprocessor, Sequence, fit


def write(folder, table, files=3):
    rows = -(-table.num_rows // files)
    for i in range(files):
        pq.write_table(table.slice(i * rows, rows), folder / f"part-{i}.parquet", row_group_size=40)
    return folder


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    size = 1000
    words = np.array([*"abcdefghij", "", None], object)
    amounts = rng.normal(3.0, 2.0, size)
    amounts[::50] = np.nan
    amounts[1] = np.inf
    ids = [rng.integers(0, 30, rng.integers(5)).tolist() for _ in range(size)]
    return pa.table(
        {
            "word": pa.array(words[(rng.random(size) ** 2 * 12).astype(int)], pa.string()),
            "id": rng.integers(-5, 40, size),
            "flag": rng.random(size) < 0.3,
            "tags": pa.array([None if i % 9 == 0 else t for i, t in enumerate(ids)]),
            "text": [",".join(map(str, t)) for t in ids],
            "amount": amounts,
            "big": 1e9 + rng.normal(size=size),
            "vector": [[1.0, 2.0]] * size,
            "past": ids,
            "act": [[("like", "hide", "")[v % 3] for v in t] for t in ids],
        }
    )


FEATURES = [
    Categorical("word"),
    Categorical("rare", column="word", min_count=60),
    Categorical("top", column="word", max_size=2),
    Categorical("id"),
    Categorical("flag"),
    Categorical("tags", max_length=3),
    Categorical("text", max_length=3, separator=","),
    Categorical("hashed", column="word", hash_buckets=9),
    Categorical("given", column="word", vocabulary=("b", "zz")),
    Numeric("amount"),
    Numeric("logged", column="amount", transform="log"),
    Numeric("clipped", column="amount", bounds=(0, 4)),
    Numeric("big"),
    Numeric("half", column="amount", mean=100.0),
    Numeric("scaled", column="amount", transform="scale", bounds=(0, 1)),
    Numeric("imputed", column="amount", transform="none", nulls="mean"),
    Numeric("cut", column="amount", transform="bucketize", num_buckets=5),
    Embedding("vector", dim=2),
    Sequence("past", of="id", max_length=4, action="act"),
]


@pytest.fixture(scope="module")
def fitted(table, tmp_path_factory):
    folder = write(tmp_path_factory.mktemp("log"), table)
    return {f.name: f for f in fit(FEATURES, f"{folder}/*.parquet", batch_rows=17)}


def by_frequency(values, min_count=1, max_size=None):
    counts = Counter(v for v in values if v is not None and v != "")
    kept = [v for v in counts if counts[v] >= min_count]
    return tuple(sorted(kept, key=lambda v: (-counts[v], v))[:max_size])


def test_vocabularies_are_those_of_all_rows(table, fitted):
    columns = {name: table[name].to_pylist() for name in table.column_names}
    assert fitted["word"].vocabulary == by_frequency(columns["word"])
    assert fitted["rare"].vocabulary == by_frequency(columns["word"], min_count=60)
    assert 0 < len(fitted["rare"].vocabulary) < len(fitted["word"].vocabulary)
    assert fitted["top"].vocabulary == by_frequency(columns["word"], max_size=2)
    assert fitted["id"].vocabulary == by_frequency(columns["id"])
    assert fitted["flag"].vocabulary == (0, 1)
    assert fitted["tags"].vocabulary == by_frequency(v for t in columns["tags"] for v in t or [])
    texts = [v for t in columns["text"] for v in t.split(",")]
    assert fitted["text"].vocabulary == by_frequency(texts)
    actions = by_frequency(v for t in columns["act"] for v in t)
    assert fitted["past"].action_vocabulary == actions
    assert set(actions) == {"like", "hide"}


def test_what_is_given_stays(fitted):
    assert fitted["given"].vocabulary == ("b", "zz")
    assert fitted["hashed"].vocabulary is None
    assert fitted["half"].mean == 100.0
    assert fitted["scaled"] == next(f for f in FEATURES if f.name == "scaled")


def test_moments_are_those_of_all_finite_rows(table, fitted):
    amounts = table["amount"].to_numpy()
    amounts = amounts[np.isfinite(amounts)]
    logged = np.sign(amounts) * np.log1p(np.abs(amounts))
    clipped = np.clip(amounts, 0, 4)
    for name, values in (("amount", amounts), ("logged", logged), ("clipped", clipped)):
        assert fitted[name].mean == pytest.approx(values.mean(), rel=1e-12)
        assert fitted[name].std == pytest.approx(values.std(), rel=1e-12)
    big = table["big"].to_numpy()  # a sum of squares would lose every digit of the spread
    assert fitted["big"].std == pytest.approx(big.std(), rel=1e-6)
    assert fitted["half"].std == pytest.approx(amounts.std(), rel=1e-12)
    assert fitted["imputed"].mean == pytest.approx(amounts.mean(), rel=1e-12)
    assert fitted["imputed"].std is None


def test_boundaries_are_quantiles(table, fitted):
    amounts = table["amount"].to_numpy()
    exact = np.quantile(amounts[np.isfinite(amounts)], [0.2, 0.4, 0.6, 0.8])
    np.testing.assert_allclose(fitted["cut"].boundaries, exact)


def test_boundaries_of_a_sample_are_close_to_quantiles(tmp_path):
    values = np.random.default_rng(0).exponential(size=500_000)
    pq.write_table(pa.table({"n": values}), tmp_path / "n.parquet")
    declared = [Numeric("n", transform="bucketize", num_buckets=10)]
    first, again, other = (fit(declared, tmp_path, seed=seed)[0] for seed in (0, 0, 1))
    assert first == again
    assert first != other
    ranks = np.searchsorted(np.sort(values), first.boundaries) / len(values)
    # 200,000 of 500,000 drawn: a rank's standard deviation is at most 0.0009
    np.testing.assert_allclose(ranks, np.arange(1, 10) / 10, atol=0.0045)


def test_observed_counts(table, fitted):
    words = table["word"].to_pylist()
    assert fitted["given"].observed == {
        "rows": 1000,
        "nulls": words.count(None),
        "out_of_vocabulary": sum(w not in (None, "b", "zz") for w in words),
    }
    assert fitted["word"].observed["out_of_vocabulary"] == words.count("")
    assert fitted["amount"].observed == {"rows": 1000, "nulls": 21, "out_of_vocabulary": 0}
    assert fitted["tags"].observed["nulls"] == 112


def test_files_blocks_and_memory_give_the_same(table, fitted, tmp_path):
    once = fit(FEATURES, write(tmp_path, table, files=1))
    memory = fit(FEATURES, {name: table[name] for name in table.column_names})
    for features in (once, memory):
        for feature in features:
            expected = fitted[feature.name]
            assert feature.observed == expected.observed
            if isinstance(feature, Numeric) and feature.mean is not None:
                assert feature.mean == pytest.approx(expected.mean, rel=1e-12)
                feature = replace(feature, mean=expected.mean, std=expected.std)
            assert feature == expected


def test_order_is_that_of_the_declarations_and_ties_are_sorted():
    features = [Categorical("b"), Numeric("a")]
    got = fit(features, {"a": [1.0, 2.0], "b": ["y", "x"]})
    assert [f.name for f in got] == ["b", "a"]
    assert got[0].vocabulary == ("x", "y")


def test_a_column_that_never_varies_has_no_spread(tmp_path):
    """0.1 + 0.1 + … is not a multiple of 0.1: a std of 1e-17 would blow up any other value."""
    pq.write_table(pa.table({"n": np.full(1000, 0.1)}), tmp_path / "n.parquet")
    feature = fit([Numeric("n")], tmp_path, batch_rows=7)[0]
    assert (feature.mean, feature.std) == (0.1, 0.0)
    assert Preprocessor([feature])({"n": [0.1]})["n"].tolist() == [0.0]
    cut = fit([Numeric("n", transform="bucketize")], tmp_path)[0]
    assert cut.boundaries == (0.1,)


def test_no_value_reaches_the_minimum_count():
    feature = fit([Categorical("c", min_count=5)], {"c": ["a", "b"]})[0]
    assert feature.vocabulary == ()
    assert feature.num_rows == 1
    assert Preprocessor([feature])({"c": ["a", None]})["c"].tolist() == [0, 0]


def test_what_stands_for_null_is_not_learnt():
    texts = fit([Categorical("c")], {"c": ["", "", "a"]})[0]
    numbers = fit([Categorical("c")], {"c": [-(2**63), -(2**31), 7]})[0]
    assert (texts.vocabulary, numbers.vocabulary) == (("a",), (7,))


def test_dictionaries_are_learnt_as_their_values():
    chunks = [pa.array(["a", "b"]).dictionary_encode(), pa.array(["b", None]).dictionary_encode()]
    assert fit([Categorical("c")], {"c": pa.chunked_array(chunks)})[0].vocabulary == ("b", "a")


@pytest.mark.parametrize(
    ("feature", "columns", "message"),
    [
        (Numeric("n"), {"m": [1.0]}, r"'n' needs column 'n'.*given columns.*Received: \['m'\]"),
        (Numeric("n"), {"n": ["a"]}, r"wrong type in the given columns. Expected: numbers"),
        (Numeric("n"), {"n": np.zeros(0)}, r"must contain rows to learn from"),
        (Numeric("n"), {"n": [np.nan, np.nan]}, r"'n' has no finite value.*2 nulls in 2 rows"),
        (
            Categorical("n", vocabulary=("a",)),
            {"n": [True]},
            r"must contain strings.*Received: booleans",
        ),
        (Categorical("n", max_length=2), {"n": ["a"]}, r"Expected: lists of strings or integers"),
    ],
)
def test_bad_columns(feature, columns, message):
    with pytest.raises(ValueError, match=message):
        fit([feature], columns)


def test_columns_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match="equal lengths"):
        fit([Numeric("a"), Numeric("b")], {"a": [1.0], "b": [1.0, 2.0]})


def test_columns_that_nobody_reads_may_be_anything():
    fit([Numeric("a")], {"a": [1.0, 2.0], "other": np.zeros((2, 2, 2))})


def test_errors_name_the_file(tmp_path):
    pq.write_table(pa.table({"c": [1, 2]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"c": ["x"]}), tmp_path / "b.parquet")
    with pytest.raises(ValueError, match=r"'c'.*must contain integers.*strings in .*b\.parquet"):
        fit([Categorical("c")], tmp_path)
    pq.write_table(pa.table({"d": ["x"]}), tmp_path / "b.parquet")
    with pytest.raises(ValueError, match=r"needs column 'c', which is missing in .*b\.parquet"):
        fit([Categorical("c")], tmp_path)


def test_damaged_files(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"n": np.random.default_rng(0).random(100_000)}), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"a\.parquet' cannot be read as Parquet.*truncated"):
        fit([Numeric("n")], path)
    damaged = whole[:1000] + b"\xff" * 300_000 + whole[301_000:]
    path.write_bytes(damaged)
    with pytest.raises(ValueError, match=r"a\.parquet' cannot be read after row 0"):
        fit([Numeric("n")], path)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=r"a\.parquet' cannot be read.*Received: 0 bytes"):
        fit([Numeric("n")], path)


@pytest.mark.parametrize("name", ["none-*.parquet", "none.parquet", ""])
def test_nothing_matches(tmp_path, name):
    with pytest.raises(ValueError, match=r"must match existing .*files. Received: .*matches none"):
        fit([Numeric("n")], tmp_path / name)


def test_files_without_rows(tmp_path):
    pq.write_table(pa.table({"n": pa.array([], pa.float64())}), tmp_path / "a.parquet")
    with pytest.raises(ValueError, match="must contain rows to learn from"):
        fit([Numeric("n")], [tmp_path / "a.parquet"])
