"""What follows a hit: the text is held back, the place is masked, or the hit is only counted."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sluice.guardrails.hits import Hit
from sluice.guardrails.inspection import INJECTION, Finder, inspect_text

GuardrailAction = Literal["block", "mask", "flag"]
"""`block`: nothing of the text passes; `mask`: each hit is replaced; `flag`: it is counted."""


@dataclass(frozen=True)
class JudgedHit:
    """A hit and what follows it."""

    hit: Hit
    action: GuardrailAction


@dataclass(frozen=True)
class GuardrailRules:
    """Guardrails by the name of a group or of a single rule, which goes before its group."""

    actions: Mapping[str, GuardrailAction]
    detector: Finder | None = None
    """The rule of `injection`, a trained model; needed where `actions` name it."""

    @property
    def is_slow(self) -> bool:
        """Whether a model looks at each text: milliseconds for 2,000 characters."""
        return self.detector is not None and INJECTION in self.actions

    def __bool__(self) -> bool:
        """Whether there is any."""
        return bool(self.actions)

    def judge(self, text: str) -> tuple[JudgedHit, ...]:
        """Return every hit in a text with what follows it, in order of place."""
        if not self.actions or not text:
            return ()
        hits = inspect_text(text, tuple(self.actions), self.detector)
        return tuple(JudgedHit(hit, self._find_action(hit)) for hit in hits)

    def _find_action(self, hit: Hit) -> GuardrailAction:
        return self.actions.get(hit.rule) or self.actions[hit.group]


def is_blocking(hits: Sequence[JudgedHit]) -> bool:
    """Whether any hit holds the whole text back."""
    return any(item.action == "block" for item in hits)


def mask_hits(text: str, hits: Sequence[JudgedHit]) -> str:
    """Return a text with each hit that is not only flagged replaced by its rule, as `[email]`."""
    return "".join(_cut(text, hits))


def _cut(text: str, hits: Sequence[JudgedHit]) -> Iterator[str]:
    last = 0
    for item in sorted(hits, key=lambda found: (found.hit.start, -found.hit.end)):
        if item.action == "flag":
            continue
        if item.hit.start >= last:
            yield text[last : item.hit.start]
            yield f"[{item.hit.rule}]"
        last = max(last, item.hit.end)
    yield text[last:]
