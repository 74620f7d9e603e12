import keras
import numpy as np
import pytest

from kranking.ops import hash_pairs

LARGEST = 2**31 - 1
EDGES = [0, 1, 2, 2**15 - 1, 2**15, 2**16, 46336, 46337, 2**30, LARGEST]


def buckets(left, right, salt=0, num_buckets=LARGEST):
    left, right = (np.asarray(ids, "int32") for ids in (left, right))
    return keras.ops.convert_to_numpy(hash_pairs(left, right, salt, num_buckets))


def oracle(left, right, salt, num_buckets):
    """The scheme in Python's unbounded integers; no intermediate value may need a 32nd bit."""
    chained, residues = 0, []
    for prime, offset, coefficients in (
        (46337, 20011, (26407, 39659, 15083, 8861, 44087, 31259)),
        (46307, 34877, (35897, 12107, 45119, 29017, 6329, 41947)),
    ):
        limbs = [limb for v in (left, right, salt) for limb in (v % 2**15, v // 2**15 % prime)]
        for limb, coefficient in zip(limbs, coefficients, strict=True):
            assert prime + limb * coefficient < 2**31
        form = offset + sum(x * c for x, c in zip(limbs, coefficients, strict=True)) + chained
        residues.append(pow(form, 3, prime))
        chained = residues[0] * 38183
        assert 4 * prime + chained < 2**31
    code = residues[0] * 46307 + residues[1]
    assert code < 2**31
    return code % num_buckets


def test_the_worst_intermediates_fit_in_31_bits():
    assert (46337 - 1) * 45119 + 46337 < 2**31  # a limb and its coefficient
    assert (46337 - 1) ** 2 < 2**31
    assert (46337 - 1) * 38183 + 4 * 46307 < 2**31
    assert (46337 - 1) * 46307 + 46306 < 2**31


@pytest.mark.parametrize("num_buckets", [1, 7, 2**17, LARGEST])
def test_equals_the_scheme_in_python_integers(num_buckets):
    random = np.random.default_rng(0).integers(0, LARGEST, (3, 60)).tolist()
    grid = [(a, b, s) for a in EDGES for b in EDGES for s in (0, 3, LARGEST)]
    triples = grid + list(zip(*random, strict=True))
    left, right, salt = (np.array(part, "int32") for part in zip(*triples, strict=True))
    wanted = [oracle(*triple, num_buckets) for triple in triples]
    assert buckets(left, right, salt, num_buckets).tolist() == wanted


# Golden values: a served graph, another language or a later version must give these.
@pytest.mark.parametrize(
    ("left", "right", "salt", "code"),
    [
        (0, 0, 0, 2028754584),
        (1, 2, 0, 1523067382),
        (2, 1, 0, 1965789412),
        (1, 2, 5, 837533997),
        (40000, 70000, 0, 670741273),
        (LARGEST, LARGEST, 0, 649915705),
    ],
)
def test_golden_values(left, right, salt, code):
    assert oracle(left, right, salt, LARGEST) == code
    assert buckets([left], [right], salt).tolist() == [code]


def test_dtype_and_broadcasting():
    hashed = hash_pairs(
        np.zeros((4, 1), "int32"), np.zeros((1, 3), "int32"), np.arange(3, dtype="int32"), 10
    )
    assert keras.backend.standardize_dtype(hashed.dtype) == "int32"
    assert tuple(hashed.shape) == (4, 3)
    wanted = [oracle(0, 0, salt, 10) for salt in range(3)]
    assert keras.ops.convert_to_numpy(hashed).tolist() == [wanted] * 4


@pytest.mark.parametrize("num_buckets", [1000, 46307, 46337, 2**17, 99_991])
def test_pairs_of_small_ids_spread_like_random_numbers(num_buckets):
    """Rows are small integers side by side: χ² over its degrees of freedom stays near 1."""
    left, right = (axis.ravel() for axis in np.meshgrid(np.arange(600), np.arange(600)))
    for salt in (0, 1):
        counts = np.bincount(buckets(left, right, salt, num_buckets), minlength=num_buckets)
        mean = left.size / num_buckets
        square = ((counts - mean) ** 2 / mean).sum() / (num_buckets - 1)
        assert abs(square - 1) < 6 * (2 / num_buckets) ** 0.5
    assert len(np.unique(buckets(left, right))) == left.size  # no two codes alike


def test_the_order_of_a_pair_and_the_salt_matter():
    left, right = (axis.ravel() for axis in np.meshgrid(np.arange(300), np.arange(300)))
    straight, swapped = buckets(left, right, 0, 10_000), buckets(right, left, 0, 10_000)
    salted = buckets(left, right, 1, 10_000)
    # Of 90,000 pairs, 300 are their own swap, and one in 10,000 agrees by chance.
    assert abs((straight == swapped).sum() - 300 - 9) < 20
    assert (straight == salted).sum() < 30
    # Two hashes collide together as rarely as independent ones: 90,000² / 2 / 10,000² times.
    both = straight.astype("int64") * 10_000 + salted
    assert 20 < both.size - len(np.unique(both)) < 65


@pytest.mark.parametrize("num_buckets", [0, 2.5, True, None])
def test_rejects(num_buckets):
    with pytest.raises(ValueError, match=r"`num_buckets` must be a positive integer. Received"):
        buckets([1], [2], 0, num_buckets)


@pytest.mark.skipif(
    keras.backend.backend() != "tensorflow", reason="ONNX is written from its graph"
)
def test_an_onnx_graph_gives_the_same():
    import onnxruntime
    import tensorflow as tf
    import tf2onnx

    specs = [tf.TensorSpec((None,), "int32", name=name) for name in ("left", "right")]
    salts = np.array([[0], [1], [LARGEST]], "int32")
    graph = tf.function(lambda a, b: hash_pairs(a, b, salts, 99_991), input_signature=specs)
    model, _ = tf2onnx.convert.from_function(graph, input_signature=specs, opset=17)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    left, right = (axis.ravel().astype("int32") for axis in np.meshgrid(EDGES, EDGES))
    [got] = session.run(None, {"left": left, "right": right})
    assert got.dtype == np.int32
    np.testing.assert_array_equal(got, buckets(left, right, salts, 99_991))
