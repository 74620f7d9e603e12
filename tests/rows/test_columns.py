"""Columns of every type and array: the same values, or refused by name."""

import datetime
import decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from kranking._rows import as_arrow, plain_type
from kranking.features import Categorical, Embedding, Numeric, Preprocessor, RawColumns, fit, infer

pytestmark = pytest.mark.once
TEXTS = ["a", "b", None, "a", "", "c"]
LISTS = [["a"], ["b", "a"], None, [], ["c"], ["a"]]
NUMBERS = [1.0, 2.5, None, -4.0, 0.0, 7.0]
VECTORS = [[1.0, 2.0], [3.0, 4.0], None, [5.0, 6.0], [7.0, 8.0], [0.0, 1.0]]
TEXT, FLAT = pa.array(TEXTS), pa.array(["a", "b", "a", "c", "a"])


def ends(array):
    """Encodes runs of one row, for value types that Arrow cannot encode."""
    return pa.RunEndEncodedArray.from_arrays(range(1, len(array) + 1), array)


def lists(flat):
    missing = pa.array([values is None for values in LISTS])
    return pa.ListArray.from_arrays(pa.array([0, 1, 3, 3, 3, 4, 5], pa.int32()), flat, mask=missing)


def sliced(array):
    return pa.concat_arrays([array.slice(1, 2), array]).slice(2)


def dictionary(array):
    coded = array.dictionary_encode()
    return pa.DictionaryArray.from_arrays(coded.indices.cast(pa.uint8()), coded.dictionary)


def view(array):
    return array.cast(pa.string_view())


def encoded_view(array):
    coded = array.dictionary_encode()
    return pa.DictionaryArray.from_arrays(coded.indices, view(coded.dictionary))


DECIMALS = [None if v is None else decimal.Decimal(v) for v in NUMBERS]
ARROW = {
    "large": (TEXTS, TEXT.cast(pa.large_string())),
    "view": (TEXTS, view(TEXT)),
    "slice of views": (TEXTS, sliced(view(TEXT))),
    "dictionary": (TEXTS, dictionary(TEXT)),
    "dictionary of views": (TEXTS, encoded_view(TEXT)),
    "dictionary with null": (
        TEXTS,
        pa.DictionaryArray.from_arrays([0, 1, 3, 0, 4, 2], ["a", "b", "c", None, ""]),
    ),
    "runs": (TEXTS, pc.run_end_encode(TEXT)),
    "slice of runs": (TEXTS, sliced(ends(TEXT))),
    "runs of views": (TEXTS, ends(view(TEXT))),
    "JSON": (TEXTS, TEXT.cast(pa.json_())),
    "chunks": (TEXTS, pa.chunked_array([TEXT[:2], TEXT[2:]])),
    "chunks of dictionaries": (
        TEXTS,
        pa.chunked_array([TEXT[:2].dictionary_encode(), TEXT[2:].dictionary_encode()]),
    ),
    "large lists": (LISTS, pa.array(LISTS, pa.large_list(pa.string()))),
    "list views": (LISTS, pa.array(LISTS, pa.list_view(pa.string()))),
    "large list views of views": (LISTS, pa.array(LISTS, pa.large_list_view(pa.string_view()))),
    "slice of list views": (LISTS, pa.array([["z"], *LISTS], pa.list_view(pa.string())).slice(1)),
    "lists of views": (LISTS, lists(view(FLAT))),
    "lists of dictionaries": (LISTS, lists(FLAT.dictionary_encode())),
    "slice of lists of dictionaries": (LISTS, sliced(lists(FLAT.dictionary_encode()))),
    "lists of runs": (LISTS, lists(ends(FLAT))),
    "half": (NUMBERS, pa.array(NUMBERS, pa.float16())),
    "decimal of 32 bits": (DECIMALS, pa.array(DECIMALS, pa.decimal32(5, 1))),
    "decimal of 64 bits": (DECIMALS, pa.array(DECIMALS, pa.decimal64(15, 1))),
    "8-bit booleans": ([True, None], pa.array([True, None]).cast(pa.bool8())),
    "vectors of halves": (VECTORS, pa.array(VECTORS, pa.list_(pa.float16(), 2))),
    "tensors": (
        VECTORS,
        pa.ExtensionArray.from_storage(
            pa.fixed_shape_tensor(pa.float64(), [2]), pa.array(VECTORS, pa.list_(pa.float64(), 2))
        ),
    ),
}


@pytest.mark.parametrize("name", ARROW)
def test_arrow_types_become_plain(name):
    values, column = ARROW[name]
    array = as_arrow(column)
    array.validate(full=True)
    assert array.to_pylist() == values
    assert plain_type(column.type) == array.type == plain_type(array.type)


@pytest.mark.parametrize(
    "kind",
    [pa.int8(), pa.uint64(), pa.float32(), pa.string(), pa.binary(), pa.timestamp("us"), pa.null()]
    + [pa.list_(pa.int64()), pa.list_(pa.float32(), 3), pa.struct([("a", pa.string_view())])]
    + [pa.decimal128(5, 2), pa.map_(pa.string(), pa.int64()), pa.month_day_nano_interval()],
    ids=str,
)
def test_other_types_stay(kind):
    assert plain_type(kind) == kind


MISSING = [value is None for value in NUMBERS]
FILLED = np.array([0.0 if value is None else value for value in NUMBERS])
ARRAYS = {
    "list": NUMBERS,
    "tuple": tuple(NUMBERS),
    "objects": np.array(NUMBERS, object),
    "masked": np.ma.masked_array(FILLED, MISSING),
    "masked, big-endian": np.ma.masked_array(FILLED.astype(">f4"), MISSING),
    "half": np.ma.masked_array(FILLED.astype("f2"), MISSING),
    "every second": np.ma.masked_array(np.repeat(FILLED, 2)[::2], MISSING),
    "backwards": np.ma.masked_array(FILLED[::-1].copy()[::-1], MISSING),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_of_numbers(name):
    assert as_arrow(ARRAYS[name]).to_pylist() == NUMBERS


class Array:
    """What tensors of other libraries have."""

    def __array__(self, dtype=None, copy=None):
        return np.array([1, 2], dtype)


class Arrow:
    """What series of polars and others have."""

    def __arrow_c_array__(self, requested_schema=None):
        return pa.array([1, 2]).__arrow_c_array__(requested_schema)


@pytest.mark.parametrize(
    ("column", "values"),
    [
        (np.array(["a", "bc"]), ["a", "bc"]),
        (np.array(["a", "bc"], ">U5"), ["a", "bc"]),
        (np.array(["a", np.nan, None], object), ["a", None, None]),
        (np.array(["a", "bc"], np.dtypes.StringDType()), ["a", "bc"]),
        (np.ma.masked_array(["a", "b"], [False, True]), ["a", None]),
        (np.array([None, [1, 2], np.nan], object), [None, [1, 2], None]),
        (np.array([[1, 2], [3, 4]], ">i4", order="F"), [[1, 2], [3, 4]]),
        (np.arange(8).reshape(2, 4)[:, ::2], [[0, 2], [4, 6]]),
        (np.array(["1970-01-01T01", "NaT"], "M8[h]").astype("M8[h]"), [3600, None]),
        (np.array(["1970-01-01T01", "NaT"], "M8[10s]"), [3600, None]),
        (np.array(["1970-01-01T03"], "M8[3h]"), [3 * 3600]),
        (range(3), [0, 1, 2]),
        (Array(), [1, 2]),
        (Arrow(), [1, 2]),
    ],
)
def test_other_arrays(column, values):
    array = as_arrow(column)
    array = array.cast(pa.int64()) if pa.types.is_timestamp(array.type) else array
    assert array.to_pylist() == values


def test_read_only_arrays_are_read():
    values = np.arange(3.0)
    values.setflags(write=False)
    assert as_arrow(values).to_pylist() == [0.0, 1.0, 2.0]


@pytest.mark.parametrize(
    "column",
    [
        *(None, 3, np.float64(3.0), "abc", b"abc", {"a": 1}, {1, 2}),
        *(np.array(3), np.zeros((2, 2, 2)), np.zeros(2) * 1j),
        *(np.zeros(2, np.longdouble), np.zeros(2, [("a", "f8")]), np.zeros(2, "M8[Y]")),
        *([1, "a"], [1, [2]], [True, 2], [[1], [[2]]], [2**64], [np.zeros((2, 2))]),
    ],
    ids=repr,
)
def test_what_is_no_column_is_refused_by_name(column):
    with pytest.raises(ValueError, match=r"^Column 'c' must contain one value per row.*Received: "):
        as_arrow(column, "c")


@pytest.mark.parametrize("rows", ["dict", "objects", "pandas", "dicts"])
@pytest.mark.parametrize(
    "value",
    [
        {1},
        frozenset([1]),
        {1: 2}.keys(),
        {1: 2}.values(),
        {1: 2}.items(),
        iter([1]),
        (i for i in [1]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_without_an_order_are_refused_by_name(value, rows):
    column = [[1], value]
    if rows == "objects":
        column = np.empty(2, object)
        column[:] = [[1], value]
    elif rows == "pandas":
        column = pytest.importorskip("pandas").Series([[1], value])
    given = [{"c": [1]}, {"c": value}] if rows == "dicts" else {"c": column}
    feature = Categorical("c", vocabulary=(1,), max_length=2)
    for call in (lambda r: fit([feature], r), Preprocessor([feature]), RawColumns([feature])):
        with pytest.raises(
            ValueError, match=f"'c'.*a {type(value).__name__} as the value of a row"
        ):
            call(given)


def test_a_time_in_steps_of_ten_seconds_is_refused_in_a_list():
    with pytest.raises(ValueError, match=r"'c'.*steps of several units"):
        as_arrow([np.datetime64("2026-03-01T23", "10s")], "c")


def test_nat_of_pandas_is_null_in_a_list():
    pandas = pytest.importorskip("pandas")
    column = as_arrow([pandas.Timestamp("1970-01-01T01", tz="UTC"), pandas.NaT])
    assert column.cast(pa.int64()).to_pylist() == [3_600_000_000, None]


STRANGE = {
    "uuid": pa.array([b"0123456789abcdef"] * 2, pa.binary(16)).cast(pa.uuid()),
    "struct": pa.array([{"a": 1}, {"a": 2}]),
    "map": pa.array([[("a", 1)], []], pa.map_(pa.string(), pa.int64())),
    "lists of lists": pa.array([[[1]], [[2]]]),
    "matrices": pa.ExtensionArray.from_storage(
        pa.fixed_shape_tensor(pa.float64(), [1, 2]),
        pa.array([[1.0, 2.0]] * 2, pa.list_(pa.float64(), 2)),
    ),
}


@pytest.mark.parametrize("name", STRANGE)
@pytest.mark.parametrize(
    "feature",
    [
        Categorical("c", hash_buckets=5),
        Categorical("c", hash_buckets=5, max_length=2),
        Categorical("c", hash_buckets=5, max_length=2, separator=","),
        Numeric("c", mean=0.0, std=1.0),
        Embedding("c", dim=2),
    ],
    ids=["id", "ids", "text", "number", "vector"],
)
def test_types_without_a_feature_are_refused_in_every_door(name, feature, tmp_path):
    table = pa.table({"c": STRANGE[name], "d": ["x", "y"]})
    pq.write_table(table, tmp_path / "0.parquet")
    for rows in (table, tmp_path):
        for call in (lambda r: fit([feature], r), Preprocessor([feature]), RawColumns([feature])):
            with pytest.raises(ValueError, match=r"^Column 'c' of feature 'c' has a wrong type"):
                call(rows)
        draft = infer(rows)
        assert draft == [Categorical("d")]
        assert "there is no feature of" in draft.skipped["c"]


@pytest.mark.parametrize(
    ("column", "why"),
    [
        (pa.nulls(3), "only nulls"),
        ([np.nan, np.inf, -np.inf], "no finite number"),
        ([2, 2, 2], "constant"),
        ([[], None, []], "only nulls and empty lists"),
        ([[1.0], [1.0, 2.0], []], "lists of double of 0 to 2 values"),
        (np.array([1, 2, "NaT"], "m8[s]"), r"no feature of type duration\[s\]"),
        ([decimal.Decimal(1), decimal.Decimal(1), None], None),
        (pa.array([1, 2, 3], pa.decimal256(50, 0)), None),
        (pa.array([b"a", b"b", b"c"]), "no feature of type binary"),
        ({1, 2, 3}, "Column 'c' must contain one value per row"),
    ],
)
def test_a_draft_lists_what_it_cannot_declare(column, why):
    draft = infer({"c": column, "d": ["x", "y", "x"]})
    assert "d" in [feature.name for feature in draft]
    if why is None:
        assert draft[0] == Numeric("c", nulls=draft[0].nulls)
    else:
        assert pc.match_substring_regex(pa.array([draft.skipped["c"]]), why).to_pylist() == [True]
        assert f"no feature of 'c': {draft.skipped['c']}" in repr(draft)


@pytest.mark.parametrize(
    "values",
    [
        [datetime.datetime(2026, 1, 5, 7), datetime.datetime(2026, 1, 5, 7, tzinfo=datetime.UTC)],
        [datetime.date(2026, 1, 5), datetime.datetime(2026, 1, 5, 7)],
        [datetime.datetime(2026, 1, 5), 5],
        np.array([datetime.date(2026, 1, 5), None, datetime.datetime(2026, 1, 5, 7)], object),
        [[datetime.date(2026, 1, 5)], None, [datetime.datetime(2026, 1, 5, 7)]],
    ],
    ids=["zones", "dates", "integers", "object", "lists"],
)
def test_times_of_several_kinds_are_no_column(values):
    """Arrow takes times without a zone for those of UTC, and forgets the time of day beside a date."""
    with pytest.raises(ValueError, match=r"'c' must contain .* all of the same type.* and "):
        as_arrow(values, "c")
