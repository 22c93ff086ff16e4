"""Text of other people's data, shown with all its characters visible."""


def clean(text: str) -> str:
    """Return text whose characters that cannot be seen, or turn a line around, are spelt out."""
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() or one in "\n\u00a0" else f"\\u{ord(one):04x}" for one in text
    )
