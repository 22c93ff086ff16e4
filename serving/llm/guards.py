"""Guardrails of live traffic: what is asked, and answers whole or in pieces.

| mode of a stream | what leaves | what a guardrail can do |
|---|---|---|
| `buffer` | nothing before the whole answer was judged | block, mask, flag |
| `window` | what lies further back than so many characters | block, mask, flag |
| `end` | everything at once | flag: the answer is judged when it has left |

In `window` a hit is seen as a whole before its first character leaves, if it is not longer than the
window. A word without a blank is kept together beyond that, up to `LONGEST_WORD` characters: keys
and tokens are such words.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from serving.llm.calls import OpenGuard, OutputGuard
from sluice.guardrails.actions import GuardrailRules, JudgedHit, is_blocking, mask_hits
from sluice.prompts.chat import ToolCall

StreamMode = Literal["buffer", "window", "end"]
BEHIND = 200
"""Characters that have left and are looked at again: a hit may need the words before it."""
STEP = 100
"""Characters that collect beyond the window before it is looked at again."""
LONGEST_WORD = 4000


def name_hits(side: Literal["input", "output"], hits: Sequence[JudgedHit]) -> tuple[str, ...]:
    """Return hits as they are counted and logged, such as `output:email:mask`."""
    return tuple(f"{side}:{item.hit.rule}:{item.action}" for item in hits)


def open_guard(
    rules: GuardrailRules, mode: StreamMode, window: int, *, is_streamed: bool
) -> OutputGuard:
    """Return the guard of one answer; one that is not streamed is always judged as a whole."""
    if not rules:
        return OpenGuard()
    if not is_streamed or mode == "buffer":
        return BufferGuard(rules)
    return WindowGuard(rules, window) if mode == "window" else EndGuard(rules)


class _WholeGuard:
    """Keeps the pieces of an answer that is judged at its end."""

    def __init__(self, rules: GuardrailRules) -> None:
        self._rules = rules
        self._parts: list[str] = []
        self.hits: tuple[str, ...] = ()
        self.is_blocked = False


class BufferGuard(_WholeGuard):
    """Lets nothing leave before the whole answer was judged."""

    def feed(self, text: str) -> str:
        """Keep a piece."""
        self._parts.append(text)
        return ""

    def end(self, calls: tuple[ToolCall, ...]) -> tuple[str, tuple[ToolCall, ...]]:
        """Return the answer as it may leave: nothing where it is blocked."""
        text = "".join(self._parts)
        hits = self._rules.judge(text)
        found, kept = judge_calls(self._rules, calls)
        self.hits = name_hits("output", (*hits, *found))
        self.is_blocked = is_blocking((*hits, *found))
        return ("", ()) if self.is_blocked else (mask_hits(text, hits), kept)

    def restate(self, text: str) -> str:
        """Return what left, which was judged."""
        return text


class EndGuard(_WholeGuard):
    """Judges an answer that has left; what is kept of it is masked."""

    def feed(self, text: str) -> str:
        """Return the piece."""
        self._parts.append(text)
        return text

    def end(self, calls: tuple[ToolCall, ...]) -> tuple[str, tuple[ToolCall, ...]]:
        """Judge the answer, and let the calls of tools pass."""
        found, _ = judge_calls(self._rules, calls)
        hits = (*self._rules.judge("".join(self._parts)), *found)
        self.hits = tuple(f"output:{item.hit.rule}:flag" for item in hits)
        return "", calls

    def restate(self, text: str) -> str:
        """Return what left without what was found too late."""
        return mask_hits(text, self._rules.judge(text))


class WindowGuard:
    """Holds the end of a stream back, so that a hit is seen before it leaves."""

    def __init__(self, rules: GuardrailRules, window: int) -> None:
        self._rules, self._window = rules, window
        self._left = self._held = ""
        self.hits: tuple[str, ...] = ()
        self.is_blocked = False

    def feed(self, text: str) -> str:
        """Return what lies further back than the window."""
        self._held += text
        if len(self._held) < self._window + STEP:
            return ""
        return self._release(self._find_edge())

    def end(self, calls: tuple[ToolCall, ...]) -> tuple[str, tuple[ToolCall, ...]]:
        """Return the rest."""
        found, kept = judge_calls(self._rules, calls)
        self.hits += name_hits("output", found)
        if is_blocking(found):
            self.is_blocked = True
            return "", ()
        rest = self._release(len(self._held))
        return rest, () if self.is_blocked else kept

    def restate(self, text: str) -> str:
        """Return what left, which was judged."""
        return text

    def _find_edge(self) -> int:
        """Return how many characters may leave: up to the window, and no part of a word."""
        edge = len(self._held) - self._window
        blank = max(self._held.rfind(sign, 0, edge + 1) for sign in " \n\t")
        return blank if blank > 0 else edge if len(self._held) > LONGEST_WORD else 0

    def _release(self, edge: int) -> str:
        """Judge what is held, and let its first characters leave, masked.

        A hit that begins before the edge leaves as a whole; one behind it waits: more text may
        show that it is none.
        """
        if not edge:
            return ""
        text, shift = self._left + self._held, len(self._left)
        found = [item for item in self._rules.judge(text) if item.hit.end > shift]
        end, hits = _extend(shift + edge, found)
        self.hits += name_hits("output", hits)
        if is_blocking(hits):
            self.is_blocked, self._held = True, ""
            return ""
        moved = [_move(item, shift) for item in hits]
        piece = mask_hits(text[shift:end], moved)
        self._left, self._held = text[max(0, end - BEHIND) : end], text[end:]
        return piece


def _extend(edge: int, found: Sequence[JudgedHit]) -> tuple[int, list[JudgedHit]]:
    """Return the hits that begin before an edge, and the edge behind the last of them."""
    while True:
        hits = [item for item in found if item.hit.start < edge]
        end = max([edge, *(item.hit.end for item in hits)])
        if end == edge:
            return edge, hits
        edge = end


def _move(item: JudgedHit, shift: int) -> JudgedHit:
    """Return a hit by its place in a text that begins later; what has left before stays away."""
    start = max(0, item.hit.start - shift)
    return JudgedHit(replace(item.hit, start=start, end=item.hit.end - shift), item.action)


def judge_calls(
    rules: GuardrailRules, calls: tuple[ToolCall, ...]
) -> tuple[tuple[JudgedHit, ...], tuple[ToolCall, ...]]:
    """Return the hits in arguments of tools, and the calls with the hits masked."""
    hits, kept = list[JudgedHit](), list[ToolCall]()
    for call in calls:
        found = rules.judge(call.arguments)
        hits += found
        kept.append(ToolCall(call.name, mask_hits(call.arguments, found), call.id))
    return tuple(hits), tuple(kept)
