"""Placeholders of a prompt: `{name}` is replaced by a value, every other brace is text.

`{{name}}` stands for the text `{name}`. Values are put in once and never read again, so braces and
template syntax in them do nothing. So are JSON, `{{ name }}` of other template languages, and `{}`
in the text of a prompt.
"""

import re
from collections.abc import Mapping

NAME = r"[A-Za-z_][A-Za-z0-9_]*"
PLACEHOLDER = re.compile(rf"\{{\{{({NAME})\}}\}}|\{{({NAME})\}}")
FOREIGN = re.compile(rf"\{{\{{-?\s*({NAME})(?:\s*\|[^}}]*)?\s*-?\}}\}}")
"""A variable as Jinja, Nunjucks, Handlebars and Mustache write it."""


def list_placeholders(*texts: str) -> tuple[str, ...]:
    """Return the names of the placeholders of texts, each once, in order."""
    found = (match[2] for text in texts for match in PLACEHOLDER.finditer(text))
    return tuple(dict.fromkeys(name for name in found if name))


def list_foreign(*texts: str) -> tuple[str, ...]:
    """Return the names that are written `{{name}}`, as other template languages do."""
    found = (match[1] for text in texts for match in FOREIGN.finditer(text))
    return tuple(dict.fromkeys(found))


def fill_template(text: str, values: Mapping[str, str]) -> str:
    """Return a text with the value of each placeholder; `{{name}}` becomes `{name}`.

    Raises:
        KeyError: a placeholder has no value; `check_variables` says so in words.
    """
    return PLACEHOLDER.sub(lambda match: values[match[2]] if match[2] else f"{{{match[1]}}}", text)


def describe_variables(
    placeholders: tuple[str, ...], given: tuple[str, ...], foreign: tuple[str, ...] = ()
) -> str:
    """Return in words which variables are missing and which are surplus; empty if none is.

    `foreign` are names that the text has as `{{name}}`, which is no placeholder.
    """
    missing = [name for name in placeholders if name not in given]
    surplus = [name for name in given if name not in placeholders]
    words = []
    if missing:
        words.append(f"missing: {', '.join(missing)}")
    if surplus:
        words.append(f"surplus: {', '.join(surplus)}")
    if not words:
        return ""
    wanted = ", ".join(placeholders) or "none"
    words.append(f"the version's placeholders: {wanted}")
    words += [
        f"`{{{{{name}}}}}` is no placeholder, write `{{{name}}}`"
        for name in surplus
        if name in foreign
    ]
    return "; ".join(words)
