"""Proposal of declarations for the columns of a log."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kranking._core import check_positive_int
from kranking._rows import Origin, Source, first_rows, open_rows
from kranking.features._categorical import Categorical
from kranking.features._columns import FLOAT32_MAX, is_list, numbers
from kranking.features._draft import Draft
from kranking.features._embedding import Embedding
from kranking.features._feature import MAX_LENGTH, Feature
from kranking.features._ids import is_id, is_string, to_ids
from kranking.features._numeric import Numeric
from kranking.features._sequence import Sequence
from kranking.features._time_drafts import draft_times

_SKEWED = 3.0  # skewness above which a logarithm helps
_FEW = 32  # at most this many distinct integers are categories, not quantities
_ID_WORDS = {"id", "ids", "uid", "code", "zip", "type", "tag", "tab"}
_ID_WORDS |= {"user", "item", "video", "pin", "author", "country", "city", "device"}
_STEMS = {"user": "user", "member": "user", "viewer": "user", "context": "context"}
_STEMS |= dict.fromkeys(("item", "video", "pin", "author", "movie", "product", "ad"), "item")


def infer(
    rows: Any,
    *,
    exclude: Iterable[str] = (),
    sides: Mapping[str, str] | None = None,
    sample_rows: int = 100_000,
) -> Draft:
    """Proposes a declaration for each column, to be reviewed and corrected by a person.

    Reads the schema and the first rows. Strings, booleans, and integers with few values or a name such as
    `user_id` or `city` become `Categorical`; other numbers become `Numeric`, with a logarithm if they are
    skewed and not negative; lists of floats of equal length become `Embedding`; lists of ids become a
    `Sequence` if most of the ids are values of a single-valued categorical, and otherwise a multi-valued
    `Categorical`. Times become their hour and weekday. Constant columns and columns that cannot be read are
    skipped. Labels, outcomes and information from the future cannot be detected: exclude them.

    Args:
        rows: Rows of any kind that `fit` accepts.
        exclude: Columns to skip: labels, outcomes, session ids.
        sides: Side by column; the default follows from a prefix such as `user_` or `item_`.
        sample_rows: Number of rows to read.

    Returns:
        The proposed declarations, in the order of the columns: a list whose attribute `skipped` is the
        reason for each other column.

    Raises:
        ValueError: If there are no rows, or `exclude` or `sides` contain a column that is not in the log.

    >>> infer({"country": ["DE", "FR"], "day": [1, 1]})
    Draft of 1 features
      Categorical('country')
      no feature of 'day': constant
    """
    check_positive_int("sample_rows", sample_rows)
    source = open_rows(rows)
    if not source.units:
        raise ValueError(f"`rows` must not be empty. Received: no rows in {source.files[:5]}")
    names = list(dict.fromkeys(n for file in source.files for n in source.schemas[file].names))
    exclude, sides = set(exclude), dict(sides or {})
    unknown = sorted((exclude | set(sides)) - set(names))
    if unknown:
        raise ValueError(
            f"`exclude` and `sides` must contain columns of the log, {names}. Received: {unknown}"
        )
    names = [name for name in names if name not in exclude]
    skipped: dict[str, str] = {}
    columns = _sample(source, names, sample_rows, skipped)
    proposed: dict[str, Feature] = {}
    for name, column in columns.items():
        try:
            side = _side(name, sides)
            drafts = draft_times(name, column, side, set(_words(name)), names)
            proposed |= {f.name: f for f in drafts or [_propose(name, column, side)]}
        except Exception as error:  # of Arrow too: one column must not keep the others from a draft
            skipped[name] = str(error)
    for name, feature in proposed.items():
        if isinstance(feature, Categorical) and feature.multivalued:
            proposed[name] = _as_sequence(feature, columns, proposed) or feature
    return Draft(proposed.values(), {name: skipped[name] for name in names if name in skipped})


def _sample(
    source: Source, names: list[str], rows: int, skipped: dict[str, str]
) -> dict[str, pa.Array]:
    """Returns the first rows of the columns; notes the reason for one that cannot be read."""
    try:
        return first_rows(source, names, rows)
    except ValueError as error:
        if len(names) == 1:
            skipped[names[0]] = str(error)
            return {}
    columns = {}
    for name in names:
        columns |= _sample(source, [name], rows, skipped)
    return columns


def _side(name: str, sides: Mapping[str, str]) -> str:
    return sides.get(name, _STEMS.get(_words(name)[0], "context"))


def _propose(name: str, column: pa.Array, side: str) -> Feature:
    """Proposes a declaration; raises `ValueError` with the reason if there is none."""
    kind = column.type
    if name.startswith("__index_level_"):
        raise ValueError("the index of a pandas frame")
    if is_list(kind):
        return _propose_list(name, column, side)
    if column.null_count == len(column):
        raise ValueError("only nulls")
    if not is_id(kind):
        raise ValueError(f"there is no feature of type {kind}")
    if not _varies(column):
        raise ValueError("constant")
    if pa.types.is_boolean(kind) or is_string(kind):
        return Categorical(name, side=side)
    if _named_like_id(name) and _whole(column):  # integers with nulls, as pandas writes them
        return Categorical(name, side=side)
    if pa.types.is_integer(kind) and len(pc.unique(column)) <= _FEW:  # pyright: ignore
        return Categorical(name, side=side)
    return _propose_number(name, numbers(column), side)


def _propose_number(name: str, values: np.ndarray, side: str) -> Numeric:
    good = values[np.abs(values) <= FLOAT32_MAX]
    if not len(good):
        raise ValueError("no finite number")
    spread = good.std()
    skew = ((good - good.mean()) ** 3).mean() / spread**3 if spread else 0.0
    log = good.min() >= 0 and skew > _SKEWED
    return Numeric(
        name,
        side=side,
        transform="log" if log else "standardize",
        nulls="mean" if len(good) < len(values) else "refuse",
    )


def _propose_list(name: str, column: pa.Array, side: str) -> Feature:
    flat, lengths = column.flatten(), pc.drop_null(pc.list_value_length(column))  # pyright: ignore
    if flat.null_count == len(flat):
        raise ValueError("only nulls and empty lists")
    kind = flat.type
    low, high = (int(v.as_py()) for v in (pc.min(lengths), pc.max(lengths)))  # pyright: ignore
    if pa.types.is_floating(kind):
        if low != high:
            raise ValueError(f"lists of {kind} of {low} to {high} values, no vectors of one width")
        return Embedding(
            name, dim=high, side=side, nulls="zeros" if column.null_count else "refuse"
        )
    if not is_id(kind) or pa.types.is_decimal(kind):
        raise ValueError(f"there is no feature of lists of type {kind}")
    usual = int(pc.quantile(lengths, 0.95)[0].as_py())  # pyright: ignore
    return Categorical(name, side=side, max_length=min(max(1, usual), MAX_LENGTH))


def _varies(column: pa.Array) -> bool:
    return len(pc.unique(column)) > 1  # pyright: ignore


def _words(name: str) -> list[str]:
    return name.lower().replace("-", "_").split("_")


def _named_like_id(name: str) -> bool:
    return _words(name)[-1] in _ID_WORDS


def _whole(column: pa.Array) -> bool:
    try:
        to_ids(column, None, "", Origin())
    except ValueError:
        return False
    return True


def _as_sequence(
    feature: Categorical, columns: Mapping[str, pa.Array], proposed: Mapping[str, Feature]
) -> Sequence | None:
    """Finds the single-valued categorical that contains most values of a list, if there is one."""
    values = pc.unique(columns[feature.name].flatten())  # pyright: ignore
    best, share = None, 0.5
    for name, other in proposed.items():
        if not isinstance(other, Categorical) or other.multivalued or other.name == feature.name:
            continue
        if other.times is not None:
            continue
        known = pc.unique(columns[name])  # pyright: ignore
        if is_string(known.type) != is_string(values.type) or pa.types.is_boolean(known.type):
            continue
        if len(known) <= _FEW:  # a few small integers are contained in almost anything
            continue
        found = pc.mean(pc.is_in(values.cast(known.type), value_set=known)).as_py()  # pyright: ignore
        if found > share:
            best, share = name, found
    if best is None:
        return None
    return Sequence(feature.name, of=best, max_length=feature.max_length or 1, side=feature.side)
