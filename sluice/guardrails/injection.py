"""Injected instructions in a text: a trained model looks at it, part by part."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

Classify = Callable[[Sequence[str]], Sequence[Any]]
"""Says of each text whether it tries to give a language model other instructions."""
WORD = re.compile(r"\S+")
PART, STEP = 60, 40
"""Words that the model sees at once, and words from one part to the next. The texts that it
learned from are shorter: a page's other words would hide what is said in a few of them."""


class InjectionDetector:
    """A guardrail's rule: it finds the parts of a text that a model takes for an injection."""

    def __init__(self, classify: Classify) -> None:
        self.classify = classify

    def __call__(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield the parts that hold injected instructions; parts that overlap are one."""
        parts = cut_parts(text)
        if not parts:
            return
        answers = self.classify([text[start:end] for start, end in parts])
        found: tuple[int, int] | None = None
        for (start, end), is_injection in zip(parts, answers, strict=True):
            if not is_injection:
                continue
            if found and start <= found[1]:
                found = (found[0], end)
                continue
            if found:
                yield found
            found = (start, end)
        if found:
            yield found


def cut_parts(text: str) -> list[tuple[int, int]]:
    """Return the places of the parts of a text, each of at most `PART` words; together all."""
    words = [match.span() for match in WORD.finditer(text)]
    starts = range(0, max(len(words) - (PART - STEP), 1), STEP)
    return [
        (words[at][0], words[min(at + PART, len(words)) - 1][1]) for at in starts if at < len(words)
    ]
