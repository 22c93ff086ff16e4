"""The one inspection that the evaluation of prompts and the gateway make of a text."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from sluice.errors import PromptInvalid
from sluice.guardrails.hits import Hit
from sluice.guardrails.pii import PII
from sluice.guardrails.profanity import find_profanity
from sluice.guardrails.readings import JOINED, PLAIN, Reading, read_ways
from sluice.guardrails.secrets import SECRETS

Finder = Callable[[str], Iterator[tuple[int, int]]]
INJECTION = "injection"
GUARDRAILS: dict[str, dict[str, Finder]] = {
    "pii": PII,
    "secrets": SECRETS,
    "profanity": {"profanity": find_profanity},
}
"""Group to rules to functions; `injection` beside them needs a detector, a trained model."""
WHOLES = {"phone": {"iban", "payment_card"}, "email": {"url_password"}}
"""Rules whose hit is only a part of another rule's, and is not reported beside it."""
UNJOINED = {"profanity"}
"""Groups that are not looked for across line breaks, where two harmless words make another."""


def list_guardrails() -> list[str]:
    """Return the names that `inspect_text` takes: groups, and single rules of them."""
    rules = [rule for group in GUARDRAILS.values() for rule in group]
    return list(dict.fromkeys([*GUARDRAILS, INJECTION, *rules]))


def inspect_text(
    text: str, names: Sequence[str], detector: Finder | None = None
) -> tuple[Hit, ...]:
    """Return every hit of the named groups or rules in a text, in order of place.

    The text is also read decoded from base64, with its lines joined, and without invisible or
    wide characters. `detector` is the rule of `injection`.

    Raises:
        PromptInvalid: a name is unknown, or `injection` is asked for without a detector.
    """
    check_names(names)
    if INJECTION in names and detector is None:
        raise PromptInvalid(
            "guardrail injection: found no detector; next: release the service `injection`, "
            "or leave it out"
        )
    trained = {INJECTION: {INJECTION: detector}} if detector else {}
    guardrails = {**GUARDRAILS, **trained}
    hits = dict[tuple[str, int, int], Hit]()
    plain: list[Hit] = []
    for reading in read_ways(text):
        for hit in _inspect_reading(reading, names, guardrails):
            if reading.name != PLAIN and any(_overlap(hit, other) for other in plain):
                continue
            if reading.name == PLAIN:
                plain.append(hit)
            hits.setdefault((hit.rule, hit.start, hit.end), hit)
    kept = [hit for hit in hits.values() if not _is_part(hit, hits.values())]
    return tuple(sorted(kept, key=lambda hit: (hit.start, hit.end, hit.rule)))


def check_names(names: Sequence[str]) -> None:
    """Check that every name is a guardrail.

    Raises:
        PromptInvalid: a name is unknown.
    """
    known = list_guardrails()
    if unknown := [name for name in names if name not in known]:
        raise PromptInvalid(f"found guardrail '{unknown[0]}'; allowed: {', '.join(known)}")


def _inspect_reading(
    reading: Reading, names: Sequence[str], guardrails: Mapping[str, Mapping[str, Finder]]
) -> Iterator[Hit]:
    for group, rules in guardrails.items():
        if reading.name == JOINED and group in UNJOINED:
            continue
        for rule, find in rules.items():
            if group not in names and rule not in names:
                continue
            for start, end in find(reading.text):
                if reading.name != JOINED or reading.spans_break(start, end):
                    yield Hit(group, rule, *reading.locate(start, end), reading.name)


def _is_part(hit: Hit, hits: Iterable[Hit]) -> bool:
    """Return whether a hit is only a part of a longer one, as digits of an account's number."""
    wholes = WHOLES.get(hit.rule, set())
    return any(
        other.rule in wholes and hit.start < other.end and other.start < hit.end for other in hits
    )


def _overlap(hit: Hit, other: Hit) -> bool:
    return hit.rule == other.rule and hit.start < other.end and other.start < hit.end
