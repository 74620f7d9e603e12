"""CSV log files, with column types from declarations or inferred."""

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from kranking._rows._csv_errors import check_separators, check_text, unreadable, value_error
from kranking._rows._files import LogFile, sha256_of
from kranking._rows._in_memory import check_names
from kranking._rows._origin import Origin
from kranking._rows._parquet_source import add_keys, with_keys
from kranking._rows._unit import Unit, rows_of

ID = pa.null()  # declares ids: integers or booleans if all of the log are, else text as it stands
_INTEGER = r"^(0|-?[1-9][0-9]*)?$"  # its only form: Arrow also takes "007" for 7 and "0x10" for 16
# Arrow also takes "1" beside "true" for a boolean, and looks at the first block alone.
_FORMS = {pa.int64(): _INTEGER, pa.bool_(): r"^(true|True|TRUE|false|False|FALSE)?$"}


class CsvSource:
    """CSV files with a header as one table that is never fully in memory.

    The type of a column is the declared one or, without any, is inferred from the first block of each
    file. Lists are text such as `"0.1 0.2"`. An empty value is null; text is never, whatever it says.

    Args:
        files: The files, which may be compressed.
        declared: Types by column. Columns of lists are split; those of `ID` are integers, booleans or text.
        delimiter: Separator of columns; `None` is a tab for names with `.tsv`, otherwise a comma.
        list_separator: Separator of the values of a list.

    Raises:
        ValueError: If a file cannot be read or has a column twice.
    """

    def __init__(
        self,
        files: Sequence[LogFile],
        declared: Mapping[str, pa.DataType],
        delimiter: str | None,
        list_separator: str,
    ):
        check_separators(delimiter, list_separator)
        self.files = [file.name for file in files]
        self.log_files = {file.name: file for file in files}
        self._delimiter, self._separator = delimiter, list_separator
        inferred = {file.name: self._inferred(file) for file in files}
        self._names = {file: list(types) for file, types in inferred.items()}
        self._lists = {name: kind for name, kind in declared.items() if pa.types.is_list(kind)}
        self._types = _types(inferred.values(), declared)
        ids = [n for n, kind in declared.items() if kind == ID and n in self._types]
        counts = {file.name: self._count(file, ids) for file in files}
        for name in {name for _, texts in counts.values() for name in texts}:
            self._types[name] = (pa.string(), pa.string())
        self.schemas: dict[str, pa.Schema] = {}
        self.units: list[Unit] = []
        for file in files:
            names = list(inferred[file.name])
            kinds = [(n, self._lists.get(n, self._types[n][1])) for n in names]
            self.schemas[file.name] = with_keys(pa.schema(kinds), file)
            rows, _ = counts[file.name]
            if rows:
                self.units.append(Unit(file.name, (), 0, 0, rows))

    def read(
        self, unit: Unit, columns: Sequence[str], rows: int
    ) -> Iterator[tuple[pa.RecordBatch, Origin]]:
        """Yields the rows of `unit` in order, at most `rows` at a time."""
        file = self.log_files[unit.file]
        names = self._names[unit.file]
        types = {name: self._types[name][0] for name in columns if name in names}
        # Arrow takes no columns for all of them, but the rows have to be counted.
        parsed = self._parsed(file, types or {names[0]: pa.string()})
        for batch, origin in rows_of(unit, parsed, rows):
            converted = self._converted(batch, origin) if types else batch
            yield add_keys(converted, file, columns), origin

    def sha256(self, file: str) -> str:
        """Returns the SHA-256 of a file."""
        return sha256_of(self.log_files[file])

    def _options(self, file: LogFile) -> csv.ParseOptions:
        tabs = ".tsv" in file.path.rpartition("/")[2].lower()
        delimiter = self._delimiter or ("\t" if tabs else ",")
        return csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)

    def _count(self, file: LogFile, ids: Sequence[str]) -> tuple[int, set[str]]:
        """Returns the number of rows, and the columns of ids that began otherwise but are text."""
        names = self._names[file.name]
        ids = [name for name in ids if name in names and self._types[name][0] in _FORMS]
        rows, texts = 0, set()
        try:
            for batch in self._parsed(file, dict.fromkeys([names[0], *ids], pa.string())):
                rows += batch.num_rows
                for name in ids:
                    good = pc.match_substring_regex(batch[name], _FORMS[self._types[name][0]])  # pyright: ignore
                    if not pc.all(good).as_py():  # pyright: ignore
                        texts.add(name)
        except (pa.ArrowException, OSError) as error:
            raise unreadable(file, error) from error
        return rows, texts

    def _inferred(self, file: LogFile) -> dict[str, pa.DataType]:
        """Returns the names and types of the columns, inferred from the first block of a file."""
        try:
            check_text(file)
            with (
                file.filesystem.open_input_stream(file.path, compression="detect") as stream,
                csv.open_csv(stream, parse_options=self._options(file)) as reader,
            ):
                names, types = reader.schema.names, reader.schema.types
        except (pa.ArrowException, OSError) as error:
            raise unreadable(file, error) from error
        check_names(names, repr(file.name))
        return dict(zip(names, types))

    def _parsed(self, file: LogFile, types: Mapping[str, pa.DataType]) -> Iterator[pa.RecordBatch]:
        options = csv.ConvertOptions(
            include_columns=list(types), column_types=dict(types), strings_can_be_null=False
        )
        try:
            with (
                file.filesystem.open_input_stream(file.path, compression="detect") as stream,
                csv.open_csv(
                    stream, parse_options=self._options(file), convert_options=options
                ) as reader,
            ):
                yield from reader
        except pa.ArrowInvalid as error:
            raise value_error(str(error), self._names[file.name]) from error

    def _converted(self, batch: pa.RecordBatch, origin: Origin) -> pa.RecordBatch:
        columns = dict(zip(batch.schema.names, batch.columns))
        for name, array in columns.items():
            if pa.types.is_string(array.type):
                empty = pc.equal(array, "")  # pyright: ignore
                columns[name] = pc.if_else(empty, pa.scalar(None, array.type), array)  # pyright: ignore
            if name in self._lists:
                columns[name] = self._split(columns[name], name, origin)
            elif self._types[name][1] != array.type:
                columns[name] = _integers(columns[name], name, origin)
        return pa.RecordBatch.from_pydict(columns)

    def _split(self, array: pa.Array, name: str, origin: Origin) -> pa.Array:
        lists = pc.split_pattern(array, self._separator)  # pyright: ignore
        try:
            return lists.cast(self._lists[name])
        except pa.ArrowInvalid as error:
            raise ValueError(
                f"Column {name!r} must hold lists of {self._lists[name].value_type}, separated "
                f"by {self._separator!r}, from {origin.at(0)} on. Arrow says: {error}"
            ) from error


def _types(inferred, declared) -> dict[str, tuple[pa.DataType, pa.DataType]]:
    """Returns for each column the type to parse, and the type that becomes of it."""
    found: dict[str, set[pa.DataType]] = {}
    for types in inferred:
        for name, kind in types.items():
            found.setdefault(name, set()).add(kind)
    return {name: _type(_common(kinds), declared.get(name)) for name, kinds in found.items()}


def _common(kinds: set[pa.DataType]) -> pa.DataType:
    """Returns the type of all files; text if they differ, which any value is."""
    kinds = {kind for kind in kinds if not pa.types.is_null(kind)}
    if kinds == {pa.int64(), pa.float64()}:
        return pa.float64()
    return kinds.pop() if len(kinds) == 1 else pa.string()


def _type(found: pa.DataType, declared: pa.DataType | None) -> tuple[pa.DataType, pa.DataType]:
    if pa.types.is_binary(found):
        found = pa.string()  # whose conversion names what is not UTF-8
    if declared is None:
        return found, found
    if pa.types.is_list(declared):
        return pa.string(), pa.string()
    if declared == ID:
        if pa.types.is_floating(found):  # pandas writes integers with nulls so
            return pa.string(), pa.int64()
        kept = pa.types.is_integer(found) or pa.types.is_boolean(found)
        return (found, found) if kept else (pa.string(), pa.string())
    if pa.types.is_floating(declared) and pa.types.is_boolean(found):
        return found, found
    return declared, declared


def _integers(array: pa.Array, name: str, origin: Origin) -> pa.Array:
    try:
        whole = pc.replace_substring_regex(array, r"\.0*$", "")  # pyright: ignore
        good = pc.match_substring_regex(whole, _INTEGER)  # pyright: ignore
        if not pc.all(good).as_py():  # pyright: ignore
            wrong = array.filter(pc.invert(good))[0].as_py()  # pyright: ignore
            raise pa.ArrowInvalid(f"{wrong!r} is no whole number")
        return whole.cast(pa.int64())
    except pa.ArrowInvalid as error:
        raise ValueError(
            f"Column {name!r} must contain ids: 64-bit integers or text, from {origin.at(0)} on. "
            f"Arrow says: {error}"
        ) from error
