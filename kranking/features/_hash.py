"""Integer and string hashes with equal values on all machines, backends and runtimes.

Integers are split into five limbs of 15 bits (two's complement, so a 32-bit graph that extends the sign
computes the same limbs). A linear form of the limbs modulo a prime below 2^15.5 is cubed, which permutes
the residues because both primes are 2 modulo 3. Two such residues are combined to a code below 2^31. All
intermediate values fit into signed 32-bit integers, so a graph can compute the hash with integer
multiply, add, floor-divide and modulo alone.

Strings are hashed as integers: the first eight bytes of the BLAKE2b digest of their UTF-8 encoding.
"""

import hashlib

import numpy as np

PRIMES = (46337, 46307)
COEFFICIENTS = ((27043, 9277, 41231, 15683, 33409), (18181, 39079, 5563, 44017, 29753))
OFFSETS = (12289, 30011)
LIMB = 1 << 15


def hash_integers(values: np.ndarray) -> np.ndarray:
    """Hashes integers to codes in `[0, 2^31)`.

    >>> hash_integers(np.array([0, 1, -1])).dtype
    dtype('int64')
    """
    rest = np.asarray(values).astype(np.int64)
    sums = [np.full(rest.shape, offset, np.int64) for offset in OFFSETS]
    for position in range(5):
        limb, rest = rest % LIMB, rest // LIMB
        for k, prime in enumerate(PRIMES):
            sums[k] = (sums[k] + limb * COEFFICIENTS[k][position]) % prime
    cubes = [(s * s % p) * s % p for s, p in zip(sums, PRIMES)]
    return cubes[0] * PRIMES[1] + cubes[1]


def hash_strings(values: list[str]) -> np.ndarray:
    """Hashes strings to codes in `[0, 2^31)`.

    >>> bool((hash_strings(["a"]) == hash_strings(["a", "b"])[:1]).all())
    True
    """
    return hash_integers(digest_strings(values))


def digest_strings(values: list[str]) -> np.ndarray:
    """Returns the int64 digest of each string, the input of `hash_integers`.

    >>> bool((hash_integers(digest_strings(["a"])) == hash_strings(["a"])).all())
    True
    """
    digests = (hashlib.blake2b(value.encode(), digest_size=8).digest() for value in values)
    return np.fromiter((int.from_bytes(d, "little", signed=True) for d in digests), np.int64)
