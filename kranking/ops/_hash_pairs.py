"""Hash of id pairs that is identical on every backend and serving runtime."""

from keras import ops

# As in the hash of features: primes that are 2 modulo 3, so that cubing permutes the residues. Both are
# below 2^15.5, so a product of two residues, or a code combining one residue of each, is below 2^31.
_PRIMES = (46337, 46307)
_OFFSETS = (20011, 34877)
# Coefficients of the low and high limbs of `left`, `right` and `salt`.
_COEFFICIENTS = (
    (26407, 39659, 15083, 8861, 44087, 31259),
    (35897, 12107, 45119, 29017, 6329, 41947),
)
_CHAIN = 38183  # coefficient of the first residue in the second form
_LIMB = 1 << 15


def hash_pairs(left, right, salt, num_buckets: int):
    """Hashes pairs of ids to buckets, using integer arithmetic within 31 bits.

    Each integer is split into a low limb of 15 bits and the remaining high bits. The limbs enter
    one linear form modulo each of two primes; the second form also includes the cube of the first.
    The two cubes form a code below 2^31, which is taken modulo `num_buckets`. The order of a pair
    matters: (1, 2) and (2, 1) are different pairs. The values are the same on every backend and in
    exported graphs, and are stable across versions.

    Args:
        left: int32 tensor of ids, 0 or more.
        right: int32 tensor of ids, 0 or more; broadcasts with `left`.
        salt: Integer or int32 tensor, 0 or more, that distinguishes pairs of different columns or
            several hashes of one pair; broadcasts with `left` and `right`.
        num_buckets: Number of buckets.

    Returns:
        An int32 tensor of buckets in `[0, num_buckets)`, of the broadcast shape.

    >>> pairs = kr.ops.hash_pairs(np.array([1, 2]), np.array([2, 1]), 0, 1000)
    >>> keras.ops.convert_to_numpy(pairs).tolist()
    [382, 412]
    """
    if not isinstance(num_buckets, int) or isinstance(num_buckets, bool) or num_buckets < 1:
        raise ValueError(
            f"`num_buckets` must be a positive integer. Received: num_buckets={num_buckets!r}"
        )
    values = [ops.cast(value, "int32") for value in (left, right, salt)]
    first = _cube(_form(values, 0), 0)
    second = _cube(_form(values, 1) + first * _CHAIN, 1)
    return ops.mod(first * _PRIMES[1] + second, num_buckets)


def _form(values, index):
    """Returns the linear form of all limbs modulo a prime; the value is less than three times the prime."""
    prime, coefficients = _PRIMES[index], _COEFFICIENTS[index]
    residues = []
    for value, low, high in zip(values, coefficients[::2], coefficients[1::2]):
        residue = ops.mod(ops.mod(value, _LIMB) * low, prime)
        # The high part has 16 bits: reduce it first, or the product would need 32.
        rest = ops.mod(ops.floor_divide(value, _LIMB), prime)
        residues.append(ops.mod(residue + rest * high, prime))
    left, right, salt = residues
    return left + right + salt


def _cube(form, index):
    """Returns the cube of a form plus its offset, modulo its prime."""
    prime = _PRIMES[index]
    form = ops.mod(form + _OFFSETS[index], prime)
    return ops.mod(ops.mod(form * form, prime) * form, prime)
