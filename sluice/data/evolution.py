"""Changes of a table's schema: what each does to columns, to rows, and how it is undone.

A change is one version of the table and is recorded in its commit. So the rows of an older version
can be read in today's columns, and today's rows in the columns that an older model knows.
"""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from sluice.config.service import ServiceConfig
from sluice.data.schema import ARROW_TYPES, ROWS_BEFORE, list_widenings
from sluice.errors import DataInvalid, SchemaRefused

if TYPE_CHECKING:
    import pandas as pd

Action = Literal["add", "rename", "widen", "drop"]
EXACT = 2**53
"""Largest whole number up to which every whole number is also a 64-bit float."""


@dataclass(frozen=True)
class SchemaChange:
    """One change of a schema.

    `kind` is the kind of an added column, or the wider kind; `before` the kind of a column that is
    widened or dropped; `name` the new name of a renamed one.
    """

    action: Action
    column: str
    kind: str = ""
    before: str = ""
    name: str = ""

    def to_json(self) -> str:
        """Return it as JSON text, as a commit records it."""
        return json.dumps(asdict(self), ensure_ascii=False)

    def describe(self) -> str:
        """Return it in words, such as `price: integer -> number`."""
        words = {
            "add": f"{self.column}: a new column of kind {self.kind}, null in the rows so far",
            "rename": f"{self.column} -> {self.name}",
            "widen": f"{self.column}: {self.before} -> {self.kind}",
            "drop": f"{self.column}: no column any more ({self.before})",
        }
        return words[self.action]


def change_kinds(kinds: Mapping[str, str], change: SchemaChange) -> dict[str, str]:
    """Return the columns and their kinds after a change; the same where it was made already.

    Raises:
        SchemaRefused: the columns are neither as before the change nor as after it.
    """
    if change.action == "rename":
        return _rename_key(kinds, change)
    found = kinds.get(change.column, "")
    after = "" if change.action == "drop" else change.kind
    if found not in (after, change.before):
        raise SchemaRefused(
            f"column '{change.column}': found {found or 'no such column'}, "
            f"allowed: {change.before or 'no such column'}"
        )
    changed = {**kinds, change.column: after}
    return {name: kind for name, kind in changed.items() if kind}


def _rename_key(kinds: Mapping[str, str], change: SchemaChange) -> dict[str, str]:
    has_old, has_new = change.column in kinds, change.name in kinds
    if has_old == has_new:
        found = "both names" if has_old else "neither name"
        raise SchemaRefused(
            f"columns '{change.column}' and '{change.name}': found {found}, allowed: one of them"
        )
    return {change.name if key == change.column else key: kind for key, kind in kinds.items()}


def describe_kinds(schema: pa.Schema) -> dict[str, str]:
    """Return the kind of each column of a table's schema; of another type, the type's name."""
    kinds = {kind: name for name, kind in ARROW_TYPES.items()}
    return {field.name: kinds.get(field.type, str(field.type)) for field in schema}


def apply_change(table: pa.Table, change: SchemaChange) -> pa.Table:
    """Return a table's rows after a change of its schema; each value keeps its meaning.

    Raises:
        DataInvalid: a whole number is too large to be the same number as a 64-bit float.
    """
    if change.action == "rename":
        names = [change.name if name == change.column else name for name in table.column_names]
        return table.rename_columns(names)
    if change.action == "drop":
        return table.drop_columns([change.column])
    if change.action == "add":
        cells = pa.nulls(table.num_rows, ARROW_TYPES[change.kind])
        return table.append_column(
            mark_rows_before(change.column, cells.type, table.num_rows), cells
        )
    place = table.column_names.index(change.column)
    cells = _widen(table[change.column], change)
    field = table.schema.field(place).with_type(cells.type)
    return table.set_column(place, field, cells)


def mark_rows_before(name: str, kind: pa.DataType, rows: int) -> pa.Field:
    """Return a field that says how many rows of its table are older than the column."""
    return pa.field(name, kind, metadata={ROWS_BEFORE: str(rows)})


def follow_changes(
    table: pa.Table, changes: Sequence[SchemaChange], columns: Mapping[str, str]
) -> pa.Table:
    """Return an older version's rows in the columns of a configuration.

    Where no change of the schema leads to these columns, all of them are followed
    (`choose_changes`).

    Raises:
        DataInvalid: a value does not fit the wider kind.
    """
    for change in choose_changes(describe_kinds(table.schema), changes, columns):
        table = apply_change(table, change)
    return table


def choose_changes(
    kinds: Mapping[str, str], changes: Sequence[SchemaChange], columns: Mapping[str, str]
) -> tuple[SchemaChange, ...]:
    """Return the changes, from the first one on, that lead from `kinds` to `columns`.

    They end where the columns are reached: so a version that is read with the configuration of
    its time stays as it was written. Where they are never reached, all changes are returned.
    """
    chosen: list[SchemaChange] = []
    for change in changes:
        if kinds == columns:
            break
        kinds = change_kinds(kinds, change)
        chosen.append(change)
    return tuple(chosen)


def choose_later(
    kinds: Mapping[str, str], changes: Sequence[SchemaChange], columns: Mapping[str, str]
) -> tuple[SchemaChange, ...]:
    """Return the last changes, as few as do, that lead from `kinds` to `columns`.

    So rows that were kept outside of the table find the way to today's columns. Empty where no
    changes lead there.
    """
    for start in range(len(changes), -1, -1):
        reached: Mapping[str, str] = kinds
        try:
            for change in changes[start:]:
                reached = change_kinds(reached, change)
        except SchemaRefused:
            continue
        if reached == columns:
            return tuple(changes[start:])
    return ()


def restore_columns(frame: "pd.DataFrame", changes: Sequence[SchemaChange]) -> "pd.DataFrame":
    """Return rows in the columns from before the changes, as a model knows them that is older.

    A column that was dropped since is null. A value that the narrower kind cannot hold is null,
    except for fractions of a column of whole numbers, which stay.
    """
    import pandas as pd

    frame = frame.copy(deep=False)
    for change in reversed(changes):
        if change.action == "rename":
            frame = frame.rename(columns={change.name: change.column})
        elif change.action == "add":
            frame = frame.drop(columns=change.column)
        elif change.action == "drop":
            cells = pa.nulls(len(frame), ARROW_TYPES[change.before]).to_pandas()
            frame[change.column] = pd.Series(cells.to_numpy(), index=frame.index)
        else:
            frame[change.column] = _narrow(frame[change.column], change)
    return frame


def restore_kinds(kinds: Mapping[str, str], changes: Sequence[SchemaChange]) -> dict[str, str]:
    """Return the columns and kinds from before the changes."""
    found = dict(kinds)
    for change in reversed(changes):
        if change.action == "rename":
            found[change.column] = found.pop(change.name)
        elif change.action == "add":
            del found[change.column]
        else:
            found[change.column] = change.before
    return found


def check_widening(column: str, before: str, kind: str) -> None:
    """Check that each value of one kind is a value of another one, spelled in one way only.

    Raises:
        SchemaRefused: it is not.
    """
    allowed = list_widenings(before)
    if kind not in allowed:
        words = ", ".join(allowed) or "nothing: no other kind has each of its values"
        raise SchemaRefused(
            f"column '{column}' is {before}: found {kind or 'no kind'}, allowed: {words}"
        )


def type_change(change: SchemaChange) -> str:
    """Return a change as a person types it."""
    words = {
        "add": ["add", change.column, change.kind],
        "rename": ["rename", change.column, change.name],
        "widen": ["widen", change.column, change.kind],
        "drop": ["drop", change.column],
    }
    return shlex.join(word for word in words[change.action] if word)


def check_change(config: ServiceConfig, change: SchemaChange) -> None:
    """Check that a change leaves a service that can be released.

    Raises:
        SchemaRefused: a name is taken or blank, a kind loses something, or the split, the gates or
            the model need the column as it is.
    """
    if change.action in ("add", "rename"):
        _check_name(config, change)
    if change.action == "add":
        check_kind(change)
        return
    if change.action == "widen":
        check_widening(change.column, change.before, change.kind)
    roles = _list_roles(config, change)
    if change.action != "rename" and change.column in roles:
        raise SchemaRefused(
            f"column '{change.column}' is {roles[change.column]}, which must stay as it is; "
            "next: name another column there in the configuration first"
        )


def check_kind(change: SchemaChange) -> None:
    """Check that the kind of an added column, where it is given, is one that a column can have.

    Raises:
        SchemaRefused: it is not.
    """
    if change.kind and change.kind not in ARROW_TYPES:
        raise SchemaRefused(
            f"column '{change.column}': found kind '{change.kind}', "
            f"allowed: {', '.join(ARROW_TYPES)}"
        )


def _check_name(config: ServiceConfig, change: SchemaChange) -> None:
    name = change.name if change.action == "rename" else change.column
    if not name.strip() or not name.isprintable():
        raise SchemaRefused(f"found {name!r} as a column's name; allowed: words that can be read")
    others = [item for item in config.data.columns if item not in (name, change.column)]
    close = next((item for item in others if item.casefold() == name.casefold()), None)
    if close:
        raise SchemaRefused(
            f"found '{name}' beside '{close}'; allowed: names that differ by more than case"
        )


def _list_roles(config: ServiceConfig, change: SchemaChange) -> dict[str, str]:
    """Return the columns that a change of this kind may not touch, and what they are."""
    data = config.data
    roles = {data.id: "the id", config.split.group: "split.group"}
    is_number = change.action == "widen" and change.kind == "number"
    if not is_number or config.problem != "regression":
        roles[data.target] = "the target"
    if not is_number:
        roles[data.time] = "data.time"
    if change.action == "drop":
        roles |= dict.fromkeys(config.bias.columns, "in bias.sensitive")
        roles[config.evaluation.group] = "evaluation.group"
        if data.features == (change.column,):
            roles[change.column] = "the only feature"
    return {column: role for column, role in roles.items() if column}


def _widen(cells: pa.ChunkedArray, change: SchemaChange) -> pa.ChunkedArray:
    target = ARROW_TYPES[change.kind]
    if change.before == "integer" and change.kind == "number":
        bounds = pc.min_max(cells).as_py()
        far = [value for value in bounds.values() if value is not None and abs(value) > EXACT]
        if far:
            raise DataInvalid(
                f"column '{change.column}' has {far[0]:,}, which is no exact number of 64 bits; "
                f"allowed: at most {EXACT:,}; next: widen it to text"
            )
    if change.before == "boolean" and change.kind == "number":
        cells = cells.cast(pa.int64())
    return cells.cast(target)


def _narrow(values: "pd.Series[Any]", change: SchemaChange) -> "pd.Series[Any]":
    """Return the values of a widened column in the kind from before."""
    import pandas as pd

    if change.before == "integer":
        return values if change.kind == "number" else pd.to_numeric(values, errors="coerce")
    known: dict[Any, bool] = {"true": True, "false": False}
    if change.kind != "text":
        known = {0: False, 1: True}
    return values.map(known).astype(object).where(lambda cells: cells.notna(), None)
