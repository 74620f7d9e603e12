import datetime
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kranking.features import (
    Categorical,
    Embedding,
    Numeric,
    Preprocessor,
    RawColumns,
    Sequence,
    fit,
)
from kranking.features.internal import Origin, hash_integers, hash_strings

# The oracle: one value at a time, in plain Python, written from the declarations' docstrings.


def row_of(feature, value):
    if value is None or value == "" or value in (-(2**31), -(2**63)):
        return 0
    if feature.hash_buckets is not None:
        hashed = (
            hash_strings([value]) if isinstance(value, str) else hash_integers(np.array([value]))
        )
        return 1 + int(hashed[0]) % feature.hash_buckets
    values = list(feature.vocabulary)
    return values.index(value) + 1 if value in values else 0


def list_of(feature, value):
    if value is None:
        return []
    if feature.separator is not None:
        return value.split(feature.separator) if value else []
    return value


def padded(values, length, fill):
    return [values[i] if i < len(values) else fill for i in range(length)]


def categorical(feature, value):
    if feature.max_length is None:
        return row_of(feature, value)
    rows = [row_of(feature, v) for v in list_of(feature, value)]
    return padded(rows, feature.max_length, -1)


def numeric(feature, value):
    missing = value is None or math.isnan(value) or math.isinf(value)
    if not missing and feature.bounds is not None:
        low, high = feature.bounds
        value = low if value < low else high if value > high else value
    if feature.transform == "bucketize":
        return 0 if missing else 1 + len([b for b in feature.boundaries if b <= value])
    if missing and feature.nulls == "mean":
        value = None
    elif missing:
        value = float(feature.nulls)
    if feature.transform in ("standardize", "log"):
        if value is None:
            return 0.0
        if feature.transform == "log":
            value = math.copysign(math.log1p(abs(value)), value)
        return (value - feature.mean) / feature.std
    if value is None:
        return feature.mean
    if feature.transform == "scale":
        low, high = feature.bounds
        return (value - low) / (high - low)
    return value


def sequence(feature, table, ids, actions=None, times=None, now=None):
    ids = ids or []
    order = list(range(len(ids)))
    if feature.order == "newest_last":
        order.reverse()
    kept = order[: feature.max_length]
    out = [padded([row_of(table, ids[i]) for i in kept], feature.max_length, -1)]
    if actions is not None:
        known = list(feature.action_vocabulary)
        rows = [known.index(actions[i]) + 1 if actions[i] in known else 0 for i in kept]
        out.append(padded(rows, feature.max_length, -1))
    if times is not None:
        ages = [0.0 if times[i] is None or now is None else now - times[i] for i in kept]
        out.append(padded(ages, feature.max_length, 0.0))
    return out


def rows_of(rng, draw, size=200):
    return [draw(rng) for _ in range(size)]


def maybe(rng, value, chance=0.15):
    return None if rng.random() < chance else value


WORDS = ("a", "b", "", "ü", "long word", "zz")


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "feature",
    [
        Categorical("c", vocabulary=("a", "ü", "never seen")),
        Categorical("c", hash_buckets=5),
        Categorical("c", vocabulary=("b", "a"), max_length=3),
        Categorical("c", vocabulary=("b", "a"), max_length=2, separator="|"),
        Categorical("c", hash_buckets=7, max_length=4, separator="|"),
        Categorical("c", vocabulary=()),
    ],
    ids=repr,
)
def test_categorical_strings(feature, seed):
    rng = np.random.default_rng(seed)

    def draw(rng):
        if feature.max_length is None:
            return maybe(rng, WORDS[rng.integers(len(WORDS))])
        values = [WORDS[i] for i in rng.integers(len(WORDS), size=rng.integers(6))]
        if feature.separator is None:
            values = [maybe(rng, v) for v in values]
        return maybe(rng, values if feature.separator is None else feature.separator.join(values))

    values = rows_of(rng, draw)
    kind = pa.string() if feature.separator or not feature.max_length else pa.list_(pa.string())
    got = Preprocessor([feature])({"c": pa.array(values, kind)})["c"]
    assert got.dtype == np.int32
    assert got.tolist() == [categorical(feature, v) for v in values]


@pytest.mark.parametrize("kind", [pa.int8(), pa.int32(), pa.int64()], ids=str)
@pytest.mark.parametrize(
    "feature",
    [
        Categorical("c", vocabulary=(3, -1, 7)),
        Categorical("c", hash_buckets=6),
        Categorical("c", vocabulary=(0, 5), max_length=3),
    ],
    ids=repr,
)
def test_categorical_integers(feature, kind):
    rng = np.random.default_rng(1)

    def draw(rng):
        values = [maybe(rng, v) for v in rng.integers(-8, 9, rng.integers(5)).tolist()]
        return maybe(rng, values if feature.max_length else int(rng.integers(-8, 9)))

    values = rows_of(rng, draw)
    kind = pa.list_(kind) if feature.max_length else kind
    got = Preprocessor([feature])({"c": pa.array(values, kind)})["c"]
    assert got.tolist() == [categorical(feature, v) for v in values]


def test_booleans_are_the_integers_0_and_1():
    feature = Categorical("c", vocabulary=(1, 0))
    values = pa.array([True, False, None])
    assert Preprocessor([feature])({"c": values})["c"].tolist() == [1, 2, 0]
    assert Preprocessor([feature])({"c": np.array([False, True])})["c"].tolist() == [2, 1]


@pytest.mark.parametrize(
    "make",
    [
        lambda v: v,
        lambda v: np.array(v, object),
        lambda v: np.array([math.nan if x is None else x for x in v], object),
        lambda v: pa.array(v).dictionary_encode(),
        lambda v: pa.chunked_array([pa.array(v[:2]), pa.array(v[2:])]),
        lambda v: pa.array(v, pa.large_string()),
        lambda v: pa.array(["x", *v]).slice(1),
    ],
    ids=["list", "object", "pandas", "dictionary", "chunked", "large", "sliced"],
)
def test_any_container_gives_the_same(make):
    feature = Categorical("c", vocabulary=("a", "b"))
    given = make(["b", None, "a", "z", ""])
    assert Preprocessor([feature])({"c": given})["c"].tolist() == [2, 0, 1, 0, 0]


def test_narrow_dictionary_with_as_many_values_as_its_index_holds():
    words = [f"v{i}" for i in range(128)]
    codes = pa.array([0, 127, None], pa.int8())
    column = pa.DictionaryArray.from_arrays(codes, pa.array(words))
    feature = Categorical("c", vocabulary=tuple(words))
    assert Preprocessor([feature])({"c": column})["c"].tolist() == [1, 128, 0]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "feature",
    [
        Numeric("n", mean=2.0, std=3.0, nulls="mean"),
        Numeric("n", mean=2.0, std=3.0, nulls=-1.5, bounds=(-4, 9)),
        Numeric("n", transform="log", mean=0.3, std=0.7, nulls="mean"),
        Numeric("n", transform="log", mean=0.3, std=0.7, nulls=0, bounds=(0, 100)),
        Numeric("n", transform="scale", bounds=(-5, 5), nulls=0.0),
        Numeric("n", transform="none", nulls="mean", mean=4.0),
        Numeric("n", transform="none", nulls=7),
        Numeric("n", transform="bucketize", boundaries=(-3, 0.5, 2)),
        Numeric("n", transform="bucketize", boundaries=(0,), bounds=(-1, 1)),
    ],
    ids=repr,
)
def test_numeric(feature, seed):
    special = (None, math.nan, math.inf, -math.inf, 0.0, 0.5, 2.0, -3.0, 1e6)

    def draw(rng):
        if rng.random() < 0.4:
            return special[rng.integers(len(special))]
        return float(rng.normal() * 5)

    values = rows_of(np.random.default_rng(seed), draw)
    got = Preprocessor([feature])({"n": pa.array(values, pa.float64())})["n"]
    expected = [numeric(feature, v) for v in values]
    if feature.bucketized:
        assert got.dtype == np.int32
        assert got.tolist() == expected
    else:
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    "kind", [pa.bool_(), pa.int16(), pa.float32(), pa.decimal128(5, 2)], ids=str
)
def test_numbers_of_any_type(kind):
    feature = Numeric("n", transform="none", nulls=9.0)
    values = pa.array([1.0, 0.0, None]).cast(kind)
    assert Preprocessor([feature])({"n": values})["n"].tolist() == [1.0, 0.0, 9.0]


def test_a_column_that_never_varied_becomes_0():
    feature = Numeric("n", mean=5.0, std=0.0)
    assert Preprocessor([feature])({"n": [5.0, 5.0]})["n"].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("bad", [None, math.nan, math.inf, -math.inf])
def test_refused_number_names_feature_column_row_and_file(bad):
    preprocessor = Preprocessor([Numeric("age", column="years", mean=0.0, std=1.0)])
    columns = {"years": pa.array([1.0, 2.0, bad, 4.0])}
    message = r"'age' must not contain null, .*'years', row 102 of day1\.parquet.*nulls='mean'"
    with pytest.raises(ValueError, match=message):
        preprocessor(columns, Origin("day1.parquet", 100))


def test_embedding_of_all_containers():
    feature = Embedding("e", dim=2, nulls="zeros")
    expected = [[1.0, 2.0], [0.0, 0.0], [3.0, 4.0]]
    values = [[1.0, 2.0], None, [3.0, 4.0]]
    kinds = [pa.list_(pa.float32()), pa.list_(pa.float64(), 2), pa.large_list(pa.int32())]
    for kind in kinds:
        column = pa.array(values, kind)
        assert Preprocessor([feature])({"e": column})["e"].tolist() == expected
        assert Preprocessor([feature])({"e": column.slice(1)})["e"].tolist() == expected[1:]
    dense = np.array([[1, 2], [0, 0], [3, 4]], "float16")
    got = Preprocessor([feature])({"e": dense})["e"]
    assert got.tolist() == expected
    assert got.dtype == np.float32


@pytest.mark.parametrize("value", [[1.0, math.nan], [math.inf, 0.0], [None, 1.0]])
@pytest.mark.parametrize("nulls", ["zeros", "refuse"])
def test_embedding_refuses_what_is_not_finite(value, nulls):
    preprocessor = Preprocessor([Embedding("e", dim=2, nulls=nulls)])
    with pytest.raises(
        ValueError, match=r"'e' must not contain.*a vector with NaN or infinity.*row 1 of"
    ):
        preprocessor({"e": pa.array([[0.0, 0.0], value])})


def test_embedding_errors():
    preprocessor = Preprocessor([Embedding("e", dim=2)])
    with pytest.raises(ValueError, match=r"vectors of width 2 in column 'e'.*width 3 in row 1 of"):
        preprocessor({"e": [[1.0, 2.0], [1.0, 2.0, 3.0]]})
    with pytest.raises(ValueError, match=r"Received: null in column 'e', row 0 of.*nulls='zeros'"):
        preprocessor({"e": pa.array([None, [1.0, 2.0]])})


SECONDS = {"s": 1.0, "ms": 1e3, "us": 1e6}


@pytest.mark.parametrize("order", ["newest_last", "newest_first"])
@pytest.mark.parametrize("unit", SECONDS)
def test_sequence(order, unit):
    table = Categorical("id", vocabulary=(1, 2, 3, 4))
    feature = Sequence(
        "s",
        of="id",
        max_length=3,
        order=order,
        action="act",
        action_vocabulary=("like", "hide"),
        time="t",
        request_time="now",
        time_unit=unit,
    )
    rng = np.random.default_rng(0)
    lengths = rng.integers(0, 7, 150)
    ids = [[maybe(rng, v) for v in rng.integers(0, 7, n).tolist()] for n in lengths]
    acts = [[("like", "hide", "odd", None)[i] for i in rng.integers(0, 4, n)] for n in lengths]
    times = [[maybe(rng, v) for v in rng.integers(0, 1000, n).tolist()] for n in lengths]
    now = [maybe(rng, v) for v in rng.integers(1000, 2000, 150).tolist()]
    ids[3] = acts[3] = times[3] = None
    scale = int(SECONDS[unit])
    columns = {
        "id": np.ones(150, "int64"),
        "s": pa.array(ids, pa.list_(pa.int64())),
        "act": pa.array(acts, pa.list_(pa.string())),
        "t": pa.array(
            [t if t is None else [v if v is None else v * scale for v in t] for t in times],
            pa.list_(pa.int64()),
        ),
        "now": pa.array([v if v is None else v * scale for v in now], pa.int64()),
    }
    got = Preprocessor([table, feature])(columns)
    for i in range(150):
        rows, kinds, ages = sequence(feature, table, ids[i], acts[i] or [], times[i] or [], now[i])
        assert got["s"][i].tolist() == rows
        assert got["s.action"][i].tolist() == kinds
        np.testing.assert_allclose(got["s.age"][i], ages, rtol=1e-6)
    assert (got["s"].dtype, got["s.age"].dtype) == (np.int32, np.float32)


@pytest.mark.parametrize("kind", ["s", "ms", "us", "ns"])
def test_times_as_timestamps(kind):
    table = Categorical("id", hash_buckets=3)
    feature = Sequence("s", of="id", max_length=2, time="t", request_time="now")
    start = datetime.datetime(2026, 1, 1)
    events = [start, start + datetime.timedelta(seconds=30)]
    columns = {
        "id": [1],
        "s": [[1, 2]],
        "t": pa.array([events], pa.list_(pa.timestamp(kind))),
        "now": pa.array([start + datetime.timedelta(seconds=90)], pa.timestamp(kind)),
    }
    assert Preprocessor([table, feature])(columns)["s.age"].tolist() == [[60.0, 90.0]]
    if kind == "ns":  # a remainder below a microsecond is dropped, not refused
        columns["t"] = pa.array([[1, 2_000_000_001]], pa.list_(pa.timestamp("ns")))
        columns["now"] = pa.array([5_000_000_000], pa.timestamp("ns"))
        assert Preprocessor([table, feature])(columns)["s.age"].tolist() == [[3.0, 5.0]]


def test_infinite_times_are_taken_as_now():
    features = [
        Categorical("id", hash_buckets=3),
        Sequence("s", of="id", max_length=2, time="t", request_time="now"),
    ]
    columns = {"id": [1], "s": [[1, 2]], "t": [[-math.inf, 2.0]], "now": [3.0]}
    assert Preprocessor(features)(columns)["s.age"].tolist() == [[1.0, 0.0]]


def test_parallel_lists_must_agree():
    features = [
        Categorical("id", vocabulary=(1, 2)),
        Sequence("s", of="id", max_length=2, action="act", action_vocabulary=("x",)),
    ]
    columns = {"id": [1, 1], "s": [[1], [1, 2]], "act": [["x"], ["x"]]}
    with pytest.raises(
        ValueError, match=r"'act' of sequence 's'.*Expected: 2 values.*Received: 1 in row 1 of"
    ):
        Preprocessor(features)(columns)


def everything():
    return [
        Categorical("c", vocabulary=("a",)),
        Categorical("l", hash_buckets=3, max_length=2),
        Numeric("n", mean=0.0, std=1.0),
        Embedding("e", dim=2),
        Sequence("s", of="c", max_length=2, action="a", action_vocabulary=("x",)),
    ]


def test_inputs_and_columns_describe_what_comes_out():
    preprocessor = Preprocessor(everything())
    columns = {"c": ["a"], "l": [[1]], "n": [0.0], "e": [[0.0, 0.0]], "s": [["a"]], "a": [["x"]]}
    assert preprocessor.columns == tuple(columns)
    out = preprocessor({**columns, "unused": [1]})
    assert {k: (v.shape[1:], str(v.dtype)) for k, v in out.items()} == {
        k: tuple(spec) for k, spec in preprocessor.inputs.items()
    }


def test_no_rows_give_empty_inputs():
    columns = {
        "c": pa.array([], pa.string()),
        "l": pa.array([], pa.list_(pa.int64())),
        "n": np.zeros(0),
        "e": np.zeros((0, 2)),
        "s": pa.array([], pa.list_(pa.string())),
        "a": pa.array([], pa.list_(pa.string())),
    }
    preprocessor = Preprocessor(everything())
    for name, value in preprocessor(columns).items():
        assert value.shape == (0, *preprocessor.inputs[name].shape)


def test_counts_of_nulls_and_unknown_values_add_up():
    preprocessor = Preprocessor(
        [
            Categorical("c", vocabulary=("a",)),
            Numeric("n", mean=0, std=1, nulls=0),
            Categorical("m", vocabulary=("a",), max_length=3),
            Sequence("s", of="c", max_length=2),
        ]
    )
    lists = {"m": [["z", "y", "a"], None, []], "s": [["a", "z"], None, ["a"]]}
    for _ in range(2):
        preprocessor({"c": ["a", "z", None], "n": [1.0, None, math.nan], **lists})
    assert preprocessor.counts == {
        "c": {"rows": 6, "nulls": 2, "out_of_vocabulary": 2},
        "n": {"rows": 6, "nulls": 4, "out_of_vocabulary": 0},
        "m": {"rows": 6, "nulls": 2, "out_of_vocabulary": 4},
        "s": {"rows": 6, "nulls": 2, "out_of_vocabulary": 2},
    }


BAD_COLUMNS = [
    ({"m": [1]}, r"'n' needs column 'n', which is missing in the given columns. Received: \['m'\]"),
    ({"n": ["a"]}, r"'n' of feature 'n' has a wrong type.*Expected: numbers. Received: string"),
    ({"n": [[1.0]]}, r"wrong type.*Expected: numbers. Received: list"),
    ({"n": [1, "a"]}, r"Column 'n' must contain one value per row, all of the same type"),
    (
        {"n": np.zeros((2, 2, 2))},
        r"Column 'n' must contain one value per row, all of the same type",
    ),
]


@pytest.mark.parametrize(("columns", "message"), BAD_COLUMNS)
def test_bad_columns(columns, message):
    with pytest.raises(ValueError, match=message):
        Preprocessor([Numeric("n", mean=0, std=1)])(columns)


@pytest.mark.parametrize(
    ("feature", "values", "expected"),
    [
        (Categorical("c", vocabulary=("a",)), [b"a"], "strings or integers"),
        (Categorical("c", vocabulary=("a",), max_length=2), ["a"], "lists of strings or integers"),
        (Categorical("c", vocabulary=("a",), max_length=2, separator=","), [["a"]], "strings"),
        (Categorical("c", vocabulary=("a",)), [True], "must contain strings like the ids"),
        (Categorical("c", vocabulary=(1,)), ["a"], "must contain integers like the ids"),
        (Embedding("c", dim=2), [1.0], "lists of numbers"),
    ],
)
def test_wrong_types(feature, values, expected):
    with pytest.raises(ValueError, match=expected):
        Preprocessor([feature])({"c": values})


@pytest.mark.parametrize(
    "column", ["DE", b"DE", None, {"a": 1}, 3, 2.5, np.array(1), [2**80], ["\ud800"]]
)
def test_what_is_no_column_is_refused_by_name(column):
    """Arrow would take a text for its letters and a dict for its keys."""
    for encode in (Preprocessor, RawColumns):
        with pytest.raises(ValueError, match=r"Column 'c' must contain one value per row"):
            encode([Categorical("c", vocabulary=("DE", "FR"))])({"c": column})


def test_a_wrong_type_names_the_column_of_the_sequence():
    features = [
        Categorical("pin", vocabulary=(1, 2)),
        Sequence("seen", of="pin", max_length=2, action="how", action_vocabulary=("save",)),
    ]
    columns = {"pin": [1], "seen": [[1]], "how": [["save"]]}
    for encode in (Preprocessor(features), RawColumns(features)):
        encode(columns)
        for name, wrong in (("seen", [["a"]]), ("how", [[True]])):
            with pytest.raises(
                ValueError, match=f"Column '{name}' in the given columns must contain"
            ):
                encode({**columns, name: wrong})


def test_columns_of_unequal_length_are_refused():
    features = [Categorical("c", hash_buckets=2), Numeric("n", mean=0, std=1)]
    with pytest.raises(ValueError, match=r"equal lengths. Received: \{'c': 3, 'n': 4\}"):
        Preprocessor(features)({"c": [1, 2, 3], "n": np.arange(4.0)})


def test_schema_is_checked_before_the_first_row():
    preprocessor = Preprocessor([Numeric("n", mean=0, std=1)])
    preprocessor.check_schema(pa.schema([("n", pa.int8()), ("other", pa.string())]), Origin("f"))
    with pytest.raises(ValueError, match=r"wrong type in f\. Expected: numbers"):
        preprocessor.check_schema(pa.schema([("n", pa.string())]), Origin("f"))
    with pytest.raises(ValueError, match="which is missing in f"):
        preprocessor.check_schema(pa.schema([("m", pa.string())]), Origin("f"))


@pytest.mark.parametrize(
    "feature",
    [Categorical("c"), Numeric("n"), Numeric("n", transform="bucketize"), Numeric("n", mean=0.0)],
    ids=repr,
)
def test_unfitted_declarations_are_refused(feature):
    with pytest.raises(ValueError, match=r"is not fitted. Call `features = kranking"):
        Preprocessor([feature])


LARGEST = 2.0**63


@pytest.mark.parametrize(
    ("feature", "value", "expected"),
    [
        (Numeric("n", mean=0.0, std=1e-30), 1e30, LARGEST),
        (Numeric("n", mean=0.5, std=5e-324), -1.0, -LARGEST),
        (Numeric("n", mean=0.0, std=1.0), 1e300, LARGEST),
        (Numeric("n", mean=-1.7e308, std=1.0), 1.7e308, LARGEST),
        (Numeric("n", transform="none"), -1e19, -LARGEST),
        (Numeric("n", transform="none"), 1e18, 1e18),
        (Numeric("n", transform="log", mean=0.0, std=1.0), 1e300, 300 * math.log(10)),
        (Numeric("n", transform="log", mean=0.0, std=1e-37), 1e300, LARGEST),
        (Numeric("n", transform="scale", bounds=(0.0, 1e-300)), 1.0, 1.0),
        (Numeric("n", transform="bucketize", boundaries=(0.0, 1e30)), 1e300, 3),
        (Numeric("n", transform="none", nulls=1e300), None, LARGEST),
    ],
)
def test_a_finite_number_stays_finite(feature, value, expected):
    alone = Preprocessor([feature])({"n": [value]})["n"]
    assert alone.tolist() == [pytest.approx(expected, rel=1e-6)]
    pair = Preprocessor([feature])({"n": pa.array([value, 1.0], pa.float64())})["n"]
    assert pair[0] == alone[0]
    assert np.isfinite(pair).all()


def test_a_finite_vector_stays_finite():
    encode = Preprocessor([Embedding("e", dim=2)])
    assert encode({"e": [[1e300, -1e39]]})["e"].tolist() == [[LARGEST, -LARGEST]]


def test_bounds_whose_difference_is_infinite_are_refused():
    with pytest.raises(ValueError, match="difference finite"):
        Numeric("n", transform="scale", bounds=(-1.7e308, 1.7e308))


ALONE = [
    Categorical("user", vocabulary=("a", "b")),
    Categorical("item", vocabulary=(1, 2)),
    Categorical("bucket", hash_buckets=8),
    Categorical("kinds", vocabulary=("x",), max_length=2),
    Categorical("tags", vocabulary=("p", "q"), separator=",", max_length=2),
    Embedding("cover", dim=2, nulls="zeros"),
    Numeric("age", mean=1.0, std=2.0, nulls="mean"),
    Sequence(
        "seen",
        of="item",
        max_length=3,
        action="act",
        action_vocabulary=("like",),
        time="t",
        request_time="now",
    ),
]
FULL = {
    "user": "a",
    "item": 2,
    "bucket": "x",
    "kinds": ["x"],
    "tags": "p",
    "cover": [0.5, 0.5],
    "age": 3.0,
    "seen": [1],
    "act": ["like"],
    "t": [1e9],
    "now": 1e9 + 5,
}
HISTORY = ("seen", "act", "t")


@pytest.mark.parametrize("encoder", [Preprocessor, RawColumns])
@pytest.mark.parametrize("column", FULL)
def test_a_row_alone_is_read_as_among_others(encoder, column):
    """Whatever is null, empty, or a list of nulls, so that Arrow cannot tell its type."""
    nothing = [None]
    if isinstance(FULL[column], list) and column != "cover":
        nothing += [[], [None]]
    elif column in ("user", "bucket", "tags"):
        nothing += [""]
    encode = encoder(ALONE)
    for value in nothing:
        also = HISTORY if column in HISTORY else (column,)  # lists of equal lengths
        row = FULL | dict.fromkeys(also, value)
        alone = encode({name: [v] for name, v in row.items()})
        pair = encode({name: [v, FULL[name]] for name, v in row.items()})
        for name, found in alone.items():
            np.testing.assert_array_equal(found, pair[name][:1], name)


def test_a_part_of_a_log_in_which_all_is_null(tmp_path):
    """Its file has columns of type null, or lists of them."""
    for name, rows in (("1", [FULL]), ("2", [dict.fromkeys(FULL)])):
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / f"{name}.parquet")
    for found in (Preprocessor(ALONE)(tmp_path), RawColumns(ALONE)(tmp_path)):
        assert {len(values) for values in found.values()} == {2}
    columns = [Categorical("user"), Categorical("kinds", max_length=2), Embedding("cover", dim=2)]
    fitted = fit([*columns, Categorical("tags", separator=",", max_length=2)], tmp_path)
    assert [f.observed["nulls"] for f in fitted] == [1, 1, 1, 1]
    assert fitted[1].vocabulary == ("x",)


def test_histories_without_a_column():
    encode = Preprocessor(
        [Categorical("item", vocabulary=(1,)), Sequence("seen", of="item", max_length=2)]
    )
    found = encode({"item": [1, 2], "seen": np.zeros((2, 0), int)})
    assert found["seen"].tolist() == [[-1, -1], [-1, -1]]
