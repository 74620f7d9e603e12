"""Learning whether the times of a log have a zone."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa

from kranking._rows import Origin
from kranking.features._instants import time_values


class TimeLearner:
    """Learns whether times have a zone, and passes on what is computed from them.

    Args:
        learner: The learner of the values.
    """

    def __init__(self, learner: Any):
        self.learner = learner

    def update(self, block: Mapping[str, pa.Array], origin: Origin) -> None:
        feature = self.learner.feature
        values, zoned = time_values(feature, block, origin)
        # In the declaration from the first block on, so that later ones must be like it.
        column = replace(feature.column, zoned=zoned)
        self.learner.feature = replace(feature, column=column)
        self.learner.update({feature.source: values}, origin)

    def finish(self) -> Any:
        feature = self.learner.feature
        if feature.times.zoned is None:
            raise ValueError(
                f"Feature {feature.name!r} has no time to learn from: "
                f"{' and '.join(map(repr, feature.columns))} must not be null in all rows. "
                f"Received: {self.learner.rows} rows"
            )
        return self.learner.finish()
