"""Drawn declarations and values: everything about a call follows from the seed and its number."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

import kranking as kr

TEXTS = (
    "a",
    "b",
    "DE",
    "FR",
    "ü 漢",
    " ",
    "7",
    "0",
    "x y",
    "A",
    "null",
    "NaN",
    "true",
    "1.5",
    "a" * 40,
)
WHOLE = (0, 1, 2, 7, -1, 100, 2**31 - 1, 2**31, 2**53 + 1, -5, 10**12, 2**63 - 1)
NUMBERS = (0.0, -0.0, 1.0, -1.0, 0.5, 3.25, 1e-30, -7.75, 1e6, 123456.0, 2.0**-149, 1e30, -1e30)
ODD_NUMBERS = (math.nan, math.inf, -math.inf, 1e39, -1e300, 3.4028235e38, 5e-324, 1.7e308)
TRANSFORMS = ("standardize", "log", "scale", "bucketize", "none")
FORMS = (
    "single",
    "single",
    "hashed",
    "list",
    "hashed list",
    "separated",
    "number",
    "number",
    "vector",
)
SIDES = ("user", "item", "context")


class Draw:
    """Draws for the call of one number."""

    def __init__(self, seed: int, number: int):
        self.random = np.random.default_rng([seed, number])
        self.number = number

    def pick(self, options: Sequence) -> Any:
        return options[int(self.random.integers(len(options)))]

    def chance(self, share: float) -> bool:
        return bool(self.random.random() < share)

    def whole(self, low: int, high: int) -> int:
        return int(self.random.integers(low, high))

    def some(self, options: Sequence, most: int, least: int = 1) -> list:
        """Draws different options, in a drawn order."""
        count = min(len(options), self.whole(least, most + 1))
        return [options[i] for i in self.random.permutation(len(options))[:count]]


@dataclass(frozen=True, repr=False)
class Spec:
    """What a declaration means, in plain values: the oracle reads this and never the declaration."""

    name: str
    form: str
    kind: str | None = None  # "whole" or "text", for ids
    side: str = "context"
    vocabulary: tuple | None = None
    buckets: int | None = None
    length: int | None = None
    separator: str | None = None
    transform: str = "standardize"
    bounds: tuple[float, float] | None = None
    nulls: Any = "refuse"
    mean: float | None = None
    std: float | None = None
    boundaries: tuple[float, ...] | None = None
    dim: int = 0
    order: str = "newest_last"
    of: str | None = None

    def __repr__(self):
        given = ((f.name, getattr(self, f.name), f.default) for f in fields(self))
        return f"Spec({', '.join(f'{n}={v!r}' for n, v, default in given if v != default)})"

    @property
    def is_ids(self) -> bool:
        return self.form not in ("number", "vector")

    @property
    def is_lists(self) -> bool:
        return self.form in ("list", "hashed list", "vector", "sequence")

    def declaration(self) -> Any:
        """Creates the declaration."""
        features = kr.features
        if self.form == "number":
            given = {
                "transform": self.transform,
                "bounds": self.bounds,
                "nulls": self.nulls,
                "mean": self.mean,
                "std": self.std,
                "boundaries": self.boundaries,
            }
            return features.Numeric(self.name, side=self.side, **given)
        if self.form == "vector":
            return features.Embedding(self.name, dim=self.dim, side=self.side, nulls=self.nulls)
        if self.form == "sequence":
            return features.Sequence(
                self.name, of=self.of, max_length=self.length, side=self.side, order=self.order
            )
        return features.Categorical(
            self.name,
            side=self.side,
            vocabulary=self.vocabulary,
            hash_buckets=self.buckets,
            max_length=self.length,
            separator=self.separator,
            embedding_dim=4,
        )


def draw_spec(draw: Draw, name: str, form: str | None = None, fitted: bool = True) -> Spec:
    """Draws a declaration, with what `fit` would learn unless `fitted` is false."""
    form = form or draw.pick(FORMS)
    spec = Spec(name, form, side=draw.pick(SIDES))
    if form == "number":
        return _number(draw, spec, fitted)
    if form == "vector":
        return replace(spec, dim=draw.whole(1, 4), nulls=draw.pick(("refuse", "zeros")))
    kind = "text" if form == "separated" or draw.chance(0.5) else "whole"
    spec = replace(spec, kind=kind)
    if form in ("list", "hashed list", "separated"):
        spec = replace(spec, length=draw.whole(1, 4))
    if form == "separated":
        spec = replace(spec, separator=draw.pick((",", "|", " ; ")))
        if draw.chance(0.3):
            return replace(spec, buckets=draw.pick((1, 7, 1000)))
    if form in ("hashed", "hashed list"):
        return replace(spec, buckets=draw.pick((1, 2, 7, 1000, 10**9)))
    words = vocabulary_of(draw, kind, spec.separator)
    return replace(spec, vocabulary=tuple(words)) if fitted else spec


def vocabulary_of(draw: Draw, kind: str, separator: str | None = None) -> list:
    pool = WHOLE if kind == "whole" else TEXTS
    if separator is not None:
        pool = [word for word in pool if separator not in word]
    return draw.some(pool, 6)


def _number(draw: Draw, spec: Spec, fitted: bool) -> Spec:
    transform = draw.pick(TRANSFORMS)
    bounds = draw.pick((None, None, (-1.0, 1.0), (0.0, 100.0), (-1e30, 1e30)))
    if transform == "scale":
        bounds = bounds or (0.0, 10.0)
    nulls = draw.pick(("refuse", "refuse", "mean", 0.0, -3.5, 1e6))
    if transform == "scale" and nulls == "mean":
        nulls = "refuse"
    spec = replace(spec, transform=transform, bounds=bounds, nulls=nulls)
    if not fitted:
        return spec
    if transform == "bucketize":
        return replace(
            spec, boundaries=tuple(sorted(draw.some((-5.0, 0.0, 0.5, 1.0, 1e6, 1e30), 4)))
        )
    if transform in ("standardize", "log"):
        return replace(
            spec, mean=draw.pick((0.0, 1.5, -20.0, 1e6)), std=draw.pick((1.0, 0.25, 1e3, 0.0))
        )
    return replace(spec, mean=draw.pick((0.0, 2.5))) if nulls == "mean" else spec


def draw_value(draw: Draw, spec: Spec, unknown: float = 0.2, null: float = 0.15) -> Any:
    """Draws a value of a column: of the kind that the declaration learnt."""
    if draw.chance(null):
        return None
    if spec.form == "number":
        return float(draw.pick(NUMBERS)) if draw.chance(0.7) else float(draw.whole(-100, 100))
    if spec.form == "vector":
        return [float(draw.pick(NUMBERS)) for _ in range(spec.dim)]
    if spec.separator is not None:
        words = [str(draw_id(draw, spec, unknown) or "") for _ in range(draw.whole(0, 5))]
        return spec.separator.join(words)
    if spec.is_lists:
        empty = draw.chance(0.15)
        return [draw_id(draw, spec, unknown) for _ in range(0 if empty else draw.whole(1, 6))]
    return draw_id(draw, spec, unknown)


def draw_id(draw: Draw, spec: Spec, unknown: float = 0.2) -> Any:
    if draw.chance(0.05):
        return None
    known = spec.vocabulary
    if known and not draw.chance(unknown):
        return draw.pick(known)
    pool = WHOLE if spec.kind == "whole" else TEXTS
    if spec.separator is not None:
        pool = [word for word in pool if spec.separator not in word]
    return draw.pick(pool)


def draw_column(draw: Draw, spec: Spec, rows: int) -> list:
    """Draws a column whose nulls the declaration accepts."""
    null = draw.pick((0.0, 0.2, 0.5))
    refuses = spec.nulls == "refuse" and spec.transform != "bucketize"
    if (spec.form == "number" and refuses) or (spec.form == "vector" and spec.nulls == "refuse"):
        null = 0.0
    return [draw_value(draw, spec, null=null) for _ in range(rows)]
