"""The rows of a delivery that can be read, and the rows that are refused one by one."""

from dataclasses import dataclass, field

import pyarrow as pa


@dataclass(frozen=True)
class RefusedCell:
    """The cell for which a row is refused; `place` is its line or row, counted from 1."""

    place: str
    column: str
    found: str
    allowed: str

    def describe(self) -> str:
        """Return the place, the column, what was found and what is allowed."""
        return f"{self.place}: column '{self.column}': found {self.found}, allowed: {self.allowed}"


@dataclass(frozen=True, eq=False)
class ReadRows:
    """Rows of the service's schema, and what was not taken.

    `refused_rows` are the refused rows as they were found, one for each of `refused`. `notes` say
    what else was left out, such as a column that is only an index.
    """

    table: pa.Table
    refused: tuple[RefusedCell, ...] = ()
    refused_rows: pa.Table = field(default_factory=lambda: pa.table({}))
    notes: tuple[str, ...] = ()
