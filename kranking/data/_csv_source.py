"""CSV log files, with column types taken from the feature declarations."""

from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

import kranking.features as declared
from kranking.data._unit import Unit, rows_of
from kranking.features import Categorical, Embedding, Feature, Numeric, Task, find_files
from kranking.features.internal import Origin


class CsvSource:
    """CSV files as one table that is never fully in memory.

    The type of a column follows from its declaration or, if that leaves it open (hashed ids), from
    the first file. Columns of lists hold strings such as `"0.1 0.2"`.

    Args:
        paths: Path, folder, glob or a list of them.
        features: Feature declarations.
        tasks: Tasks whose labels are read.
        sample_weight: Name of the column of sample weights.
        delimiter: Separator of columns.
        list_separator: Separator of the values of a list.

    Raises:
        ValueError: If no file matches or a file cannot be read.
    """

    def __init__(
        self,
        paths,
        features: Iterable[Feature],
        tasks: Sequence[Task],
        sample_weight: str | None,
        delimiter: str,
        list_separator: str,
    ):
        self.files = find_files(paths, ".csv")
        self._parse = csv.ParseOptions(delimiter=delimiter)
        self._separator = list_separator
        self._types, self._lists = _types(list(features), tasks, sample_weight)
        first = self._inferred(self.files[0])
        for name, kind in first.items():
            self._types.setdefault(name, pa.string() if pa.types.is_null(kind) else kind)
            if pa.types.is_boolean(kind) and pa.types.is_floating(self._types[name]):
                self._types[name] = kind
        self.schemas: dict[str, pa.Schema] = {}
        self.units: list[Unit] = []
        for file in self.files:
            names = list(self._inferred(file))
            kinds = {
                name: self._lists.get(name, self._types.get(name, pa.string())) for name in names
            }
            self.schemas[file] = pa.schema(list(kinds.items()))
            rows = sum(batch.num_rows for batch in self._batches(file, names[:1], as_text=True))
            if rows:
                self.units.append(Unit(file, (), 0, 0, rows))

    def read(
        self, unit: Unit, columns: Sequence[str], rows: int
    ) -> Iterator[tuple[pa.RecordBatch, Origin]]:
        """Yields the rows of `unit` in order, at most `rows` at a time."""
        for batch, origin in rows_of(unit, self._batches(unit.file, list(columns)), rows):
            yield self._with_lists(batch, origin), origin

    def _inferred(self, file):
        """Returns the names and types of the columns, inferred from the first block of a file."""
        try:
            with csv.open_csv(file, parse_options=self._parse) as reader:
                return dict(zip(reader.schema.names, reader.schema.types))
        except (pa.ArrowException, OSError) as error:
            raise ValueError(f"{file!r} cannot be read as CSV. Arrow says: {error}") from error

    def _batches(self, file, columns, as_text=False):
        kinds = {c: pa.string() if as_text else self._types.get(c, pa.string()) for c in columns}
        options = csv.ConvertOptions(
            include_columns=columns, column_types=kinds, strings_can_be_null=True
        )
        with csv.open_csv(file, parse_options=self._parse, convert_options=options) as reader:
            yield from reader

    def _with_lists(self, batch, origin):
        columns = dict(zip(batch.schema.names, batch.columns))
        for name in self._lists.keys() & columns.keys():
            lists = pc.split_pattern(columns[name], self._separator)  # pyright: ignore
            empty = pc.equal(columns[name], "")  # pyright: ignore
            lists = pc.if_else(empty, pa.scalar([], lists.type), lists)  # pyright: ignore
            try:
                columns[name] = lists.cast(self._lists[name])
            except pa.ArrowInvalid as error:
                raise ValueError(
                    f"Column {name!r} must hold lists of {self._lists[name].value_type}, separated "
                    f"by {self._separator!r}, from {origin.at(0)} on. Arrow says: {error}"
                ) from error
        return pa.RecordBatch.from_pydict(columns)


def _types(features, tasks, sample_weight):
    """Returns the declared column types in the file, and the types of list columns after splitting."""
    tables = {f.name: f for f in features if isinstance(f, Categorical)}
    types, lists = {}, {}
    for feature in features:
        if isinstance(feature, Numeric):
            types[feature.source] = pa.float64()
        elif isinstance(feature, Embedding):
            lists[feature.source] = pa.list_(pa.float32())
        elif isinstance(feature, declared.Sequence):
            lists[feature.source] = pa.list_(_id_type(tables[feature.of].vocabulary) or pa.string())
            if feature.action is not None:
                kind = _id_type(feature.action_vocabulary)
                lists[feature.action] = pa.list_(kind or pa.string())
            if feature.time is not None:
                lists[feature.time] = pa.list_(pa.float64())
        elif isinstance(feature, Categorical):
            kind = _id_type(feature.vocabulary)
            if feature.separator is not None:
                types[feature.source] = pa.string()
            elif feature.multivalued:
                lists[feature.source] = pa.list_(kind or pa.string())
            elif kind is not None:
                types[feature.source] = kind
    for name in [task.column for task in tasks] + ([sample_weight] if sample_weight else []):
        types[name] = pa.float64()
    return {**types, **dict.fromkeys(lists, pa.string())}, lists


def _id_type(vocabulary):
    if not vocabulary:
        return None
    return pa.string() if isinstance(vocabulary[0], str) else pa.int64()
