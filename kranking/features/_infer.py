"""Proposal of declarations for the columns of a log."""

from collections.abc import Iterable, Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kranking.features._categorical import Categorical
from kranking.features._columns import is_id, is_list, is_number, is_string, numbers
from kranking.features._embedding import Embedding
from kranking.features._feature import Feature
from kranking.features._files import Paths, find_files, open_parquet
from kranking.features._numeric import Numeric
from kranking.features._sequence import Sequence

_SKEWED = 3.0  # skewness above which a logarithm helps
_FEW = 32  # at most this many distinct integers are categories, not quantities
_ID_WORDS = {"id", "ids", "uid", "code", "zip", "type", "tag", "tab"}
_ID_WORDS |= {"user", "item", "video", "pin", "author", "country", "city", "device"}
_TIME_WORDS = {"time", "timestamp", "ts", "date", "datetime", "epoch"}
_EPOCHS = ((5e8, 2.2e9), (5e11, 2.2e12), (5e14, 2.2e15))  # 1985 to 2039 in s, ms, us
_STEMS = {"user": "user", "member": "user", "viewer": "user", "context": "context"}
_STEMS |= dict.fromkeys(("item", "video", "pin", "author", "movie", "product", "ad"), "item")


def infer(
    paths: Paths,
    *,
    exclude: Iterable[str] = (),
    sides: Mapping[str, str] | None = None,
    sample_rows: int = 100_000,
) -> list[Feature]:
    """Proposes a declaration for each column, to be reviewed and corrected by a person.

    Reads the schema and the first rows. Strings, booleans, and integers with few values or a name such as
    `user_id` or `city` become `Categorical`; other numbers become `Numeric`, with a logarithm if they are
    skewed and not negative; lists of floats of equal length become `Embedding`; lists of ids become a
    `Sequence` if most of the ids are values of a single-valued categorical, and otherwise a multi-valued
    `Categorical`. Columns of times and constant columns are skipped. Labels, outcomes and information
    from the future cannot be detected: exclude them.

    Args:
        paths: Parquet files: path, folder, glob or a list of these.
        exclude: Columns to skip: labels, outcomes, session ids.
        sides: Side by column; the default follows from a prefix such as `user_` or `item_`.
        sample_rows: Number of rows to read.

    Returns:
        The proposed declarations, in the order of the columns.

    Raises:
        ValueError: If `exclude` or `sides` contain a column that is not in the log.
    """
    table = _sample(find_files(paths)[0], sample_rows)
    exclude, sides = set(exclude), dict(sides or {})
    unknown = sorted((exclude | set(sides)) - set(table.column_names))
    if unknown:
        raise ValueError(
            f"`exclude` and `sides` must contain columns of the log, {table.column_names}. "
            f"Received: {unknown}"
        )
    columns = {n: table[n].combine_chunks() for n in table.column_names if n not in exclude}
    proposed = {
        name: _propose(name, column, _side(name, sides)) for name, column in columns.items()
    }
    for name, feature in proposed.items():
        if isinstance(feature, Categorical) and feature.multivalued:
            proposed[name] = _as_sequence(feature, columns, proposed) or feature
    return [feature for feature in proposed.values() if feature is not None]


def _sample(file: str, rows: int) -> pa.Table:
    parquet = open_parquet(file)
    batches, read = [], 0
    for batch in parquet.iter_batches(min(rows, 65_536)):
        batches.append(batch)
        read += batch.num_rows
        if read >= rows:
            break
    if not read:
        raise ValueError(f"`paths` must contain rows. Received: {file!r}, which has no rows")
    return pa.Table.from_batches(batches).slice(0, rows)


def _side(name: str, sides: Mapping[str, str]) -> str:
    return sides.get(name, _STEMS.get(_words(name)[0], "context"))


def _propose(name: str, column: pa.Array, side: str) -> Feature | None:
    kind = column.type
    if is_list(kind):
        return _propose_list(name, column, side)
    if pa.types.is_boolean(kind) or (is_id(kind) and not pa.types.is_integer(kind)):
        return Categorical(name, side=side) if _varies(column) else None
    if not is_number(kind) or not _varies(column) or _is_time(name, column):
        return None
    if pa.types.is_integer(kind) and (
        _named_like_id(name) or pc.count_distinct(column).as_py() <= _FEW
    ):  # pyright: ignore
        return Categorical(name, side=side)
    values = numbers(column)
    missing = not np.isfinite(values).all()
    values = values[np.isfinite(values)]
    spread = values.std()
    skew = ((values - values.mean()) ** 3).mean() / spread**3 if spread else 0.0
    log = values.min() >= 0 and skew > _SKEWED
    return Numeric(
        name,
        side=side,
        transform="log" if log else "standardize",
        nulls="mean" if missing else "refuse",
    )


def _propose_list(name: str, column: pa.Array, side: str) -> Feature | None:
    lengths = pc.drop_null(pc.list_value_length(column))  # pyright: ignore
    if not len(lengths) or not len(column.flatten()):
        return None
    low, high = (int(v.as_py()) for v in (pc.min(lengths), pc.max(lengths)))  # pyright: ignore
    if pa.types.is_floating(column.type.value_type):
        nulls = "zeros" if column.null_count else "refuse"
        return Embedding(name, dim=high, side=side, nulls=nulls) if low == high else None
    if not is_id(column.type.value_type):
        return None
    usual = int(pc.quantile(lengths, 0.95)[0].as_py())  # pyright: ignore
    return Categorical(name, side=side, max_length=max(1, usual))


def _varies(column: pa.Array) -> bool:
    return pc.count_distinct(column, mode="all").as_py() > 1  # pyright: ignore


def _words(name: str) -> list[str]:
    return name.lower().replace("-", "_").split("_")


def _named_like_id(name: str) -> bool:
    return _words(name)[-1] in _ID_WORDS


def _is_time(name: str, column: pa.Array) -> bool:
    """Whether integers are times: by their name, and in the range of dates or seconds since 1970."""
    if not pa.types.is_integer(column.type) or not _TIME_WORDS & set(_words(name)):
        return False
    low, high = (float(pc.min_max(column)[key].as_py()) for key in ("min", "max"))  # pyright: ignore
    return any(a <= low and high <= b for a, b in (*_EPOCHS, (19000101, 21001231)))


def _as_sequence(
    feature: Categorical, columns: Mapping[str, pa.Array], proposed: Mapping[str, Feature | None]
) -> Sequence | None:
    """Finds the single-valued categorical that contains most values of a list, if there is one."""
    values = pc.unique(columns[feature.name].flatten())  # pyright: ignore
    best, share = None, 0.5
    for name, other in proposed.items():
        if not isinstance(other, Categorical) or other.multivalued or other.name == feature.name:
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
