"""HTML elements; all text is escaped, so that no person's words become markup."""

from html import escape


class Html(str):
    """Text that is markup already; only `element` and `join` create it."""

    __slots__ = ()


Child = Html | str | int | None
NO_END = frozenset({"meta", "link", "input"})


def element(tag: str, *children: Child, **attributes: str | float | bool | None) -> Html:
    """Return an element with its children and attributes.

    A value of None or False leaves the attribute out; True writes it without a value. A name's
    underscores become hyphens, and one at its end is dropped (`class_`).
    """
    written = "".join(_write_attribute(name, value) for name, value in attributes.items())
    end = "" if tag in NO_END else f"</{tag}>"
    return Html(f"<{tag}{written}>{join(*children)}{end}")


def join(*children: Child) -> Html:
    """Return the children in a row, each escaped where it is plain text."""
    return Html("".join(_escape_child(child) for child in children))


def render_code(text: str) -> Html:
    """Return text whose parts between backticks are code to copy."""
    parts = (element("code", part) if at % 2 else part for at, part in enumerate(text.split("`")))
    return join(*parts)


def _escape_child(child: Child) -> str:
    if child is None:
        return ""
    return str(child) if isinstance(child, Html) else escape(str(child))


def _write_attribute(name: str, value: str | float | bool | None) -> str:
    name = name.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return ""
    if value is True:
        return f" {name}"
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return f' {name}="{escape(text)}"'
