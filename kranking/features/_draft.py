"""Proposed declarations, with the columns that have none."""

from collections.abc import Iterable, Mapping

from kranking.features._feature import Feature


class Draft(list):
    """A list of proposed declarations, as `infer` returns it.

    Attributes:
        skipped: The reason for each column without a declaration.

    >>> Draft([], {"day": "constant"})
    Draft of 0 features
      no feature of 'day': constant
    """

    def __init__(self, features: Iterable[Feature], skipped: Mapping[str, str]):
        super().__init__(features)
        self.skipped = dict(skipped)

    def __repr__(self) -> str:
        lines = [f"Draft of {len(self)} features", *(f"  {feature!r}" for feature in self)]
        lines += [f"  no feature of {name!r}: {why}" for name, why in self.skipped.items()]
        return "\n".join(lines)
