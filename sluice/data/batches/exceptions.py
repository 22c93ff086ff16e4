"""Exceptions from data rules: the rows that a person accepted although a rule refused them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from sluice.data.evolution import SchemaChange
from sluice.verdict import Outcome, Verdict

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("rule", "column", "id", "value")
SCHEMA = pa.schema([(name, pa.string()) for name in COLUMNS])
HALTING = (Outcome.FAIL, Outcome.INSUFFICIENT)
OF_COLUMN = ("distribution of ", "target leakage of ")
"""Beginnings of the names of rules on a whole column; its name follows."""
BETWEEN = " grows with "
"""What stands between the two columns in the name of a rule on a function of time."""


@dataclass(frozen=True, eq=False)
class Exceptions:
    """The exceptions of a service, as text.

    `cells` are (column, id): no rule on single rows is broken by this value again. `rows` has, by
    the name of a rule on a whole column or on the table, the ids that this rule leaves out.
    """

    cells: frozenset[tuple[str, str]] = frozenset()
    rows: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def covers(self, column: str, row_id: object) -> bool:
        """Whether a person accepted the value that this row has in this column."""
        return (column, str(row_id)) in self.cells

    def leave_out(self, rule: str, frame: "pd.DataFrame", id_column: str) -> "pd.DataFrame":
        """Return the frame without the rows that the rule leaves out."""
        accepted = self.rows.get(rule)
        if not accepted:
            return frame
        return frame[~frame[id_column].astype(str).isin(accepted)]


NO_EXCEPTIONS = Exceptions()


def list_exceptions(verdict: Verdict, bad_rows: pa.Table, ids: pa.ChunkedArray) -> pa.Table:
    """Return the exceptions that let rows of a refused batch through the rules that refused it.

    A rule on single rows is left to the cells in `bad_rows` (columns `rule`, `column`, the id,
    `value`); any other check of the verdict that halted leaves out all of `ids`.
    """
    texts = [str(value) for value in ids.to_pylist()]
    cells = bad_rows.rename_columns(list(COLUMNS)).cast(SCHEMA)
    cells = cells.filter(pc.is_in(cells["id"], value_set=pa.array(texts, pa.string())))
    by_row = set(bad_rows["rule"].to_pylist())
    halted = [
        check.name
        for check in verdict.checks
        if check.outcome in HALTING and check.name not in by_row
    ]
    whole = [
        pa.table(
            {"rule": [name] * len(texts), "column": [""] * len(texts), "id": texts, "value": texts},
            schema=SCHEMA,
        )
        for name in halted
    ]
    return pa.concat_tables([cells, *whole])


def gather_exceptions(tables: list[pa.Table]) -> Exceptions:
    """Return the exceptions that were recorded, one table for each accepted batch."""
    cells: set[tuple[str, str]] = set()
    rows: dict[str, set[str]] = {}
    for table in tables:
        for line in table.to_pylist():
            if line["column"]:
                cells.add((line["column"], line["id"]))
            else:
                rows.setdefault(line["rule"], set()).add(line["id"])
    return Exceptions(frozenset(cells), {name: frozenset(ids) for name, ids in rows.items()})


def follow_schema(exceptions: pa.Table, changes: Sequence[SchemaChange]) -> pa.Table:
    """Return exceptions with the columns' names of today; those of a dropped column are gone."""
    for change in changes:
        if change.action in ("rename", "drop"):
            lines = [_follow_line(line, change) for line in exceptions.to_pylist()]
            kept = [line for line in lines if line is not None]
            exceptions = pa.Table.from_pylist(kept, SCHEMA)
    return exceptions


def _follow_line(line: dict[str, str], change: SchemaChange) -> dict[str, str] | None:
    """Return an exception after a column got its new name; None where it was dropped."""
    if line["column"]:
        names, others = [line["column"]], ""
    else:
        others = next((start for start in OF_COLUMN if line["rule"].startswith(start)), "")
        names = line["rule"].removeprefix(others).split(BETWEEN)
        if not others and len(names) == 1:
            return line  # a rule on the table
    if change.column not in names:
        return line
    if change.action == "drop":
        return None
    names = [change.name if name == change.column else name for name in names]
    if line["column"]:
        return {**line, "column": names[0]}
    return {**line, "rule": others + BETWEEN.join(names)}


def split_bad_rows(
    batch: pa.Table, bad_rows: pa.Table, id_column: str
) -> tuple[pa.Table, pa.Table]:
    """Return a batch's rows that broke no rule on single rows, and those that broke one."""
    bad_ids = pa.array(bad_rows[id_column].to_pylist(), pa.string())
    ids = pa.array([str(value) for value in batch[id_column].to_pylist()], pa.string())
    is_bad = pc.is_in(ids, value_set=bad_ids)
    return batch.filter(pc.invert(is_bad)), batch.filter(is_bad)
