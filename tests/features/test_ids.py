import dataclasses
import datetime
import decimal
import types

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import kranking as kr
from kranking.features import (
    Categorical,
    Preprocessor,
    RawColumns,
    Sequence,
    fit,
    from_json,
    to_json,
)

SEVEN = 1 + kr.features.internal.hash_integers(np.array([7]))[0] % 1000
TEXT = 1 + kr.features.internal.hash_strings(["7"])[0] % 1000
HASHED = Categorical("u", hash_buckets=1000)
LIST = Categorical("u", hash_buckets=1000, max_length=2)


def row(feature, values):
    return Preprocessor([feature])({"u": values})["u"].tolist()


def raw(feature, values):
    return RawColumns([feature])({"u": values})["u"].tolist()


WHOLE = [
    [7, None],
    ["7", None],
    ["7", ""],
    [7.0, float("nan")],
    [decimal.Decimal("7.00"), None],
    pa.array([7, None], pa.uint64()),
    pa.array(["7", None]).dictionary_encode(),
    pa.array([7.0, None]).dictionary_encode(),
]


@pytest.mark.parametrize("values", WHOLE, ids=str)
@pytest.mark.parametrize(("learnt", "code"), [([7, 8], SEVEN), (["7", "x"], TEXT)], ids=str)
def test_either_kind_of_id_reads_the_rows_of_the_kind_that_was_learnt(values, learnt, code):
    hashed, known = fit([HASHED, Categorical("v", column="u")], {"u": learnt})
    assert row(hashed, values) == [code, 0]
    assert raw(hashed, values) == raw(hashed, [learnt[0], None])
    assert Preprocessor([known])({"u": values})["v"].tolist() == [1, 0]
    assert raw(known, values) == [learnt[0], -(2**63) if learnt[0] == 7 else ""]


@pytest.mark.parametrize("value", ["007", " 7", "7.0", "-0", "+7", "0x10", "x", "9" * 19, "7\n"])
def test_text_that_is_not_the_only_form_of_an_integer_is_refused_for_integers(value):
    (hashed,) = fit([HASHED], {"u": [7]})
    for feature in (hashed, Categorical("u", vocabulary=(7,))):
        for convert in (row, raw):
            with pytest.raises(ValueError, match=r"'u' in .* must contain integers.*Received: '"):
                convert(feature, [value])


@pytest.mark.parametrize(
    "values",
    [
        [7.5],
        [2.0**53],  # of 2^53 + 1 too
        np.array([-(2.0**24)], "float32"),
        [float("inf")],
        [decimal.Decimal("7.5")],
        pa.array([2**63], pa.uint64()),
    ],
    ids=str,
)
def test_numbers_that_are_no_ids_are_refused_by_fit_and_in_requests(values):
    for feature in (HASHED, Categorical("u")):
        with pytest.raises(ValueError, match=r"'u' in .* must contain ids"):
            fit([feature], {"u": values})
    for kind in ("int64", None):
        with pytest.raises(ValueError, match=r"'u' in .* must contain ids"):
            row(dataclasses.replace(HASHED, dtype=kind), values)


def test_large_unsigned_integers_are_ids_as_text():
    values = pa.array([2**63, 5], pa.uint64())
    (feature,) = fit([Categorical("u", dtype="string")], {"u": values})
    assert set(feature.vocabulary) == {str(2**63), "5"}
    assert row(feature, values) == row(feature, [str(2**63), "5"])


def test_booleans_are_0_and_1_and_no_text():
    (feature,) = fit([HASHED], {"u": [True, False]})
    assert row(feature, [True]) == row(feature, [1])
    (feature,) = fit([HASHED], {"u": ["true"]})
    with pytest.raises(ValueError, match=r"strings.*Received: booleans"):
        row(feature, [True])


@pytest.mark.parametrize(
    "values", [[b"ab"], [datetime.date(2026, 1, 2)], [datetime.time(1)]], ids=str
)
def test_bytes_and_times_are_refused_at_declaration(values):
    with pytest.raises(ValueError, match=r"wrong type.*[Cc]ast"):
        fit([HASHED], {"u": values})


def test_lists_and_histories_convert_ids_too():
    features = [
        Categorical("item", hash_buckets=1000),
        Categorical("tags", max_length=2, hash_buckets=1000),
        Categorical("text", separator=",", max_length=2, vocabulary=(7, 8)),
        Sequence("seen", of="item", max_length=2, action="did"),
    ]
    log = {"item": [7], "tags": [[7, 8]], "text": ["7,8"], "seen": [[7, 8]], "did": [[1, 2]]}
    request = {
        "item": ["7"],
        "tags": [["7", "8"]],
        "text": ["7,8"],
        "seen": [["7", "8"]],
        "did": [["1", "2"]],
    }
    fitted = fit(features, log)
    for convert in (Preprocessor(fitted), RawColumns(fitted)):
        for name, values in convert(log).items():
            np.testing.assert_array_equal(convert(request)[name], values)
    assert Preprocessor(fitted)(log)["text"].tolist() == [[1, 2]]
    for column, bad in {
        "tags": [["07"]],
        "text": ["7, 8"],
        "seen": [["x", "y"]],
        "did": [["x", "y"]],
    }.items():
        for convert in (Preprocessor(fitted), RawColumns(fitted)):
            with pytest.raises(
                ValueError, match=f"'{column}' in the given columns must contain integers"
            ):
                convert({**request, column: bad})


def test_before_fit_a_hashed_feature_has_one_row_for_an_integer_and_its_text():
    values = [[7], ["7"], [7.0]]
    assert {row(HASHED, v)[0] for v in values} == {SEVEN}
    assert {raw(HASHED, v)[0] for v in values} == {7}
    assert row(HASHED, ["007", "x", ""]) == row(fit([HASHED], {"u": ["x"]})[0], ["007", "x", ""])


def test_declarations_saved_without_a_kind_hash_by_type_as_before():
    text = '[{"kind": "Categorical", "name": "u", "hash_buckets": 1000}]'
    (feature,) = from_json(text)
    assert (row(feature, [7]), row(feature, ["7"])) == ([SEVEN], [TEXT])
    wrapped = row(feature, np.array([2**64 - 7], np.uint64))
    assert wrapped == row(feature, [-7])
    assert "dtype" not in to_json([feature])
    for new in (
        HASHED,
        *fit([HASHED, dataclasses.replace(HASHED, name="v")], {"u": [7], "v": ["a"]}),
    ):
        assert from_json(to_json([new])) == [new]


def test_two_features_that_hash_one_column_in_two_ways_read_two_tensors():
    columns = RawColumns(
        [HASHED, dataclasses.replace(HASHED, name="t", column="u", dtype="string")]
    )
    tensors = columns({"u": [7]})
    assert tensors["u"].tolist() == [7]
    assert tensors["u.t"] == kr.features._hash.digest_strings(["7"])


def test_a_column_of_two_kinds_is_learnt_only_as_text(tmp_path):
    pq.write_table(pa.table({"u": [7, 8]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"u": ["7", "x"]}), tmp_path / "b.parquet")
    for feature in (HASHED, Categorical("u")):
        with pytest.raises(ValueError, match=r"integers.*strings in .*b.parquet.*dtype='string'"):
            fit([feature], str(tmp_path))
        (fitted,) = fit([dataclasses.replace(feature, dtype="string")], str(tmp_path))
        assert row(fitted, [7]) == row(fitted, ["7"])


def read(path, *features):
    model = types.SimpleNamespace(features=list(features), tasks=[])
    return np.concatenate(
        [x["u"] for (x,) in kr.data.read(str(path), model, labels=False)]
    ).tolist()


@pytest.mark.parametrize("feature", [HASHED, Categorical("u")], ids=str)
def test_a_csv_file_holds_the_kind_that_was_learnt_whatever_its_digits_look_like(tmp_path, feature):
    path = tmp_path / "log.csv"
    for values, kind in [
        (["7", "8"], "int64"),
        (["7.0", "8.0"], "int64"),
        (["007", "8"], "string"),
        (["0x10", "8"], "string"),
        (["7"] * 300_000 + ["x"], "string"),  # beyond the block from which Arrow infers types
    ]:
        path.write_text("u,v\n" + "".join(f"{v},\n" for v in values))
        assert fit([feature], str(path))[0].id_dtype == kind
    (integers,), (text,) = fit([feature], {"u": [7]}), fit([feature], {"u": ["7", "007"]})
    for values, digits in [(["7"], 1), (["7.0"], 1), (["07"], 0), (["7", "x"], 0), (["x"], 0)]:
        path.write_text("u,v\n" + "".join(f"{v},\n" for v in values))
        assert read(path, text)[:1] == row(text, values[:1])
        if digits:
            assert read(path, integers) == row(integers, [7])
        else:
            with pytest.raises(ValueError, match=r"'u' in .* must contain integers"):
                read(path, integers)


def test_the_kind_follows_from_the_vocabulary():
    assert Categorical("u", vocabulary=("a",)).id_dtype == "string"
    with pytest.raises(ValueError, match="that of its vocabulary, 'int64'"):
        Categorical("u", vocabulary=(1,), dtype="string")
    with pytest.raises(ValueError, match="64-bit integers"):
        Categorical("u", vocabulary=(2**63,))
    with pytest.raises(ValueError, match="`dtype`"):
        Categorical("u", dtype="float32")
