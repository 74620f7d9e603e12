"""What makes two settings, two functions and two callbacks the same."""

import functools

import numpy as np
import pytest

from kranking._identity import changed, fingerprint, plain_json

pytestmark = pytest.mark.once
WIDTH = 3
SEEN = []


def helper(value):
    return value + WIDTH


def reads_a_global(hp, name):
    """The docstring does not count."""
    return [helper(hp.Int(name, 1, 2)) for _ in range(2)]


def of_a_closure(width):
    return lambda hp, name: hp.Int(name, 1, width)


class Noting:
    """A callback that writes into a list of its module."""

    def __init__(self, rate):
        self.rate = rate

    def on_epoch_end(self):
        SEEN.append(self.rate)


def test_a_function_is_its_code_and_what_it_reads(monkeypatch):
    before = fingerprint(reads_a_global)
    assert fingerprint(reads_a_global) == before
    monkeypatch.setitem(globals(), "WIDTH", 4)  # read by `helper`
    assert fingerprint(reads_a_global) != before
    assert fingerprint(of_a_closure(3)) == fingerprint(of_a_closure(3))
    assert fingerprint(of_a_closure(3)) != fingerprint(of_a_closure(4))
    assert fingerprint(lambda hp: hp.Int("a", 8, 16)) == fingerprint(lambda hp: hp.Int("a", 8, 16))
    assert fingerprint(lambda hp: hp.Int("a", 8, 16)) != fingerprint(
        lambda hp: 2 * hp.Int("a", 8, 16)
    )
    assert fingerprint(lambda x, y=1: y) != fingerprint(lambda x, y=2: y)
    partials = [functools.partial(helper, value) for value in (1, 2)]
    assert fingerprint(partials[0]) != fingerprint(partials[1])


def test_a_callback_is_its_class_and_attributes_but_not_what_it_has_written():
    before = fingerprint(Noting(1), mutable=False)
    SEEN.append(1)
    assert fingerprint(Noting(1), mutable=False) == before
    assert fingerprint(Noting(2), mutable=False) != before


def test_a_fingerprint_survives_json():
    values = {"a": (1, float("nan")), "b": {3, 1}, "c": np.arange(3), "d": b"x", "e": Noting(1)}
    assert plain_json(plain_json(values)) == plain_json(values)
    assert changed(plain_json(values), plain_json(values)) == ""


def test_differences_are_named():
    before = {"seed": 0, "files": {"train": [{"name": "x", "sha256": "a" * 64}]}}
    now = {"seed": 1, "files": {"train": [{"name": "x", "sha256": "b" * 64}]}, "more": 1}
    text = changed(before, now)
    assert text.startswith("seed (0 before, now 1), files: train: 'x': sha256 ('aaa")
    assert text.endswith(", more")
