import numpy as np

from kranking.export.functions._cases import make_cases, nudge
from kranking.export.functions._signature import Signature, Value

SIGNATURE = Signature(
    (
        Value("id", "int32", ()),
        Value("ids", "int32", (5,)),
        Value("x", "float32", ()),
        Value("v", "float32", (3,)),
    ),
    (Value("click", "float32", (1,)),),
)


def cases(seed=0, **kwargs):
    return {case.name: case for case in make_cases(SIGNATURE, 32, seed, **kwargs)}


def test_columns_are_what_the_signature_says():
    for case in cases().values():
        for value in SIGNATURE.inputs:
            column = case.rows[value.name]
            assert column.dtype == value.dtype
            assert column.shape == (case.size, *value.shape)


def test_seed_decides():
    one, same, other = cases()["random"], cases()["random"], cases(seed=1)["random"]
    for name, column in one.rows.items():
        np.testing.assert_array_equal(column, same.rows[name])
        assert not np.array_equal(column, other.rows[name])


def test_edges():
    found = cases()
    assert found["single"].size == 1
    assert (found["padding"].rows["ids"] == -1).all()
    assert not any(column.any() for column in found["zeros"].rows.values())
    far = np.concatenate([column.ravel() for column in found["out_of_range"].rows.values()])
    assert far.min() == -(2.0**31)
    assert far.max() >= 2.0**30
    assert set(np.unique(found["large"].rows["v"])) == {-1e6, 1e6}


def test_padding_of_random_sequences_is_at_the_end():
    ids = cases()["random"].rows["ids"]
    padded = ids == -1
    assert padded.any()
    assert (np.diff(padded.astype(int), axis=1) >= 0).all()


def test_nudge_moves_numbers_only():
    rows = cases()["large"].rows
    moved = nudge(rows)
    np.testing.assert_array_equal(moved["ids"], rows["ids"])
    assert (moved["v"] != rows["v"]).all()
    np.testing.assert_allclose(moved["v"], rows["v"], rtol=2e-6)
