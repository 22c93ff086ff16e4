"""Which words of a text changed, in parts that a person can read."""

from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import groupby
from operator import itemgetter
from re import split

WordChange = tuple[bool, tuple[str, ...], tuple[str, ...]]
"""Whether a part is the same in both texts, and its words in each."""


def divide_words(text: str) -> list[str]:
    """Return the words of a text and what stands between them, in order."""
    return [part for part in split(r"(\s+)", text) if part]


def join_changes(before: Sequence[str], after: Sequence[str]) -> list[WordChange]:
    """Return the parts of two texts, of words: the same in both, or changed, by turns.

    What is the same and shorter than the changes on both of its sides counts as changed, so that a
    sentence that was written anew is one change, not ten (the semantic clean-up of
    diff-match-patch, Fraser 2006).
    """
    parts: list[WordChange] = [
        (kind == "equal", tuple(before[start:end]), tuple(after[first:last]))
        for kind, start, end, first, last in SequenceMatcher(
            a=before, b=after, autojunk=False
        ).get_opcodes()
    ]
    while len(joined := _join_islands(parts)) < len(parts):
        parts = joined
    return parts


def _join_islands(parts: Sequence[WordChange]) -> list[WordChange]:
    """Return the parts after one pass: what is the same and short joins the changes beside it."""
    sizes = [max(_measure(old), _measure(new)) for _, old, new in parts]
    kept = [
        same and not (0 < place < len(parts) - 1 and size < min(sizes[place - 1], sizes[place + 1]))
        for place, ((same, _, _), size) in enumerate(zip(parts, sizes, strict=True))
    ]
    joined: list[WordChange] = []
    for same, group in groupby(zip(kept, parts, strict=True), key=itemgetter(0)):
        texts = [(old, new) for _, (_, old, new) in group]
        old_words = tuple(word for old, _ in texts for word in old)
        joined.append((same, old_words, tuple(word for _, new in texts for word in new)))
    return joined


def _measure(words: Sequence[str]) -> int:
    return sum(map(len, words))


def shorten_changes(parts: Sequence[WordChange], around: int) -> tuple[str, str]:
    """Return both texts of changes, of what is the same only so many words beside each change."""
    sides = ["", ""]
    for place, (same, *texts) in enumerate(parts):
        is_first, is_last = place == 0, place == len(parts) - 1
        for side, words in enumerate(texts):
            text = "".join(words)
            sides[side] += _shorten(text, around, is_first, is_last) if same else text
    return sides[0], sides[1]


def _shorten(text: str, around: int, is_first: bool, is_last: bool) -> str:
    words = divide_words(text)
    left, right = (0 if is_first else 2 * around), (0 if is_last else 2 * around)
    if len(words) <= left + right + 2:
        return text
    begins = "".join(words[:left]).rstrip()
    ends = "".join(words[-right:] if right else ()).lstrip()
    return " ".join(filter(None, (begins, "...", ends)))
