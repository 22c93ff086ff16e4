"""How a text can be read: as it is, decoded from base64, with its lines joined, normalised.

A key can be hidden from a pattern in base64, in wide characters, or over two lines.
"""

import base64
import binascii
import codecs
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

PLAIN, BASE64, JOINED, NORMALISED = "plain", "base64", "joined lines", "normalised"
LONGEST = 200_000
"""Characters of a text that are inspected in one piece; longer texts are cut with an overlap."""
OVERLAP = 4_000
"""Characters that two pieces of a long text share."""
DEEPEST = 3
"""Layers of base64 that are decoded."""
MOST_LINES = 40
"""Lines of one run of base64 that are decoded together: some 2,000 characters."""
RUN = re.compile(r"[A-Za-z0-9+/_-]{12,}(?:[ \t]*\r?\n[ \t>*]*[A-Za-z0-9+/_-]+)*={0,2}")
LEAST = 12
"""Characters of base64 that are decoded: 9 bytes."""
INVISIBLE = dict.fromkeys(
    place
    for first, last in (
        (0x00AD, 0x00AD), (0x034F, 0x034F), (0x180E, 0x180E), (0xFEFF, 0xFEFF),
        (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x2064), (0xE0000, 0xE007F),
    )
    for place in range(first, last + 1)
)  # fmt: skip
"""Characters that have no width: soft hyphens, joiners, directions, tags."""
BREAK = re.compile(r"[ \t]*(?:\\\n|-\n|\r?\n)[ \t>*\u2022-]*")


@dataclass(frozen=True)
class Reading:
    """One way to read a text; `places` are the original's characters, one for each of `text`.

    `places` is None where each character stands in its own place, plus `offset`. A decoded part
    has `span`, the whole part in the original.
    """

    name: str
    text: str
    offset: int = 0
    places: tuple[int, ...] | None = None
    span: tuple[int, int] | None = None

    def locate(self, start: int, end: int) -> tuple[int, int]:
        """Return a part's first character in the original and the one behind its last."""
        if self.span:
            return self.span
        if self.places is None:
            return self.offset + start, self.offset + end
        return self.offset + self.places[start], self.offset + self.places[end - 1] + 1

    def spans_break(self, start: int, end: int) -> bool:
        """Return whether a part of joined lines has more than one line of the original."""
        if self.places is None:
            return False
        return self.places[end - 1] - self.places[start] != end - 1 - start


def read_ways(text: str) -> Iterator[Reading]:
    """Yield every reading of a text, the plain one first; a long text in pieces that overlap."""
    for begin in range(0, max(len(text) - OVERLAP, 1), LONGEST - OVERLAP):
        piece = text[begin : begin + LONGEST]
        yield Reading(PLAIN, piece, begin)
        normal = _normalise(piece, begin)
        if normal is not None:
            yield normal
        if "\n" in piece:
            yield _join_lines(piece, begin)
        yield from _decode_runs(piece, begin)


def _normalise(text: str, begin: int) -> Reading | None:
    """Return the text in its plain characters (NFKC), without invisible ones."""
    if text.isascii():
        return None
    parts, places = list[str](), list[int]()
    for place, sign in enumerate(text):
        plain = unicodedata.normalize("NFKC", sign.translate(INVISIBLE))
        parts.append(plain)
        places += [place] * len(plain)
    found = "".join(parts)
    return Reading(NORMALISED, found, begin, tuple(places)) if found != text else None


def _join_lines(text: str, begin: int) -> Reading:
    """Return the text without line breaks and the marks of lists and quotes behind them."""
    parts, places, last = list[str](), list[int](), 0
    for match in BREAK.finditer(text):
        parts.append(text[last : match.start()])
        places += range(last, match.start())
        last = match.end()
    parts.append(text[last:])
    places += range(last, len(text))
    return Reading(JOINED, "".join(parts), begin, tuple(places))


def _decode_runs(text: str, begin: int) -> Iterator[Reading]:
    """Yield what runs of base64 hold, also those inside one another, and split over lines."""
    for match in RUN.finditer(text):
        span = (begin + match.start(), begin + match.end())
        yield from _decode_lines([line.strip(" \t>*=\r") for line in match[0].split("\n")], span)


def _decode_lines(
    lines: list[str], span: tuple[int, int], layers: int = DEEPEST
) -> Iterator[Reading]:
    """Yield what lines hold, as many of them together as can be decoded."""
    first = 0
    while first < len(lines):
        last = min(len(lines), first + MOST_LINES)
        decoded = None
        if _is_begun(lines[first]):
            while last > first and decoded is None:
                decoded = _read_base64("".join(lines[first:last]))
                last -= decoded is None
        if decoded is None:
            first += 1
            continue
        first = last
        yield Reading(BASE64, decoded, span=span)
        if layers > 1:
            for match in RUN.finditer(decoded):
                yield from _decode_lines(match[0].rstrip("=").split("\n"), span, layers - 1)


def _is_begun(line: str) -> bool:
    """Return whether a line's beginning can be text in base64: prose hardly ever can."""
    return _read_base64(line[: min(len(line), 32) // 4 * 4], cut=True) is not None


def _read_base64(run: str, cut: bool = False) -> str | None:
    """Return text that a run of base64 holds, None if it holds none; `cut`: it may end anywhere."""
    plain = run.replace("-", "+").replace("_", "/")
    if len(plain) % 4 == 1 or (len(plain) < LEAST and not cut):
        return None
    try:
        content = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
        text = codecs.getincrementaldecoder("utf-8")().decode(content, final=not cut)
    except (binascii.Error, UnicodeDecodeError):
        return None
    return text if text and all(map(_is_readable, text)) else None


def _is_readable(sign: str) -> bool:
    return sign.isprintable() or sign.isspace()
