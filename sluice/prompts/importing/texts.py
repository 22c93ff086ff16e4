"""Prompts of a promptfoo configuration: texts and conversations, inline or in files."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sluice.documents import DocumentInvalid, parse_json
from sluice.errors import PromptInvalid
from sluice.prompts.importing.nunjucks import NoCounterpart, convert_template
from sluice.prompts.importing.sources import (
    FILE,
    Notes,
    Place,
    parse_plain_yaml,
    read_text,
    to_text,
)

TEXT_FILES = {".txt", ".md", ".j2", ""}
CHAT_FILES = {".json", ".yaml", ".yml"}
SEPARATOR = re.compile(r"^---\s*$", re.MULTILINE)
UNQUOTED = re.compile(r"(?<=[:\[,])(\s*)(\{\{[^{}]*\}\})(?=\s*[,}\]\n])")
"""A variable in JSON that brings its own quotes: `"content": {{ question | dump }}`."""


@dataclass(frozen=True)
class ImportedText:
    """One prompt as the texts of a version: system, turns before, and the user's last turn."""

    template: str
    system: str = ""
    messages: tuple[tuple[str, str], ...] = ()


def read_prompts(prompts: Any, folder: Path, notes: Notes) -> list[ImportedText]:
    """Return the prompts of a configuration; those without a counterpart are noted.

    Raises:
        PromptInvalid: a file cannot be read.
    """
    items = prompts if isinstance(prompts, list) else [prompts]
    if isinstance(prompts, Mapping):  # file to label, an old form
        items = list(prompts)
    found = []
    for number, item in enumerate(items, 1):
        place = f"prompt {number}"
        for text, is_chat in _list_texts(item, folder, place, notes):
            try:
                found.append(_convert_text(text, is_chat, place, notes))
            except NoCounterpart as error:
                notes.add(place, f"not imported: {error}")
    return found


def _list_texts(item: Any, folder: Path, place: Place, notes: Notes) -> Iterator[tuple[str, bool]]:
    """Yield the texts that an entry stands for, and whether each is to be a conversation."""
    if isinstance(item, Mapping):
        source = next((key for key in ("raw", "id", "label") if item.get(key)), "raw")
        for key in sorted(set(item) - {source}):
            words = f"`{key}: {to_text(item[key])[:80]}` has no counterpart and is left out"
            notes.add(place, words)
        item = item.get(source)
    if not isinstance(item, str):
        notes.add(place, f"not imported: {to_text(item)[:80]}: no text and no file")
        return
    name = item.removeprefix(FILE)
    is_file = item.startswith(FILE) or _is_path(name, folder)
    if not is_file:
        yield item, _looks_like_chat(item)
        return
    paths = sorted(folder.glob(name)) if re.search(r"[*?\[]", name) else [folder / name]
    if not paths:
        notes.add(place, f"not imported: no file fits {name}")
    for path in paths:
        if path.suffix in TEXT_FILES:
            yield from ((part.strip(), _looks_like_chat(part)) for part in _split(path))
        elif path.suffix in CHAT_FILES:
            yield read_text(path), True
        else:
            words = "code is not run" if path.suffix in (".py", ".js", ".mjs", ".ts") else ""
            notes.add(place, f"not imported: {path.name}: {words or 'a kind that is not read'}")


def _is_path(name: str, folder: Path) -> bool:
    is_short = len(name) < 200 and "\n" not in name and "{{" not in name
    return is_short and bool(re.search(r"\.\w{1,4}$", name)) and (folder / name).is_file()


def _split(path: Path) -> list[str]:
    return [part for part in SEPARATOR.split(read_text(path)) if part.strip()]


def _looks_like_chat(text: str) -> bool:
    return text.lstrip().startswith("[") and '"role"' in text


def _convert_text(text: str, is_chat: bool, place: Place, notes: Notes) -> ImportedText:
    if not is_chat:
        return ImportedText(convert_template(text, place, notes))
    turns = _read_chat(text)
    system = [content for role, content in turns if role in ("system", "developer")]
    others = [(role, content) for role, content in turns if role in ("user", "assistant")]
    if unknown := [role for role, _ in turns if role not in KNOWN_ROLES]:
        raise NoCounterpart(f"a turn of `{unknown[0]}` has no counterpart")
    if not others or others[-1][0] != "user":
        raise NoCounterpart("a conversation that does not end with a user's turn")
    texts = [(role, convert_template(content, place, notes)) for role, content in others]
    roles = [role for role, _ in texts]
    if roles != ["user", "assistant"] * (len(roles) // 2) + ["user"]:
        raise NoCounterpart("turns of user and assistant that do not alternate")
    joined = convert_template("\n\n".join(system), place, notes)
    return ImportedText(texts[-1][1], joined, tuple(texts[:-1]))


KNOWN_ROLES = ("system", "developer", "user", "assistant")


def _read_chat(text: str) -> list[tuple[str, str]]:
    """Return role and content of each turn of a conversation in JSON or YAML.

    Raises:
        NoCounterpart: it is no list of such turns.
    """
    if "{%" in text:
        raise NoCounterpart("a conversation that is built with `{% %}`")
    quoted = UNQUOTED.sub(lambda match: match[1] + json.dumps(match[2]), text)
    try:
        is_json = text.lstrip().startswith(("[", "{"))
        found = parse_json(quoted) if is_json else parse_plain_yaml(text)
    except (DocumentInvalid, PromptInvalid) as error:
        raise NoCounterpart(f"a conversation that cannot be read: {error}") from error
    if isinstance(found, Mapping):
        found = found.get("messages", found)
    if not isinstance(found, list) or not all(isinstance(turn, Mapping) for turn in found):
        raise NoCounterpart("a file that is no list of turns")
    return [(str(turn.get("role")), _read_content(turn.get("content"))) for turn in found]


def _read_content(content: Any) -> str:
    if isinstance(content, list):
        texts = [part.get("text") for part in content if isinstance(part, Mapping)]
        if len(texts) < len(content) or not all(isinstance(text, str) for text in texts):
            raise NoCounterpart("a turn with a picture or another part that is no text")
        return "\n".join(str(text) for text in texts)
    if not isinstance(content, str):
        raise NoCounterpart("a turn without a text")
    return content
