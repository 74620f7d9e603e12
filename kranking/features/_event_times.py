"""Times of the events of a sequence."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from kranking._rows import Origin
from kranking.features._ids import NULL_INTEGER, is_string
from kranking.features._instants import Instants, to_instants
from kranking.features._numbers import is_number, numbers
from kranking.features._sequence import Sequence
from kranking.features._times import MICROSECONDS, Times


def is_event_time(kind: pa.DataType) -> bool:
    """Whether the values are points in time: numbers, timestamps, dates or text in ISO 8601."""
    return (
        is_number(kind) or is_string(kind) or pa.types.is_timestamp(kind) or pa.types.is_date(kind)
    )


def event_times(
    feature: Sequence, columns: Mapping[str, pa.Array], origin: Origin
) -> dict[str, np.ndarray]:
    """Returns the times of events and requests by column: float64 in `time_unit`, with NaN for null.

    Args:
        feature: The sequence.
        columns: The times of all events, in one array, and of the requests.
        origin: Origin of the columns, for error messages.

    Raises:
        ValueError: If a text is no time, or one column has times with a zone, as numbers do, and the
            other has times without.
    """
    made, zones = {}, {}
    for column, values in columns.items():
        made[column], zones[column] = _in_unit(feature, column, values, origin)
    if set(zones.values()) >= {True, False}:
        names = {
            True: "with a time zone, as numbers have",
            False: "without a time zone",
            None: "none",
        }
        found = ", ".join(f"{column!r} {names[zoned]}" for column, zoned in zones.items())
        raise ValueError(
            f"Columns {feature.time!r} and {feature.request_time!r} of sequence {feature.name!r} must both "
            f"contain times with a time zone or both without. Received: {found}, in {origin.file}"
        )
    return made


def _in_unit(feature: Sequence, column: str, values: pa.Array, origin: Origin) -> Any:
    if is_number(values.type):
        made = numbers(values)
        return made, True if np.isfinite(made).any() else None
    found: Instants = to_instants(values, Times(column, unit=feature.time_unit), column, origin)
    missing = found.microseconds == NULL_INTEGER
    return np.where(
        missing, np.nan, found.microseconds / MICROSECONDS[feature.time_unit]
    ), found.zoned
