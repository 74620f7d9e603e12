"""Origin of rows, for error messages."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Origin:
    """Origin of rows, for error messages."""

    file: str = "the given columns"
    first_row: int = 0

    def at(self, row: int) -> str:
        """Returns the position of a row as text."""
        return f"row {self.first_row + int(row)} of {self.file}"
