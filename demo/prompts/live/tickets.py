"""The tickets that callers send, and the team that each is for."""

import random
from collections.abc import Sequence

TEAMS = ("billing", "delivery", "account", "technical", "other")
WORDS = {
    "billing": ("invoice", "charged", "payment", "refund", "bill"),
    "delivery": ("parcel", "courier", "delivery", "shipped", "package"),
    "account": ("password", "login", "account", "email address", "profile"),
    "technical": ("app", "error", "crash", "screen", "update"),
}
"""Words by which a ticket's team is found; a ticket without any is for `other`."""
NAMES_PEOPLE, QUOTES_HISTORY = "Name the colleague", "Repeat what was said"
"""Words of a version's instructions that the simulated model follows more than was meant."""
REVISION = "desk-2026-10"
"""The exact name of the simulated model, which stays when its provider changes it."""
MANAGER_SHARE = 0.3
"""Share of live tickets that ask for a manager, as no case of the evaluation set does."""


def find_team(ticket: str) -> str:
    """Return the team whose word stands in a ticket; empty where there is none."""
    text = ticket.lower()
    return next((team for team, words in WORDS.items() if any(w in text for w in words)), "")


def write_live(tickets: Sequence[str], count: int, seed: int) -> list[str]:
    """Return tickets as they arrive: a known one, its history quoted, some for a manager."""
    draw = random.Random(seed)  # noqa: S311 - no secret depends on it
    found = []
    for number in range(count):
        first, before = draw.choice(tickets), draw.choice(tickets)
        asks = "\nLet me speak to your manager." if draw.random() < MANAGER_SHARE else ""
        found.append(f"{first}{asks}\nOrder {number}\n> {before}")
    return found
