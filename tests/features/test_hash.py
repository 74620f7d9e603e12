import hashlib

import numpy as np
import pyarrow as pa
import pytest

from kranking.features import Categorical, Preprocessor
from kranking.features.internal import hash_integers, hash_strings

# The scheme of `_hash.py` in Python's unbounded integers, where `>>` extends the sign for ever.
PRIMES = (46337, 46307)
COEFFICIENTS = ((27043, 9277, 41231, 15683, 33409), (18181, 39079, 5563, 44017, 29753))
OFFSETS = (12289, 30011)


def oracle(value):
    limbs = [(value >> (15 * i)) & 0x7FFF for i in range(5)]
    forms = [
        (offset + sum(limb * c for limb, c in zip(limbs, row))) % prime
        for prime, row, offset in zip(PRIMES, COEFFICIENTS, OFFSETS)
    ]
    cubes = [pow(form, 3, prime) for form, prime in zip(forms, PRIMES)]
    return cubes[0] * PRIMES[1] + cubes[1]


def string_oracle(text):
    digest = hashlib.blake2b(text.encode("utf-8"), digest_size=8).digest()
    return oracle(int.from_bytes(digest, "little", signed=True))


EDGES = [0, 1, -1, 2**15 - 1, 2**15, -(2**15), 2**31 - 1, -(2**31) + 1, 2**32, 2**63 - 1, -(2**63)]


def test_integers_equal_the_scheme_in_python_integers():
    rng = np.random.default_rng(0)
    values = np.concatenate([np.array(EDGES), rng.integers(-(2**63), 2**63 - 1, 2000)])
    assert hash_integers(values).tolist() == [oracle(int(v)) for v in values]


def test_strings_equal_the_scheme_in_python_integers():
    texts = ["", "a", "b", "ü", "漢字", "a" * 1000, "12", "NaN", "\x00"]
    assert hash_strings(texts).tolist() == [string_oracle(t) for t in texts]


# Golden values: a served graph, another language or a later version must give these.
@pytest.mark.parametrize(
    ("value", "code"),
    [
        (0, 1253958370),
        (1, 1519687771),
        (-1, 1977116243),
        (123456789, 322343938),
        (2**40 + 7, 1959464371),
        (-(2**63), 569112108),
    ],
)
def test_golden_integers(value, code):
    assert oracle(value) == code
    assert hash_integers(np.array([value])).tolist() == [code]


@pytest.mark.parametrize(
    ("text", "code"), [("a", 947456276), ("Zürich", 159630542), ("user:42", 867845672)]
)
def test_golden_strings(text, code):
    assert string_oracle(text) == code
    assert hash_strings([text]).tolist() == [code]


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "uint8", "uint32"])
def test_width_of_the_integer_does_not_matter(dtype):
    info = np.iinfo(dtype)
    values = np.array([info.min, info.min + 1, 0, 1, info.max - 1, info.max])
    narrow, wide = hash_integers(values.astype(dtype)), hash_integers(values.astype("int64"))
    np.testing.assert_array_equal(narrow, wide)


def test_every_intermediate_fits_in_31_bits():
    worst = max(PRIMES) - 1
    assert (2**15 - 1) * max(max(row) for row in COEFFICIENTS) + worst < 2**31
    assert worst * worst < 2**31
    assert (PRIMES[0] - 1) * PRIMES[1] + PRIMES[1] - 1 < 2**31


def test_codes_spread_evenly_over_buckets():
    for values in (np.arange(200_000), np.arange(200_000) * 1024, -np.arange(200_000)):
        counts = np.bincount(hash_integers(values) % 100, minlength=100)
        # 2,000 per bucket with a standard deviation of 44.5: five of them, and no structure
        assert counts.min() > 2000 - 225
        assert counts.max() < 2000 + 225


def test_few_collisions_without_buckets():
    codes = hash_integers(np.arange(100_000) * 7 + 3)
    # 100,000 draws of 2.1e9 codes collide 2.3 times on average
    assert len(codes) - len(np.unique(codes)) <= 12


def test_rows_are_one_plus_code_modulo_buckets_and_null_is_row_0():
    feature = Categorical("c", hash_buckets=10)
    ints = pa.array([5, None, -5, 2**62])
    rows = Preprocessor([feature])({"c": ints})["c"]
    assert rows.tolist() == [1 + oracle(5) % 10, 0, 1 + oracle(-5) % 10, 1 + oracle(2**62) % 10]
    assert rows.dtype == np.int32
    texts = ["x", "", None, "y"]
    rows = Preprocessor([feature])({"c": texts})["c"]
    assert rows.tolist() == [1 + string_oracle("x") % 10, 0, 0, 1 + string_oracle("y") % 10]


def test_least_integers_stand_for_null():
    rows = Preprocessor([Categorical("c", hash_buckets=10)])
    assert rows({"c": np.array([-(2**63), -(2**31)])})["c"].tolist() == [0, 0]
    assert rows({"c": np.array([-(2**31)], "int32")})["c"].tolist() == [0]
    assert rows.counts["c"] == {"rows": 3, "nulls": 0, "out_of_vocabulary": 3}
