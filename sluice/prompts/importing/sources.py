"""The files of a foreign configuration, read as its tool does, and notes on what is not taken."""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from sluice.documents import DocumentInvalid, UniqueKeys, compose_yaml, parse_json
from sluice.errors import PromptInvalid

TRUE, FALSE = {"true", "True", "TRUE"}, {"false", "False", "FALSE"}
MOST_BYTES = 4 * 1024**2
FILE = "file://"
Place = str


@dataclass
class Notes:
    """What has no counterpart, in the order in which it was met, each once."""

    lines: list[str] = field(default_factory=list)

    def add(self, place: Place, words: str) -> None:
        """Note that something at a place of the configuration is not taken, or is changed."""
        line = f"{place}: {words}" if place else words
        if line not in self.lines:
            self.lines.append(line)


def read_text(path: Path) -> str:
    """Return the text of a file that a configuration names.

    Raises:
        PromptInvalid: it cannot be read, is too long, or is no UTF-8.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise PromptInvalid(f"{path}: cannot be read: {os.strerror(error.errno or 0)}") from error
    if len(content) > MOST_BYTES:
        raise PromptInvalid(f"{path}: longer than the {MOST_BYTES:,} bytes that are allowed")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise PromptInvalid(f"{path}: not readable as UTF-8") from error


def read_values(path: Path) -> Any:
    """Return what a file of YAML or JSON holds; YAML by version 1.2, in which `yes` is a text.

    Raises:
        PromptInvalid: it cannot be read, or is not valid.
    """
    text = read_text(path)
    try:
        if path.suffix == ".json":
            return parse_json(text)
        return parse_plain_yaml(text)
    except DocumentInvalid as error:
        line = f":{error.line}" if error.line else ""
        raise PromptInvalid(f"{path}{line}: {error}") from error


def parse_plain_yaml(text: str) -> Any:
    """Return what YAML holds; only true, false, null and decimal numbers are no texts.

    Raises:
        DocumentInvalid: it is no YAML, or beyond a limit.
    """
    node = compose_yaml(text)
    try:
        return None if node is None else _build(node, UniqueKeys(""))
    except yaml.YAMLError as error:
        raise DocumentInvalid(f"not readable as YAML: {error}") from error


def _build(node: yaml.Node, loader: UniqueKeys) -> Any:
    if isinstance(node, yaml.SequenceNode):
        return [_build(item, loader) for item in node.value]
    if isinstance(node, yaml.MappingNode):
        loader.flatten_mapping(node)  # `<<` of an anchor
        return {str(key.value): _build(value, loader) for key, value in node.value}
    return _read_scalar(node)


def _read_scalar(node: yaml.Node) -> Any:
    text = str(node.value)
    if node.tag.endswith(":str"):
        return text
    if text in TRUE | FALSE:
        return text in TRUE
    if node.tag.endswith(":null"):
        return None
    try:
        return parse_json(text) if text[:1] in "-0123456789" else text
    except ValueError:  # 0o17, 1:30, 2024-05-01
        return text


def to_text(value: Any) -> str:
    """Return a value as the text that a template shows: JSON for lists and mappings."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    return json.dumps(value, ensure_ascii=False)
