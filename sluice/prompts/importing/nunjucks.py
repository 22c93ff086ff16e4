"""Templates of Nunjucks as ours: `{{ name }}` becomes `{name}`, and `{name}` stays a text."""

import re
from collections.abc import Mapping
from typing import Any

from sluice.prompts.importing.sources import Notes, Place, to_text
from sluice.prompts.template import NAME

TAG = re.compile(r"\{%-?\s*(\w+).*?-?%\}", re.DOTALL)
COMMENT = re.compile(r"\{#.*?#\}", re.DOTALL)
RAW = re.compile(r"\{%-?\s*raw\s*-?%\}(.*?)\{%-?\s*endraw\s*-?%\}", re.DOTALL)
VARIABLE = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}", re.DOTALL)
PATH = re.compile(rf"({NAME}(?:\.{NAME})*)((?:\s*\|\s*\w+(?:\([^()]*\))?)*)")
OURS = re.compile(rf"\{{({NAME})\}}")
PLAIN_FILTERS = {"safe", "trim", "dump", "string"}
"""Filters without which the text stays the same, or nearly so."""


class NoCounterpart(ValueError):  # noqa: N818
    """A template has something that ours cannot say."""


def convert_template(text: str, place: Place, notes: Notes) -> str:
    """Return a template of Nunjucks as one of ours.

    `a.b` becomes the variable `a_b`. Filters are left out and noted.

    Raises:
        NoCounterpart: it has a tag such as `{% if %}`, or an expression.
    """
    parts = RAW.split(COMMENT.sub("", text))
    return "".join(
        _escape(part) if index % 2 else _convert(part, place, notes)
        for index, part in enumerate(parts)
    )


def _escape(text: str) -> str:
    return OURS.sub(r"{{\1}}", text)


def _convert(text: str, place: Place, notes: Notes) -> str:
    if tag := TAG.search(text):
        raise NoCounterpart(f"`{{% {tag[1]} %}}` has no counterpart")
    found, last = "", 0
    for match in VARIABLE.finditer(text):
        found += _escape(text[last : match.start()]) + _name(match[1], place, notes)
        last = match.end()
    return found + _escape(text[last:])


def _name(expression: str, place: Place, notes: Notes) -> str:
    match = PATH.fullmatch(expression)
    if match is None or match[1].split(".")[0] == "env":
        raise NoCounterpart(f"`{{{{ {expression} }}}}` has no counterpart")
    filters = re.findall(r"\|\s*(\w+)", match[2])
    if others := [name for name in filters if name not in PLAIN_FILTERS]:
        notes.add(place, f"filter `{others[0]}` of `{match[1]}` is left out; give it in the cases")
    return f"{{{match[1].replace('.', '_')}}}"


def flatten_variables(values: Mapping[str, Any]) -> dict[str, str]:
    """Return variables as texts; `a_b` beside `a` for each key of a mapping."""
    found = dict[str, str]()
    for name, value in values.items():
        found[name] = to_text(value)
        if isinstance(value, Mapping):
            inner = {f"{name}_{key}": item for key, item in value.items()}
            found |= {key: text for key, text in flatten_variables(inner).items()}
    return found


def fill_variables(text: str, values: Mapping[str, str]) -> str:
    """Return a text with the variables that are known; everything else stays as it stands."""

    def replace(match: re.Match[str]) -> str:
        path = PATH.fullmatch(match[1])
        return values.get(path[1].replace(".", "_"), match[0]) if path else match[0]

    return VARIABLE.sub(replace, text)
