"""Changes of `data.reading` in the text of a service's YAML; everything else stays as it is."""

import json
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from sluice.config.reading import ColumnReading, ReadingConfig
from sluice.documents import compose_yaml, parse_yaml
from sluice.errors import ChoiceNeeded, ConfigInvalid


def change_reading(reading: ReadingConfig, changes: dict[str, str]) -> ReadingConfig:
    """Return how files are read after options changed it; each option has its key's name.

    Raises:
        ChoiceNeeded: a value is not allowed.
    """
    try:
        return ReadingConfig.model_validate(reading.model_dump() | changes)
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0]) if first["loc"] else next(iter(changes))
        words = first["msg"].removeprefix("Value error, ")
        if first["type"] == "literal_error":
            words = f"found {first['input']!r}, allowed: {first['ctx']['expected']}"
        raise ChoiceNeeded(f"--{key}: {words}") from error


def set_reading(path: Path, text: str, reading: ReadingConfig, before: ReadingConfig) -> str:
    """Return a service's YAML with other scalar values in `data.reading`.

    Raises:
        ConfigInvalid: the file is written in a way that cannot be changed here; the message has
            the lines to write.
    """
    changed = {
        key: value
        for key, value in reading.model_dump(mode="json").items()
        if value != getattr(before, key)
    }
    new = text
    for key, value in changed.items():
        new = _set_key(new, key, value)
    found = _read_section(new)
    if any(found.get(key) != value for key, value in changed.items()) or _strip(new) != _strip(
        text
    ):
        lines = json.dumps({"reading": changed}, ensure_ascii=False)
        raise ConfigInvalid(f"{path}: data: cannot be changed by a command; next: write {lines}")
    return new


def add_form(
    text: str,
    column: str,
    form: ColumnReading,
    nulls: tuple[str, ...],
    before: ReadingConfig,
    encoding: str = "",
) -> str:
    """Return a service's YAML that also says how a new column's cells are written.

    `nulls` are further words for an absent value; `encoding` is how the column becomes a number
    where that is not as usual. What is there already stays as it is.

    Raises:
        ConfigInvalid: the file is written in a way that cannot be changed here; the message has
            the lines to write.
    """
    values = form.model_dump(mode="json", exclude_defaults=True)
    wanted: dict[str, Any] = {}
    if values:
        wanted["columns"] = {column: values} | (_read_section(text).get("columns") or {})
    if more := [word for word in nulls if word not in before.nulls]:
        wanted["nulls"] = [*before.nulls, *more]
    lines = "\r\n" if "\r\n" in text else "\n"
    new = text.replace("\r\n", "\n")
    if values:
        new = _set_path(new, ("data", "reading", "columns", column), values)
    if more:
        new = _set_path(new, ("data", "reading", "nulls"), wanted["nulls"])
    known = _read_data(text).get("encodings") or {}
    encodings = {column: encoding} | known if encoding else known
    if encoding:
        new = _set_path(new, ("data", "encodings", column), encoding)
    try:
        found, data = _read_section(new), _read_data(new)
    except ValueError:
        found, data = {}, {}
    is_right = (data.get("encodings") or {}) == encodings and all(
        found.get(key) == value for key, value in wanted.items()
    )
    if not is_right or _strip(new) != _strip(text):
        shown = json.dumps({"reading": wanted, "encodings": encodings}, ensure_ascii=False)
        raise ConfigInvalid(f"data: cannot be changed by a command; next: write {shown} into it")
    return new.replace("\n", lines)


def _set_path(text: str, path: tuple[str, ...], value: Any) -> str:
    """Return the text with a value at the end of a path of keys; a mapping there stays."""
    node, rest = compose_yaml(text), list(path)
    while rest and (inner := _find(node, rest[0])) is not None:
        node, rest = inner, rest[1:]
    if rest:
        for key in reversed(rest[1:]):
            value = {key: value}
        return _insert(text, node, rest[0], value) if isinstance(node, yaml.MappingNode) else text
    if not isinstance(node, yaml.SequenceNode):
        return text
    if node.flow_style:
        shown = json.dumps(value, ensure_ascii=False)
        return text[: node.start_mark.index] + shown + text[node.end_mark.index :]
    end, indent = node.value[-1].end_mark.index, " " * node.start_mark.column
    added = value[len(node.value) :]
    lines = "".join(f"\n{indent}- {json.dumps(item, ensure_ascii=False)}" for item in added)
    return text[:end] + lines + text[end:]


def _insert(text: str, mapping: yaml.MappingNode, key: str, value: Any) -> str:
    """Return the text with another key, which is the mapping's first."""
    is_plain = key.isidentifier() and parse_yaml(key) == key
    shown = key if is_plain else json.dumps(key, ensure_ascii=False)
    shown += f": {json.dumps(value, ensure_ascii=False)}"
    if mapping.flow_style:
        place = mapping.start_mark.index + 1
        return f"{text[:place]}{shown}{', ' if mapping.value else ''}{text[place:]}"
    first = mapping.value[0][0].start_mark
    place = text.rfind("\n", 0, first.index) + 1
    return f"{text[:place]}{' ' * first.column}{shown}\n{text[place:]}"


def _set_key(text: str, key: str, value: Any) -> str:
    """Return the text with one key of `data.reading`, changed in place or added."""
    shown = json.dumps(value, ensure_ascii=False)
    data = _find(compose_yaml(text), "data")
    if not isinstance(data, yaml.MappingNode) or data.flow_style or not data.value:
        return text
    indent = " " * data.value[0][0].start_mark.column
    section = _find(data, "reading")
    if section is None:
        place = text.rindex("\n", 0, data.value[0][0].start_mark.index) + 1
        lines = f"{indent}reading:\n{indent}{indent}{key}: {shown}\n"
        return text[:place] + lines + text[place:]
    known = _find(section, key)
    if known is not None:
        return text[: known.start_mark.index] + shown + text[known.end_mark.index :]
    if isinstance(section, yaml.MappingNode) and section.flow_style:
        place = section.start_mark.index + 1
        more = ", " if section.value else ""
        return f"{text[:place]}{key}: {shown}{more}{text[place:]}"
    if isinstance(section, yaml.MappingNode):
        place = text.rindex("\n", 0, section.start_mark.index) + 1
        inner = " " * section.start_mark.column
        return f"{text[:place]}{inner}{key}: {shown}\n{text[place:]}"
    return text


def _find(node: yaml.Node | None, key: str) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        return next((value for name, value in node.value if name.value == key), None)
    return None


def _read_data(text: str) -> dict[str, Any]:
    found: dict[str, Any] = parse_yaml(text).get("data") or {}
    return found


def _read_section(text: str) -> dict[str, Any]:
    found: dict[str, Any] = _read_data(text).get("reading") or {}
    return found


def _strip(text: str) -> Any:
    """Return the values of a YAML without `data.reading` and `data.encodings`."""
    values, own = parse_yaml(text), ("reading", "encodings")
    data = {key: value for key, value in (values.get("data") or {}).items() if key not in own}
    return values | {"data": data}
