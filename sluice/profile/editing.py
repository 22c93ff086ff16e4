"""A service's files after a change of the schema: only what changes is written again.

The lines of a configuration are edited where its values stand, so that comments, order and style
of a person's file stay. The result is read again and must have exactly the expected values.
"""

import copy
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from sluice.data.evolution import SchemaChange, change_kinds
from sluice.documents import compose_yaml, parse_yaml
from sluice.errors import SchemaRefused
from sluice.profile.rules import COLUMNS, GROWS, KIND, RANGE, SET

NAMES: tuple[tuple[str, ...], ...] = (
    ("data", "id"),
    ("data", "time"),
    ("data", "target"),
    ("split", "group"),
    ("evaluation", "group"),
    ("source", "watermark"),
)
"""Keys whose value is a column's name."""
FEATURES: tuple[str, ...] = ("data", "features")
OPTIONAL: tuple[tuple[str, ...], ...] = (
    ("data", "leakage", "allowed"),
    ("evaluation", "slices", "columns"),
)
"""Lists of columns from which a dropped column is taken."""
LISTS: tuple[tuple[str, ...], ...] = (FEATURES, *OPTIONAL, ("bias", "sensitive"))
"""Lists of columns."""
COLUMN_KEYS = ("data", "columns")
MAPPINGS: tuple[tuple[str, ...], ...] = (("data", "reading", "columns"), ("data", "encodings"))
"""Mappings of columns to how their cells are written, and to how they become numbers."""
OTHER_COLUMNS = ("time",)
"""Arguments of rules that name a column and do not begin with `column`."""
PLAIN = re.compile(r"[A-Za-z_]([\w .+/-]*\w)?")
"""Words that need no quotes, unless they mean something else, such as `true`."""


@dataclass(frozen=True)
class Edit:
    """A part of a text, from `start` up to `end`, and what stands there afterwards."""

    start: int
    end: int
    text: str


def edit_configuration(text: str, change: SchemaChange, feature: bool, comment: str = "") -> str:
    """Return a configuration's YAML after a change; the same text where it was made already.

    `feature`: an added column is a feature. `comment` stands beside an added column.

    Raises:
        SchemaRefused: the columns are neither as before the change nor as after it, or the file
            is written in a way that cannot be edited line by line.
        DocumentInvalid: the text is not YAML.
    """
    values = parse_yaml(text)
    wanted = change_values(values, change, feature)
    if wanted == values:
        return text
    root = compose_yaml(text)
    edits = list(_find_edits(text, root, change, feature, values, comment))
    for edit in sorted(edits, key=lambda item: item.start, reverse=True):
        text = text[: edit.start] + edit.text + text[edit.end :]
    try:
        is_right = parse_yaml(text) == wanted
    except ValueError:
        is_right = False
    if not is_right:
        raise SchemaRefused(
            f"the configuration is written in a way that cannot be edited line by line (aliases, "
            f"or a key written over several lines); next: write {'.'.join(COLUMN_KEYS)} as one "
            f"line a column, then the same command again"
        )
    return text


def change_values(values: Any, change: SchemaChange, feature: bool) -> Any:
    """Return a configuration's values after a change.

    Raises:
        SchemaRefused: the columns are neither as before the change nor as after it.
    """
    changed = copy.deepcopy(values)
    data = changed["data"]
    data["columns"] = change_kinds(data["columns"], change)
    if change.action == "add" and feature and change.column not in data["features"]:
        data["features"].append(change.column)
    if change.action == "rename":
        for path in NAMES:
            if _find_value(changed, path) == change.column:
                _find_value(changed, path[:-1])[path[-1]] = change.name
    for path in LISTS if change.action == "rename" else (FEATURES, *OPTIONAL):
        names = _find_value(changed, path)
        if isinstance(names, list):
            names[:] = _edit_names(names, change)
    for path in MAPPINGS:
        mapping = _find_value(changed, path)
        if isinstance(mapping, dict) and change.column in mapping:
            kept = [(_follow_name(name, change), value) for name, value in mapping.items()]
            mapping.clear()
            mapping.update((name, value) for name, value in kept if name is not None)
    return changed


def _follow_name(name: Any, change: SchemaChange) -> Any:
    if name != change.column:
        return name
    return {"rename": change.name, "drop": None}.get(change.action, name)


def _edit_names(names: list[Any], change: SchemaChange) -> list[Any]:
    followed = [_follow_name(name, change) for name in names]
    return [name for name in followed if name is not None]


def _find_value(values: Any, path: Sequence[str]) -> Any:
    for key in path:
        values = values.get(key) if isinstance(values, dict) else None
    return values


def _find_edits(
    text: str,
    root: Any,
    change: SchemaChange,
    feature: bool,
    values: Any,
    comment: str,
) -> Iterator[Edit]:
    """Yield the edits that make a change; parts where it was made already need none."""
    columns = _find_node(root, COLUMN_KEYS)
    entry = next((pair for pair in columns.value if pair[0].value == change.column), None)
    if change.action == "add":
        if entry is None:
            yield _append_entry(text, columns, change, comment)
        if feature and change.column not in values["data"]["features"]:
            yield _append_item(text, _find_node(root, FEATURES), change.column)
        return
    if entry and change.action == "widen":
        yield _replace(entry[1], change.kind)
    if change.action == "rename":
        yield from _find_renames(root, entry, change)
    if change.action == "drop":
        if entry:
            yield _remove(text, columns, columns.value.index(entry), columns.value)
        for path in (FEATURES, *OPTIONAL, *MAPPINGS):
            yield from _find_removals(text, _find_node(root, path), change.column)


def _find_renames(root: Any, entry: Any, change: SchemaChange) -> Iterator[Edit]:
    if entry:
        yield _replace(entry[0], change.name)
    for path in NAMES:
        node = _find_node(root, path)
        if isinstance(node, yaml.ScalarNode) and node.value == change.column:
            yield _replace(node, change.name)
    for path in (*LISTS, *MAPPINGS):
        for item, _ in _list_pairs(_find_node(root, path)):
            if item.value == change.column:
                yield _replace(item, change.name)


def _find_removals(text: str, node: Any, column: str) -> Iterator[Edit]:
    pairs = _list_pairs(node)
    for place, (item, _) in enumerate(pairs):
        if item.value == column:
            yield _remove(text, node, place, pairs)


def _list_pairs(node: Any) -> list[tuple[Any, Any]]:
    """Return the keys and values of a mapping; of a list each item twice; of others nothing."""
    if isinstance(node, yaml.MappingNode):
        return list(node.value)
    return [(item, item) for item in node.value] if isinstance(node, yaml.SequenceNode) else []


def _find_node(root: Any, path: Sequence[str]) -> Any:
    """Return the node at the keys of a path; None where a key is missing."""
    node = root
    for key in path:
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        node = next((value for name, value in pairs if name.value == key), None)
    return node


def _replace(node: Any, value: str) -> Edit:
    return Edit(node.start_mark.index, node.end_mark.index, write_scalar(value))


def _append_entry(text: str, columns: Any, change: SchemaChange, comment: str) -> Edit:
    written = f"{write_scalar(change.column)}: {change.kind}"
    key, last = columns.value[-1]
    if columns.flow_style:
        return Edit(last.end_mark.index, last.end_mark.index, f", {written}")
    words = " ".join(comment.split())
    written += f"  # {words}" if words else ""
    return _append_line(text, last.end_mark.index, key.start_mark.column, written)


def _append_item(text: str, names: Any, column: str) -> Edit:
    last = names.value[-1]
    if names.flow_style:
        return Edit(last.end_mark.index, last.end_mark.index, f", {write_scalar(column)}")
    column = f"- {write_scalar(column)}"
    return _append_line(text, last.end_mark.index, names.start_mark.column, column)


def _append_line(text: str, index: int, indent: int, line: str) -> Edit:
    end = text.find("\n", index)
    end = len(text) if end < 0 else end
    is_windows = text[:end].endswith("\r")
    end -= is_windows
    return Edit(end, end, ("\r\n" if is_windows else "\n") + " " * indent + line)


def _remove(text: str, node: Any, place: int, pairs: list[Any]) -> Edit:
    """Remove an entry of a mapping, or an item of a list; of the only one an empty one stays."""
    start, end = pairs[place][0].start_mark.index, _find_end(pairs[place][1])
    if len(pairs) == 1:
        empty = "{}" if isinstance(node, yaml.MappingNode) else "[]"
        return Edit(node.start_mark.index, end, empty[:1] if node.flow_style else empty)
    if node.flow_style:
        if place == 0:
            return Edit(start, pairs[1][0].start_mark.index, "")
        return Edit(pairs[place - 1][1].end_mark.index, end, "")
    first = text.rfind("\n", 0, start) + 1
    last = text.find("\n", end)
    return Edit(first, len(text) if last < 0 else last + 1, "")


def _find_end(node: Any) -> int:
    """Return where a value ends; the parser says of an indented one where the next one begins."""
    if isinstance(node, yaml.ScalarNode) or node.flow_style or not node.value:
        return int(node.end_mark.index)
    last = node.value[-1]
    return _find_end(last[1] if isinstance(last, tuple) else last)


def write_scalar(value: str) -> str:
    """Return a text as YAML that is right in every place: plain where that is safe, or quoted."""
    if PLAIN.fullmatch(value) and parse_yaml(f"[{value}]") == [value]:
        return value
    return str(yaml.safe_dump(value, default_style='"', width=10**6)).strip()


def edit_rules(
    rules: Sequence[dict[str, Any]], change: SchemaChange, added: Sequence[dict[str, Any]] = ()
) -> list[dict[str, Any]]:
    """Return a suite's rules after a change; the others keep their ids, values and order.

    `added` are the rules of an added column, which are left out where it has rules already.
    """
    found = [_edit_rule(rule, change) for rule in rules]
    kept = [rule for rule in found if rule is not None]
    if any(change.column in _list_columns(rule) for rule in kept if rule["type"] != COLUMNS):
        return kept
    return [*kept, *added] if change.action == "add" else kept


def _list_columns(rule: dict[str, Any]) -> list[Any]:
    return [value for key, value in rule["kwargs"].items() if _names_column(key)]


def _names_column(key: str) -> bool:
    return key.startswith("column") or key in OTHER_COLUMNS


def _edit_rule(rule: dict[str, Any], change: SchemaChange) -> dict[str, Any] | None:
    """Return a rule after a change; None where it has lost its column or its meaning."""
    arguments = dict(rule["kwargs"])
    if rule["type"] == COLUMNS and isinstance(arguments.get("column_set"), list):
        names = _edit_names(arguments["column_set"], change)
        is_new = change.action == "add" and change.column not in names
        arguments["column_set"] = [*names, change.column] if is_new else names
        return {**rule, "kwargs": arguments}
    if change.column not in _list_columns(rule):
        return rule
    if change.action == "drop":
        return None
    if change.action == "rename":
        new = {key: change.name for key in arguments if _names_column(key)}
        old = {key: value for key, value in arguments.items() if value != change.column}
        return {**rule, "kwargs": {**arguments, **new, **old}}
    return _widen_rule(rule, arguments, change)


def _widen_rule(
    rule: dict[str, Any], arguments: dict[str, Any], change: SchemaChange
) -> dict[str, Any] | None:
    if change.action != "widen":
        return rule
    if rule["type"] == KIND:
        arguments["kind"] = change.kind
    is_own = arguments.get("column") == change.column
    if rule["type"] in (RANGE, GROWS) and change.kind == "text" and is_own:
        return None
    if rule["type"] == SET and "value_set" in arguments:
        arguments["value_set"] = [_widen_value(value, change) for value in arguments["value_set"]]
    return {**rule, "kwargs": arguments}


def _widen_value(value: Any, change: SchemaChange) -> Any:
    if change.kind == "text":
        return str(value).lower() if isinstance(value, bool) else str(value)
    return int(value) if isinstance(value, bool) else value
