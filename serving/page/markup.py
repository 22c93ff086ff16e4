"""Markup that cannot be made by a person's words: text is escaped unless an element made it."""

from html import escape


class Html(str):
    """Text that is markup already; only `element` and `join` make it."""

    __slots__ = ()


Child = Html | str | int | None
NO_END = frozenset({"meta", "link", "input"})


def element(tag: str, *children: Child, **attributes: str | float | bool | None) -> Html:
    """Give an element; what is None or False is left out, True is an attribute without a value.

    A name's underscores become hyphens, one at its end is dropped (`class_`).
    """
    given = "".join(_write(name, value) for name, value in attributes.items())
    end = "" if tag in NO_END else f"</{tag}>"
    return Html(f"<{tag}{given}>{join(*children)}{end}")


def join(*children: Child) -> Html:
    """Give children one behind another, each escaped where it is plain text."""
    return Html("".join(_give(child) for child in children))


def _give(child: Child) -> str:
    if child is None:
        return ""
    return str(child) if isinstance(child, Html) else escape(str(child))


def _write(name: str, value: str | float | bool | None) -> str:
    name = name.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    if value is True:
        return f" {name}"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return f' {name}="{escape(text)}"'
